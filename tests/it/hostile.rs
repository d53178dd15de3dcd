//! Hostile text both ways, with bash as the judge: what is sent to a program arrives as text and does nothing else, and
//! what a program prints is neither typed into it nor passed on to whoever reads about it.

mod printed;
mod sent;

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Client, Company};

/// What every hostile text tries to make.
const CANARY: &str = "canary";

/// It has not come to be, in that directory.
#[track_caller]
fn no_canary(work: &Path) {
    assert!(!work.join(CANARY).exists(), "something ran that was only text");
}

/// Makes a preset of this bash. Without the pause before Enter, which is not what is tried here, and takes long so many
/// times.
fn judge(company: &Company, command: Value) {
    let preset = json!({
        "name": "judge", "about": "bash", "command": command, "env": {"PS1": "$ ", "HISTFILE": ""},
        "state": {"foreground_is_idle": true, "quiet_ms": 10}, "typing": {"enter_after_ms": 0}
    });
    std::fs::create_dir(company.dir().join("presets")).unwrap();
    std::fs::write(company.dir().join("presets/judge.json"), preset.to_string()).unwrap();
}

/// Starts it; answers its id once it is at its prompt.
async fn bash(root: &Client) -> String {
    let spawned = root.call("spawn", json!({"preset": "judge"})).await;
    let bash = spawned["child"].as_str().unwrap_or_else(|| panic!("{}", spawned.text())).to_owned();
    root.wait(json!({"child": bash, "is": "idle"})).await.woke("idle");
    bash
}
