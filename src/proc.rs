//! What Linux tells of processes and of this run of the machine, most of it in `/proc`. Knows nothing of ours.

use std::{
    fs, io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

/// One process, so named that a later one with the same number is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks after boot.
    pub start: u64,
}

impl Process {
    /// The process that has this number now.
    pub fn of(pid: i32) -> Option<Self> {
        Stat::of(pid).map(|stat| stat.process)
    }

    /// Whether it still runs. One that has ended but was not waited for does not.
    pub fn alive(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.process == self && stat.alive)
    }
}

/// A process, its parent, and so on up. A loop, which only a race of reused numbers could make, ends.
pub fn lineage(pid: i32) -> Vec<i32> {
    const DEEPEST: usize = 256;
    let parent = |pid: &i32| Stat::of(*pid).map(|stat| stat.parent).filter(|parent| *parent > 0);
    std::iter::successors(Some(pid), parent).take(DEEPEST).collect()
}

/// A process and its children's children: a program's launcher, the program and its helpers. Orphans are not among
/// them. At most 64.
pub fn family(pid: i32) -> Vec<i32> {
    const MOST: usize = 64;
    let mut family = vec![pid];
    let mut at = 0;
    while at < family.len() && family.len() < MOST {
        for thread in listed(&format!("/proc/{}/task", family[at])) {
            let path = format!("/proc/{}/task/{thread}/children", family[at]);
            let children = fs::read_to_string(path).unwrap_or_default();
            family.extend(children.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        }
        at += 1;
    }
    family.truncate(MOST);
    family
}

/// The paths of the files a process has open; none where we may not look.
pub fn open_files(pid: i32) -> impl Iterator<Item = String> {
    let dir = format!("/proc/{pid}/fd");
    listed(&dir).into_iter().filter_map(move |fd| {
        let path = fs::read_link(format!("{dir}/{fd}")).ok()?;
        path.to_str().filter(|path| path.starts_with('/')).map(str::to_owned)
    })
}

/// The numbers of all processes.
pub fn all() -> impl Iterator<Item = i32> {
    listed("/proc").into_iter().filter_map(|name| name.parse().ok())
}

fn listed(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// What `proc_pid_stat(5)` says of a process, as far as somebody here needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Which.
    pub process: Process,
    /// Its parent's number; 0 has none.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Whether it has not ended.
    pub alive: bool,
    /// How long it ran on a processor, in clock ticks.
    pub ticks: u64,
    /// How many pages of memory it has.
    pub pages: u64,
}

impl Stat {
    /// Of the process that has this number now.
    pub fn of(pid: i32) -> Option<Self> {
        // Not read_to_string: a process may call itself what is not UTF-8.
        let line = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(pid, &String::from_utf8_lossy(&line))
    }

    /// The name in parentheses may hold anything, so the fields begin after the last one.
    fn parse(pid: i32, line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        Some(Stat {
            process: Process { pid, start: fields.get(19)?.parse().ok()? },
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            alive: !matches!(*fields.first()?, "Z" | "X" | "x"),
            ticks: fields.get(11)?.parse::<u64>().ok()?.saturating_add(fields.get(12)?.parse().ok()?),
            pages: fields.get(21)?.parse().ok()?,
        })
    }
}

/// Whether the process of this pidfd ends within this time. Sleeps until then.
pub fn ended(process: impl AsFd, within: Duration) -> io::Result<bool> {
    let until = Instant::now() + within;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            ended => return Ok(ended? > 0),
        }
    }
}

/// The kernel's number of this run of the machine: process numbers and start times mean something within one only.
/// `None` where there is no telling.
pub fn boot_id() -> Option<[u8; 16]> {
    uuid(&boot_name())
}

/// The same as the kernel writes it, a UUID; empty where there is no telling.
pub fn boot_name() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// A UUID as it is written.
fn uuid(text: &str) -> Option<[u8; 16]> {
    hex::decode(text.replace('-', "")).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_confuse_the_fields() {
        let line = "7 (a) R 1 (b) S 5 6 6 0 -1 4 0 0 0 0 30 12 1 1 20 0 1 0 8913 1000 77\n";
        let process = Process { pid: 7, start: 8913 };
        let stat = Stat { process, parent: 5, group: 6, alive: true, ticks: 42, pages: 77 };
        assert_eq!(Stat::parse(7, line), Some(stat));
        assert!(!Stat::parse(7, &line.replace(") S", ") Z")).unwrap().alive);
        for line in ["", "7", "7 (a", "7 (a)", "7 (a) R", "7 (a) R x y z"] {
            assert_eq!(Stat::parse(7, line), None, "{line:?}");
        }
    }

    #[test]
    fn we_descend_from_our_parent_and_are_alive() {
        let me = Process::of(std::process::id() as i32).unwrap();
        assert!(me.alive());
        assert!(!Process { start: me.start + 1, ..me }.alive());
        let parent = std::os::unix::process::parent_id() as i32;
        assert_eq!(lineage(me.pid)[..2], [me.pid, parent]);
        assert!(family(parent).contains(&me.pid) && all().any(|pid| pid == me.pid));
    }

    #[test]
    fn an_end_is_waited_for_as_long_as_that() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let process = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        assert!(!ended(&process, Duration::from_millis(1)).unwrap());
        drop(child.stdin.take());
        assert!(ended(&process, Duration::from_secs(60)).unwrap());
        child.wait().unwrap();
    }

    #[test]
    fn a_boot_has_a_number_that_stays() {
        assert!(boot_id().is_some_and(|id| id != [0; 16]));
        assert_eq!(boot_id(), boot_id());
        assert_eq!(
            uuid("00112233-4455-6677-8899-aabbccddeeff"),
            Some([
                0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee,
                0xff
            ])
        );
        for text in ["", "0011", "no number", "00112233-4455-6677-8899-aabbccddeeff00"] {
            assert_eq!(uuid(text), None, "{text:?}");
        }
    }
}
