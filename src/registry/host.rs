//! Processes by their number and start time, which together name one process for ever. Linux's `/proc` only.

use serde::{Deserialize, Serialize};

/// One process, so named that a later one with the same number is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks after boot (field 22 of `/proc/PID/stat`, proc(5)).
    pub start: u64,
}

impl Process {
    /// The process that has this number now.
    pub fn of(pid: i32) -> Option<Self> {
        Stat::of(pid).map(|stat| Process { pid, start: stat.start })
    }

    /// Whether it still runs. One that has ended but was not waited for does not.
    pub fn alive(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.start == self.start && !matches!(stat.state, 'Z' | 'X'))
    }
}

/// A process, its parent, and so on up. A loop, which only a race of reused numbers could make, ends.
pub fn lineage(pid: i32) -> Vec<i32> {
    const DEEPEST: usize = 256;
    let parent = |pid: &i32| Stat::of(*pid).map(|stat| stat.parent).filter(|parent| *parent > 0);
    std::iter::successors(Some(pid), parent).take(DEEPEST).collect()
}

struct Stat {
    state: char,
    parent: i32,
    start: u64,
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The second field is the program's name in parentheses, and may hold spaces and parentheses of its own.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let start = fields.nth(17)?.parse().ok()?;
        Some(Stat { state, parent, start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_confuse() {
        let line = "7 (a) R (b) S 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.state, stat.parent, stat.start), ('S', 3, 4242));
        assert!(Stat::parse("7 (cut").is_none());
    }

    #[test]
    fn we_descend_from_our_parent_and_are_alive() {
        let me = Process::of(std::process::id() as i32).unwrap();
        assert!(me.alive());
        assert!(!Process { start: me.start + 1, ..me }.alive());
        let parent = std::os::unix::process::parent_id() as i32;
        assert_eq!(lineage(me.pid)[..2], [me.pid, parent]);
    }
}
