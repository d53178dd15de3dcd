//! The processes that descend from this one: who they are, reaping them, and signals that reach all of them.
//! As their subreaper we stay their ancestor wherever they go. Knows no terminal.

use std::{
    collections::{HashMap, HashSet},
    fs,
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, WaitOptions},
};

use crate::id::Exit;

/// One descendant, as `/proc` told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) group: i32,
    /// With the pid, this names a process for ever.
    started: u64,
}

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
pub(super) fn descendants() -> Vec<Process> {
    let me = rustix::process::getpid();
    let Ok(proc) = fs::read_dir("/proc") else { return Vec::new() };
    let mut all: HashMap<Pid, Stat> = proc
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?)?;
            Some((pid, stat(pid)?))
        })
        .collect();
    // Whose parent ended while we looked has another one now: us.
    let orphans: Vec<Pid> = all
        .values()
        .filter(|it| it.parent.is_some_and(|parent| !all.contains_key(&parent)))
        .map(|it| it.process.pid)
        .collect();
    for pid in orphans {
        match stat(pid) {
            Some(stat) => all.insert(pid, stat),
            None => all.remove(&pid),
        };
    }
    let mut children: HashMap<Pid, Vec<Stat>> = HashMap::new();
    for stat in all.into_values() {
        if let Some(parent) = stat.parent {
            children.entry(parent).or_default().push(stat);
        }
    }
    let (mut found, mut parents) = (Vec::new(), vec![me]);
    while let Some(parent) = parents.pop() {
        for stat in children.remove(&parent).unwrap_or_default() {
            parents.push(stat.process.pid);
            if stat.alive {
                found.push(stat.process);
            }
        }
    }
    found.sort_by_key(|process| process.pid.as_raw_nonzero());
    found
}

/// Signals every descendant once, those that are started meanwhile as well.
pub(super) fn signal_all(signal: Signal) {
    let mut done = HashSet::new();
    for _ in 0..MOST_ROUNDS {
        let new: Vec<_> = descendants().into_iter().filter(|process| !done.contains(process)).collect();
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
    let ours: HashSet<i32> = descendants().into_iter().map(|process| process.group).collect();
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
    let Ok(pidfd) = rustix::process::pidfd_open(process.pid, PidfdFlags::empty()) else { return };
    if stat(process.pid).is_some_and(|stat| stat.process.started == process.started) {
        // It may have ended in between; or it is set-uid, and nobody but root could.
        let _ = rustix::process::pidfd_send_signal(&pidfd, signal);
    }
}

/// When a process was started, in the kernel's clock ticks after boot.
pub(super) fn started(pid: Pid) -> Option<u64> {
    Some(stat(pid)?.process.started)
}

#[derive(Debug)]
struct Stat {
    process: Process,
    parent: Option<Pid>,
    alive: bool,
}

fn stat(pid: Pid) -> Option<Stat> {
    // Not read_to_string: a process may call itself what is not UTF-8.
    let line = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    parse(pid, &String::from_utf8_lossy(&line))
}

/// `proc_pid_stat(5)`: the name in parentheses may hold anything, so the fields begin after the last one.
fn parse(pid: Pid, line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    Some(Stat {
        process: Process { pid, group: fields.get(2)?.parse().ok()?, started: fields.get(19)?.parse().ok()? },
        parent: Pid::from_raw(fields.get(1)?.parse().ok()?),
        alive: !matches!(*fields.first()?, "Z" | "X" | "x"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_confuse_the_fields() {
        let pid = Pid::from_raw(7).unwrap();
        let line = "7 (a) R 1 (b) S 5 6 6 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 8913 0 0\n";
        let stat = parse(pid, line).unwrap();
        assert_eq!(stat.process, Process { pid, group: 6, started: 8913 });
        assert_eq!((stat.parent, stat.alive), (Pid::from_raw(5), true));
        assert!(!parse(pid, &line.replace(") S", ") Z")).unwrap().alive);
        for line in ["", "7", "7 (a", "7 (a)", "7 (a) R", "7 (a) R x y z"] {
            assert!(parse(pid, line).is_none(), "{line:?}");
        }
    }

    #[test]
    fn this_process_has_a_parent() {
        let me = rustix::process::getpid();
        assert_eq!(stat(me).unwrap().parent, rustix::process::getppid());
    }
}
