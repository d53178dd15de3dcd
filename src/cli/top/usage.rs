//! What each child's processes use, from `/proc`: all that descends from its keeper. One look at every process, whoever
//! it belongs to; knows no child but by its keeper's process.

use std::{
    collections::HashMap,
    fs,
    time::{Duration, Instant},
};

/// What a child's processes use together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// Of one processor, in percent, since the last look.
    pub(super) cpu: f32,
    /// Resident bytes; what two processes share counts twice.
    pub(super) memory: u64,
}

/// One process, as the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: i32,
    /// Time on a processor, in the kernel's ticks.
    ticks: u64,
    /// When it was started: with the number, this names a process for ever.
    started: u64,
    pages: u64,
}

/// Looks now and again, and remembers the last look.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    last: HashMap<i32, Stat>,
    at: Option<Instant>,
}

impl Sampler {
    /// What the descendants of these keepers use: nothing is known of a processor's time at the first look.
    pub(super) fn look(&mut self, keepers: &[(u32, i32)]) -> HashMap<u32, Usage> {
        let now = Instant::now();
        let all = processes();
        let elapsed = self.at.map(|at| now - at);
        let second = rustix::param::clock_ticks_per_second();
        let page = rustix::param::page_size() as u64;
        let usage = usage(&all, &self.last, keepers, elapsed.map(|elapsed| ticks(elapsed, second)), page);
        (self.last, self.at) = (all, Some(now));
        usage
    }
}

fn ticks(elapsed: Duration, second: u64) -> f32 {
    (elapsed.as_secs_f32() * second as f32).max(1.0)
}

/// `elapsed` is in ticks since the last look.
fn usage(
    now: &HashMap<i32, Stat>,
    last: &HashMap<i32, Stat>,
    keepers: &[(u32, i32)],
    elapsed: Option<f32>,
    page: u64,
) -> HashMap<u32, Usage> {
    let of: HashMap<i32, u32> = keepers.iter().map(|(child, keeper)| (*keeper, *child)).collect();
    // Whose each process is, once that was found out for it or for one below it.
    let mut whose: HashMap<i32, Option<u32>> = HashMap::with_capacity(now.len());
    let mut usage: HashMap<u32, Usage> = HashMap::with_capacity(keepers.len());
    let mut way = Vec::new();
    for (pid, stat) in now {
        let (mut at, mut steps) = (*pid, 0);
        let found = loop {
            if let Some(known) = whose.get(&at) {
                break *known;
            }
            way.push(at);
            let parent = now.get(&at).map_or(0, |stat| stat.parent);
            if let Some(child) = of.get(&parent) {
                break Some(*child);
            }
            steps += 1;
            // Numbers are used again while we look, so that two may seem to be each other's parents.
            if parent <= 1 || steps > now.len() {
                break None;
            }
            at = parent;
        };
        whose.extend(way.drain(..).map(|pid| (pid, found)));
        let Some(child) = found else { continue };
        let before = last.get(pid).filter(|before| before.started == stat.started);
        // Whoever is new since the last look has used all its time since then.
        let used = stat.ticks - before.map_or(0, |before| before.ticks.min(stat.ticks));
        let usage = usage.entry(child).or_default();
        usage.cpu += elapsed.map_or(0.0, |elapsed| used as f32 * 100.0 / elapsed);
        usage.memory += stat.pages * page;
    }
    usage
}

fn processes() -> HashMap<i32, Stat> {
    let Ok(proc) = fs::read_dir("/proc") else { return HashMap::new() };
    let numbers = proc.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let stat = |pid: i32| {
        let line = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, parse(&String::from_utf8_lossy(&line))?))
    };
    numbers.filter_map(stat).collect()
}

/// `proc_pid_stat(5)`: the name in parentheses may hold anything, so the fields begin after the last one.
fn parse(line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks: number(11)? + number(12)?,
        started: number(19)?,
        pages: number(21)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read_whatever_the_process_calls_itself() {
        let line = "7 (a) R 1 (b) S 5 6 6 0 -1 4 0 0 0 0 30 12 1 1 20 0 1 0 8913 1000 77 0\n";
        assert_eq!(parse(line), Some(Stat { parent: 5, ticks: 42, started: 8913, pages: 77 }));
        for line in ["", "7", "7 (a", "7 (a)", "7 (a) S 5 6 6 0 -1 4 0 0 0 0 30 12"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    fn stat(parent: i32, ticks: u64) -> Stat {
        Stat { parent, ticks, started: 1, pages: 10 }
    }

    #[test]
    fn what_descends_from_a_keeper_is_its_childs() {
        // 20 and 30 are keepers, the second below a process of the first's child.
        let now = HashMap::from([
            (1, stat(0, 999)),
            (20, stat(1, 500)),
            (21, stat(20, 100)),
            (22, stat(21, 7)),
            (30, stat(22, 0)),
            (31, stat(30, 60)),
            (40, stat(1, 50)),
        ]);
        let last = HashMap::from([(21, stat(20, 40)), (31, Stat { started: 0, ..stat(30, 50) })]);
        let of = usage(&now, &last, &[(1, 20), (2, 30)], Some(100.0), 4096);
        assert_eq!(of[&1], Usage { cpu: 67.0, memory: 30 * 4096 }, "its keeper's keeper is below it");
        assert_eq!(of[&2], Usage { cpu: 60.0, memory: 10 * 4096 }, "the number was used again");
        assert_eq!(usage(&now, &last, &[(1, 20)], None, 4096)[&1].cpu, 0.0);
    }

    #[test]
    fn parents_in_a_circle_end() {
        let now = HashMap::from([(2, stat(3, 1)), (3, stat(2, 1))]);
        assert!(usage(&now, &HashMap::new(), &[(1, 9)], Some(1.0), 1).is_empty());
    }

    #[test]
    fn this_process_is_found_below_its_parent() {
        let parent = rustix::process::getppid().unwrap().as_raw_nonzero().get();
        let mut sampler = Sampler::default();
        assert!(sampler.look(&[(1, parent)])[&1].memory > 0);
    }
}
