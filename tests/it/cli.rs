//! The command line, through the binary: what it prints, how it exits, and that it leaves nothing.

use std::{
    io::Write,
    os::unix::{net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use serde_json::Value;
use tempfile::TempDir;

/// A broker of its own, in an environment without the machine's settings. Everything ends with it.
struct Company {
    dir: TempDir,
}

struct Said {
    out: String,
    err: String,
    status: ExitStatus,
}

impl Company {
    fn new() -> Self {
        Company { dir: tempfile::Builder::new().prefix("cc").tempdir().unwrap() }
    }

    fn runtime(&self) -> PathBuf {
        self.dir.path().join("r")
    }

    fn command(&self, args: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_compere"), args)
    }

    fn program(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir.path())
            .env("COMPERE_RUNTIME_DIR", self.runtime())
            .env("COMPERE_LINGER_MS", "2000")
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Said {
        said(self.command(args).output().unwrap())
    }

    fn with_stdin(&self, args: &[&str], stdin: &str) -> Said {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        said(process.wait_with_output().unwrap())
    }

    /// What a command that must do it prints.
    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert!(said.status.success(), "{args:?}: {} {} {}", said.status, said.out, said.err);
        said.out
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    /// Checks an exit code and what is on standard error.
    #[track_caller]
    fn fails(&self, args: &[&str], code: i32, why: &str) {
        let said = self.run(args);
        assert_eq!(said.status.code(), Some(code), "{args:?}: {} {}", said.out, said.err);
        assert!(said.err.contains(why), "{args:?}: {}", said.err);
    }

    fn broker(&self) -> Option<Pid> {
        let stream = UnixStream::connect(self.runtime().join("broker.sock")).ok()?;
        Some(rustix::net::sockopt::socket_peercred(&stream).unwrap().pid)
    }

    /// Ends the broker by a signal, and waits until it has ended.
    fn end_broker(&self, signal: Signal) {
        let Some(pid) = self.broker() else { return };
        let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        pidfd_send_signal(&process, signal).unwrap();
        poll(&mut [PollFd::new(&process, PollFlags::IN)], None).unwrap();
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        if self.broker().is_some() {
            self.run(&["stop", "--all", "--grace", "100ms"]);
            self.end_broker(Signal::TERM);
        }
        self.run(&["doctor", "--stop-orphans"]);
    }
}

fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { out: text(output.stdout), err: text(output.stderr), status: output.status }
}

fn alive(pid: i64) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_shell_is_spawned_messaged_awaited_read_and_stopped() {
    let company = Company::new();
    let spawned =
        company.ok(&["spawn", "shell", "--name", "build", "--size", "10x60", "--env", "WORD=forty"]);
    assert!(spawned.starts_with("c1 build: "), "{spawned}");
    assert!(
        company.ok(&["send", "build", "echo", "$WORD-$((1 + 1))", "--wait", "5s"]).starts_with("typed: ")
    );
    let woke = company.ok(&["wait", "--timeout", "20s", "--matches", "build", "^forty-2$"]);
    assert!(woke.starts_with("match: c1 build after ") && woke.trim_end().ends_with(": forty-2"), "{woke}");
    assert!(company.ok(&["wait", "--timeout", "20s", "--idle", "build"]).starts_with("idle: c1 build"));
    let screen = company.ok(&["read", "build"]);
    assert!(screen.starts_with("[c1 build · screen 10x60") && screen.contains("\nforty-2\n"), "{screen}");
    assert!(company.ok(&["read", "c1", "--stream", "--since", "-200"]).contains("\nforty-2\n"));
    assert!(company.with_stdin(&["send", "build", "-"], "exit 3").out.starts_with("typed: "));
    assert!(company.ok(&["wait", "--timeout", "20s", "--exited", "c1"]).contains("exited (exit code 3)"));
    assert_eq!(company.ok(&["stop", "build"]), "c1 build: exit code 3\n");
}

#[test]
fn a_child_reports_to_the_person_who_spawned_it() {
    let company = Company::new();
    let exe = env!("CARGO_BIN_EXE_compere");
    company.ok(&["spawn", "--name", "w", "--", exe, "report", "done", "all", "good", "--data", r#"{"n":1}"#]);
    let woke = company.ok(&["wait", "--report", "--timeout", "20s"]);
    assert!(
        woke.starts_with("report after ")
            && woke.contains("#1 c1 w done")
            && woke.contains("\n    all good\n"),
        "{woke}"
    );
    assert!(woke.contains("data: {\"n\":1}"), "{woke}");
    company.fails(&["report", "done", "to nobody"], 1, "you have no parent");
    assert!(company.ok(&["reports", "--after", "0"]).contains("#1 c1 w done"));
}

#[test]
fn what_happened_is_told_with_and_without_a_broker() {
    let company = Company::new();
    assert_eq!(company.ok(&["log"]), "nothing has happened yet\n");
    assert!(company.broker().is_none(), "a file needs no broker");
    company.ok(&["spawn", "--name", "one", "--", "sh", "-c", "exit 3"]);
    company.ok(&["spawn", "--name", "two", "--", "sleep", "600"]);
    company.ok(&["wait", "--exited", "one", "--timeout", "20s"]);
    company.ok(&["stop", "two"]);
    company.end_broker(Signal::TERM);
    let log = company.ok(&["log", "c1"]);
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].ends_with("Z  c1    spawned   one by person"), "{log}");
    assert!(lines.last().unwrap().contains("ended     exited (exit code 3)"), "{log}");
    let all = company.json(&["log", "--json"]);
    let kinds: Vec<&str> = all.as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "spawned").count(), 2, "{kinds:?}");
    assert_eq!(company.ok(&["log", "--lines", "1"]).lines().count(), 1);
    company.fails(&["log", "one"], 3, "known by its id alone");
    company.ok(&["ls"]);
    assert_eq!(company.ok(&["log", "one"]).lines().next(), Some(lines[0]));
    company.fails(&["log", "nobody"], 1, "there is no child nobody");
    company.fails(&["log", "c99"], 1, "the journal has nothing of c99");
}

