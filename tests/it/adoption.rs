//! A broker is killed, and another takes up what it had: children, screens, messages, reports, waits, identities.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Answer, COMPERE, Client, Raw, Real, end_fronts, gone, sh};

impl Real {
    /// Kills the broker where it stands, when nobody is left who would start another one at once.
    async fn kill_lonely_broker(&self, host: Client) {
        host.close().await;
        end_fronts(self.home());
        self.kill_broker();
    }

    /// Kills the broker where it stands; hosts that are still there start the next.
    pub(crate) fn kill_broker(&self) {
        let broker = self.broker().expect("a broker runs");
        kill_process(Pid::from_raw(broker).unwrap(), Signal::KILL).unwrap();
        gone(broker);
    }

    /// A preset of the user's.
    pub(crate) fn preset(&self, name: &str, preset: Value) {
        let dir = self.home().join(".config/compere/presets");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("{name}.json")), preset.to_string()).unwrap();
    }
}

/// Writes numbered lines, each when it is told to, and says how many it was told.
const COUNTS: &str =
    "stty -echo; echo ready; n=0; while read line; do n=$((n+1)); echo \"$n:$line\"; done; exit 7";

async fn enter(host: &Client, child: &str) {
    let pressed = host.call("send_keys", json!({"to": child, "keys": ["Enter"]})).await;
    assert_eq!(pressed["status"], "typed", "{}", pressed.text());
}

async fn screen(host: &Client, child: &str) -> String {
    host.call("read_output", json!({"child": child, "lines": 1000, "max_bytes": 262_144})).await.body()
}

#[tokio::test]
async fn a_killed_broker_costs_no_child_no_output_and_no_exit_status() {
    let real = Real::new();
    let host = real.client().await;
    let child = host.spawn_with(sh(COUNTS), json!({"name": "counts"})).await;
    host.line(&child, "^ready$").await;
    host.say(&child, "before").await;
    host.line(&child, "^1:before$").await;
    let before = host.row(&child).await;

    for round in 2..5 {
        real.kill_broker();
        let host = real.client().await;
        let after = host.row(&child).await;
        for same in ["child", "name", "pid", "parent", "cwd", "program", "owner"] {
            assert_eq!(after[same], before[same], "{same}");
        }
        assert_eq!(after.get("stale"), None, "all it wrote is in the ring");
        host.say("counts", "after").await;
        host.line(&child, &format!("^{round}:after$")).await;
    }
    let host = real.client().await;
    assert_eq!(host.all(&child).await, "ready\n1:before\n2:after\n3:after\n4:after\n");
    host.call("send_keys", json!({"to": child, "keys": ["C-d"]})).await;
    assert_eq!(host.exit(&child).await, json!({"code": 7}));

    real.kill_broker();
    let host = real.client().await;
    assert_eq!(host.row(&child).await["exit"], json!({"code": 7}), "one that has ended can still be read");
    assert_eq!(screen(&host, &child).await, "ready\n1:before\n2:after\n3:after\n4:after");
    let next = host.spawn(json!(["true"])).await;
    assert_eq!(next, "c2", "no number is given twice");
}

#[tokio::test]
async fn a_screen_is_the_same_after_far_more_than_the_ring_holds() {
    let real = Real::new();
    let host = real.client().await;
    // 3 MB of colours, a scroll region, the cursor in the middle of a line, and then it waits.
    let draw = "stty -echo; i=0; while [ $i -lt 30000 ]; do i=$((i+1)); \
                printf '\\033[3%dm%0100d\\033[0m\\r\\n' $((i % 8)) $i; done; \
                printf '\\033[5;20r\\033[?6h\\033[3;7Hhere\\033[7m'; read x; printf there; read x";
    let child = host.spawn(sh(draw)).await;
    host.line(&child, "here").await;
    let before = screen(&host, &child).await;
    let styles = |answer: &Answer| [answer.meta("cursor"), answer.meta("history")];
    let figures = styles(&host.call("read_output", json!({"child": child, "lines": 1000})).await);

    real.kill_broker();
    let host = real.client().await;
    assert_eq!(screen(&host, &child).await, before);
    assert_eq!(styles(&host.call("read_output", json!({"child": child, "lines": 1000})).await), figures);
    assert_eq!(host.row(&child).await.get("stale"), None);
    enter(&host, &child).await;
    host.line(&child, "herethere").await;
}

