//! Children that no broker looks after, and files nobody needs. Where none runs, the next one takes such children over;
//! where one runs, it could not: their files say nothing that it understands.

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use super::{broker::Seen, finding::Finding};
use crate::{
    ipc::door::Door,
    keeper::{
        self, Ring,
        wire::{Decoder, Event, Request, VERSION, Whom},
    },
    proc::lineage,
};

/// Killing a tree of processes takes milliseconds; a machine that swaps may need seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Keepers that no broker looks after, ended if so asked.
pub(super) fn look(door: &Door, seen: &Seen, stop: bool) -> Vec<Finding> {
    let kept: Box<dyn Fn(&str) -> bool> = match seen {
        // One that is being spawned is not listed yet, but started by the broker already.
        Seen::Running { pid, keeps, .. } => {
            Box::new(|id| keeps.contains(id) || lineage(record(door, id).keeper).contains(pid))
        }
        Seen::Nobody => Box::new(|_| false),
        Seen::Unsure => {
            let found = "not looked for: which children the broker keeps is not known here";
            return vec![Finding::warn(
                "orphans",
                found,
                "run doctor outside of children, with a broker that answers",
            )];
        }
    };
    let ids = ids(door);
    let orphans: Vec<&String> = ids.iter().filter(|id| kept_alive(door, id)).filter(|id| !kept(id)).collect();
    if orphans.is_empty() {
        return vec![Finding::ok("orphans", "none: every child has its broker")];
    }
    let (why, todo) = match seen {
        Seen::Running { .. } => (
            "and the broker could not take it over: its file cannot be read, and its output neither",
            "`compere doctor --stop-orphans` ends it with all it started",
        ),
        _ => (
            "without a broker, since none runs",
            "the next broker takes it over (`compere ls` starts one); `compere doctor --stop-orphans` ends it with all \
             it started",
        ),
    };
    let each = |id: &&String| {
        let socket = door.keepers().join(format!("{id}.sock"));
        if !stop {
            let process = match record(door, id).child {
                0 => "process unknown".to_owned(),
                pid => format!("process {pid}"),
            };
            return Finding::warn("orphans", format!("{id} ({process}) runs {why}"), todo);
        }
        match end(&socket) {
            Ok(()) => Finding::ok("orphans", format!("{id} was ended with all it started")),
            Err(error) => Finding::fail(
                "orphans",
                format!("{id}: {error}"),
                format!("end its keeper: kill -9 {}", record(door, id).keeper),
            ),
        }
    };
    orphans.iter().map(each).collect()
}

struct Pids {
    keeper: i32,
    child: i32,
}

/// Whose processes a child's are; zeros if its ring does not tell.
fn record(door: &Door, id: &str) -> Pids {
    Ring::open(&door.keepers().join(format!("{id}.ring")))
        .map_or(Pids { keeper: 0, child: 0 }, |ring| Pids { keeper: ring.keeper_pid, child: ring.child_pid })
}

/// Whether its keeper lives.
fn kept_alive(door: &Door, id: &str) -> bool {
    Ring::is_kept(&door.keepers().join(format!("{id}.ring"))).unwrap_or(false)
}

/// Files of children that are neither kept nor known.
pub(super) fn stale(door: &Door, seen: &Seen) -> Option<Finding> {
    let known = |id: &String| matches!(seen, Seen::Running { keeps, .. } if keeps.contains(id));
    let stale: Vec<String> = ids(door).into_iter().filter(|id| !known(id) && !kept_alive(door, id)).collect();
    (!stale.is_empty()).then(|| {
        let found = format!("files of {} in {}", stale.join(", "), door.keepers().display());
        Finding::ok(
            "leftovers",
            format!("{found}; the next broker takes up what can be read, and removes the rest"),
        )
    })
}

/// The children who have files.
fn ids(door: &Door) -> Vec<String> {
    let entries = std::fs::read_dir(door.keepers()).into_iter().flatten().flatten();
    let stem = |entry: std::fs::DirEntry| Some(entry.file_name().to_str()?.split_once('.')?.0.to_owned());
    let mut ids: Vec<String> = entries.filter_map(stem).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Kills everything below a keeper, and waits until the keeper has ended too.
pub(in crate::cli) fn end(socket: &Path) -> io::Result<()> {
    let mut stream = keeper::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let kill = rustix::process::Signal::KILL.as_raw();
    let mut said = Vec::new();
    Request::Hello { version: VERSION }.encode(&mut said);
    Request::Signal { signal: kill, whom: Whom::Tree }.encode(&mut said);
    stream.write_all(&said)?;
    let mut decoder = Decoder::default();
    loop {
        // Its end of output is followed by the end of the connection.
        match decoder.read_from(&mut stream) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::Error::other(format!("it did not end within {} s", PATIENCE.as_secs())));
            }
            Err(error) => return Err(error),
        }
        while let Some(event) = decoder.next::<Event<'_>>().map_err(io::Error::other)? {
            if let Event::Exited { .. } = event {
                // Someone may have been started between the look for processes and the kill.
                let mut again = Vec::new();
                Request::Signal { signal: kill, whom: Whom::Tree }.encode(&mut again);
                // It may have ended by now.
                let _ = stream.write_all(&again);
                break;
            }
        }
    }
}
