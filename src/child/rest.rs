//! When a child that nobody hears of and nobody asks for has rested long enough to give back what it holds. A plain value;
//! it is told the time.

use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub(super) struct Rest {
    since: Instant,
    /// What has been given back since then.
    given: Option<Give>,
    /// How long until it sleeps, the first time.
    at_first: Duration,
    /// The same now.
    sleeps_after: Duration,
}

/// What is to be given back now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Give {
    /// What stands ready for more output.
    Spare,
    /// The screen itself.
    Screen,
}

impl Rest {
    /// A program that draws a line now and then shall not cost more by what is given back and taken again.
    const TRIMS_AFTER: Duration = Duration::from_secs(2);
    /// Nobody waits for it to wake: that takes about a millisecond with all of its history.
    pub(super) const SLEEPS_AFTER: Duration = Duration::from_secs(3);
    /// A shorter sleep was not worth the two milliseconds or so, and the next one takes twice as long to come: a program that
    /// draws a clock stays awake.
    const WORTH: Duration = Duration::from_secs(60);
    /// No sleep takes longer to come, but where the first one did.
    const SLEEPS_AFTER_AT_MOST: Duration = Duration::from_secs(96);

    pub(super) fn new(sleeps_after: Duration, now: Instant) -> Self {
        Rest { since: now, given: None, at_first: sleeps_after, sleeps_after }
    }

    /// Something was heard, or somebody asked.
    pub(super) fn stir(&mut self, now: Instant) {
        if self.given == Some(Give::Screen) {
            let slept = now.saturating_duration_since(self.since + self.sleeps_after);
            let most = Self::SLEEPS_AFTER_AT_MOST.max(self.at_first);
            self.sleeps_after =
                if slept < Self::WORTH { (2 * self.sleeps_after).min(most) } else { self.at_first };
        }
        (self.since, self.given) = (now, None);
    }

    /// When there is something to give back; never once all is.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next().map(|(at, _)| at)
    }

    /// What is to be given back, once.
    pub(super) fn due(&mut self, now: Instant) -> Option<Give> {
        let (_, give) = self.next().filter(|(at, _)| *at <= now)?;
        self.given = Some(give);
        Some(give)
    }

    fn next(&self) -> Option<(Instant, Give)> {
        let sleep = (self.since + self.sleeps_after, Give::Screen);
        match self.given {
            None => Some((self.since + Self::TRIMS_AFTER, Give::Spare))
                .filter(|next| next.0 < sleep.0)
                .or(Some(sleep)),
            Some(Give::Spare) => Some(sleep),
            Some(Give::Screen) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_given_back_once_and_then_nothing_ticks() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let mut rest = Rest::new(30 * second, begin);
        assert_eq!((rest.deadline(), rest.due(begin + second)), (Some(begin + 2 * second), None));
        assert_eq!(rest.due(begin + 2 * second), Some(Give::Spare));
        assert_eq!((rest.deadline(), rest.due(begin + 29 * second)), (Some(begin + 30 * second), None));
        assert_eq!(rest.due(begin + 31 * second), Some(Give::Screen));
        assert_eq!((rest.deadline(), rest.due(begin + 99 * second)), (None, None));
        rest.stir(begin + 100 * second);
        assert_eq!(rest.deadline(), Some(begin + 102 * second));
    }

    #[test]
    fn who_is_woken_soon_sleeps_later_and_later() {
        let (mut now, second) = (Instant::now(), Duration::from_secs(1));
        let mut rest = Rest::new(3 * second, now);
        for seconds in [3, 6, 12, 24, 48, 96, 96] {
            assert_eq!(rest.due(now + 2 * second), Some(Give::Spare));
            assert_eq!(rest.deadline(), Some(now + seconds * second));
            assert_eq!(rest.due(now + seconds * second), Some(Give::Screen));
            now += (seconds + 59) * second;
            rest.stir(now);
        }
        // Output before it sleeps is no reason for anything.
        now += second;
        rest.stir(now);
        assert_eq!(
            (rest.due(now + 2 * second), rest.due(now + 96 * second)),
            (Some(Give::Spare), Some(Give::Screen))
        );
        rest.stir(now + 156 * second);
        assert_eq!(rest.due(now + 158 * second), Some(Give::Spare));
        assert_eq!(rest.deadline(), Some(now + 159 * second));
    }

    #[test]
    fn one_that_sleeps_at_once_gives_all_back_at_once() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let mut soon = Rest::new(second, begin);
        assert_eq!((soon.due(begin + second), soon.deadline()), (Some(Give::Screen), None));
    }
}
