//! A point in time that another process understands, also when the wall clock is set meanwhile.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::proc::boot_name;

/// When something is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Deadline {
    /// The boot whose clock `up_ms` is of.
    boot: String,
    /// In milliseconds after that, as the monotonic clock counts.
    up_ms: u64,
    /// In milliseconds after 1970: for another boot, where there is nothing better.
    wall_ms: u64,
}

impl Deadline {
    /// So long from now.
    pub(super) fn after(left: Duration) -> Deadline {
        let ms = |since: Duration| (since + left).as_millis() as u64;
        Deadline { boot: boot_name(), up_ms: ms(up()), wall_ms: ms(wall()) }
    }

    /// How long until then.
    pub(super) fn left(&self) -> Duration {
        self.left_at(&boot_name(), up(), wall())
    }

    fn left_at(&self, boot: &str, up: Duration, wall: Duration) -> Duration {
        let (due, now) = if self.boot == boot { (self.up_ms, up) } else { (self.wall_ms, wall) };
        Duration::from_millis(due).saturating_sub(now)
    }
}

fn up() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.max(0) as u64, now.tv_nsec.clamp(0, 999_999_999) as u32)
}

fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_counts_only_after_a_reboot() {
        let due = Deadline { boot: "a".into(), up_ms: 5_000, wall_ms: 100_000 };
        let s = Duration::from_secs;
        for (boot, up, wall, left) in [
            ("a", s(2), s(97), s(3)),
            ("a", s(2), s(0), s(3)),
            ("a", s(2), s(86_400), s(3)),
            ("a", s(9), s(0), s(0)),
            ("b", s(1), s(97), s(3)),
            ("b", s(1), s(101), s(0)),
        ] {
            assert_eq!(due.left_at(boot, up, wall), left, "{boot} {up:?} {wall:?}");
        }
        let left = Deadline::after(s(60)).left();
        assert!(left > s(50) && left <= s(60), "{left:?}");
    }
}
