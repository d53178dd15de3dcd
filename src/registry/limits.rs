//! How many children there may be, how deep, how fast. Plain values: counted elsewhere, compared here.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The limits in force. Whoever runs compere sets them in `config.json`; a child cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How many generations below a root.
    pub depth: usize,
    /// Live children of one parent.
    pub children: usize,
    /// Live children of one tree.
    pub tree: usize,
    /// Spawns of one tree within a minute.
    pub spawns_per_minute: usize,
    /// Live children of one broker, whoever spawned them.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { depth: 3, children: 16, tree: 64, spawns_per_minute: 30, total: 500 }
    }
}

/// What a spawn would have to fit in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The new child's generation, the root's own children being the first.
    pub depth: usize,
    /// Live children of its parent.
    pub children: usize,
    /// Live children of its tree.
    pub tree: usize,
    /// Live children of this broker.
    pub total: usize,
}

/// The limit that stands against a spawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverLimit {
    /// See [`Limits::depth`].
    #[error("a child here would be generation {depth}, and the limit is {limit}")]
    Depth {
        /// Which generation.
        depth: usize,
        /// The limit.
        limit: usize,
    },
    /// See [`Limits::children`].
    #[error("you have {limit} live children, which is the limit")]
    Children {
        /// The limit.
        limit: usize,
    },
    /// See [`Limits::tree`].
    #[error("your tree has {limit} live children, which is the limit")]
    Tree {
        /// The limit.
        limit: usize,
    },
    /// See [`Limits::total`].
    #[error("{limit} children are alive on this machine, which is the limit")]
    Total {
        /// The limit.
        limit: usize,
    },
    /// See [`Limits::spawns_per_minute`].
    #[error(
        "your tree spawned {limit} children within a minute, which is the limit; the next may start in {wait_ms} ms"
    )]
    Rate {
        /// The limit.
        limit: usize,
        /// When there is room again, in milliseconds.
        wait_ms: u64,
    },
}

impl OverLimit {
    /// Its name in `config.json`.
    pub fn setting(&self) -> &'static str {
        match self {
            OverLimit::Depth { .. } => "limits.depth",
            OverLimit::Children { .. } => "limits.children",
            OverLimit::Tree { .. } => "limits.tree",
            OverLimit::Total { .. } => "limits.total",
            OverLimit::Rate { .. } => "limits.spawns_per_minute",
        }
    }
}

/// What is left of a tree's spawns of this minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// So many may start at once.
    pub spawns: usize,
    /// If none may: when the next one may, in milliseconds.
    pub wait_ms: u64,
}

impl Limits {
    /// Whether one more child fits.
    pub fn admit(&self, count: Count) -> Result<(), OverLimit> {
        if count.depth > self.depth {
            return Err(OverLimit::Depth { depth: count.depth, limit: self.depth });
        }
        if count.children >= self.children {
            return Err(OverLimit::Children { limit: self.children });
        }
        if count.tree >= self.tree {
            return Err(OverLimit::Tree { limit: self.tree });
        }
        if count.total >= self.total {
            return Err(OverLimit::Total { limit: self.total });
        }
        Ok(())
    }
}

/// A tree's spawns of the last minute.
#[derive(Debug, Default)]
pub struct Rate(VecDeque<Instant>);

impl Rate {
    const WINDOW: Duration = Duration::from_secs(60);

    /// Counts one more spawn, unless that is one too many.
    pub fn admit(&mut self, limit: usize, now: Instant) -> Result<(), OverLimit> {
        while self.0.front().is_some_and(|at| now.saturating_duration_since(*at) >= Self::WINDOW) {
            self.0.pop_front();
        }
        match self.left(limit, now) {
            Left { spawns: 0, wait_ms } => Err(OverLimit::Rate { limit, wait_ms }),
            _ => {
                self.0.push_back(now);
                Ok(())
            }
        }
    }

    /// What is left within a limit.
    pub fn left(&self, limit: usize, now: Instant) -> Left {
        let age = |at: &Instant| now.saturating_duration_since(*at);
        let recent = || self.0.iter().filter(|at| age(at) < Self::WINDOW);
        let spawns = limit.saturating_sub(recent().count());
        let wait = recent().next().map_or(Self::WINDOW, |at| Self::WINDOW - age(at));
        // Rounded up: whoever waits for so long is admitted.
        Left { spawns, wait_ms: if spawns == 0 { wait.as_micros().div_ceil(1000) as u64 } else { 0 } }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_stands_on_its_own() {
        let limits = Limits { depth: 3, children: 2, tree: 4, spawns_per_minute: 30, total: 8 };
        let fits = Count { depth: 3, children: 1, tree: 3, total: 7 };
        for (count, answer) in [
            (fits, Ok(())),
            (Count { depth: 4, ..fits }, Err(OverLimit::Depth { depth: 4, limit: 3 })),
            (Count { children: 2, ..fits }, Err(OverLimit::Children { limit: 2 })),
            (Count { tree: 4, ..fits }, Err(OverLimit::Tree { limit: 4 })),
            (Count { total: 8, ..fits }, Err(OverLimit::Total { limit: 8 })),
        ] {
            assert_eq!(limits.admit(count), answer);
        }
    }

    #[test]
    fn the_rate_is_of_the_last_minute() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut rate = Rate::default();
        assert_eq!(rate.admit(2, at(0)), Ok(()));
        assert_eq!(rate.admit(2, at(10)), Ok(()));
        assert_eq!(rate.left(3, at(20)), Left { spawns: 1, wait_ms: 0 });
        assert_eq!(rate.left(2, at(20)), Left { spawns: 0, wait_ms: 40_000 });
        assert_eq!(rate.left(2, at(65)), Left { spawns: 1, wait_ms: 0 });
        assert_eq!(rate.admit(2, at(20)), Err(OverLimit::Rate { limit: 2, wait_ms: 40_000 }));
        assert_eq!(rate.admit(2, at(60)), Ok(()));
        assert!(rate.admit(2, at(61)).is_err());
    }
}
