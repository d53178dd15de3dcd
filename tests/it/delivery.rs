//! Messages with evidence, through MCP, to stand-ins that behave as the real programs do on their bad days.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{COMPERE, Client, Company, Real};

/// A stand-in with these flags, under this preset; the messages it gets are in its log.
struct Fake {
    child: String,
    log: PathBuf,
}

impl Fake {
    async fn with(host: &Client, dir: &Path, preset: &str, flags: &[&str]) -> Self {
        let log = dir.join(format!("log{}", std::fs::read_dir(dir).unwrap().count()));
        std::fs::write(&log, "").unwrap();
        let command =
            [&[COMPERE, "fake-agent", "--log", log.to_str().unwrap(), "--work", "100"], flags].concat();
        let spawned = host.call("spawn", json!({"preset": preset, "command": command})).await;
        assert!(!spawned.is_error(), "{}", spawned.text());
        Fake { child: spawned["child"].as_str().unwrap().to_owned(), log }
    }

    /// One that is at its prompt.
    async fn new(host: &Client, dir: &Path, flags: &[&str]) -> Self {
        let fake = Self::with(host, dir, "fake-agent", flags).await;
        fake.idle(host).await;
        fake
    }

    async fn idle(&self, host: &Client) {
        host.wait(json!({"child": self.child, "is": "idle"})).await.woke("idle");
    }

