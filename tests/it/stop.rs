//! `stop`: nothing of a child is left, whatever it started.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Company, alive, mentioning, sh};

#[tokio::test]
async fn no_descendant_is_left_wherever_it_hides() {
    let company = Company::new();
    let root = company.root().await;
    let script = "trap '' TERM HUP INT\n\
        setsid sh -c 'trap \"\" TERM HUP; echo a=$$; while :; do sleep 1000; done' &\n\
        nohup sh -c 'echo b=$$ >&3; exec sleep 1000' 3>&1 >/dev/null 2>&1 &\n\
        (setsid sh -c 'echo c=$$; kill -STOP $$; sleep 1000' &) \n\
        (sh -c 'echo d=$$; exec env -i /bin/sleep 1000' &)\n\
        while :; do sleep 1000; done";
    let child = root.spawn(sh(script)).await;
    let mut pids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let line = root.line(&child, &format!("^{name}=[0-9]+$")).await;
        pids.push(line[2..].parse::<i32>().unwrap());
    }
    assert!(pids.iter().all(|pid| alive(*pid)));
    let stopped = root.call("stop", json!({"child": child, "grace_ms": 50})).await;
    assert_eq!(
        [&stopped["left"], &stopped["exit"]],
        [&json!([]), &json!({"signal": 9})],
        "{}",
        stopped.text()
    );
    assert!(!pids.iter().any(|pid| alive(*pid)), "{pids:?}");
    assert!(mentioning(company.dir()).is_empty());
}

#[tokio::test]
async fn one_that_heeds_the_signal_is_not_killed() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("trap 'echo bye; exit 5' TERM; echo ready; while :; do read x; done")).await;
    root.line(&child, "^ready$").await;
    let began = Instant::now();
    let stopped = root.call("stop", json!({"child": child, "grace_ms": 20_000})).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(stopped["left"], json!([]));
    assert!(
        stopped["exit"] == json!({"code": 5}) || stopped["exit"] == json!({"signal": 1}),
        "{}",
        stopped.text()
    );
}

#[tokio::test]
async fn a_shell_at_its_prompt_goes_at_the_hang_up() {
    let company = Company::new();
    let root = company.root().await;
    let bash = root.bash().await;
    let began = Instant::now();
    let stopped = root.call("stop", json!({"child": bash, "grace_ms": 20_000})).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!([&stopped["left"], &stopped["exit"]], [&json!([]), &json!({"signal": 1})]);
}

#[tokio::test]
async fn twice_is_as_good_as_once_and_at_once_too() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("trap '' TERM HUP; echo ready; while :; do sleep 1000; done")).await;
    root.line(&child, "^ready$").await;
    let stop = |grace: u64| root.call("stop", json!({"child": "c1", "grace_ms": grace}));
    let (one, two) = tokio::join!(stop(20_000), stop(10));
    let three = stop(10).await;
    for stopped in [one, two, three] {
        assert_eq!([&stopped["left"], &stopped["exit"]], [&json!([]), &json!({"signal": 9})]);
    }
}

#[tokio::test]
async fn what_it_wrote_can_still_be_read() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("echo before; read x")).await;
    root.line(&child, "^before$").await;
    root.call("stop", json!({"child": child, "grace_ms": 0})).await;
    assert_eq!(root.all(&child).await, "before\n");
    assert!(root.row(&child).await["exit"]["signal"].is_number());
}

#[tokio::test]
async fn a_child_is_stopped_with_the_children_it_spawned() {
    let company = Company::new();
    let root = company.root().await;
    root.spawn(sh("read x")).await;
    let child = company.child("c1").await;
    child.spawn(sh("read x")).await;
    company.child("c2").await.spawn(sh("read x")).await;
    let other = root.spawn(sh("read x")).await;
    let stopped = root.call("stop", json!({"child": "c1", "grace_ms": 0})).await;
    let also: Vec<&str> =
        stopped["also"].as_array().unwrap().iter().map(|also| also["child"].as_str().unwrap()).collect();
    assert_eq!(also, ["c2", "c3"]);
    assert_eq!(company.registry().load().live, 1);
    assert!(root.row(&other).await.get("exit").is_none());
    child.call("spawn", json!({"command": ["true"]})).await.says("you have been stopped yourself");
}

#[tokio::test]
async fn the_exit_is_known_at_once_though_a_grandchild_holds_the_terminal() {
    let company = Company::new();
    let root = company.root().await;
    let child = root.spawn(sh("trap '' HUP; sleep 1000 & echo held by $!; exit 3")).await;
    assert_eq!(root.exit(&child).await, json!({"code": 3}));
    let line = root.line(&child, "^held by [0-9]+$").await;
    let sleeper: i32 = line.trim_start_matches("held by ").parse().unwrap();
    assert!(alive(sleeper));
    let stopped = root.call("stop", json!({"child": child, "grace_ms": 50})).await;
    assert_eq!([&stopped["left"], &stopped["exit"]], [&json!([]), &json!({"code": 3})]);
    assert!(!alive(sleeper));
}

#[tokio::test]
async fn a_child_that_forks_without_end_is_ended() {
    let company = Company::new();
    let root = company.root().await;
    let script = "trap '' TERM HUP; echo ready; while :; do (trap '' TERM HUP; sleep 0.05; sleep 1000) & sleep 0.02; done";
    let child = root.spawn(sh(script)).await;
    root.line(&child, "^ready$").await;
    let stopped = root.call("stop", json!({"child": child, "grace_ms": 100})).await;
    assert_eq!(stopped["left"], json!([]));
    assert!(mentioning(company.dir()).is_empty());
}

#[tokio::test]
async fn what_is_spawned_while_its_parent_is_stopped_ends_with_it() {
    let company = Company::new();
    let root = company.root().await;
    let parent = root.spawn(sh("read x")).await;
    let nested = company.child(&parent).await;
    let spawns = (0..10).map(|_| nested.call("spawn", json!({"command": ["sleep", "1000"]})));
    let stop = root.call("stop", json!({"child": parent, "grace_ms": 0}));
    let (stopped, spawned) = tokio::join!(stop, futures::future::join_all(spawns));
    assert_eq!(stopped["left"], json!([]));
    assert_eq!(company.registry().load().live, 0);
    let late = spawned.iter().filter(|answer| answer.is_error());
    late.for_each(|answer| {
        assert!(answer.text().contains("you have been stopped yourself"), "{}", answer.text())
    });
}
