//! Reports and the ends of waits that are typed to a parent as turns of its own, and reminders. The parents are stand-ins
//! for agents; their calls are made by clients under their identity.

use std::path::{Path, PathBuf};

use compere::{
    id::Caller,
    registry::{limits::Limits, nudge::Nudges},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Answer, COMPERE, Client, Company, Real, sh};

/// A parent with these flags, its client, and a child of it, c2, with a client too.
struct Family {
    root: Client,
    parent: Client,
    child: Client,
    log: PathBuf,
}

impl Family {
    async fn new(company: &Company, preset: &str, flags: &[&str]) -> Self {
        let root = company.root().await;
        let log = company.dir().join("log");
        let usual = [COMPERE, "fake-agent", "--log", log.to_str().unwrap(), "--work", "1"];
        let command = [usual.as_slice(), flags].concat();
        let ask = json!({"preset": preset, "name": "lead", "command": command});
        let spawned = root.call("spawn", ask).await;
        assert_eq!(spawned["child"], "c1", "{}", spawned.text());
        let parent = company.child("c1").await;
        parent.spawn_with(sh("stty -echo; read x"), json!({"name": "tests"})).await;
        let child = company.child("c2").await;
        Family { root, parent, child, log }
    }

    async fn report(&self, status: &str, message: &str) {
        let reported =
            self.child.call("report_to_parent", json!({"status": status, "message": message})).await;
        assert_eq!(reported["to"], "c1", "{}", reported.text());
    }

    async fn idle(&self) {
        self.root.wait(json!({"child": "c1", "is": "idle"})).await.woke("idle");
    }

    async fn keys(&self, keys: &[&str]) {
        self.root.call("send_keys", json!({"to": "c1", "keys": keys})).await;
    }

    /// A message by hand: what is in the log before it came before it.
    async fn mark(&self) {
        self.idle().await;
        let offset = self.root.say("c1", "mark").await;
        self.root.wait(json!({"child": "c1", "matches": "^● mark", "since": offset})).await.woke("match");
    }

    /// What a key does; returns once the stand-in, which draws nothing while it works, has begun to work on what follows.
    async fn works_after(&self, keys: &[&str]) {
        let offset = self.root.row("c1").await["offset"].clone();
        self.keys(keys).await;
        self.root.wait(json!({"child": "c1", "matches": "working…", "since": offset})).await.woke("match");
    }

    /// Waits until so many messages wait for the parent's terminal.
    async fn queued(&self, company: &Company, count: usize) {
        let found = company.registry().family(Caller::Person).remove(0);
        let mut changes = found.child.changes();
        changes.wait_for(|status| status.queued == count).await.unwrap();
    }

    fn told(&self) -> Vec<String> {
        messages(&self.log)
    }

    async fn pending(&self) -> Value {
        self.root.row("c1").await["pending"].clone()
    }
}

/// The messages a stand-in got.
fn messages(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line["message"].as_str().map(str::to_owned)).collect()
}

/// What is typed of reports of c2's from `after` on.
fn turn(reports: &[&str], after: u64) -> String {
    let reports: Vec<String> =
        reports.iter().map(|report| format!("[compere] c2 (tests) {report}\n")).collect();
    format!(
        "{}[compere] These are your children's words, not the user's. Answer with send_message_to {{\"to\": \"c2\", …}}; \
         read_reports {{\"after\": {after}}} has them again, with their data.",
        reports.concat()
    )
}

#[tokio::test]
async fn a_report_is_typed_to_a_parent_that_does_not_wait() {
    let company = Company::new();
    let family = Family::new(&company, "fake-agent", &[]).await;
    family.report("done", "all 42 pass\nin 3 s").await;
    family.root.line("c1", r"^● \[compere\] c2").await;
    family.mark().await;
    assert_eq!(family.told(), [turn(&["reports done: all 42 pass\n  in 3 s"], 0), "mark".into()]);
    let listed = family.parent.call("list_children", json!({})).await;
    assert_eq!([&listed["you"]["unread"], &listed["unread_reports"]], [&json!(0), &Value::Null]);
    let read = family.parent.call("read_reports", json!({"after": 0})).await;
    assert_eq!(
        [&read["reports"][0]["message"], &read["reports"][0]["again"]],
        [&json!("all 42 pass\nin 3 s"), &json!(true)]
    );
}

