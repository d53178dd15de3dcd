//! What a person leaves behind at a pane, and what a team notices of who looks on: stand-ins for agents, and a person in a
//! real terminal.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    COMPERE, Client, Real, signal,
    terminal::{Terminal, row_is},
};

/// A stand-in at its prompt, and the file that it logs each message to.
async fn agent(host: &Client, dir: &Path, name: &str) -> (String, PathBuf) {
    let log = dir.join(format!("{name}.log"));
    let command = [COMPERE, "fake-agent", "--log", log.to_str().unwrap(), "--work", "50", "--report"];
    let spawned = host.call("spawn", json!({"preset": "fake-agent", "name": name, "command": command})).await;
    assert!(!spawned.is_error(), "{}", spawned.text());
    let child = spawned["child"].as_str().unwrap().to_owned();
    host.wait(json!({"child": child, "is": "idle"})).await.woke("idle");
    (child, log)
}

/// The texts that it got.
fn got(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let text_of =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["message"].as_str().unwrap().to_owned();
    text.lines().map(text_of).collect()
}

#[tokio::test]
async fn a_draft_that_a_person_leaves_is_neither_sent_nor_added_to() {
    let real = Real::new();
    let root = real.client().await;
    let (child, log) = agent(&root, real.home(), "helper").await;
    let terminal = Terminal::new(&real, 100, 25).await;
    terminal.attach(&child).await;
    terminal.keys("half a thought");
    terminal.has("> half a thought").await;
    let sent = root.call("send_message_to", json!({"to": child, "message": "from the agent"})).await;
    assert_eq!(sent["status"], "held", "{}", sent.text());

    terminal.order("b");
    terminal.has("the orchestrator has the input").await;
    let row = row_is(&root, &child, |row| row["state"] == "needs_input (draft)").await;
    assert_eq!((&row["owner"], &row["held"]), (&json!("orchestrator"), &json!(0)), "{row}");
    let receipt = root.call("send_message_to", json!({"delivery": sent["delivery"], "wait_ms": 0})).await;
    assert_eq!(receipt["status"], "queued", "{}", receipt.text());
    assert_eq!(got(&log), [""; 0]);
    terminal.has("> half a thought").await;

    // Taken again, ended by the person and given back: only then the agent's, by itself.
    terminal.order("t");
    terminal.has("you have the input").await;
    terminal.enters(", ended");
    terminal.has("● half a thought, ended").await;
    terminal.order("b");
    terminal.has("● from the agent").await;
    assert_eq!(got(&log), ["half a thought, ended", "from the agent"]);
    let receipt =
        root.call("send_message_to", json!({"delivery": sent["delivery"], "wait_ms": 20_000})).await;
    assert_eq!(receipt["status"], "submitted", "{}", receipt.text());
    root.close().await;
}

/// A root has two agents do three things each, one after the other; answers what each agent got: a turn for each.
async fn team(real: &Real, watched: bool) -> [Vec<String>; 2] {
    let root = real.client().await;
    let (one, first) = agent(&root, real.home(), "one").await;
    let (two, second) = agent(&root, real.home(), "two").await;
    let _terminals = if watched {
        let looks = Terminal::new(real, 80, 24).await;
        looks.run(&format!("watch {one}"));
        looks.has("the orchestrator has the input").await;
        let hangs = Terminal::second(real);
        hangs.run(&format!("watch {two}"));
        hangs.has("the orchestrator has the input").await;
        let (_, draws) = hangs.processes();
        signal(draws, Signal::STOP);
        Some((looks, hangs, draws))
    } else {
        None
    };
    for round in 1..=3 {
        for child in [&one, &two] {
            let task = format!("report done: {child} has ended round {round}");
            let sent = root.call("send_message_to", json!({"to": child, "message": task})).await;
            assert_eq!(sent["status"], "submitted", "{}", sent.text());
            root.wait(json!({"report": true})).await.woke("report");
            root.wait(json!({"child": child, "is": "idle"})).await.woke("idle");
        }
    }
    if let Some((looks, _, draws)) = &_terminals {
        looks.has("● report 5 to r1").await;
        signal(*draws, Signal::CONT);
    }
    root.close().await;
    [got(&first), got(&second)]
}

#[tokio::test]
async fn a_team_takes_the_same_turns_whoever_looks_on() {
    let (alone, watched) = (Real::new(), Real::new());
    let alone = team(&alone, false).await;
    assert_eq!(alone.each_ref().map(Vec::len), [3, 3]);
    assert_eq!(team(&watched, true).await, alone);
}
