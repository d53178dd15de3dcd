//! What can become of a message, and what showed how far it got. Only what is written down and answered; decides nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::Offset;

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The program took it: it was seen to leave the composer, or the program to begin with it.
    Submitted {
        /// What the child had written when typing began.
        from: Offset,
    },
    /// The kernel took every byte, Enter included. What the program made of them is not known.
    Typed {
        /// What the child had written when typing began.
        from: Offset,
    },
    /// Nothing was typed.
    Refused(String),
    /// Part of it may have been typed, or all of it, and what became of that is not known.
    Unknown(String),
}

/// How a job ended, and what was seen on the way. Fields may be added with a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// How.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What was seen, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Mark>,
    /// Of an unknown one: what the child had written when typing began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Offset>,
}

/// One step of a message's way, and what showed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which.
    pub phase: Reached,
    /// How long after it was accepted, in milliseconds.
    pub ms: u64,
    /// What showed it.
    pub why: String,
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// It waits for a person to give the input back.
    Held,
    /// It waits for the program.
    Queued,
    /// A new broker goes on with it.
    Adopted,
    /// The program was ready for it, or nobody could tell.
    Ready,
    /// The program was interrupted for it.
    Interrupted,
    /// The terminal took the text.
    Pasted,
    /// The text was seen in the composer, or at the cursor.
    InComposer,
    /// The terminal took Enter.
    Typed,
    /// The terminal took another Enter.
    TypedAgain,
    /// It left the composer.
    Submitted,
    /// The program was seen at work.
    TurnStarted,
}

/// How far a job is that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where it is.
    pub reached: Reached,
    /// What it waits for.
    pub why: String,
    /// How many are before it.
    pub before: usize,
    /// What the child had written when typing began, if it did.
    pub from: Option<Offset>,
    /// What was seen so far.
    pub marks: Vec<Mark>,
}

impl Fate {
    /// This, with what was seen.
    pub fn new(outcome: Outcome, evidence: Vec<Mark>) -> Self {
        Fate { outcome, evidence, from: None }
    }

    /// Of something of which nothing was seen.
    pub fn unseen(outcome: Outcome) -> Self {
        Fate::new(outcome, Vec::new())
    }

    /// What the child had written when typing began, if it did.
    pub fn from(&self) -> Option<Offset> {
        match self.outcome {
            Outcome::Submitted { from } | Outcome::Typed { from } => Some(from),
            Outcome::Refused(_) | Outcome::Unknown(_) => self.from,
        }
    }
}

impl Mark {
    /// The longest reason that is kept.
    const WHY: usize = 200;

    pub(super) fn new(phase: Reached, after: Duration, why: impl Into<String>) -> Self {
        let mut why = why.into();
        if let Some((at, _)) = why.char_indices().nth(Self::WHY) {
            why.truncate(at);
            why.push('…');
        }
        Mark { phase, ms: after.as_millis() as u64, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_earlier_versions_wrote_is_read() {
        for (row, outcome) in [
            (r#"{"typed":{"from":5}}"#, Outcome::Typed { from: Offset(5) }),
            (r#"{"refused":"no"}"#, Outcome::Refused("no".into())),
            (r#"{"unknown":"who knows"}"#, Outcome::Unknown("who knows".into())),
        ] {
            assert_eq!(serde_json::from_str::<Fate>(row).unwrap(), Fate::unseen(outcome));
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mark = Mark::new(Reached::InComposer, Duration::from_millis(320), "x".repeat(1000));
        assert_eq!(mark.why.chars().count(), 201);
        for outcome in [Outcome::Submitted { from: Offset(7) }, Outcome::Unknown("gone".into())] {
            let fate = Fate { from: Some(Offset(3)), ..Fate::new(outcome, vec![mark.clone()]) };
            let text = serde_json::to_string(&fate).unwrap();
            assert_eq!(serde_json::from_str::<Fate>(&text).unwrap(), fate, "{text}");
        }
    }
}