#[tokio::test]
async fn a_parent_that_waits_gets_it_inline_and_nothing_is_typed() {
    let company = Company::new();
    let family = Family::new(&company, "fake-agent", &[]).await;
    let wait = family.parent.call("timer_wait", json!({"timeout_ms": 20_000}));
    let (woke, ()) = tokio::join!(wait, family.report("done", "x"));
    assert_eq!(woke.woke("report")["reports"][0].get("again"), None);
    family.mark().await;
    assert_eq!(family.told(), ["mark"]);
}

#[tokio::test]
async fn reports_to_a_busy_parent_wait_for_its_prompt_and_are_one_turn() {
    let company = Company::new();
    let family = Family::new(&company, "fake-agent", &["--work", "600000", "--silent"]).await;
    family.idle().await;
    family.root.say("c1", "a long one").await;
    family.root.line("c1", "working…").await;
    family.report("progress", "half").await;
    family.report("done", "whole").await;
    assert_eq!(family.pending().await, json!(["2 unread reports: typed once it is idle"]));
    assert_eq!(family.root.row("c1").await["unread"], 2);
    family.works_after(&["Escape"]).await;
    let both = turn(&["reports progress: half", "reports done: whole"], 0);
    assert_eq!(family.told(), ["a long one".into(), both]);
}

#[tokio::test]
async fn nothing_is_typed_into_a_question() {
    let company = Company::new();
    let family = Family::new(&company, "fake-agent", &["--ask", "--silent"]).await;
    family.idle().await;
    family.root.say("c1", "do it").await;
    family.root.wait(json!({"child": "c1", "is": "needs_input"})).await.woke("needs_input");
    family.report("done", "x").await;
    assert_eq!(family.pending().await, json!(["1 unread reports: typed once it is idle"]));
    family.works_after(&["2"]).await;
    let log = std::fs::read_to_string(&family.log).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[1]["answer"], "No, and tell it what to do instead", "answered by the key alone: {log}");
    assert_eq!(family.told(), ["do it".into(), turn(&["reports done: x"], 0)]);
}

#[tokio::test]
async fn nothing_is_typed_while_a_person_has_the_input() {
    let company = Company::new();
    let person = company.person().await;
    let log = company.dir().join("log");
    let command = [COMPERE, "fake-agent", "--log", log.to_str().unwrap()];
    person.call("spawn", json!({"preset": "fake-agent", "command": command})).await;
    person.wait(json!({"child": "c1", "is": "idle"})).await.woke("idle");
    let parent = company.child("c1").await;
    parent.spawn(sh("read x")).await;
    company.child("c2").await.call("report_to_parent", json!({"status": "done", "message": "x"})).await;
    let pending = json!(["1 unread reports: typed once the person has given its input back"]);
    assert_eq!(person.row("c1").await["pending"], pending);
    let read = parent.call("read_reports", json!({})).await;
    assert_eq!(read["reports"][0]["message"], "x");
    assert_eq!(messages(&log), [""; 0]);
}

#[tokio::test]
async fn what_an_answer_gives_first_is_not_typed() {
    let company = Company::new();
    let family = Family::new(&company, "fake-agent", &[]).await;
    family.idle().await;
    let found = company.registry().family(Caller::Person).remove(0);
    let keeper = Pid::from_raw(found.child.keeper()).unwrap();
    // The terminal cannot be asked, so that the turn is queued and does not begin.
    kill_process(keeper, Signal::STOP).unwrap();
    family.report("done", "x").await;
    family.queued(&company, 1).await;
    assert_eq!(family.pending().await, json!(["1 unread reports: being typed"]));
    let read = family.parent.call("read_reports", json!({})).await;
    assert_eq!([&read["reports"][0]["message"], &read["reports"][0]["again"]], [&json!("x"), &Value::Null]);
    family.queued(&company, 0).await;

    // An answer that only says that one is there takes it back as well; it is typed later, and says that.
    family.report("done", "y").await;
    family.queued(&company, 1).await;
    let listed = family.parent.call("list_children", json!({})).await;
    assert_eq!(listed["unread_reports"]["newest"][0], "c2 (tests) done: y");
    family.queued(&company, 1).await;
    kill_process(keeper, Signal::CONT).unwrap();
    family.root.line("c1", r"^● \[compere\] c2").await;
    family.mark().await;
    let second = turn(&["reports done (an answer has told you that this is there): y"], 1);
    assert_eq!(family.told(), [second, "mark".into()]);
}

