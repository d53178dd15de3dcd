//! `compere fake-agent` does what its help says, started by its preset.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{COMPERE, Client, Company, Real};

/// One with these flags, that logs to `log`; answers the child's id.
async fn fake(host: &Client, log: &Path, flags: &[&str]) -> String {
    let log = log.to_str().unwrap();
    let command = [[COMPERE, "fake-agent", "--log", log, "--work", "100"].as_slice(), flags].concat();
    let spawned = host.call("spawn", json!({"preset": "fake-agent", "command": command})).await;
    assert!(!spawned.is_error(), "{}", spawned.text());
    spawned["child"].as_str().unwrap().to_owned()
}

async fn idle(host: &Client, child: &str) {
    host.wait(json!({"child": child, "is": "idle"})).await.woke("idle");
}

/// Waits until it asks for this.
async fn asks(host: &Client, child: &str, what: &str) {
    host.wait(json!({"child": child, "is": "needs_input"})).await.woke("needs_input");
    let row = host.row(child).await;
    assert!(row["state"].as_str().unwrap().contains(what), "{row}");
}

/// The lines of the log.
fn logged(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_preset_alone_starts_one_that_answers() {
    let company = Company::new();
    let root = company.root().await;
    let spawned = root.call("spawn", json!({"preset": "fake-agent", "message": "hello\nthere"})).await;
    let child = spawned["child"].as_str().unwrap();
    root.line(child, "^● hello").await;
    idle(&root, child).await;
    let screen = root.call("read_output", json!({"child": child})).await.body();
    let lines: Vec<&str> = screen.lines().collect();
    assert_eq!(
        lines,
        ["> hello", "  there", "● hello", "  there", "> Say something", "  enter sends, ctrl-d leaves"]
    );
    root.call("send_keys", json!({"to": child, "keys": ["C-d"]})).await;
    assert_eq!(root.exit(child).await["code"], 0);
}

#[tokio::test]
async fn it_gets_the_exact_text_once() {
    let company = Company::new();
    let root = company.root().await;
    let log = company.dir().join("log");
    let child = fake(&root, &log, &[]).await;
    let texts = [
        "short".to_owned(),
        "five\nlines\n\nof it\nend".to_owned(),
        "漢字 🙂 é\ttab".to_owned(),
        "word ".repeat(20_000) + "end",
        "[201~ ! / \\".to_owned(),
    ];
    for text in &texts {
        idle(&root, &child).await;
        root.say(&child, text).await;
        idle(&root, &child).await;
    }
    assert_eq!(logged(&log), texts.map(|text| json!({"message": text})));
    let all = root.all(&child).await;
    assert!(all.contains("> [Pasted text #1 +4 lines]"), "{all}");
}

#[tokio::test]
async fn a_question_is_answered_by_keys_and_kept_from_messages() {
    let company = Company::new();
    let root = company.root().await;
    let log = company.dir().join("log");
    let child = fake(&root, &log, &["--trust", "--ask"]).await;
    asks(&root, &child, "trust").await;
    let refused = root.call("send_message_to", json!({"to": child, "message": "hi"})).await;
    assert_eq!(refused["status"], "refused", "{}", refused.text());
    root.call("send_keys", json!({"to": child, "keys": ["Enter"]})).await;
    idle(&root, &child).await;
    root.say(&child, "do it").await;
    asks(&root, &child, "permission").await;
    root.call("send_keys", json!({"to": child, "keys": ["Down", "Enter"]})).await;
    idle(&root, &child).await;
    assert_eq!(
        logged(&log),
        [
            json!({"asked": "trust", "answer": "Yes, I trust this folder"}),
            json!({"message": "do it"}),
            json!({"asked": "permission", "answer": "No, and tell it what to do instead"}),
        ]
    );
}

#[tokio::test]
async fn its_bad_days_are_as_its_flags_say() {
    let company = Company::new();
    let root = company.root().await;
    let log = |name: &str| company.dir().join(name);

    let eats = fake(&root, &log("eats"), &["--eat-enter", "1"]).await;
    idle(&root, &eats).await;
    root.say(&eats, "hello").await;
    root.line(&eats, "^> hello").await;
    assert_eq!(logged(&log("eats")), [] as [Value; 0]);
    root.call("send_keys", json!({"to": eats, "keys": ["Enter"]})).await;
    root.line(&eats, "^● hello").await;
    assert_eq!(logged(&log("eats")), [json!({"message": "hello"})]);

    let hides = fake(&root, &log("hides"), &["--hide-paste", "--draft", "mine "]).await;
    root.line(&hides, "^> mine").await;
    root.say(&hides, "hello").await;
    root.line(&hides, "^● mine hello").await;
    assert!(!root.all(&hides).await.contains("> mine hello"));

    let dies = fake(&root, &log("dies"), &["--die", "1", "--code", "9"]).await;
    idle(&root, &dies).await;
    root.say(&dies, "hello").await;
    assert_eq!(root.exit(&dies).await["code"], 9);
    let stillborn = fake(&root, &log("stillborn"), &["--die", "0"]).await;
    assert_eq!(root.exit(&stillborn).await["code"], 3);
}

#[tokio::test]
async fn work_is_seen_and_interrupted() {
    let company = Company::new();
    let root = company.root().await;
    let log = company.dir().join("log");
    let child = fake(&root, &log, &["--work", "600000", "--silent"]).await;
    idle(&root, &child).await;
    root.say(&child, "a long one").await;
    root.line(&child, "working… esc to interrupt").await;
    let row = root.row(&child).await;
    assert_eq!(row["state"], "busy", "{row}");
    root.call("send_keys", json!({"to": child, "keys": ["Escape"]})).await;
    idle(&root, &child).await;
    assert_eq!(logged(&log), [json!({"message": "a long one"}), json!({"interrupted": "a long one"})]);
}

#[tokio::test]
async fn it_tells_its_state_by_protocol_and_title_on_the_alternate_screen() {
    let company = Company::new();
    let root = company.root().await;
    let log = company.dir().join("log");
    let child = fake(&root, &log, &["--status", "--title", "--alternate", "--ask"]).await;
    idle(&root, &child).await;
    let row = root.row(&child).await;
    assert!(row["why"].as_str().unwrap().starts_with("its own status (OSC 7501) shows \"idle\""), "{row}");
    root.say(&child, "hello").await;
    asks(&root, &child, "permission").await;
    let raw = root.call("read_output", json!({"child": child, "mode": "stream", "raw": true})).await.text();
    for (shown, what) in [
        ("]7501;state=working:app=fake-agent", "status"),
        ("]7501;state=blocked:app=fake-agent:kind=permission:msg=", "question"),
        ("✋ Action Required", "title"),
        ("[?1049h", "alternate screen"),
    ] {
        assert!(raw.contains(shown), "{what}: {raw}");
    }
    root.call("send_keys", json!({"to": child, "keys": ["1"]})).await;
    idle(&root, &child).await;
}

#[tokio::test]
async fn it_reports_to_its_parent_when_a_message_says_so() {
    let real = Real::new();
    let host = real.client().await;
    let spawned =
        host.call("spawn", json!({"preset": "fake-agent", "message": "report blocked: which\none?"})).await;
    let woke = host.call("timer_wait", json!({"timeout_ms": 20_000})).await;
    let report = &woke.woke("report")["reports"][0];
    assert_eq!([&report["from"], &report["status"]], [&spawned["child"], &json!("blocked")]);
    assert_eq!(report["message"], "which\none?");
    host.line(spawned["child"].as_str().unwrap(), "^● report 1 to r1").await;
}
