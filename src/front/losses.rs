//! How often brokers have ended under a front lately. A plain value that is told the time.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// When brokers ended.
#[derive(Debug, Default)]
pub(super) struct Losses(VecDeque<Instant>);

impl Losses {
    /// One more broker like these would end as they did: restarting helps against one crash, not against its cause.
    pub(super) const MOST: usize = 3;
    /// Within this time.
    pub(super) const WITHIN: Duration = Duration::from_secs(10);

    /// A broker has ended. Answers whether to go on with another.
    pub(super) fn another(&mut self, now: Instant) -> bool {
        self.0.push_back(now);
        self.0.retain(|then| now - *then < Self::WITHIN);
        self.0.len() < Self::MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_within_ten_seconds_is_one_too_many() {
        for (seconds, last) in
            [(&[0, 4, 9][..], false), (&[0, 4, 10], true), (&[0, 9, 11, 18], false), (&[0, 60, 120], true)]
        {
            let (mut losses, began) = (Losses::default(), Instant::now());
            let went_on: Vec<bool> =
                seconds.iter().map(|second| losses.another(began + Duration::from_secs(*second))).collect();
            assert!(
                went_on[..2].iter().all(|on| *on) && *went_on.last().unwrap() == last,
                "{seconds:?}: {went_on:?}"
            );
        }
    }
}