#[tokio::test]
async fn a_screen_that_cannot_be_known_says_so_and_the_program_is_made_to_draw_it_anew() {
    let real = Real::new();
    let host = real.client().await;
    let redraws = "stty -echo; trap 'printf \"\\033[2J\\033[Hredrawn\\n\"' WINCH; echo ready; read x; \
                   head -c 3000000 /dev/zero | tr '\\0' x; echo; echo done; while :; do sleep 0.02; done";
    let child = host.spawn(sh(redraws)).await;
    host.line(&child, "^ready$").await;
    real.kill_lonely_broker(host).await;
    // Nobody listens while it writes more than the ring holds.
    let ring = real.run().join("k/c1.ring");
    let mut keeper = std::os::unix::net::UnixStream::connect(real.run().join("k/c1.sock")).unwrap();
    let mut frame = Vec::new();
    compere::keeper::wire::Request::Input { id: 1, bytes: b"\n" }.encode(&mut frame);
    std::io::Write::write_all(&mut keeper, &frame).unwrap();
    while compere::keeper::Ring::open(&ring).unwrap().end.0 < 3_000_015 {
        std::thread::yield_now();
    }
    let host = real.client().await;
    host.line(&child, "^redrawn$").await;
    assert_eq!(host.row(&child).await["stale"], true);
}

#[tokio::test]
async fn a_message_that_was_accepted_is_typed_once_by_whichever_broker_can() {
    let real = Real::new();
    let rule = json!({"on": "screen", "matches": "PROMPT", "state": "idle"});
    real.preset("late", json!({"name": "late", "about": "x", "command": ["x"], "state": {"rules": [rule]}}));
    let host = real.client().await;
    let script = "stty -echo; while [ ! -e go ]; do sleep 0.02; done; echo PROMPT; \
                  while read line; do echo \"got <$line>\"; done";
    let child = host.spawn_with(sh(script), json!({"preset": "late"})).await;
    for text in ["one", "two", "three"] {
        let receipt = host.call("send_message_to", json!({"to": child, "message": text, "wait_ms": 0})).await;
        assert_eq!(receipt["status"], "queued", "{}", receipt.text());
    }
    for _ in 0..3 {
        real.kill_broker();
        let host = real.client().await;
        assert_eq!(host.row(&child).await["queued"], 3);
    }
    std::fs::write(real.home().join("work/go"), "").unwrap();
    let host = real.client().await;
    host.line(&child, "^got <three>$").await;
    assert_eq!(host.all(&child).await, "PROMPT\ngot <one>\ngot <two>\ngot <three>\n");
    real.kill_broker();
    let host = real.client().await;
    host.say(&child, "four").await;
    host.line(&child, "^got <four>$").await;
    assert_eq!(host.all(&child).await, "PROMPT\ngot <one>\ngot <two>\ngot <three>\ngot <four>\n");
}

#[tokio::test]
async fn a_message_that_was_half_typed_gets_its_enter_and_not_its_text_again() {
    let real = Real::new();
    // So long a pause before Enter that the broker is killed in it.
    let typing = json!({"enter_after_ms": 1500});
    real.preset("slow", json!({"name": "slow", "about": "x", "command": ["x"], "typing": typing}));
    let host = real.client().await;
    let script = "echo ready; while read line; do echo \"got <$line>\"; done";
    let child = host.spawn_with(sh(script), json!({"preset": "slow"})).await;
    host.line(&child, "^ready$").await;
    host.call("send_message_to", json!({"to": child, "message": "hello", "wait_ms": 0})).await;
    // The terminal echoes the text before Enter.
    host.line(&child, "^hello").await;
    real.kill_broker();
    let host = real.client().await;
    host.line(&child, "^got <hello>$").await;
    host.say(&child, "again").await;
    host.line(&child, "^got <again>$").await;
    assert_eq!(host.all(&child).await, "ready\nhello\ngot <hello>\nagain\ngot <again>\n");
}

