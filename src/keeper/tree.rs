//! Every process below this one, whatever its session or group: read from `/proc`, signalled, waited for.

use std::collections::HashMap;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};

use crate::id::Exit;

/// What waiting told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reaped {
    /// How the child ended, if it did now.
    pub(super) exit: Option<Exit>,
    /// No process is below us any more.
    pub(super) alone: bool,
}

/// Takes in every end there is. As a subreaper we are told of orphans too.
pub(super) fn reap(child: i32) -> Reaped {
    let mut reaped = Reaped::default();
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == child => reaped.exit = exit(status),
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return reaped,
            Err(_) => {
                reaped.alone = true;
                return reaped;
            }
        }
    }
}

fn exit(status: WaitStatus) -> Option<Exit> {
    status.exit_status().map(Exit::Code).or_else(|| status.terminating_signal().map(Exit::Signal))
}

/// All descendants, parents before children, zombies left out.
pub(super) fn descendants() -> Vec<i32> {
    let mut children: HashMap<i32, Vec<(i32, bool)>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // One that ends meanwhile needs no signal.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let Some((state, parent)) = state_and_parent(&stat) else { continue };
        children.entry(parent).or_default().push((pid, matches!(state, "Z" | "X")));
    }
    let mut found = Vec::new();
    let mut next = vec![std::process::id() as i32];
    while let Some(parent) = next.pop() {
        for (pid, over) in children.remove(&parent).unwrap_or_default() {
            next.push(pid);
            if !over {
                found.push(pid);
            }
        }
    }
    found
}

/// The name before these fields is in parentheses and may hold anything.
fn state_and_parent(stat: &str) -> Option<(&str, i32)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    Some((fields.next()?, fields.next()?.parse().ok()?))
}

/// Signals every descendant. SIGKILL is repeated while new ones appear, since a process may fork as it is listed.
pub(super) fn signal_all(signal: Signal) {
    const PASSES: usize = 10;
    let mut known = Vec::new();
    for _ in 0..PASSES {
        let new: Vec<i32> = descendants().into_iter().filter(|pid| !known.contains(pid)).collect();
        if new.is_empty() {
            return;
        }
        for pid in &new {
            if let Some(pid) = Pid::from_raw(*pid) {
                // It may have ended since it was listed.
                let _ = kill_process(pid, signal);
            }
        }
        if signal != Signal::KILL {
            return;
        }
        known.extend(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        assert_eq!(state_and_parent("12 (a) Z 1 (x) S 34 12 12"), Some(("S", 34)));
        assert_eq!(state_and_parent("12 (cut"), None);
    }
}
