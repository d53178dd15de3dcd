//! When a child's keeper is to have a copy of the screen, for a broker after this one. A plain value; it is told the time, and
//! what a copy took.

use std::time::{Duration, Instant};

use crate::id::Offset;

/// See the module.
#[derive(Debug)]
pub(super) struct Copies {
    /// Up to where the newest one goes.
    at: Offset,
    /// There is none before this.
    next: Instant,
    /// The last try gave none: more output has to come first.
    failed: bool,
}

impl Copies {
    /// Between two, in bytes: with as much again written while nobody listens, the ring still goes on from the newest.
    const EVERY: u64 = 384 * 1024;
    /// Of the thread's time, one part in so many goes into copies at most. Who writes faster than that is through the ring
    /// before a next broker is there, which then has the program draw again; once it is quiet, there is a copy at once.
    const SHARE: u32 = 8;

    pub(super) fn new(at: Offset, now: Instant) -> Self {
        Copies { at, next: now, failed: false }
    }

    /// Whether one is to be taken, with so much written.
    pub(super) fn is_due(&self, end: Offset, now: Instant) -> bool {
        end - self.at >= Self::EVERY && self.next <= now
    }

    /// When one is to be taken, if nothing more is written.
    pub(super) fn deadline(&self, end: Offset) -> Option<Instant> {
        (end - self.at >= Self::EVERY && !self.failed).then_some(self.next)
    }

    /// One was taken, or there was none to be had.
    pub(super) fn tried(&mut self, at: Option<Offset>, took: Duration, now: Instant) {
        self.at = at.unwrap_or(self.at);
        (self.next, self.failed) = (now + took * (Self::SHARE - 1), at.is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_some_bytes_and_some_time_apart() {
        let (begin, ms) = (Instant::now(), Duration::from_millis(1));
        let mut copies = Copies::new(Offset(100), begin);
        let enough = Offset(100 + Copies::EVERY);
        assert!(!copies.is_due(Offset(99 + Copies::EVERY), begin) && copies.deadline(Offset(200)).is_none());
        assert!(copies.is_due(enough, begin));
        copies.tried(None, ms, begin);
        assert!(copies.is_due(enough, begin + 7 * ms), "more output is another chance");
        assert_eq!(copies.deadline(enough), None, "and nothing else is");
        copies.tried(Some(enough), 2 * ms, begin + 10 * ms);
        assert_eq!(copies.deadline(enough), None);
        let more = enough + Copies::EVERY as usize;
        assert!(!copies.is_due(more, begin + 23 * ms));
        assert_eq!(copies.deadline(more), Some(begin + 24 * ms));
        assert!(copies.is_due(more, begin + 24 * ms));
    }
}