#[tokio::test]
async fn reports_stay_until_they_were_heard_whoever_is_killed() {
    let real = Real::new();
    let host = real.client().await;
    let report = |text| {
        format!("{COMPERE} call report_to_parent '{}'", json!({"status": "progress", "message": text}))
    };
    let script = format!(
        "stty -echo; echo ready; read x; {}; {}; read x; {}; read x",
        report("one"),
        report("two"),
        report("three")
    );
    let child = host.spawn(sh(&script)).await;
    host.line(&child, "^ready$").await;
    enter(&host, &child).await;
    host.line(&child, "\"report\":2").await;
    real.kill_broker();

    // Read, and the answer may have been lost: nobody called again on that connection.
    let host = real.client().await;
    let read = host.call("read_reports", json!({})).await;
    assert_eq!(read["reports"].as_array().unwrap().len(), 2);
    assert_eq!(read["reports"][0].get("again"), None);
    real.kill_broker();
    let host = real.client().await;
    let read = host.call("read_reports", json!({})).await;
    assert_eq!([&read["reports"][0]["message"], &read["reports"][1]["message"]], ["one", "two"]);
    assert_eq!(read["reports"][0]["again"], true, "and it is said that it was given before");
    assert_eq!(host.call("list_children", json!({})).await["you"]["unread"], 0);
    real.kill_broker();

    // A child's identity is good with every broker.
    let host = real.client().await;
    assert_eq!(host.call("list_children", json!({})).await["you"]["unread"], 0, "now it was heard");
    enter(&host, &child).await;
    let woke = host.call("timer_wait", json!({"timeout_ms": 20_000})).await;
    assert_eq!(woke.woke("report")["reports"][0]["report"], 3);
}

#[tokio::test]
async fn a_wait_goes_on_with_the_next_broker_and_one_that_is_overdue_ends_once() {
    let real = Real::new();
    let host = real.client().await;
    let child = host.spawn(sh(COUNTS)).await;
    host.line(&child, "^ready$").await;
    // No host is cut short before 50 s, so what the registry would have written by then is written here.
    let wait = compere::journal::Change::Wait {
        id: 9,
        body: json!({
            "caller": "r1",
            "deadline": {"boot": "", "up_ms": 0, "wall_ms": 4_000_000_000_000u64},
            "until": [{"match": {"child": child, "pattern": "^1:x$", "from": 0}}],
        }),
    };
    let overdue = compere::journal::Change::Wait {
        id: 10,
        body: json!({"caller": "r1", "deadline": {"boot": "", "up_ms": 0, "wall_ms": 1}, "until": ["report"]}),
    };
    real.kill_lonely_broker(host).await;
    let (journal, _) = compere::journal::Journal::open(&real.run().join("state")).unwrap();
    journal.write(vec![wait, overdue]).await.unwrap();
    drop(journal);

    let host = real.client().await;
    host.say(&child, "x").await;
    let woke = host.call("timer_wait", json!({"wait_id": "w9"})).await;
    assert_eq!(woke.woke("match")["line"], "1:x");
    host.call("timer_wait", json!({"wait_id": "w10"})).await.woke("timer");
    host.call("timer_wait", json!({"wait_id": "w10"})).await.says("there is no wait");
    real.kill_broker();
    let host = real.client().await;
    host.call("timer_wait", json!({"wait_id": "w10"})).await.says("there is no wait");
}

/// The keeper of a child.
fn keeper(real: &Real, child: &str) -> i32 {
    compere::keeper::Ring::open(&real.run().join(format!("k/{child}.ring"))).unwrap().keeper_pid
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    gone(pid);
}

