//! A company on a machine that fails: called by the command line as a person would, who calls again when told to, and
//! a walk over everything a child is for. Knows none of the faults.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The program under test.
pub(crate) const COMPERE: &str = env!("CARGO_BIN_EXE_compere");

/// See the module. Its end leaves nothing running.
pub(crate) struct Stage {
    dir: tempfile::TempDir,
    /// Outside the runtime directory, as for users who name none.
    apart: bool,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("cmp-").tempdir_in("/tmp").unwrap();
        // A walk after each of many failures spawns more within a minute than anybody should.
        let config = dir.path().join(".config/compere");
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("config.json"), r#"{"limits": {"spawns_per_minute": 1000}}"#).unwrap();
        Stage { dir, apart: false }
    }

    /// With its journal outside the runtime directory.
    pub(crate) fn apart() -> Self {
        let mut stage = Stage::new();
        stage.apart = true;
        stage
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The runtime directory.
    pub(crate) fn run(&self) -> PathBuf {
        self.dir().join(if self.apart { "rt/compere" } else { "run" })
    }

    /// A program in this company's environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs([("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"), ("LANG", "C.UTF-8")])
            .envs([("COMPERE_LINGER_MS", "60000"), ("COMPERE", COMPERE)])
            .env("HOME", self.dir())
            .current_dir(self.dir())
            .stdin(Stdio::null());
        if self.apart {
            std::fs::create_dir_all(self.dir().join("rt")).unwrap();
            command.env("XDG_RUNTIME_DIR", self.dir().join("rt"));
        } else {
            command.env("COMPERE_RUNTIME_DIR", self.run());
        }
        command
    }

    /// Calls a tool once. An error has the words.
    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Result<Value, String> {
        let mut command = self.command("timeout");
        let output =
            command.args(["-k", "1", "25", COMPERE, "call", tool, &arguments.to_string()]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout).unwrap_or_else(|_| json!(text(&output.stdout))));
        }
        if matches!(output.status.code(), None | Some(124 | 137)) {
            return Err(format!("HANG: {tool} took 25 s"));
        }
        Err(text(&output.stderr) + &text(&output.stdout))
    }

    /// Calls until it is done, as often as somebody would; every refusal must be a clear one. Answers how many there were.
    fn insist(&self, tool: &str, arguments: &Value, tries: usize) -> Result<(Value, usize), String> {
        let mut refused = 0;
        loop {
            match self.call(tool, arguments) {
                Ok(value) => return Ok((value, refused)),
                Err(words) if is_vague(&words) => return Err(format!("{tool} said {words:?}")),
                Err(_) if refused + 1 < tries => refused += 1,
                Err(words) => return Err(format!("{tool}, called {tries} times, still said {words:?}")),
            }
        }
    }

    /// Spawns the child that the walk goes on with.
    pub(crate) fn begin(&self, name: &str, tries: usize) -> Result<usize, String> {
        let spawn = json!({"command": ["sh", "-c", SCRIPT], "name": name});
        let (_, refused) = self.insist("spawn", &spawn, tries)?;
        Ok(refused + self.line(name, "^ready$", tries)?)
    }

    /// A message, a report and a read; each had its effect once, whatever was refused on the way.
    pub(crate) fn go_on(&self, name: &str, tries: usize) -> Result<usize, String> {
        let mut refused = 0;
        for message in [format!("hello-{name}"), format!("report-{name}")] {
            let (receipt, more) =
                self.insist("send_message_to", &json!({"to": name, "message": message}), tries)?;
            refused += more;
            let status = receipt["status"].as_str().unwrap_or_default();
            if !matches!(status, "typed" | "queued") {
                return Err(format!("{message} was {receipt}"));
            }
            refused += self.line(name, &format!("^got {message}$"), tries)?;
        }
        refused += self.line(name, "^reported", tries)?;
        let read = json!({"child": name, "mode": "stream", "max_bytes": 200_000});
        let (text, more) = self.insist("read_output", &read, tries)?;
        let text = text.as_str().unwrap_or_default();
        for (line, times) in [(format!("got hello-{name}\n"), 1), (format!("got report-{name}\n"), 1)] {
            let seen = text.matches(&line).count();
            if seen != times {
                return Err(format!("{line:?} was typed {seen} times: {text}"));
            }
        }
        if !text.contains("reported 0") {
            return Err(format!("the report was not taken: {text}"));
        }
        let (reports, most) = self.insist("read_reports", &json!({"max_bytes": 200_000}), tries)?;
        let reports = reports["reports"].as_array().cloned().unwrap_or_default();
        let seen = reports.iter().filter(|report| report["message"] == name).count();
        if seen != 1 {
            return Err(format!("the report arrived {seen} times: {reports:?}"));
        }
        Ok(refused + more + most)
    }

    /// Stops the child, of which nothing may be left.
    pub(crate) fn finish(&self, name: &str, tries: usize) -> Result<usize, String> {
        let (stopped, refused) = self.insist("stop", &json!({"child": name, "grace_ms": 0}), tries)?;
        match stopped["left"].as_array() {
            Some(left) if left.is_empty() => Ok(refused),
            _ => Err(format!("stop left something: {stopped}")),
        }
    }

    /// All of it. Answers how often something was refused.
    pub(crate) fn walk(&self, name: &str, tries: usize) -> Result<usize, String> {
        Ok(self.begin(name, tries)? + self.go_on(name, tries)? + self.finish(name, tries)?)
    }

    /// Waits until the child has written that.
    pub(crate) fn line(&self, name: &str, pattern: &str, tries: usize) -> Result<usize, String> {
        let until = json!([{"child": name, "matches": pattern, "since": 0}]);
        let (woke, refused) =
            self.insist("timer_wait", &json!({"timeout_ms": 15_000, "until": until}), tries)?;
        match woke["woke"] == "match" {
            true => Ok(refused),
            false => Err(format!("no line {pattern} of {name}: {woke}")),
        }
    }

    /// The listing's rows.
    pub(crate) fn rows(&self) -> Result<Vec<Value>, String> {
        let list = self.call("list_children", &json!({}))?;
        Ok(list["children"].as_array().cloned().unwrap_or_default())
    }

    /// The broker's process: whoever listens.
    pub(crate) fn broker(&self) -> Option<i32> {
        let stream = std::os::unix::net::UnixStream::connect(self.run().join("broker.sock")).ok()?;
        Some(rustix::net::sockopt::socket_peercred(&stream).ok()?.pid.as_raw_nonzero().get())
    }

    /// Starts a broker by a shell's words, in which `$COMPERE` is our program; answers what it said first.
    pub(crate) fn start(&self, script: &str) -> Result<String, String> {
        let output = self.command("timeout").args(["20", "sh", "-c", script]).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
        if said == "listening" { Ok(said) } else { Err(said) }
    }

    /// Kills the broker where it stands.
    pub(crate) fn kill_broker(&self) {
        if let Some(broker) = self.broker() {
            kill(broker);
        }
    }

    /// The keeper of this child.
    pub(crate) fn keeper(&self, name: &str) -> Result<i32, String> {
        let rows = self.rows()?;
        let row = rows.iter().find(|row| row["name"] == name).ok_or(format!("no {name} in {rows:?}"))?;
        let ring = self.run().join(format!("k/{}.ring", row["child"].as_str().unwrap_or_default()));
        compere::keeper::Ring::open(&ring).map(|record| record.keeper_pid).map_err(|error| error.to_string())
    }

    /// What the broker has open, but for what ended children's handles keep.
    pub(crate) fn descriptors(&self) -> usize {
        let Some(broker) = self.broker() else { return 0 };
        let entries = std::fs::read_dir(format!("/proc/{broker}/fd")).into_iter().flatten().flatten();
        let targets = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        targets.filter(|target| !target.to_string_lossy().contains("eventfd")).count()
    }

    /// The company works, and nothing is left of what there was: no child, no process but the broker, no file but the
    /// rings of the ended.
    pub(crate) fn is_sound(&self, name: &str) -> Result<(), String> {
        self.walk(name, 1).map_err(|why| format!("afterwards: {why}"))?;
        let soon = Instant::now() + Duration::from_secs(5);
        loop {
            let broker = self.broker();
            let mut left: Vec<String> = mentioning(self.dir())
                .into_iter()
                .filter(|(pid, _)| Some(*pid) != broker)
                .map(|(_, line)| line)
                .collect();
            let entries = std::fs::read_dir(self.run().join("k")).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            left.extend(names.filter(|name| !name.ends_with(".ring")));
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > soon {
                return Err(format!("left: {left:?}"));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for _ in 0..50 {
            let left = mentioning(self.dir());
            if left.is_empty() {
                break;
            }
            left.iter().for_each(|(pid, _)| kill(*pid));
        }
    }
}

/// It answers each line, and one that says so with a report, which it makes until that is taken.
const SCRIPT: &str = r#"stty -echo; echo ready; while read -r line; do echo "got $line"; case $line in report-*)
    for i in 1 2 3 4 5 6; do
        "$COMPERE" call report_to_parent "{\"status\":\"done\",\"message\":\"${line#report-}\"}" > said 2>&1 && break
    done
    echo "reported $?";; esac; done"#;

/// Words that do not say what is the matter.
pub(crate) fn is_vague(words: &str) -> bool {
    words.trim().len() < 20 || ["HANG", "panicked", "RUST_BACKTRACE"].iter().any(|bad| words.contains(bad))
}

/// Kills a process and waits for its end.
pub(crate) fn kill(pid: i32) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    let _ = kill_process(pid, Signal::KILL);
    let fd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
    if let Ok(fd) = fd {
        let patience = rustix::event::Timespec { tv_sec: 5, tv_nsec: 0 };
        let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        let _ = rustix::event::poll(&mut fds, Some(&patience));
    }
}

/// Who has this directory in memory or environment, but us; with its command line. The dead are not counted.
fn mentioning(dir: &Path) -> Vec<(i32, String)> {
    let needle = dir.as_os_str().as_encoded_bytes();
    let read = |pid: i32, file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let mentions = |pid: i32, file| read(pid, file).windows(needle.len()).any(|window| window == needle);
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ours = std::process::id() as i32;
    pids.filter(|pid| *pid != ours && (mentions(*pid, "maps") || mentions(*pid, "environ")))
        .map(|pid| (pid, String::from_utf8_lossy(&read(pid, "cmdline")).replace('\0', " ")))
        .filter(|(_, line)| !line.is_empty())
        .collect()
}