    fn got(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The steps that a receipt tells of.
fn phases(receipt: &Value) -> Vec<&str> {
    receipt.as_array().unwrap().iter().map(|mark| mark["phase"].as_str().unwrap()).collect()
}

/// The stand-in's preset, but for these ways of typing.
fn preset(dir: &Path, name: &str, typing: Value) {
    let mut preset: Value = serde_json::from_str(include_str!("../../presets/fake-agent.json")).unwrap();
    preset["name"] = json!(name);
    for (field, value) in typing.as_object().unwrap() {
        preset["typing"][field] = value.clone();
    }
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join(format!("{name}.json")), preset.to_string()).unwrap();
}

#[tokio::test]
async fn a_message_is_seen_in_the_composer_and_seen_to_leave() {
    let company = Company::new();
    let root = company.root().await;
    let fake = Fake::new(&root, company.dir(), &[]).await;
    let long = "a line of it\n".repeat(2000) + "end";
    for text in ["short", "漢字 🙂 é e\u{301}", &long, "two\nlines"] {
        fake.idle(&root).await;
        let sent = root.call("send_message_to", json!({"to": fake.child, "message": text})).await;
        assert_eq!(sent["status"], "submitted", "{}", sent.text());
        let steps = phases(&sent["evidence"]);
        let from = steps.iter().position(|phase| *phase == "ready").unwrap();
        assert_eq!(steps[from..from + 5], ["ready", "pasted", "in_composer", "typed", "submitted"]);
        // Its effect is what was written since.
        let since = json!({"child": fake.child, "matches": "●", "since": sent["offset"]});
        root.wait(since).await.woke("match");
    }
    let all = ["short", "漢字 🙂 é e\u{301}", &long, "two\nlines"];
    assert_eq!(fake.got(), all.map(|text| json!({"message": text})));
}

#[tokio::test]
async fn an_enter_that_was_swallowed_is_pressed_once_more() {
    let company = Company::new();
    let root = company.root().await;
    let once = Fake::new(&root, company.dir(), &["--eat-enter", "1"]).await;
    let ask = json!({"to": once.child, "message": "hello", "wait_ms": 20_000});
    let sent = root.call("send_message_to", ask).await;
    assert_eq!(sent["status"], "submitted", "{}", sent.text());
    assert!(phases(&sent["evidence"]).contains(&"typed_again"), "{}", sent.text());
    once.idle(&root).await;
    assert_eq!(once.got(), [json!({"message": "hello"})]);

    let twice = Fake::new(&root, company.dir(), &["--eat-enter", "2"]).await;
    let ask = json!({"to": twice.child, "message": "hello", "wait_ms": 20_000});
    let sent = root.call("send_message_to", ask).await;
    assert_eq!(sent["status"], "unknown", "{}", sent.text());
    assert_eq!(sent["reason"], "its text is still in its composer after two Enters");
    // It is there for whoever looks, and in the way of what comes next.
    root.wait(json!({"child": twice.child, "is": "needs_input"})).await.woke("needs_input");
    assert_eq!(root.row(&twice.child).await["state"], "needs_input (draft)");
    root.call("send_keys", json!({"to": twice.child, "keys": ["Enter"]})).await;
    twice.idle(&root).await;
    assert_eq!(twice.got(), [json!({"message": "hello"})]);
}

#[tokio::test]
async fn no_enter_is_pressed_into_a_question_that_came_after_the_paste() {
    let company = Company::new();
    let root = company.root().await;
    preset(&company.dir().join("presets"), "slow", json!({"enter_after_ms": 3000, "while_busy": "type"}));
    let fake = Fake::with(&root, company.dir(), "slow", &["--work", "1500", "--ask"]).await;
    fake.idle(&root).await;
    root.say(&fake.child, "first").await;
    // While it works on that, this is pasted; then it asks.
    let ask = json!({"to": fake.child, "message": "second", "wait_ms": 20_000});
    let sent = root.call("send_message_to", ask).await;
    assert_eq!(sent["status"], "unknown", "{}", sent.text());
    let reason = sent["reason"].as_str().unwrap();
    assert!(reason.starts_with("its text was typed, and Enter was not: it asks for permission"), "{reason}");
    assert!(reason.contains("Allow this?"), "{reason}");
    assert_eq!(fake.got(), [json!({"message": "first"})], "nothing was answered");
    let refused = root.call("send_message_to", json!({"to": fake.child, "message": "third"})).await;
    assert_eq!(refused["status"], "refused", "{}", refused.text());
    assert!(refused["reason"].as_str().unwrap().contains("Allow this?"), "{}", refused.text());
}

#[tokio::test]
async fn a_draft_is_neither_sent_nor_added_to() {
    let company = Company::new();
    let root = company.root().await;
    let fake = Fake::with(&root, company.dir(), "fake-agent", &["--draft", "mine, not done"]).await;
    root.wait(json!({"child": fake.child, "is": "needs_input"})).await.woke("needs_input");
    let row = root.row(&fake.child).await;
    assert_eq!([&row["state"], &row["why"]], ["needs_input (draft)", "its composer holds: mine, not done"]);
    let ask = json!({"to": fake.child, "message": "hello", "wait_ms": 300});
    let sent = root.call("send_message_to", ask).await;
    assert_eq!(sent["status"], "queued", "{}", sent.text());
    assert_eq!(sent["reason"], "a draft is in its composer: mine, not done");
    root.call("send_keys", json!({"to": fake.child, "keys": ["C-u"]})).await;
    let later = json!({"delivery": sent["delivery"], "wait_ms": 20_000});
    let sent = root.call("send_message_to", later).await;
    assert_eq!(sent["status"], "submitted", "{}", sent.text());
    fake.idle(&root).await;
    assert_eq!(fake.got(), [json!({"message": "hello"})]);
}

#[tokio::test]
async fn what_never_shows_in_the_composer_gets_no_enter() {
    let company = Company::new();
    let root = company.root().await;
    let blind = json!({"name": "blind", "about": "x", "command": ["x"],
        "state": {"rules": [{"on": "bottom", "matches": "^> ?$", "state": "idle"}]},
        "typing": {"composer": {"matches": "> ?(?P<text>.*)\\z"}}});
    std::fs::create_dir_all(company.dir().join("presets")).unwrap();
    std::fs::write(company.dir().join("presets/blind.json"), blind.to_string()).unwrap();
    // It redraws its empty prompt whatever it reads, and writes down what that was.
    let script = "printf '\\033[?2004h> '; stty raw -echo; \
                  while dd bs=4096 count=1 2>/dev/null >> got; do printf '\\r> '; done";
    let child = root.spawn_with(json!(["sh", "-c", script]), json!({"preset": "blind"})).await;
    root.wait(json!({"child": child, "is": "idle"})).await.woke("idle");
    let ask = json!({"to": child, "message": "hello", "wait_ms": 25_000});
    let sent = root.call("send_message_to", ask).await;
    assert_eq!(sent["status"], "unknown", "{}", sent.text());
    assert_eq!(sent["reason"], "its text was typed, and Enter was not: its composer never showed it");
    let got = std::fs::read_to_string(company.work().join("got")).unwrap();
    assert_eq!(got, "\u{1b}[200~hello\u{1b}[201~");
}

#[tokio::test]
async fn a_busy_program_is_waited_for_and_interrupted_when_it_must_be_now() {
    let company = Company::new();
    let root = company.root().await;
    let fake = Fake::new(&root, company.dir(), &["--work", "600000"]).await;
    root.say(&fake.child, "long work").await;
    root.line(&fake.child, "working… esc to interrupt").await;
    let ask = json!({"to": fake.child, "message": "in turn", "wait_ms": 100});
    let in_turn = root.call("send_message_to", ask).await;
    assert_eq!(in_turn["status"], "queued", "{}", in_turn.text());
    assert!(in_turn["reason"].as_str().unwrap().starts_with("busy: "), "{}", in_turn.text());
    let ask = json!({"to": fake.child, "message": "now", "now": true, "wait_ms": 20_000});
    let now = root.call("send_message_to", ask).await;
    assert_eq!(now["status"], "submitted", "{}", now.text());
    assert_eq!(phases(&now["evidence"])[0], "interrupted");
    // That is being worked on, so the other still waits.
    let still = root.call("send_message_to", json!({"delivery": in_turn["delivery"], "wait_ms": 0})).await;
    assert_eq!(still["status"], "queued", "{}", still.text());
    root.call("send_keys", json!({"to": fake.child, "keys": ["Escape"]})).await;
    let ask = json!({"delivery": in_turn["delivery"], "wait_ms": 20_000});
    let last = root.call("send_message_to", ask).await;
    assert_eq!(last["status"], "submitted", "{}", last.text());
    let line = |what: &str, text: &str| json!({what: text});
    assert_eq!(
        fake.got(),
        [
            line("message", "long work"),
            line("interrupted", "long work"),
            line("message", "now"),
            line("interrupted", "now"),
            line("message", "in turn"),
        ]
    );
}

#[tokio::test]
async fn two_senders_at_once_are_each_submitted_once() {
    let company = Company::new();
    let (root, person) = (company.root().await, company.person().await);
    let fake = Fake::new(&root, company.dir(), &["--work", "50"]).await;
    let send = async |client: &Client, who: &str| {
        let ask = |n: usize| {
            let text = format!("{who}{n} {}", who.repeat(40));
            client.call("send_message_to", json!({"to": fake.child, "message": text, "wait_ms": 29_000}))
        };
        let sent = futures::future::join_all((0..4).map(ask)).await;
        assert!(sent.iter().all(|sent| sent["status"] == "submitted"), "{:?}", sent[0].text());
    };
    tokio::join!(send(&root, "a"), send(&person, "b"));
    fake.idle(&root).await;
    let mut got: Vec<String> =
        fake.got().iter().map(|line| line["message"].as_str().unwrap()[..2].to_owned()).collect();
    got.sort();
    assert_eq!(got, ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]);
}

