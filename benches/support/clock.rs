//! Time as all processes of one machine see it, and waiting for a while, which tests may not do but measuring must.

use std::time::Duration;

/// Nanoseconds of the machine's own clock, the same in every process.
pub(crate) fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Lets everything come to rest, or goes on being busy for so long.
#[allow(clippy::disallowed_methods, reason = "what is measured is what happens while nothing is asked")]
pub(crate) fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}
