//! What a program asks, from the first sign that it does to when that can be told: programs say that they ask before they
//! have drawn it, and draw it in pieces. Told the time; knows no rules.

use std::time::{Duration, Instant};

use super::rule::Asked;
use crate::child::prompt::Prompt;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Question {
    /// As it was seen last.
    now: Option<Seen>,
    /// As it was told last, when that began, and what it asks for.
    told: Option<(Prompt, Instant, String)>,
}

#[derive(Debug)]
struct Seen {
    prompt: Prompt,
    /// Since when the program asks anything.
    since: Instant,
    /// Since when it looks like this.
    still: Instant,
}

impl Question {
    /// How long a question must stay as it is to be taken for drawn. Between the pieces of one there were at most 30 ms.
    const DRAWN: Duration = Duration::from_millis(100);
    /// How long it may take to appear after the program has said that it asks; seen: 100 ms (claude), and a second and a
    /// half after the last key (codex, which does not want its dialog to be answered by what was meant for its composer).
    const APPEARS: Duration = Duration::from_secs(3);
    /// One that never stays as it is is told as it was by then.
    const RESTLESS: Duration = Duration::from_secs(1);

    /// The program asks this.
    pub(super) fn sees(&mut self, asked: Asked, now: Instant) {
        let Asked { prompt, located, what } = asked;
        let seen = match self.now.take() {
            Some(seen) if seen.prompt.hash == prompt.hash => seen,
            Some(seen) => Seen { prompt, since: seen.since, still: now },
            None => Seen { prompt, since: now, still: now },
        };
        let (still, since) = (now - seen.still, now - seen.since);
        let told = self.told.as_ref().map_or(seen.since, |(_, at, _)| *at);
        let there = located || since >= Self::APPEARS;
        if there
            && (still >= Self::DRAWN || now - told >= Self::RESTLESS)
            && self.told().is_none_or(|told| told.hash != seen.prompt.hash)
        {
            self.told = Some((seen.prompt.clone(), now, what));
        }
        self.now = Some(seen);
    }

    /// The program asks nothing.
    pub(super) fn none(&mut self) {
        *self = Question::default();
    }

    /// What can be told of it.
    pub(super) fn told(&self) -> Option<&Prompt> {
        self.told.as_ref().map(|(prompt, ..)| prompt)
    }

    /// What it asks for, in a word or two.
    pub(super) fn what(&self) -> Option<&str> {
        self.told.as_ref().map(|(.., what)| &**what)
    }

    /// What it is at this moment, drawn or not.
    pub(super) fn now(&self) -> Option<&Prompt> {
        self.now.as_ref().map(|seen| &seen.prompt)
    }

    /// There is one, of which nothing can be told yet.
    pub(super) fn pending(&self) -> bool {
        self.now.is_some() && self.told.is_none()
    }

    /// When to look again.
    pub(super) fn deadlines(&self) -> [Option<Instant>; 3] {
        let seen = self.now.as_ref();
        [
            seen.map(|seen| seen.still + Self::DRAWN),
            seen.map(|seen| seen.since + Self::APPEARS),
            seen.map(|seen| seen.since + Self::RESTLESS),
        ]
    }
}
