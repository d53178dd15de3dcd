//! What a child costs that nobody hears of: nothing ticks for it, its screen sleeps until somebody looks, and it takes
//! nobody's open files.

use rmcp::transport::TokioChildProcess;
use serde_json::json;

use crate::support::{COMPERE, Client, Real, sh};

/// A host whose broker puts screens to sleep at once, and says so in its log.
async fn drowsy(real: &Real) -> Client {
    let mut command = real.command(COMPERE);
    command.envs([("COMPERE_SLEEP_MS", "50"), ("COMPERE_LOG", "compere=debug")]);
    Client::over(TokioChildProcess::new(command).unwrap()).await
}

/// How often a screen was put to sleep.
fn naps(real: &Real) -> usize {
    let log = std::fs::read_to_string(real.run().join("broker.log")).unwrap_or_default();
    log.lines().filter(|line| line.contains("put to sleep") && line.contains("asleep=true")).count()
}

async fn nap_after(real: &Real, naps_before: usize) {
    while naps(real) <= naps_before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_screen_that_slept_is_the_same_and_hears_what_comes() {
    let real = Real::new();
    let host = drowsy(&real).await;
    let script = "seq 1 60; printf '\\033[31mred \\342\\202\\254\\033[m\\033]0;a title\\007'; read x; echo \"got $x\"; read y";
    let child = host.spawn(sh(script)).await;
    host.line(&child, "red").await;
    let look = json!({"child": child, "lines": 50});
    let before = host.call("read_output", look.clone()).await.body();
    assert!(before.contains("\n11\n") && before.contains("red €"), "{before}");
    for _ in 0..2 {
        nap_after(&real, naps(&real)).await;
        assert_eq!(host.call("read_output", look.clone()).await.body(), before);
    }
    nap_after(&real, naps(&real)).await;
    host.say(&child, "hello").await;
    host.line(&child, "got hello").await;
    let after = host.call("read_output", look).await.body();
    assert!(after.contains("red €") && after.contains("got hello"), "{after}");
}

/// How often a thread of this name, or the process's first, has waited for something.
fn waits(process: i32, thread: Option<&str>) -> u64 {
    let mut waits = 0;
    for task in std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten() {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        if thread.is_none_or(|thread| read("comm").trim() == thread) {
            let status = read("status");
            let (_, count) = status.split_once("\nvoluntary_ctxt_switches:").unwrap();
            waits += count.lines().next().unwrap().trim().parse::<u64>().unwrap();
        }
    }
    assert!(waits > 0, "there is no {thread:?}");
    waits
}

#[tokio::test]
async fn nothing_ticks_for_a_child_that_is_idle() {
    let real = Real::new();
    let host = drowsy(&real).await;
    let spawned = host.call("spawn", json!({"command": sh("echo up; exec cat")})).await;
    let child = spawned["child"].as_str().unwrap().to_owned();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", spawned["pid"])).unwrap();
    let keeper = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
    let broker = real.broker().unwrap();
    host.line(&child, "up").await;
    // What was still to be looked at after its output is looked at by then.
    host.call("timer_wait", json!({"timeout_ms": 2500})).await.woke("timer");
    assert!(naps(&real) > 0);
    let count = || (waits(broker, Some(&child)), waits(keeper, None));
    let before = count();
    host.call("timer_wait", json!({"timeout_ms": 1500})).await.woke("timer");
    assert_eq!(count(), before);
}

#[tokio::test]
async fn a_broker_opens_all_the_files_it_may_and_its_children_as_many_as_its_host() {
    let real = Real::new();
    let mut command = real.command("sh");
    command.args(["-c", &format!("ulimit -Sn 300 && exec {COMPERE}")]);
    let host = Client::over(TokioChildProcess::new(command).unwrap()).await;
    let child = host.spawn(sh("echo soft $(ulimit -Sn) hard $(ulimit -Hn); read x")).await;
    let told = host.line(&child, "^soft").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", real.broker().unwrap())).unwrap();
    let limits: Vec<&str> = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(told, format!("soft 300 hard {}", limits[1]));
    assert_eq!(limits[0], limits[1]);
    assert_ne!(limits[1], "300", "there is nothing to be seen here where no more may be opened");
}
