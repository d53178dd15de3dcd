//! When a child begins to need a person, the user's command is run: with the facts, once, and with nobody's identity.

use serde_json::{Value, json};

use crate::support::{COMPERE, Client, Real, gone, sh};

/// One line for each time the command runs; and what nobody may be given, if it is there.
const COMMAND: &str = r#"
    printf '%s\n' "told $COMPERE_CHILD ($COMPERE_NAME) $COMPERE_WHAT of $COMPERE_PARENT: $COMPERE_TEXT" >> "$HOME/told"
    [ -z "$COMPERE_IDENTITY$COMPERE_SOCKET" ] || echo "told an identity" >> "$HOME/told"
"#;

/// A user with that command; and a child that shows what it wrote, as it comes.
async fn user() -> (Real, Client, String) {
    let real = Real::new();
    let config = real.home().join(".config/compere");
    std::fs::create_dir_all(config.join("presets")).unwrap();
    let command = json!({"on_attention": ["sh", "-c", COMMAND]});
    std::fs::write(config.join("config.json"), command.to_string()).unwrap();
    let asks = json!({
        "name": "asks",
        "about": "asks what it is told",
        "command": ["sh", "-c", "stty -echo; while read what; do printf '\\033[2J\\033[H%s' \"$what\"; done"],
        "state": {"rules": [
            {"on": "screen", "matches": "(?<prompt>ask [a-z]+)", "state": "needs_input", "what": "permission"},
            {"on": "screen", "matches": "^done", "state": "idle"},
        ]},
    });
    std::fs::write(config.join("presets/asks.json"), asks.to_string()).unwrap();
    std::fs::write(real.home().join("told"), "").unwrap();
    let root = real.client().await;
    let told = root.spawn(json!(["tail", "-n", "+1", "-f", real.home().join("told")])).await;
    (real, root, told)
}

/// What was told so far, once a line is there that matches.
async fn until(root: &Client, told: &str, pattern: &str) -> Vec<String> {
    root.line(told, pattern).await;
    let all = root.call("read_output", json!({"child": told, "mode": "stream"})).await.text();
    all.lines().filter(|line| line.starts_with("told ")).map(str::to_owned).collect()
}

async fn keys(root: &Client, child: &str, text: &str) {
    let keys: Vec<String> =
        text.chars().map(|c| if c == ' ' { "Space".to_owned() } else { c.to_string() }).collect();
    let keys: Vec<Value> = keys.into_iter().chain(["Enter".to_owned()]).map(Value::from).collect();
    let pressed = root.call("send_keys", json!({"to": child, "keys": keys})).await;
    assert_eq!(pressed["status"], "typed", "{}", pressed.text());
}

#[tokio::test]
async fn reports_that_need_a_person_are_told_once_and_others_are_not() {
    let (_real, root, told) = user().await;
    let script = format!(
        "for s in progress blocked done failed; do {COMPERE} report $s \"it's $s \\$(id)\" > /dev/null; done; exec cat"
    );
    root.spawn_with(sh(&script), json!({"name": "worker"})).await;
    let lines = until(&root, &told, "failed").await;
    let expected = [
        "told c2 (worker) blocked of r1: it's blocked $(id)",
        "told c2 (worker) failed of r1: it's failed $(id)",
    ];
    assert_eq!(lines, expected);
    // What goes to an agent among us is that agent's.
    let nested = format!(
        "{COMPERE} spawn --name below -- sh -c '{COMPERE} report blocked hidden; exec cat' > /dev/null; {COMPERE} wait > /dev/null; {COMPERE} report failed seen; exec cat"
    );
    root.spawn_with(sh(&nested), json!({"name": "above"})).await;
    let lines = until(&root, &told, "seen").await;
    assert_eq!(lines[2..], ["told c3 (above) failed of r1: seen"]);
}

#[tokio::test]
async fn a_question_is_told_once_whatever_broker_sees_it() {
    let (real, root, told) = user().await;
    let asker = root.call("spawn", json!({"preset": "asks", "name": "asker"})).await;
    let child = asker["child"].as_str().unwrap();
    keys(&root, child, "ask one").await;
    assert_eq!(until(&root, &told, "one").await, ["told c2 (asker) needs_input of r1: ask one"]);
    let broker = real.broker().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(broker).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    gone(broker);
    // The next broker sees the same question for as long as it takes to tell of another child's.
    root.wait(json!({"child": child, "is": "needs_input"})).await.woke("needs_input");
    let other = root.call("spawn", json!({"preset": "asks", "name": "other"})).await;
    keys(&root, other["child"].as_str().unwrap(), "ask mark").await;
    let lines = until(&root, &told, "ask mark").await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    // Then it is answered, and there is another.
    keys(&root, child, "done").await;
    root.wait(json!({"child": child, "is": "idle"})).await.woke("idle");
    keys(&root, child, "ask two").await;
    let lines = until(&root, &told, "ask two").await;
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[tokio::test]
async fn a_loss_is_told_once() {
    let (real, root, told) = user().await;
    let child = root.spawn_with(sh("exec sleep 600"), json!({"name": "sleeper"})).await;
    let list = root.call("list_children", json!({})).await;
    let pid = list["children"][1]["pid"].as_i64().unwrap() as i32;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let keeper: i32 = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(keeper).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    root.wait(json!({"child": child, "is": "exited"})).await.woke("exited");
    until(&root, &told, "sleeper. lost").await;
    let asks = format!("{COMPERE} report blocked last; exec cat");
    root.spawn_with(sh(&asks), json!({"name": "asker"})).await;
    let lines = until(&root, &told, "last").await;
    assert_eq!(lines.len(), 2, "its loss is no report as well: {lines:?}");
    drop(real);
}