#[tokio::test]
async fn a_killed_keeper_costs_its_own_child_and_its_parent_is_told_once() {
    let real = Real::new();
    let host = real.client().await;
    let lost = host.spawn_with(sh("echo last words; read x"), json!({"name": "lost"})).await;
    let other = host.spawn(sh(COUNTS)).await;
    host.line(&lost, "^last words$").await;
    host.line(&other, "^ready$").await;
    kill(keeper(&real, &lost));
    let told = host.call("timer_wait", json!({"timeout_ms": 20_000})).await;
    let report = &told.woke("report")["reports"][0];
    assert_eq!(
        [&report["from"], &report["status"], &report["synthetic"]],
        [&json!(lost), &json!("failed"), &json!(true)]
    );
    assert!(report["message"].as_str().unwrap().contains("its keeper died"), "{report}");
    assert_eq!(host.row(&lost).await["state"], "lost");
    assert_eq!(host.all(&lost).await, "last words\n");
    host.say(&other, "goes on").await;
    host.line(&other, "^1:goes on$").await;

    // The other's keeper dies while there is no broker.
    real.kill_lonely_broker(host).await;
    kill(keeper(&real, &other));
    let host = real.client().await;
    let told = host.call("timer_wait", json!({"timeout_ms": 20_000})).await;
    let reports = told.woke("report")["reports"].as_array().unwrap();
    assert_eq!((reports.len(), &reports[0]["from"]), (1, &json!(other)), "of the first it was told before");
    assert_eq!(host.all(&other).await, "ready\n1:goes on\n");
    real.kill_broker();
    let host = real.client().await;
    assert_eq!(host.call("list_children", json!({})).await["you"]["unread"], 0, "and of the second neither");
}

#[tokio::test]
async fn without_its_journal_a_broker_asks_the_keepers() {
    let real = Real::new();
    let host = real.client().await;
    let child = host.spawn_with(sh(COUNTS), json!({"name": "counts"})).await;
    let nested = host.spawn_with(sh("read x"), json!({"name": "other"})).await;
    host.line(&child, "^ready$").await;
    real.kill_lonely_broker(host).await;
    let journal = real.run().join("state/journal.db");
    // What is still in its log would mend it.
    std::fs::remove_file(journal.with_extension("db-wal")).unwrap();
    std::fs::write(&journal, "this is no database, and long enough to be looked at".repeat(100)).unwrap();
    let host = real.client().await;
    let row = host.row(&child).await;
    assert_eq!([&row["name"], &row["parent"]], ["counts", "r1"]);
    assert_eq!(host.row(&nested).await["name"], "other");
    host.say("counts", "hello").await;
    host.line(&child, "^1:hello$").await;
    assert!(journal.with_extension("corrupt-1").exists(), "the broken one is kept");
    real.kill_broker();
    assert_eq!(real.client().await.row(&child).await["name"], "counts", "and the new one is good");
}

/// As the first keepers were, which were told nothing of their child.
#[tokio::test]
async fn a_child_of_which_nothing_is_written_down_is_the_persons() {
    let real = Real::new();
    let host = real.client().await;
    let child = host.spawn_with(sh(COUNTS), json!({"name": "counts"})).await;
    host.line(&child, "^ready$").await;
    let pid = host.row(&child).await["pid"].clone();
    real.kill_lonely_broker(host).await;
    std::fs::remove_dir_all(real.run().join("state")).unwrap();
    let ring = std::fs::File::options().write(true).open(real.run().join("k/c1.ring")).unwrap();
    // Behind the fields that the first ones had.
    std::os::unix::fs::FileExt::write_all_at(&ring, &[0; 1024], 64).unwrap();

    let list = real.call_with(&[], "list_children", json!({})).await;
    let list: Value = serde_json::from_str(&list).unwrap_or_else(|_| panic!("{list}"));
    let row = &list["children"][0];
    assert_eq!([&row["name"], &row["parent"], &row["pid"]], [&json!("adopted-1"), &json!("person"), &pid]);
    let said = real.call_with(&[], "send_message_to", json!({"to": child, "message": "hello"})).await;
    assert!(said.contains("\"typed\""), "{said}");
    let until = json!([{"child": child, "matches": "^1:hello$", "since": 0}]);
    let found = real.call_with(&[], "timer_wait", json!({"timeout_ms": 20_000, "until": until})).await;
    assert!(found.contains("\"match\""), "{found}");
}