#[tokio::test]
async fn an_answer_that_comes_while_it_is_typed_says_again() {
    let company = Company::new();
    let preset = json!({"name": "slow", "about": "x", "command": ["x"], "reports": "typed", "typing": {"enter_after_ms": 3000},
        "state": {"rules": [{"on": "bottom", "matches": "enter sends, ctrl-d leaves\\z", "state": "idle"}]}});
    let dir = company.dir().join("presets");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("slow.json"), preset.to_string()).unwrap();
    let family = Family::new(&company, "slow", &[]).await;
    family.report("done", "x").await;
    family.root.line("c1", r"^> \[compere\] c2").await;
    let read = family.parent.call("read_reports", json!({})).await;
    assert_eq!([&read["reports"][0]["message"], &read["reports"][0]["again"]], [&json!("x"), &json!(true)]);
    family.root.line("c1", r"^● \[compere\] c2").await;
    family.mark().await;
    assert_eq!(family.told(), [turn(&["reports done: x"], 0), "mark".into()]);
}

#[tokio::test]
async fn a_wait_may_end_by_a_turn() {
    let company = Company::new();
    let quiet = json!({"name": "quiet", "about": "x", "command": ["x"], "typing": {"enter_after_ms": 100},
        "state": {"rules": [{"on": "bottom", "matches": "enter sends, ctrl-d leaves\\z", "state": "idle"}]}});
    let dir = company.dir().join("presets");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("quiet.json"), quiet.to_string()).unwrap();
    let family = Family::new(&company, "quiet", &[]).await;
    let wake = |until: Value| {
        family.parent.call("timer_wait", json!({"timeout_ms": 600_000, "until": until, "wake": "typed"}))
    };
    let later = |answer: Answer, id: &str| {
        assert_eq!([&answer["woke"], &answer["wait_id"]], ["later", id], "{}", answer.text());
    };

    // Its preset leaves reports in the inbox; the wait asks for them, once.
    later(wake(json!([{"report": true}])).await, "w1");
    assert_eq!(family.pending().await, json!(["w1: its end is typed to it"]));
    family.report("done", "one").await;
    family.root.line("c1", r"^● \[compere\] c2.*one").await;
    family.report("done", "two").await;
    family.mark().await;
    let first = turn(&["reports done: one"], 0);
    assert_eq!(family.told(), [first.clone(), "mark".into()]);

    // What is there already is answered at once.
    let woke = wake(json!([{"report": true}])).await;
    assert_eq!(woke.woke("report")["reports"][0]["message"], "two");

    // A report that is read ends the wait for it.
    later(wake(json!([{"report": true}])).await, "w2");
    let inline = family.parent.call("timer_wait", json!({"timeout_ms": 20_000}));
    let (woke, ()) = tokio::join!(inline, family.report("done", "three"));
    assert_eq!(woke.woke("report")["reports"][0]["message"], "three");
    assert_eq!(family.pending().await, Value::Null);

    later(wake(json!([{"child": "c2", "is": "exited"}])).await, "w3");
    family.root.say("c2", "end").await;
    family.root.line("c1", r"^● \[compere\] your wait").await;
    family.mark().await;
    let over = "[compere] your wait w3 is over: c2 (tests) has exited (exit code 0).";
    assert_eq!(family.told(), [&first, "mark", over, "mark"]);
    family.parent.call("timer_wait", json!({"wait_id": "w3"})).await.says("there is no wait w3");

    later(
        family.parent.call("timer_wait", json!({"timeout_ms": 500, "until": [], "wake": "typed"})).await,
        "w4",
    );
    family.root.line("c1", "^● .*w4 is over: its time is up").await;
}

#[tokio::test]
async fn only_who_can_be_typed_to_is_woken() {
    let company = Company::new();
    let root = company.root().await;
    let ask = json!({"timeout_ms": 1000, "wake": "typed"});
    root.call("timer_wait", ask.clone()).await.says("you run in no terminal of compere's");
    root.spawn(json!(["cat"])).await;
    company.child("c1").await.call("timer_wait", ask).await.says("nothing shows when you are idle");
    root.call("timer_wait", json!({"wait_id": "w1", "wake": "typed"}))
        .await
        .says("wake begins a wait of its own");
}

