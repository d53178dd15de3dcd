//! The processes that descend from this one: who they are, reaping them, and signals that reach all of them.
//! As their subreaper we stay their ancestor wherever they go. Knows no terminal.

use std::collections::{HashMap, HashSet};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, WaitOptions},
};

use crate::{
    id::Exit,
    proc::{self, Process, Stat},
};

/// What [`reap`] found.
#[derive(Debug, Default)]
pub(super) struct Reaped {
    /// How the one that was asked about ended, if it did now.
    pub(super) exit: Option<Exit>,
    /// Whether nobody is left: then nobody can come any more either.
    pub(super) alone: bool,
}

/// Waits for all that have ended, the child and orphans.
pub(super) fn reap(child: Pid) -> Reaped {
    let mut reaped = Reaped::default();
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == child => {
                let signal = status.terminating_signal().map(Exit::Signal);
                reaped.exit = signal.or(status.exit_status().map(Exit::Code));
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return reaped,
            // ECHILD: a process with a living ancestor below us would be its child's child, so there is none.
            Err(_) => return Reaped { alone: true, ..reaped },
        }
    }
}

/// All that have not ended. A process that is being started or orphaned in this moment may be missing.
pub(super) fn descendants() -> Vec<Stat> {
    let me = rustix::process::getpid().as_raw_nonzero().get();
    let mut all: HashMap<i32, Stat> = proc::all().filter_map(|pid| Some((pid, Stat::of(pid)?))).collect();
    // Whose parent ended while we looked has another one now: us.
    let orphans: Vec<i32> = all
        .values()
        .filter(|it| it.parent != 0 && !all.contains_key(&it.parent))
        .map(|it| it.process.pid)
        .collect();
    for pid in orphans {
        match Stat::of(pid) {
            Some(stat) => all.insert(pid, stat),
            None => all.remove(&pid),
        };
    }
    let mut children: HashMap<i32, Vec<Stat>> = HashMap::new();
    for stat in all.into_values() {
        children.entry(stat.parent).or_default().push(stat);
    }
    let (mut found, mut parents) = (Vec::new(), vec![me]);
    while let Some(parent) = parents.pop() {
        for stat in children.remove(&parent).unwrap_or_default() {
            parents.push(stat.process.pid);
            if stat.alive {
                found.push(stat);
            }
        }
    }
    found.sort_by_key(|stat| stat.process.pid);
    found
}

/// Signals every descendant once, those that are started meanwhile as well.
pub(super) fn signal_all(signal: Signal) {
    let mut done = HashSet::new();
    for _ in 0..MOST_ROUNDS {
        let all = descendants().into_iter().map(|stat| stat.process);
        let new: Vec<_> = all.filter(|process| !done.contains(process)).collect();
        if new.is_empty() {
            return;
        }
        for process in new {
            send(process, signal);
            done.insert(process);
        }
    }
}

/// Signals these process groups, if anybody of ours is in them: numbers are used again.
pub(super) fn signal_groups(groups: impl IntoIterator<Item = Pid>, signal: Signal) {
    let ours: HashSet<i32> = descendants().into_iter().map(|stat| stat.group).collect();
    let groups: HashSet<Pid> = groups.into_iter().collect();
    for group in groups.into_iter().filter(|group| ours.contains(&group.as_raw_nonzero().get())) {
        // It may be gone by now, which was the wish.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

/// More than any program needs to see that it is being signalled; whoever forks faster is met again when
/// something ends.
const MOST_ROUNDS: usize = 32;

/// By pidfd: between reading `/proc` and the signal the number may have come to mean another.
fn send(process: Process, signal: Signal) {
    let Some(pid) = Pid::from_raw(process.pid) else { return };
    let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
    if Process::of(process.pid) == Some(process) {
        // It may have ended in between; or it is set-uid, and nobody but root could.
        let _ = rustix::process::pidfd_send_signal(&pidfd, signal);
    }
}