#[tokio::test]
async fn a_receipt_can_be_asked_for_again_by_those_who_may_write() {
    let company = Company::new();
    let root = company.root().await;
    let fake = Fake::new(&root, company.dir(), &[]).await;
    let sent = root.call("send_message_to", json!({"to": fake.child, "message": "hello"})).await;
    fake.idle(&root).await;
    let ask = json!({"delivery": sent["delivery"]});
    let again = root.call("send_message_to", ask.clone()).await;
    for field in ["delivery", "to", "status", "offset"] {
        assert_eq!(again[field], sent[field], "{field}");
    }
    assert_eq!(phases(&again["evidence"]).last(), Some(&"turn_started"));
    let stranger = company.client(compere::id::Caller::Root(compere::id::RootId(2))).await;
    stranger.call("send_message_to", ask).await.says("nothing is known of a delivery d1");
    company
        .child(&fake.child)
        .await
        .call("send_message_to", json!({"delivery": "d1"}))
        .await
        .says("your own self");
    root.call("send_message_to", json!({"delivery": "d99"})).await.says("nothing is known of a delivery d99");
    root.call("send_message_to", json!({"delivery": "99"})).await.says("\"99\" is no delivery");
    for wrong in [json!({"to": fake.child}), json!({"to": fake.child, "message": "x", "delivery": "d1"})] {
        root.call("send_message_to", wrong).await.says("nothing was sent. Give to and message");
    }
    let refused =
        root.call("send_message_to", json!({"to": fake.child, "message": "x".repeat(300_000)})).await;
    refused.says("at most 262144 can be typed");
}

#[tokio::test]
async fn a_receipt_outlives_the_broker_and_what_was_begun_is_brought_to_its_end() {
    let real = Real::new();
    preset(&real.home().join(".config/compere/presets"), "slow", json!({"enter_after_ms": 2000}));
    let host = real.client().await;
    let fake = Fake::with(&host, real.home(), "slow", &[]).await;
    fake.idle(&host).await;
    let ask = json!({"to": fake.child, "message": "first", "wait_ms": 20_000});
    let first = host.call("send_message_to", ask).await;
    assert_eq!(first["status"], "submitted", "{}", first.text());
    fake.idle(&host).await;
    let second =
        host.call("send_message_to", json!({"to": fake.child, "message": "second", "wait_ms": 0})).await;
    // The text is there, and Enter is not pressed before its time.
    host.line(&fake.child, "^> second").await;
    real.kill_broker();
    let host = real.client().await;
    let again = host.call("send_message_to", json!({"delivery": first["delivery"]})).await;
    assert_eq!([&again["status"], &again["offset"]], [&first["status"], &first["offset"]]);
    assert!(phases(&again["evidence"]).contains(&"in_composer"), "{}", again.text());
    let ask = json!({"delivery": second["delivery"], "wait_ms": 20_000});
    let again = host.call("send_message_to", ask).await;
    assert_eq!(again["status"], "submitted", "{}", again.text());
    assert_eq!(phases(&again["evidence"])[0], "adopted");
    fake.idle(&host).await;
    assert_eq!(fake.got(), ["first", "second"].map(|text| json!({"message": text})));
}
