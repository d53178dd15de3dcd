//! What processes cost, as `/proc` tells it.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::fs;

/// Processor time that these processes have had, in milliseconds. To the nanosecond, unlike `stat`'s.
pub(crate) fn cpu_ms(pids: &[i32]) -> f64 {
    let tasks =
        pids.iter().flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten());
    let times = tasks.filter_map(|task| {
        let line = fs::read_to_string(task.path().join("schedstat")).ok()?;
        line.split(' ').next()?.parse::<f64>().ok()
    });
    times.sum::<f64>() / 1e6
}

/// Memory of a process, in MB, with shared pages divided among those who share them.
pub(crate) fn pss_mb(pid: i32) -> f64 {
    rollup(pid, "Pss:")
}

/// Memory of a process, in MB, shared pages and all.
pub(crate) fn rss_mb(pid: i32) -> f64 {
    rollup(pid, "Rss:")
}

fn rollup(pid: i32, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    // A process that is gone costs nothing; who asks for one knows that it is there.
    kib.unwrap_or(0.0) / 1024.0
}

/// Who started it.
pub(crate) fn parent(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split(' ').nth(1).and_then(|pid| pid.parse().ok()).unwrap_or(0)
}

/// Whom it started.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
