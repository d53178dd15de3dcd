//! Children that are started again: by their preset's wish, or by their parent with the session they had.

use compere::registry::limits::Limits;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Company, Real, sh};

impl Company {
    /// A preset of the user's.
    pub(crate) fn preset(&self, name: &str, preset: Value) {
        let dir = self.dir().join("presets");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("{name}.json")), preset.to_string()).unwrap();
    }
}

/// Ends with code 1 when it is told to, and is started again so often.
fn dev(most: usize, after_ms: u64) -> Value {
    let script = "stty -echo; echo started $MARK $COMPERE_IDENTITY; read x; exit 1";
    let on_exit = json!({"restart": "failed", "most": most, "after_ms": after_ms});
    json!({"name": "dev", "about": "x", "command": sh(script), "on_exit": on_exit})
}

async fn spawn(client: &Client, arguments: Value) -> Answer {
    let spawned = client.call("spawn", arguments).await;
    assert!(!spawned.is_error(), "{}", spawned.text());
    spawned
}

/// Its program ends.
async fn end(client: &Client, child: &str) -> String {
    let line = client.line(child, "^started ").await;
    client.call("send_keys", json!({"to": child, "keys": ["Enter"]})).await;
    line
}

/// The next report: who, how it stands, and its text.
async fn told(client: &Client) -> (String, String, String) {
    let woke = client.call("timer_wait", json!({"timeout_ms": 20_000})).await;
    let report = woke.woke("report")["reports"][0].clone();
    assert_eq!(report["synthetic"], true, "{report}");
    let word = |field: &str| report[field].as_str().unwrap().to_owned();
    (word("from"), word("status"), word("message"))
}

fn report(from: &str, status: &str, message: &str) -> (String, String, String) {
    (from.into(), status.into(), message.into())
}

#[tokio::test]
async fn a_program_that_failed_is_started_again_until_it_has_failed_too_often() {
    let company = Company::new();
    company.preset("dev", dev(2, 0));
    let root = company.root().await;
    std::fs::create_dir(company.work().join("sub")).unwrap();
    let ask = json!({"preset": "dev", "name": "web", "cwd": "sub", "env": {"MARK": "yes"}, "rows": 30});
    spawn(&root, ask).await;
    let first = end(&root, "c1").await;
    assert_eq!(told(&root).await, report("c1", "progress", "c1 (web) exited with code 1; restarted as c2"));
    let (old, new) = (root.row("c1").await, root.row("c2").await);
    for same in ["name", "parent", "preset", "cwd", "program", "owner"] {
        assert_eq!(old[same], new[same], "{same}");
    }
    let size = root.call("read_output", json!({"child": "c2"})).await.text();
    assert!(size.contains("screen 30x120"), "{size}");
    let second = end(&root, "c2").await;
    assert!(first.starts_with("started yes ") && second.starts_with("started yes "), "{second}");
    assert_ne!(first, second, "each has an identity of its own");
    told(&root).await;
    end(&root, "c3").await;
    let enough = "c3 (web) exited with code 1; it was restarted 2 times within ten minutes, and is not again";
    assert_eq!(told(&root).await, report("c3", "failed", enough));
    assert_eq!(company.registry().load().awaited, 0);
}

#[tokio::test]
async fn a_program_that_fails_before_its_spawn_is_answered_is_started_again_too() {
    let company = Company::new();
    let on_exit = json!({"restart": "always", "most": 1, "after_ms": 0});
    company.preset("brief", json!({"name": "brief", "about": "x", "command": ["true"], "on_exit": on_exit}));
    let root = company.root().await;
    spawn(&root, json!({"preset": "brief"})).await;
    assert_eq!(told(&root).await, report("c1", "progress", "c1 (brief) exited with code 0; restarted as c2"));
    assert_eq!(told(&root).await.1, "failed");
}

#[tokio::test]
async fn nothing_is_started_again_that_was_stopped_or_whose_parent_was() {
    let company = Company::new();
    company.preset("dev", dev(5, 60_000));
    let root = company.root().await;
    spawn(&root, json!({"preset": "dev"})).await;
    root.call("stop", json!({"child": "c1", "grace_ms": 0})).await;
    assert_eq!(company.registry().load().awaited, 0);
    let parent = root.spawn(sh("read x")).await;
    spawn(&company.child(&parent).await, json!({"preset": "dev"})).await;
    end(&root, "c3").await;
    root.exit("c3").await;
    assert_eq!(company.registry().load().awaited, 1);
    root.call("stop", json!({"child": parent, "grace_ms": 0})).await;
    assert_eq!(company.registry().load().awaited, 0);
}

#[tokio::test]
async fn a_limit_that_refuses_it_is_told_to_the_parent() {
    let company = Company::with(Limits { spawns_per_minute: 1, ..Limits::default() });
    company.preset("dev", dev(5, 0));
    let root = company.root().await;
    spawn(&root, json!({"preset": "dev"})).await;
    end(&root, "c1").await;
    let (from, status, message) = told(&root).await;
    assert_eq!([&*from, &status], ["c1", "failed"]);
    assert!(
        message.starts_with("c1 (dev) exited with code 1; not restarted: your tree spawned 1 children"),
        "{message}"
    );
    assert_eq!(company.registry().load().awaited, 0);
}

