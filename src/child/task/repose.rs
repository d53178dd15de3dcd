//! What the thread gives back when nobody hears of its child, and nobody asks for it.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::Task;
use crate::{
    child::{
        rest::{Give, Rest},
        sight::Sight,
    },
    keeper::heap,
};

/// The variable that says how long nobody hears of a child before its screen sleeps, in milliseconds.
const SLEEP: &str = "COMPERE_SLEEP_MS";

/// How long that is.
pub(super) fn sleeps_after() -> Duration {
    static ASKED: LazyLock<Option<u64>> = LazyLock::new(|| std::env::var(SLEEP).ok()?.parse().ok());
    ASKED.map_or(Rest::SLEEPS_AFTER, Duration::from_millis)
}

impl Task {
    /// Gives back what is due.
    pub(super) fn repose(&mut self, now: Instant) {
        match self.rest.due(now) {
            None => {}
            Some(Give::Spare) => self.spare(),
            Some(Give::Screen) => {
                self.spare();
                if !self.screen.is_asleep() {
                    self.seen = Some(Sight::of(&self.screen, None));
                    self.screen.sleep();
                    GIVEN.store(true, Ordering::Relaxed);
                    tracing::debug!(child = %self.id, asleep = self.screen.is_asleep(), "its screen is put to sleep");
                }
            }
        }
    }

    fn spare(&mut self) {
        self.decoder.rest();
        self.out.shrink_to_fit();
        self.screen.trim();
        GIVEN.store(true, Ordering::Relaxed);
    }
}

/// Something was given back that the system has not got yet: to begin with, what it took to start.
static GIVEN: AtomicBool = AtomicBool::new(true);

/// What children have given back the C library keeps, for the thread it came from; this gives it to the system. None if
/// there is nothing. To be called now and then, away from what must not wait: it takes some milliseconds.
pub fn return_to_system() -> Option<fn()> {
    GIVEN.swap(false, Ordering::Relaxed).then_some(heap::return_to_system)
}