/// A parent in a pane that has spawned a child, `tests`, and is an agent from then on.
async fn nested(real: &Real, host: &Client, preset: &str, before: &str, work: &str) -> PathBuf {
    let log = real.home().join("log");
    let inner = json!({"preset": "fake-agent", "name": "tests"});
    let script = format!(
        "{COMPERE} call spawn '{inner}' {before} && exec {COMPERE} fake-agent --silent --work {work} --log {}",
        log.display()
    );
    let spawned = host.call("spawn", json!({"preset": preset, "command": ["sh", "-c", script]})).await;
    assert_eq!(spawned["child"], "c1", "{}", spawned.text());
    host.line("c1", "enter sends").await;
    host.wait(json!({"child": "c2", "is": "idle"})).await.woke("idle");
    log
}

#[tokio::test]
async fn a_turn_is_typed_once_whichever_broker_types_it() {
    let real = Real::new();
    // So long a pause before Enter that the broker is killed in it.
    real.preset(
        "slow",
        json!({"name": "slow", "about": "x", "command": ["x"], "reports": "typed",
        "typing": {"enter_after_ms": 1500},
        "state": {"rules": [{"on": "bottom", "matches": "enter sends, ctrl-d leaves\\z", "state": "idle"}]}}),
    );
    let host = real.client().await;
    let log = nested(&real, &host, "slow", "", "1").await;
    host.say("c2", "report: all done").await;
    host.line("c1", r"^> \[compere\] c2 \(tests\) reports done: all done").await;
    real.kill_broker();
    let host = real.client().await;
    host.line("c1", r"^● \[compere\] c2 \(tests\) reports done: all done").await;
    let once = turn(&["reports done: all done"], 0);
    assert_eq!(messages(&log), std::slice::from_ref(&once));

    for _ in 0..2 {
        real.kill_broker();
        let host = real.client().await;
        host.wait(json!({"child": "c1", "is": "idle"})).await.woke("idle");
        assert_eq!(host.row("c1").await.get("unread"), None, "it was heard");
        host.say("c1", "mark").await;
    }
    let host = real.client().await;
    host.say("c2", "report: again").await;
    host.line("c1", r"^● \[compere\] c2 \(tests\) reports done: again").await;
    let second = turn(&["reports done: again"], 1);
    assert_eq!(messages(&log), [&once, "mark", "mark", &second]);
}

#[tokio::test]
async fn what_was_not_typed_yet_is_typed_by_the_next_broker() {
    let real = Real::new();
    let host = real.client().await;
    let wake = json!({"timeout_ms": 600_000, "until": [{"child": "tests", "is": "exited"}], "wake": "typed"});
    let before = format!("&& {COMPERE} call timer_wait '{wake}'");
    let log = nested(&real, &host, "fake-agent", &before, "600000").await;
    host.say("c1", "a long one").await;
    host.line("c1", "working…").await;
    host.say("c2", "report: all done").await;
    host.line("c2", "^● report 1 to c1").await;
    let pending = json!(["1 unread reports: typed once it is idle", "w1: its end is typed to it"]);
    assert_eq!(host.row("c1").await["pending"], pending);
    for _ in 0..2 {
        real.kill_broker();
        let host = real.client().await;
        assert_eq!(host.row("c1").await["pending"], pending);
    }
    let host = real.client().await;
    host.call("send_keys", json!({"to": "c2", "keys": ["C-d"]})).await;
    host.exit("c2").await;
    let over = json!(["1 unread reports, the end of w1: typed once it is idle"]);
    // That the wait is over is found by a task of its own.
    while host.row("c1").await["pending"] != over {}
    real.kill_broker();
    let host = real.client().await;
    assert_eq!(host.row("c1").await["pending"], over);
    let offset = host.row("c1").await["offset"].clone();
    host.call("send_keys", json!({"to": "c1", "keys": ["Escape"]})).await;
    host.wait(json!({"child": "c1", "matches": "working…", "since": offset})).await.woke("match");
    let over = "[compere] your wait w1 is over: c2 (tests) has exited (exit code 0).\n";
    assert_eq!(
        messages(&log),
        ["a long one".into(), format!("{over}{}", turn(&["reports done: all done"], 0))]
    );
}

fn reminder() -> String {
    "[compere] You have been idle for 1 s without a report to your parent. If you are done, call report_to_parent with \
     status done; if you cannot go on, with blocked or failed."
        .into()
}