#[tokio::test]
async fn a_broker_that_dies_between_exit_and_restart_leaves_it_to_the_next_once() {
    let real = Real::new();
    real.preset("dev", dev(5, 1_500));
    let host = real.client().await;
    spawn(&host, json!({"preset": "dev", "name": "web"})).await;
    end(&host, "c1").await;
    host.exit("c1").await;
    real.kill_broker();
    let host = real.client().await;
    assert_eq!(told(&host).await, report("c1", "progress", "c1 (web) exited with code 1; restarted as c2"));
    // Whoever calls again has heard it.
    host.call("list_children", json!({})).await;
    for _ in 0..2 {
        real.kill_broker();
        let host = real.client().await;
        let list = host.call("list_children", json!({})).await;
        let children: Vec<&Value> =
            list["children"].as_array().unwrap().iter().map(|row| &row["child"]).collect();
        assert_eq!(children, ["c1", "c2"]);
        assert_eq!(list["you"]["unread"], 0);
    }
    // One that was alive when it was taken up is started again with the environment it had.
    let host = real.client().await;
    end(&host, "c2").await;
    assert_eq!(told(&host).await.2, "c2 (web) exited with code 1; restarted as c3");
}

#[tokio::test]
async fn a_session_goes_on_in_another_child() {
    let real = Real::new();
    let script = "stty -echo; echo args \"$@\"; read x";
    let session = json!({"args": ["--id", "${session}"], "resume": ["--again", "${session}"]});
    let command = json!(["sh", "-c", script, "fake"]);
    real.preset("fake", json!({"name": "fake", "about": "x", "command": command, "session": session}));
    let host = real.client().await;
    std::fs::create_dir(real.home().join("work/sub")).unwrap();
    let first = spawn(&host, json!({"preset": "fake", "name": "f", "cwd": "sub", "rows": 30})).await;
    let id = first["session"].as_str().unwrap().to_owned();
    host.line("c1", &format!("^args --id {id}$")).await;
    host.call("spawn", json!({"resume": "f"})).await.says("c1 is alive. Use it, or stop it first.");
    host.call("stop", json!({"child": "f", "grace_ms": 0})).await;
    real.kill_broker();

    let host = real.client().await;
    for (what, value) in [("preset", json!("shell")), ("command", json!(["sh"])), ("cwd", json!("/"))] {
        let mut ask = json!({"resume": "c1"});
        ask[what] = value;
        host.call("spawn", ask).await.says(&format!("resume brings its own {what}. Give it alone"));
    }
    let second = spawn(&host, json!({"resume": "c1"})).await;
    for same in ["session", "name", "cwd", "preset", "rows", "parent"] {
        assert_eq!(first[same], second[same], "{same}");
    }
    host.line("c2", &format!("^args --again {id}$")).await;
    host.call("spawn", json!({"resume": "c1"})).await.says("the session of c1 goes on in c2");
    host.call("spawn", json!({"resume": "c9"})).await.says("there is no child c9");

    host.call("stop", json!({"child": "c2", "grace_ms": 0})).await;
    real.preset("fake", json!({"name": "fake", "about": "x", "command": command}));
    host.call("spawn", json!({"resume": "c2"}))
        .await
        .says("its preset fake does not say how a session goes on");
    let own = host.spawn_with(json!(["sh", "-c", "true"]), json!({"preset": "fake"})).await;
    host.exit(&own).await;
    host.call("spawn", json!({"resume": own}))
        .await
        .says("has no session that compere could name. Only a child");
}

#[tokio::test]
async fn a_session_that_the_program_chose_is_found_and_goes_on_after_a_kill_of_the_broker() {
    let real = Real::new();
    let script = r#"stty -echo; echo "args $*"; printf 'at its prompt\n'
        read x; exec 9> "log-first.jsonl"; printf 'done one\n'
        read x; exec 9> "log-second.jsonl"; printf 'done two\n'
        read x; printf 'go on with: fake -s third\n'"#;
    let rules = json!([
        {"on": "bottom", "matches": "(?:prompt|one|two)\\s*\\z", "state": "idle"},
        {"on": "screen", "matches": "working", "state": "busy"},
    ]);
    let found = json!({"file": "/log-(?P<session>\\w+)\\.jsonl$", "screen": "fake -s (?P<session>\\w+)"});
    let session = json!({"resume": ["--again", "${session}"], "found": found});
    real.preset(
        "fake",
        json!({"name": "fake", "about": "x", "command": ["sh", "-c", script, "fake"], "session": session,
            "state": {"rules": rules}}),
    );
    let host = real.client().await;
    let spawned = spawn(&host, json!({"preset": "fake", "name": "f"})).await;
    assert_eq!(spawned["session"], Value::Null, "nobody knows it yet");
    host.line("c1", "^args $").await;
    for (known, now) in [("", "first"), ("first", "second")] {
        host.call("send_message_to", json!({"to": "f", "message": "go"})).await;
        let until = json!([{"child": "f", "is": "idle"}]);
        host.call("timer_wait", json!({"timeout_ms": 20_000, "until": until})).await.woke("idle");
        assert_eq!(host.row("c1").await["session"], now, "after {known:?}");
    }
    real.kill_broker();

    let host = real.client().await;
    assert_eq!(host.row("c1").await["session"], "second");
    host.call("send_keys", json!({"to": "f", "keys": ["Enter"]})).await;
    host.exit("c1").await;
    assert_eq!(host.row("c1").await["session"], "third");
    spawn(&host, json!({"resume": "f"})).await;
    host.line("c2", "^args --again third$").await;
}

#[tokio::test]
async fn nobody_goes_on_with_anothers_session() {
    let company = Company::new();
    let session = json!({"args": ["${session}"], "resume": ["${session}"]});
    company.preset("fake", json!({"name": "fake", "about": "x", "command": ["echo"], "session": session}));
    let root = company.root().await;
    spawn(&root, json!({"preset": "fake"})).await;
    root.exit("c1").await;
    root.spawn(sh("read x")).await;
    company.child("c2").await.call("spawn", json!({"resume": "c1"})).await.says("c1 is your sibling");
    assert_eq!(spawn(&company.person().await, json!({"resume": "c1"})).await["parent"], "person");
}
