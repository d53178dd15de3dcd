//! The broker, if one runs.

use std::{collections::HashSet, os::unix::fs::MetadataExt, time::Duration};

use serde_json::Value;
use tokio::net::UnixStream;

use super::finding::Finding;
use crate::{
    cli::{client::Client, ls, out::word},
    front::{self, NoBroker},
    ipc::{
        door::Door,
        hello::{Hello, Role},
    },
};

/// A broker answers within milliseconds; a machine that swaps may need seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// What there is of a broker.
#[derive(Debug)]
pub(super) enum Seen {
    /// None runs.
    Nobody,
    /// One runs as this process, and keeps these children, by id, and as it lists them; we are told of all.
    Running { pid: i32, keeps: HashSet<String>, list: Value },
    /// Whether there are more children than those we may see is not known.
    Unsure,
}

pub(super) async fn look(door: &Door) -> (Seen, Finding) {
    if UnixStream::connect(door.socket()).await.is_err() {
        return match lock_holder(door) {
            None => (Seen::Nobody, Finding::ok("broker", "none runs; the first host or command starts it")),
            Some(pid) => {
                let todo = format!("try again in a moment; if it stays so, end it: kill {pid}");
                let found = format!("process {pid} has its lock and does not listen");
                (Seen::Unsure, Finding::fail("broker", found, todo))
            }
        };
    }
    let answered = tokio::time::timeout(PATIENCE, ask(door)).await;
    answered.unwrap_or_else(|_| {
        let found = format!("it took the connection and does not answer within {} s", PATIENCE.as_secs());
        (
            Seen::Unsure,
            Finding::fail("broker", found, "see the log; ending the broker leaves its children running"),
        )
    })
}

async fn ask(door: &Door) -> (Seen, Finding) {
    let (workspace, cwd) = front::whereabouts();
    let fail = |error: String| {
        (
            Seen::Unsure,
            Finding::fail("broker", error, "see the log; ending the broker leaves its children running"),
        )
    };
    let connected = match front::join(&door.socket(), &Hello::new(Role::Person, workspace, cwd)).await {
        Ok(connected) => connected,
        Err(NoBroker::Refused(why)) => {
            let todo = "run doctor outside of children, or with COMPERE_IDENTITY unset";
            return (Seen::Unsure, Finding::fail("broker", format!("it refuses us: {why}"), todo));
        }
        Err(error) => return fail(error.to_string()),
    };
    let (version, pid) = (connected.welcome.version.clone(), connected.welcome.pid);
    let client = match Client::over(connected).await {
        Ok(client) => client,
        Err(error) => return fail(error.to_string()),
    };
    let list = ls::whole_list(&client).await;
    let you = client.you.clone();
    client.close().await;
    let list = match list {
        Ok(list) => list,
        Err(error) => return fail(error.to_string()),
    };
    let keeps: HashSet<String> = ls::children(&list).map(|child| word(child, "child").to_owned()).collect();
    let live = ls::children(&list).filter(|child| !ls::ended(child)).count();
    let found = format!("{version}, process {pid}, {live} children live; you are {you}");
    let ours = front::VERSION;
    let finding = if version == ours {
        Finding::ok("broker", found)
    } else {
        let todo =
            format!("this is {ours}; of the two, the newer one's `compere upgrade` makes the broker its own");
        Finding::warn("broker", found, todo)
    };
    (if you == "person" { Seen::Running { pid: pid as i32, keeps, list } } else { Seen::Unsure }, finding)
}

/// Who holds the lock. Not found by trying it: a broker that starts in that moment would find it taken.
fn lock_holder(door: &Door) -> Option<i32> {
    let inode = std::fs::metadata(door.dir().join("broker.lock")).ok()?.ino();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    // proc_locks(5): `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`.
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = words[..] else { return None };
        (file.rsplit(':').next()? == inode.to_string()).then(|| pid.parse().ok())?
    })
}