#[test]
fn everyone_is_listed_by_all_pages_and_stopped_at_once() {
    let company = Company::new();
    // Long rows, so that there is more than one page.
    let dir = company.dir.path().join("x".repeat(250)).join("y".repeat(250)).join("z".repeat(250));
    std::fs::create_dir_all(&dir).unwrap();
    for number in 1..=12 {
        let name = format!("sleeper-{number}");
        company.ok(&["spawn", "--name", &name, "--cwd", dir.to_str().unwrap(), "--", "sleep", "600"]);
    }
    let list = company.json(&["ls", "--json"]);
    let children = list["children"].as_array().unwrap();
    let ids: Vec<&str> = children.iter().map(|child| child["child"].as_str().unwrap()).collect();
    assert_eq!(ids, ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11", "c12"]);
    assert!(list.get("cut").is_none() && list["limits"]["all"]["live"] == 12, "{list}");
    let first = company.json(&["call", "list_children"]);
    assert!(first["cut"].is_string(), "there was one page only");
    let table = company.ok(&["ls"]);
    assert!(
        table.starts_with("CHILD") && table.lines().count() == 13 && table.contains("sleeper-5"),
        "{table}"
    );
    let pids: Vec<i64> = children.iter().map(|child| child["pid"].as_i64().unwrap()).collect();
    assert_eq!(company.ok(&["stop", "--all"]).lines().count(), 12);
    assert!(pids.iter().all(|pid| !alive(*pid)));
    assert_eq!(company.ok(&["stop", "--all"]), "there is nobody to stop\n");
}

#[test]
fn exit_codes_tell_who_said_no() {
    let company = Company::new();
    company.fails(&["read", "nobody"], 1, "there is no child nobody");
    company.fails(&["call", "no_such_tool"], 1, "compere: ");
    company.fails(&["call", "spawn", "{\"preset\": \"cluade\"}"], 1, "perhaps claude?");
    company.fails(&["call", "spawn", "[1]"], 2, "JSON object");
    company.fails(&["call", "spawn", "{"], 2, "not JSON");
    company.fails(&["spawn"], 2, "say what to start");
    company.fails(&["wait", "--timeout", "soon"], 2, "give a span");
    company.fails(&["stop"], 2, "required");
    company.fails(&["dance"], 2, "unrecognized subcommand");
    company.fails(&["report", "perhaps", "x"], 2, "possible values");
    company.fails(&["send", "c1", "-n"], 2, "unexpected argument");
    let whole = company.run(&["call", "read_output", r#"{"child": "nobody"}"#, "--json"]);
    assert_eq!(whole.status.code(), Some(1));
    assert_eq!(serde_json::from_str::<Value>(&whole.out).unwrap()["isError"], true);
    let timer = company.run(&["wait", "--timeout", "10ms"]);
    assert_eq!(timer.status.code(), Some(1), "{}", timer.err);
    assert!(timer.out.starts_with("timer: "), "{}", timer.out);
    let called = company.with_stdin(&["call", "timer_wait", "-"], r#"{"timeout_ms": 0}"#);
    assert!(called.out.contains("\"woke\":\"timer\""), "{} {}", called.out, called.err);

    let nowhere = said(company.command(&["ls"]).env("COMPERE_RUNTIME_DIR", "/proc/none/r").output().unwrap());
    assert_eq!(nowhere.status.code(), Some(3), "{}", nowhere.err);
    assert!(nowhere.err.contains("compere doctor"), "{}", nowhere.err);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let company = Company::new();
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    let process = company.command(&["presets"]).stdout(write).stderr(Stdio::piped()).spawn().unwrap();
    let said = said(process.wait_with_output().unwrap());
    assert!(said.status.success() && said.err.is_empty(), "{}", said.err);
}

#[test]
fn a_person_who_starts_the_server_is_told_what_it_is() {
    let company = Company::new();
    let pty = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&pty).unwrap();
    rustix::pty::unlockpt(&pty).unwrap();
    let name = rustix::pty::ptsname(&pty, Vec::new()).unwrap().into_string().unwrap();
    let terminal = std::fs::File::options().read(true).write(true).open(name).unwrap();
    let said = said(company.command(&[]).stdin(terminal).process_group(0).output().unwrap());
    assert_eq!(said.status.code(), Some(2));
    assert!(said.err.contains("compere demo") && said.out.is_empty(), "{}", said.err);
    assert!(company.broker().is_none());
}

#[test]
fn presets_are_listed_with_their_standing() {
    let company = Company::new();
    let ours = company.dir.path().join(".config/compere/presets");
    let theirs = company.dir.path().join(".compere/presets");
    for dir in [&ours, &theirs] {
        std::fs::create_dir_all(dir).unwrap();
    }
    std::fs::write(ours.join("half.json"), "{").unwrap();
    std::fs::write(theirs.join("theirs.json"), "{}").unwrap();
    let list = company.json(&["presets", "--json"]);
    let standing = |name: &str| {
        let listed = list.as_array().unwrap().iter().find(|listed| listed["name"] == name).unwrap();
        listed["standing"].as_str().unwrap().to_owned()
    };
    for (name, word) in
        [("claude", "tested"), ("amp", "untested"), ("half", "broken"), ("theirs", "untrusted")]
    {
        assert_eq!(standing(name), word, "{name}");
    }
    assert!(company.ok(&["presets"]).contains("theirs.json"));
    assert_eq!(company.json(&["presets", "shell"])["name"], "shell");
    assert_eq!(company.json(&["presets", "--schema"])["title"], "Preset");
    company.fails(&["presets", "shel"], 1, "perhaps shell?");
    assert!(company.broker().is_none(), "files need no broker");
}

#[test]
fn a_fresh_machine_is_healthy_and_doctor_starts_nothing() {
    let company = Company::new();
    let report = company.ok(&["doctor"]);
    assert!(
        report.contains("none runs")
            && report.contains("limits.children: 16 live")
            && report.contains("inbox: 1000 unread")
            && !report.contains("FAIL"),
        "{report}"
    );
    assert!(company.broker().is_none());
    let config = company.dir.path().join(".config/compere");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.json"), r#"{"limits": {"depht": 1}}"#).unwrap();
    let wrong = company.run(&["doctor"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(wrong.out.contains("FAIL  config") && wrong.out.contains("depht"), "{}", wrong.out);
}

#[test]
fn a_child_whose_broker_was_killed_is_found_and_ended() {
    let company = Company::new();
    let child =
        company.json(&["spawn", "--json", "--", "sh", "-c", "setsid sleep 600 & echo $!; exec sleep 600"]);
    let pid = child["pid"].as_i64().unwrap();
    company.ok(&["wait", "--matches", "c1", r"^\d+$"]);
    let report = company.ok(&["doctor"]);
    assert!(
        report.contains("1 children live; you are person") && report.contains("none: every child"),
        "{report}"
    );
    company.end_broker(Signal::KILL);
    let report = company.ok(&["doctor"]);
    assert!(
        report.contains(&format!("warn  orphans    c1 (process {pid}) runs without a broker")),
        "{report}"
    );
    assert!(alive(pid));
    let report = company.ok(&["doctor", "--stop-orphans"]);
    assert!(report.contains("c1 was ended with all it started"), "{report}");
    assert!(!alive(pid));
    let report = company.ok(&["doctor"]);
    assert!(report.contains("none: every child") && report.contains("files of c1"), "{report}");
}

#[test]
fn a_broker_that_does_not_answer_is_said_so() {
    let company = Company::new();
    company.ok(&["ls"]);
    let broker = company.broker().unwrap();
    rustix::process::kill_process(broker, Signal::STOP).unwrap();
    let report = company.run(&["doctor"]);
    rustix::process::kill_process(broker, Signal::CONT).unwrap();
    assert_eq!(report.status.code(), Some(1));
    assert!(report.out.contains("FAIL  broker") && report.out.contains("does not answer"), "{}", report.out);
    assert!(report.out.contains("warn  orphans    not looked for"), "{}", report.out);
}

#[test]
fn the_readmes_commands_work() {
    let company = Company::new();
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let commands = blocks.flat_map(str::lines).filter(|line| line.starts_with("compere "));
    let here = Path::new(env!("CARGO_BIN_EXE_compere")).parent().unwrap();
    let path = format!("{}:{}", here.display(), std::env::var("PATH").unwrap());
    let mut ran = 0;
    for command in commands {
        let mut shell = company.program("sh", &["-c", command]);
        shell.env("PATH", &path);
        let said = said(shell.output().unwrap());
        assert!(said.status.success(), "{command}: {}{}", said.out, said.err);
        if command.contains(" read ") {
            assert!(said.out.lines().any(|line| line == "built"), "{}", said.out);
        }
        ran += 1;
    }
    assert_eq!(ran, 6);
}

#[test]
fn completions_are_there_for_every_shell() {
    let company = Company::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = company.ok(&["completions", shell]);
        assert!(script.contains("report") && script.contains("doctor"), "{shell}");
    }
}

#[test]
fn the_help_is_as_it_is() {
    let company = Company::new();
    insta::assert_snapshot!("help", company.ok(&["--help"]));
    assert_eq!(company.ok(&["--version"]), format!("compere {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_demo_shows_all_and_leaves_nothing() {
    let company = Company::new();
    let temporary = company.dir.path().join("t");
    std::fs::create_dir(&temporary).unwrap();
    let said = said(company.command(&["demo"]).env("TMPDIR", &temporary).output().unwrap());
    assert!(said.status.success(), "{} {}", said.out, said.err);
    assert!(said.out.contains("All 9 steps did what they should"), "{}", said.out);
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    assert!(company.broker().is_none(), "the user's own company is untouched");
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing() {
    use std::io::{BufRead, BufReader};
    let company = Company::new();
    let temporary = company.dir.path().join("t");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = company.command(&["demo"]);
    command.env("TMPDIR", &temporary).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    // Its second child is there.
    lines.find(|line| line.as_ref().unwrap().contains("c2 screen")).unwrap().unwrap();
    rustix::process::kill_process(Pid::from_child(&process), Signal::INT).unwrap();
    for line in lines {
        line.unwrap();
    }
    assert_eq!(process.wait().unwrap().code(), Some(1));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}