#[tokio::test]
async fn the_next_host_of_a_workspace_is_told_once_what_an_earlier_one_left() {
    let real = Real::new();
    let mut command = real.command("sh");
    command.args(["-c", &format!("{COMPERE}; exit 0")]);
    let mut earlier = Raw::new(command);
    earlier.initialize().await;
    let spawn = json!({"name": "spawn", "arguments": {"command": ["sleep", "1000"], "name": "left"}});
    earlier.ask(2, "tools/call", spawn).await;
    earlier.process.kill().await.unwrap();
    let host = real.client().await;
    let first = host.call("list_children", json!({})).await;
    let told = first["inherited"].as_str().unwrap_or_default();
    assert!(told.contains("c1 (left)"), "{}", first.text());
    assert_eq!(first["you"]["id"], "r1");
    assert_eq!(host.call("list_children", json!({})).await["inherited"], Value::Null);
}

#[tokio::test]
async fn without_its_journal_a_broker_gives_no_messages_number_twice() {
    let real = Real::new();
    let host = real.client().await;
    let child = host.spawn(sh(COUNTS)).await;
    host.line(&child, "^ready$").await;
    host.say(&child, "one").await;
    host.say(&child, "two").await;
    host.line(&child, "^2:two$").await;
    real.kill_broker();
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let _ = std::fs::remove_file(real.run().join("state").join(file));
    }
    let host = real.client().await;
    host.say(&child, "three").await;
    host.line(&child, "^3:three$").await;
}

#[tokio::test]
async fn a_broker_that_runs_out_of_descriptors_takes_no_living_child_for_lost() {
    let real = Real::new();
    let host = real.client().await;
    let mut children = Vec::new();
    for _ in 0..8 {
        children.push(host.spawn(sh("echo ready; read x")).await);
    }
    drop(host);
    end_fronts(real.home());
    // One after the other, so that each step of taking a child up is once the first that finds none.
    for limit in 22..28 {
        real.kill_broker();
        let mut start = real.command("sh");
        start.args(["-c", &format!("ulimit -Sn {limit}; exec {COMPERE} broker --detach")]);
        start.env("COMPERE_OPEN_FILES", limit.to_string());
        assert!(start.output().await.unwrap().status.success());
        let broker = Pid::from_raw(real.broker().unwrap());
        let more = rustix::process::Rlimit {
            current: Some(1000),
            ..rustix::process::getrlimit(rustix::process::Resource::Nofile)
        };
        rustix::process::prlimit(broker, rustix::process::Resource::Nofile, more).unwrap();
        let host = real.client().await;
        while host.call("list_children", json!({})).await["children"].as_array().unwrap().len() < 8 {
            // Nothing tells that a child was taken up later.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        for child in &children {
            assert_ne!(host.row(child).await["state"], "lost", "{child} with {limit} descriptors");
        }
        drop(host);
        end_fronts(real.home());
    }
}

#[tokio::test]
async fn the_journal_of_a_company_that_nobody_named_outlives_its_runtime_directory() {
    let real = Real::new();
    let runtime = real.home().join("rt");
    let command = |program: &str| {
        let mut command = real.command(program);
        command.env_remove("COMPERE_RUNTIME_DIR").env("XDG_RUNTIME_DIR", &runtime);
        command
    };
    std::fs::create_dir(&runtime).unwrap();
    let listed = command(COMPERE).args(["call", "list_children", "{}"]).output().await.unwrap();
    assert!(listed.status.success(), "{listed:?}");
    assert!(runtime.join("compere/broker.lock").exists());
    assert!(!runtime.join("compere/state").exists());
    let mut state = std::fs::read_dir(real.home().join(".local/state/compere")).unwrap().flatten();
    assert!(state.any(|company| company.path().join("journal.db").exists()));
}
