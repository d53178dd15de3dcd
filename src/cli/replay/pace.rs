//! When each moment of a recording is shown. A plain value; knows no clock.

use std::time::Duration;

/// How fast a recording is played, and how far it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    speed: f64,
    /// No pause is longer, in the recording's own time.
    max_idle: Option<Duration>,
    /// The moment before, in the recording's time, and when it was shown.
    last: Duration,
    shown: Duration,
}

impl Pace {
    /// So many times as fast as it was.
    pub(super) fn new(speed: f64, max_idle: Option<Duration>) -> Self {
        Pace { speed, max_idle, last: Duration::ZERO, shown: Duration::ZERO }
    }

    /// When the moment at this time of the recording is shown, since the beginning.
    pub(super) fn show(&mut self, at: Duration) -> Duration {
        let pause = at.saturating_sub(self.last);
        let pause = self.max_idle.map_or(pause, |most| pause.min(most));
        self.last = at;
        self.shown = self.shown.saturating_add(pause.div_f64(self.speed));
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(speed: f64, max_idle: Option<u64>, times: &[u64], shown: &[u64]) {
        let mut pace = Pace::new(speed, max_idle.map(Duration::from_millis));
        let is: Vec<u128> =
            times.iter().map(|ms| pace.show(Duration::from_millis(*ms)).as_millis()).collect();
        assert_eq!(is, shown.iter().map(|ms| u128::from(*ms)).collect::<Vec<_>>(), "{speed} {max_idle:?}");
    }

    #[test]
    fn pauses_are_as_they_were_or_shorter() {
        check(1.0, None, &[0, 100, 5100, 5100], &[0, 100, 5100, 5100]);
        check(2.0, None, &[100, 5100], &[50, 2550]);
        check(0.5, None, &[100], &[200]);
        check(1.0, Some(1000), &[100, 5100, 5200], &[100, 1100, 1200]);
        check(4.0, Some(1000), &[100, 5100, 5200], &[25, 275, 300]);
        check(1.0, Some(0), &[100, 5100], &[0, 0]);
    }
}
