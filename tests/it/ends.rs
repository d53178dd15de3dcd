//! What becomes of a tree when the host on top of it is gone.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{COMPERE, Raw, Real, sh};

impl Real {
    /// What the user decides, before the broker begins.
    pub(crate) fn config(&self, config: Value) {
        let dir = self.home().join(".config/compere");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    }

    /// What `compere` prints for the person.
    pub(crate) async fn says(&self, args: &[&str]) -> String {
        let mut command = self.command(COMPERE);
        let output = command.args(args).stdin(Stdio::null()).output().await.unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// A host of its own process, which spawns this and is killed.
    async fn host_that_dies(&self, spawn: Value) {
        let mut command = self.command("sh");
        command.args(["-c", &format!("{COMPERE}; exit 0")]);
        let mut host = Raw::new(command);
        host.initialize().await;
        let spawned = host.ask(2, "tools/call", json!({"name": "spawn", "arguments": spawn})).await;
        assert_eq!(spawned["result"]["isError"], false, "{spawned}");
        host.process.kill().await.unwrap();
    }
}

#[tokio::test]
async fn a_tree_without_a_host_spawns_nothing_until_another_host_takes_it_over() {
    let real = Real::new();
    real.config(json!({"orphans": {"no_spawn_after_s": 0}}));
    let spawn = json!({"command": ["sleep", "1000"], "name": "below"});
    let script =
        format!("stty -echo; echo ready; while read x; do {COMPERE} call spawn '{spawn}' 2>&1; done");
    real.host_that_dies(json!({"command": sh(&script), "name": "nested"})).await;
    // The broker has no event for it, and looks once a second.
    let until = Instant::now() + Duration::from_secs(20);
    while !real.says(&["ls"]).await.contains("r1 (host gone ") {
        assert!(Instant::now() < until, "{}", real.says(&["ls"]).await);
    }
    let doctor = real.says(&["doctor"]).await;
    assert!(
        doctor.contains("warn  hostless   the host of r1 has been gone for 0s; c1 (nested) go on -> "),
        "{doctor}"
    );
    assert!(doctor.contains("orphans.no_spawn_after_s: 0 seconds without a host"), "{doctor}");

    real.says(&["send", "nested", "go"]).await;
    let refused = real.says(&["wait", "--timeout", "20s", "--matches", "nested", "the host on top"]).await;
    assert!(
        refused.contains("compere: the host on top of your tree has been gone for 0 minutes."),
        "{refused}"
    );
    let screen = real.says(&["read", "nested"]).await;
    assert!(screen.contains("an MCP host in that workspace takes the tree over again"), "{screen}");

    let host = real.client().await;
    assert_eq!(host.row("c1").await.get("hostless_s"), None);
    host.say("nested", "go").await;
    host.line("nested", "\"name\":\"below\"").await;
    assert_eq!(host.row("c2").await["parent"], "c1");
}

#[tokio::test]
async fn a_tree_without_a_host_is_stopped_where_the_user_wants_that() {
    let real = Real::new();
    real.config(json!({"orphans": {"no_spawn_after_s": 0, "stop_after_s": 0}}));
    real.host_that_dies(json!({"command": ["sleep", "1000"], "name": "left"})).await;
    let ended = real.says(&["wait", "--timeout", "20s", "--exited", "c1"]).await;
    assert!(ended.starts_with("exited: c1 left"), "{ended}");
    let log = real.says(&["log", "c1"]).await;
    assert!(log.contains("told to end, with all below it"), "{log}");
}
