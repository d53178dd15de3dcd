//! What each child's processes use, from `/proc`: all that descends from its keeper. One look at every process, whoever
//! it belongs to; knows no child but by its keeper's process.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::proc::{self, Stat};

/// What a child's processes use together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// Of one processor, in percent, since the last look.
    pub(super) cpu: f32,
    /// Resident bytes; what two processes share counts twice.
    pub(super) memory: u64,
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
        let before = last.get(pid).filter(|before| before.process == stat.process);
        // Whoever is new since the last look has used all its time since then.
        let used = stat.ticks - before.map_or(0, |before| before.ticks.min(stat.ticks));
        let usage = usage.entry(child).or_default();
        usage.cpu += elapsed.map_or(0.0, |elapsed| used as f32 * 100.0 / elapsed);
        usage.memory += stat.pages * page;
    }
    usage
}

fn processes() -> HashMap<i32, Stat> {
    proc::all().filter_map(|pid| Some((pid, Stat::of(pid)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(parent: i32, ticks: u64) -> Stat {
        let process = proc::Process { pid: 0, start: 1 };
        Stat { process, parent, group: 0, alive: true, ticks, pages: 10 }
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
        let last = HashMap::from([
            (21, stat(20, 40)),
            (31, Stat { process: proc::Process { pid: 0, start: 0 }, ..stat(30, 50) }),
        ]);
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