#[tokio::test]
async fn a_child_that_does_not_report_is_reminded_once_and_its_parent_told() {
    let company = Company::nudging(Limits::default(), Nudges { after_s: 1 });
    let root = company.root().await;
    let spawn = async |name: &str, message: Option<&str>| {
        let log = company.dir().join(name);
        let command = [COMPERE, "fake-agent", "--work", "1", "--log", log.to_str().unwrap()];
        let ask = json!({"preset": "fake-agent", "name": name, "command": command});
        let spawned = root.call("spawn", ask).await;
        let id = spawned["child"].as_str().unwrap().to_owned();
        root.wait(json!({"child": id, "is": "idle"})).await.woke("idle");
        if let Some(message) = message {
            root.say(&id, message).await;
        }
        (id, log)
    };
    // These rest for longer, and owe nothing.
    let (_, untold) = spawn("untold", None).await;
    let (reported, reported_log) = spawn("reported", Some("do it")).await;
    let done = json!({"status": "done", "message": "x"});
    company.child(&reported).await.call("report_to_parent", done).await;
    root.call("read_reports", json!({})).await;

    let (silent, log) = spawn("silent", Some("do it")).await;
    let told = root.call("timer_wait", json!({"timeout_ms": 20_000})).await;
    let report = &told.woke("report")["reports"][0];
    assert_eq!(
        [&report["from"], &report["status"], &report["synthetic"]],
        [&json!(silent), &json!("progress"), &json!(true)]
    );
    let said = report["message"].as_str().unwrap();
    assert!(
        said.starts_with(&format!("{silent} (silent) has been idle for 1 s and has not reported")),
        "{said}"
    );
    assert!(said.contains("Its screen ends with:\n  > do it\n  ● do it\n  > Say something"), "{said}");
    root.line(&silent, r"^● \[compere\] You have been idle").await;
    assert_eq!(root.row(&silent).await["pending"], json!(["reminded to report, and has not"]));

    // Another that is reminded after it shows that it was not reminded twice.
    let (other, _) = spawn("other", Some("do it")).await;
    let told = root.call("timer_wait", json!({"timeout_ms": 20_000})).await;
    let reports = told.woke("report")["reports"].as_array().unwrap();
    assert_eq!((reports.len(), &reports[0]["from"]), (1, &json!(other)));
    assert_eq!(messages(&log), ["do it".into(), reminder()]);
    assert_eq!((messages(&untold), messages(&reported_log)), (vec![], vec!["do it".into()]));

    // What it is given next is something new to be reminded of.
    company.child(&silent).await.call("report_to_parent", json!({"status": "done", "message": "x"})).await;
    assert_eq!(root.row(&silent).await.get("pending"), None);
    root.call("read_reports", json!({})).await;
    root.say(&silent, "more").await;
    let told = root.call("timer_wait", json!({"timeout_ms": 20_000})).await;
    assert_eq!(told.woke("report")["reports"][0]["from"], silent);
}

#[tokio::test]
async fn a_reminder_survives_the_broker_and_is_given_once() {
    let real = Real::new();
    let config = real.home().join(".config/compere");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.json"), r#"{"nudges": {"after_s": 1}}"#).unwrap();
    let host = real.client().await;
    let spawn = async |host: &Client, name: &str| {
        let log = real.home().join(name);
        let command = [COMPERE, "fake-agent", "--work", "1", "--log", log.to_str().unwrap()];
        let ask = json!({"preset": "fake-agent", "name": name, "command": command});
        let id = host.call("spawn", ask).await["child"].as_str().unwrap().to_owned();
        host.wait(json!({"child": id, "is": "idle"})).await.woke("idle");
        host.say(&id, "do it").await;
        log
    };
    let log = spawn(&host, "one").await;
    // It is given its task by one broker, and reminded by the next.
    real.kill_broker();
    let host = real.client().await;
    let told = host.call("timer_wait", json!({"timeout_ms": 20_000})).await;
    assert_eq!(told.woke("report")["reports"][0]["name"], "one");
    host.line("c1", r"^● \[compere\] You have been idle").await;
    host.call("list_children", json!({})).await;
    real.kill_broker();

    let host = real.client().await;
    spawn(&host, "two").await;
    let told = host.call("timer_wait", json!({"timeout_ms": 20_000})).await;
    let reports = told.woke("report")["reports"].as_array().unwrap();
    assert_eq!((reports.len(), &reports[0]["name"]), (1, &json!("two")));
    assert_eq!(messages(&log), ["do it".into(), reminder()]);
}
