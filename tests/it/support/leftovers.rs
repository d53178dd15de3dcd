//! Finding what a company has left behind, in `/proc`: reliably, since its directory's path is in the memory map of
//! each of its keepers (the ring) and in the environment of each of its children and of its broker.

use std::path::Path;

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

/// All processes that have this directory's path in their memory map or environment.
pub(crate) fn mentioning(dir: &Path) -> Vec<i32> {
    let needle = dir.as_os_str().as_encoded_bytes();
    let mentions = |pid: &i32, file: &str| {
        let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    };
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ours = std::process::id() as i32;
    // What another test starts is a copy of ourselves for a moment, with all our memory.
    let copy = |pid: &i32| command_line(*pid) == command_line(ours);
    pids.filter(|pid| *pid != ours && !copy(pid) && (mentions(pid, "maps") || mentions(pid, "environ")))
        .collect()
}

/// Whether a process runs: one that has ended and was not waited for does not.
pub(crate) fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Waits until a process has ended.
#[track_caller]
pub(crate) fn gone(pid: i32) {
    let Ok(fd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else { return };
    let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
    loop {
        match rustix::event::poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&patience)) {
            Err(rustix::io::Errno::INTR) => {}
            // A second panic would end all tests at once.
            _ if std::thread::panicking() => return,
            ended => return assert_eq!(ended, Ok(1), "process {pid} has not ended: {}", command_line(pid)),
        }
    }
}

/// Kills a process and waits for its end.
pub(crate) fn kill(pid: i32) {
    let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
    gone(pid);
}

/// Ends the fronts, whose hosts have gone or are about to.
pub(crate) fn end_fronts(dir: &Path) {
    for pid in running(dir, &[""]) {
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM);
        gone(pid);
    }
}

/// Waits for the ends of brokers that came too late to be the one.
pub(crate) fn brokers_gone(dir: &Path) {
    // What is about to start one is seen before that one is; and one listing may miss both as they change places.
    let mut unseen = 0;
    while unseen < 2 {
        let brokers = running(dir, &["broker ", "broker --detach "]);
        unseen = if brokers.is_empty() { unseen + 1 } else { 0 };
        brokers.into_iter().for_each(gone);
    }
}

/// Who runs `compere` with one of these arguments.
fn running(dir: &Path, arguments: &[&str]) -> Vec<i32> {
    let lines: Vec<String> = arguments.iter().map(|line| format!("{} {line}", super::COMPERE)).collect();
    mentioning(dir).into_iter().filter(|pid| lines.contains(&command_line(*pid))).collect()
}

/// Kills what mentions the directory until nothing does; answers what there was.
pub(crate) fn sweep(dir: &Path) -> Vec<String> {
    let mut swept = Vec::new();
    loop {
        let left = mentioning(dir);
        if left.is_empty() {
            return swept;
        }
        for pid in left {
            let line = command_line(pid);
            if line.is_empty() {
                // It is about to end.
                gone(pid);
                continue;
            }
            swept.push(format!("{pid} {line}"));
            kill(pid);
        }
    }
}

fn command_line(pid: i32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// The names in a directory.
pub(crate) fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
