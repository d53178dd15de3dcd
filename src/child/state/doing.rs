//! What a child can be doing, and how that is written. Knows nothing of how it is found out.

use std::{fmt, time::SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::id::Exit;

/// What a child is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not yet seen at its prompt.
    Starting,
    /// At its prompt.
    Idle,
    /// Working.
    Busy,
    /// Asking something a message must not answer.
    NeedsInput {
        /// What it asks for, in a word or two.
        what: String,
    },
    /// Out of quota or rate, for now, as it says.
    Limited {
        /// When that ends, if it says so: within some seconds, as programs count them.
        until: Option<SystemTime>,
    },
    /// It ended.
    Exited(Exit),
    /// Its keeper is gone, and with it its exit status.
    Lost,
    /// Nothing we see tells. This is not idle.
    Unknown,
}

impl State {
    /// What a program needs input for whose composer holds somebody's words.
    pub const DRAFT: &str = "draft";

    /// The state in one word, as answers write it.
    pub fn word(&self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Idle => "idle",
            State::Busy => "busy",
            State::NeedsInput { .. } => "needs_input",
            State::Limited { .. } => "limited",
            State::Exited(_) => "exited",
            State::Lost => "lost",
            State::Unknown => "unknown",
        }
    }

    /// Over for good.
    pub fn ended(&self) -> bool {
        matches!(self, State::Exited(_) | State::Lost)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::NeedsInput { what } => write!(f, "needs_input ({what})"),
            State::Limited { until: Some(until) } => {
                let until = DateTime::<Utc>::from(*until);
                write!(f, "limited (until {})", until.to_rfc3339_opts(SecondsFormat::Secs, true))
            }
            State::Exited(exit) => write!(f, "exited ({exit})"),
            other => f.write_str(other.word()),
        }
    }
}
