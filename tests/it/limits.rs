//! Limits hold exactly, whoever spawns and whatever becomes of the broker meanwhile, and are shown to whom they bind.

use compere::{keeper::Ring, registry::limits::Limits};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Client, Company, Real, sh};

/// Spawns so many at once; answers how many came about, and the others' words.
async fn at_once(client: &Client, many: usize) -> (usize, Vec<String>) {
    let spawns = (0..many).map(|_| client.call("spawn", json!({"command": ["sleep", "1000"]})));
    let answers = join_all(spawns).await;
    let (refused, alive): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.is_error());
    (alive.len(), refused.iter().map(|answer| answer.text()).collect())
}

#[tokio::test]
async fn twenty_at_once_by_a_parent_and_its_children_stop_exactly_at_the_limit() {
    let company = Company::with(Limits { tree: 16, ..Limits::default() });
    let root = company.root().await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let child = root.spawn(sh("read x")).await;
        clients.push(company.child(&child).await);
    }
    clients.push(root);
    let all = join_all(clients.iter().map(|client| at_once(client, 4))).await;
    let alive: usize = all.iter().map(|(alive, _)| alive).sum();
    assert_eq!((alive, company.registry().load().live), (12, 16));
    for words in all.iter().flat_map(|(_, refused)| refused) {
        let limit = "your tree has 16 live children, which is the limit. Stop children you no longer need";
        assert!(words.starts_with(limit) && words.contains("raise limits.tree in"), "{words}");
    }
}

#[tokio::test]
async fn a_broker_that_is_killed_among_twenty_spawns_lets_no_limit_be_passed() {
    let real = Real::new();
    real.config(json!({"limits": {"children": 16, "tree": 16, "spawns_per_minute": 1000}}));
    let host = real.client().await;
    host.spawn(json!(["sleep", "1000"])).await;
    let rings = || {
        let entries = std::fs::read_dir(real.run().join("k")).unwrap().flatten().map(|entry| entry.path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "ring"))
    };
    let (first, ()) = tokio::join!(at_once(&host, 20), async {
        while rings().count() < 6 {
            tokio::task::yield_now().await;
        }
        real.kill_broker();
    });
    assert!(first.0 < 15, "it was killed after all was done");
    let host = real.client().await;
    let adopted = live(&host).await;
    // Those whose keepers could not answer any more have ended with them.
    assert!((1..=16).contains(&adopted), "{adopted}");
    // One that was adopted may be about to end.
    let (_, mut refused) = at_once(&host, 20).await;
    while live(&host).await < 16 {
        (_, refused) = at_once(&host, 20).await;
    }
    assert_eq!(live(&host).await, 16, "{refused:?}");
    assert!(refused[0].contains("you have 16 live children, which is the limit"), "{refused:?}");
    // One that was being started for nobody ends by itself.
    while rings().filter(|ring| Ring::is_kept(ring).unwrap_or(false)).count() > 16 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rings().filter(|ring| Ring::is_kept(ring).unwrap_or(false)).count(), 16, "and no keeper less");
}

async fn live(host: &Client) -> usize {
    host.call("list_children", json!({})).await["limits"]["children"]["live"].as_u64().unwrap() as usize
}

#[tokio::test]
async fn a_caller_sees_what_its_limits_leave() {
    let company = Company::with(Limits { spawns_per_minute: 2, ..Limits::default() });
    let root = company.root().await;
    let limits = async |client: &Client| client.call("list_children", json!({})).await["limits"].clone();
    assert_eq!(
        limits(&root).await,
        json!({
            "all": {"live": 0, "most": 500},
            "children": {"live": 0, "most": 16},
            "depth": {"most": 3, "next": 1},
            "inbox": {"most": 1000, "unread": 0},
            "message_bytes": 262_144,
            "queued_per_child": 100,
            "spawns_left": 2,
            "spawns_per_minute": 2,
            "tree": {"live": 0, "most": 64},
        })
    );
    let child = root.spawn(sh("read x")).await;
    let child = company.child(&child).await;
    child.call("report_to_parent", json!({"status": "progress", "message": "x"})).await;
    child.spawn(sh("read x")).await;
    let left = limits(&root).await;
    assert_eq!([&left["spawns_left"], &left["inbox"]["unread"], &left["tree"]["live"]], [0, 1, 2]);
    assert!((1..=60_000).contains(&left["next_spawn_ms"].as_u64().unwrap()), "{left}");
    assert_eq!(limits(&child).await["spawns_left"], 0, "the rate is the whole tree's");
    let refused = child.call("spawn", json!({"command": ["true"]})).await;
    refused.says("the next may start in").says("raise limits.spawns_per_minute in");
}

/// Whatever it is that has no room, the words say what to do.
#[tokio::test]
async fn who_comes_when_all_connections_are_taken_is_told_so() {
    let real = Real::new();
    real.client().await.close().await;
    let socket = real.run().join("broker.sock");
    let mut open: Vec<_> = Vec::new();
    let full: Value = loop {
        let Ok(stream) = std::os::unix::net::UnixStream::connect(&socket) else {
            panic!("{} are open", open.len())
        };
        let Ok(mut copy) = stream.try_clone() else { panic!("out of descriptors") };
        if open.len() >= 500 {
            stream.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
            let mut line = String::new();
            // Those before it are waited for to say hello.
            if std::io::Read::read_to_string(&mut copy, &mut line).is_ok() && !line.is_empty() {
                break serde_json::from_str(&line).unwrap();
            }
        }
        open.push(stream);
        assert!(open.len() < 600);
    };
    let why = full["refused"].as_str().unwrap();
    assert!(why.starts_with("512 connections are open, which is the limit: end hosts"), "{why}");
}
