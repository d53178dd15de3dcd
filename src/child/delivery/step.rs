//! One message on its way: its text is written, seen in the composer, Enter is written, and it is seen to leave. Decides
//! by what it is told; an Enter is only pressed on what was seen, where it can be seen.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    DeliveryId, Do, Entry, Fate, Last, Offset, Outcome, Queue, Reached, Scene, Standing, State, Stroke, What,
    gate::{Gate, asks, contradicts},
};
use crate::child::composer::{Sight, Words, excerpt};

/// A job that has begun.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) entry: Entry,
    /// The preset's interrupt keys are pressed before it.
    pub(super) interrupting: bool,
    pub(super) from: Offset,
    /// The next stroke's number.
    pub(super) at: u32,
    pub(super) phase: Phase,
    /// The strokes that are still to be written.
    pub(super) rest: VecDeque<Stroke>,
    /// Of a message: the last of them.
    enter: Option<Stroke>,
    /// How long the program is left alone after the text.
    pause: Duration,
    words: Words,
    /// Its composer shows something else than the text.
    doubt: Option<String>,
    /// The program was busy when Enter was pressed: that it works shows nothing.
    was_busy: bool,
    /// What the child had written when the last stroke was given to the terminal.
    sent: Offset,
    /// When the next step can be told by the clock alone.
    pub(super) due: Option<Instant>,
}

/// What it waits for.
#[derive(Debug)]
pub(super) enum Phase {
    /// The kernel's word on the terminal.
    Asking,
    /// Its strokes.
    Planning,
    /// Nothing.
    Ready,
    /// The kernel takes a stroke.
    Writing { stroke: Stroke },
    /// The next key may be pressed.
    Pausing { until: Instant },
    /// The program has been interrupted and is seen to stop.
    Stopping { since: Instant },
    /// The text shows in the composer.
    Showing { since: Instant, until: Instant },
    /// The text leaves the composer.
    Leaving { since: Instant, gone: Option<Instant> },
}

/// A composer of which nothing was ever seen is looked for so long.
const FIND: Duration = Duration::from_secs(1);
/// A composer that is gone is waited for so long.
const AWAY: Duration = Duration::from_secs(5);
/// Something else than the text in it is waited on so long to become the text.
const OTHER: Duration = Duration::from_secs(5);
/// It stays empty so long, though the program has written since.
const EMPTY: Duration = Duration::from_secs(10);
/// The same, of a program that has not written a byte: it may be stopped, or the machine be slow.
const SILENT: Duration = Duration::from_secs(60);
/// A text that is still there so long after Enter, though the program has written since: Enter was swallowed.
const REACTION: Duration = Duration::from_secs(2);
/// The same, of a program that has not written a byte.
const NO_REACTION: Duration = Duration::from_secs(4);
/// So long it must be gone: a half-drawn screen shows an empty composer, too.
const GONE: Duration = Duration::from_millis(120);
/// An interrupted program stops within this, or else the message waits as if it had not been sent `now`.
const STOP: Duration = Duration::from_secs(10);

impl Current {
    pub(super) fn new(entry: Entry, interrupting: bool, from: Offset) -> Self {
        let words = match &entry.job.what {
            What::Message(text) => Words::of(text),
            What::Keys(_) => Words::default(),
        };
        Current {
            at: entry.job.begun,
            entry,
            interrupting,
            from,
            phase: Phase::Asking,
            rest: VecDeque::new(),
            enter: None,
            pause: Duration::ZERO,
            words,
            doubt: None,
            was_busy: false,
            sent: from,
            due: None,
        }
    }

    /// Whether a byte of it may be in the terminal.
    pub(super) fn has_begun(&self) -> bool {
        self.at > 0 || matches!(self.phase, Phase::Writing { .. }) && !self.interrupting
    }

    /// How a keeper knows this stroke again.
    pub(super) fn stroke(&self, at: u32) -> Option<(DeliveryId, u32)> {
        (self.is_message() && !self.interrupting).then_some((self.entry.job.id, at))
    }

    pub(super) fn planned(&mut self, strokes: Vec<Stroke>) {
        self.rest = strokes.into();
        if self.is_message() && !self.interrupting {
            self.enter = self.rest.back().cloned();
            let typed = (self.at as usize).min(self.rest.len());
            self.pause = self.rest.front().map_or(Duration::ZERO, |paste| paste.pause);
            self.rest.drain(..typed);
        }
        self.phase = Phase::Ready;
    }

    pub(super) fn written(&mut self, now: Instant) {
        let Phase::Writing { stroke } = &self.phase else { return };
        let until = now + stroke.pause;
        if self.interrupting && self.rest.is_empty() {
            self.entry.mark(Reached::Interrupted, now, "its keys for that were pressed");
            self.phase = Phase::Stopping { since: now };
        } else if !self.is_message() || self.interrupting {
            self.phase = Phase::Pausing { until };
        } else if !self.rest.is_empty() {
            self.entry.mark(Reached::Pasted, now, format!("the terminal took {} bytes", stroke.bytes.len()));
            self.phase = Phase::Showing { since: now, until };
        } else {
            let reached = if self.enters() > 1 { Reached::TypedAgain } else { Reached::Typed };
            self.entry.mark(reached, now, "the terminal took Enter");
            self.phase = Phase::Leaving { since: now, gone: None };
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let (reached, why) = match &self.phase {
            Phase::Stopping { .. } => {
                (Reached::Interrupted, "it was interrupted, and is seen to stop".into())
            }
            Phase::Showing { .. } => {
                (Reached::Pasted, "its text was typed; Enter comes when that is seen".into())
            }
            Phase::Leaving { .. } => {
                (Reached::Typed, "Enter was pressed; the text was not seen to leave yet".into())
            }
            _ if self.at > 1 => (Reached::Pasted, "Enter is being typed".into()),
            _ => (Reached::Queued, "it is being typed".to_owned()),
        };
        let from = self.has_begun().then_some(self.from);
        Standing { reached, why, before: 0, from, marks: self.entry.marks.clone() }
    }

    /// What became of it when the program ended.
    pub(super) fn ended(&self, state: &State) -> Outcome {
        match &self.phase {
            // The last stroke was taken; perhaps it is what ended the program.
            Phase::Leaving { .. } => Outcome::Typed { from: self.from },
            Phase::Pausing { .. } if self.rest.is_empty() && !self.interrupting => {
                Outcome::Typed { from: self.from }
            }
            Phase::Writing { .. } | Phase::Pausing { .. } | Phase::Showing { .. } if !self.interrupting => {
                Outcome::Unknown(format!("it {state} while this was typed"))
            }
            _ if self.at > 0 => Outcome::Unknown(format!("it {state} when some of this was typed")),
            _ => Outcome::Refused(format!("it has {state}")),
        }
    }

    pub(super) fn fate(self, outcome: Outcome) -> Fate {
        let from = (self.at > 0 && matches!(outcome, Outcome::Unknown(_))).then_some(self.from);
        Fate { from, ..Fate::new(outcome, self.entry.marks) }
    }

    fn is_message(&self) -> bool {
        matches!(self.entry.job.what, What::Message(_))
    }

    /// How many Enters were written or are about to be.
    fn enters(&self) -> u32 {
        self.at.saturating_sub(1)
    }
}

impl Queue {
    /// What can be done now for the job that has begun.
    pub(super) fn step(&mut self, scene: Scene<'_>, now: Instant) -> Option<Do> {
        let current = self.current.as_mut()?;
        current.due = None;
        match current.phase {
            Phase::Asking | Phase::Planning | Phase::Writing { .. } => None,
            Phase::Ready => self.begin(scene, now),
            Phase::Pausing { until } if until > now => {
                current.due = Some(until);
                None
            }
            Phase::Pausing { .. } if current.rest.is_empty() => {
                let from = current.from;
                self.finish(Outcome::Typed { from })
            }
            Phase::Pausing { .. } => current.write(scene),
            Phase::Stopping { since } => self.stopping(since, scene, now),
            Phase::Showing { .. } => self.showing(scene, now),
            Phase::Leaving { .. } => self.leaving(scene, now),
        }
    }

    /// The terminal was asked; meanwhile a person may have taken the input, or the program have begun to ask.
    fn begin(&mut self, scene: Scene<'_>, now: Instant) -> Option<Do> {
        let current = self.current.as_ref()?;
        let gate = self.gate(&current.entry.job, scene);
        let open = match gate {
            Gate::Open(_) => !current.interrupting,
            Gate::Interrupt(_) => current.interrupting,
            Gate::Wait(_) | Gate::Closed(_) => false,
        };
        if !open || !scene.owner.admits(current.entry.job.writer) {
            return self.again(scene, now);
        }
        if let Some(reason) = contradicts(&current.entry.job, scene) {
            return self.finish(Outcome::Refused(reason));
        }
        self.last = None;
        let current = self.current.as_mut()?;
        match current.at {
            0 if current.rest.is_empty() => self.finish(Outcome::Refused("there was nothing to type".into())),
            1 if current.is_message() && !current.interrupting => {
                current.phase = Phase::Showing { since: now, until: now + current.pause };
                self.showing(scene, now)
            }
            2.. if current.is_message() && !current.interrupting => {
                current.phase = Phase::Leaving { since: now, gone: None };
                self.leaving(scene, now)
            }
            _ => current.write(scene),
        }
    }

    /// Puts the job back to the front, and looks anew what may begin.
    fn again(&mut self, scene: Scene<'_>, now: Instant) -> Option<Do> {
        let mut entry = self.current.take()?.entry;
        entry.marks.pop_if(|mark| mark.phase == Reached::Ready);
        self.jobs.push_front(entry);
        self.start(scene, now)
    }

    fn stopping(&mut self, since: Instant, scene: Scene<'_>, now: Instant) -> Option<Do> {
        let current = self.current.as_mut()?;
        if *scene.state == State::Busy {
            if now < since + STOP {
                current.due = Some(since + STOP);
                return None;
            }
            current.entry.job.now = false;
        }
        self.again(scene, now)
    }

    /// The text is in the terminal: Enter, once it is seen in the composer and the program had its time.
    fn showing(&mut self, scene: Scene<'_>, now: Instant) -> Option<Do> {
        let current = self.current.as_mut()?;
        let Phase::Showing { since, until } = current.phase else { return None };
        let wrote = scene.end > current.sent;
        if let Some(asks) = asks(scene) {
            return self
                .finish(Outcome::Unknown(format!("its text was typed, and Enter was not: it {asks} now")));
        }
        let seen = scene.composer.shows(&current.words);
        if let Some(seen) = seen {
            current.entry.mark_once(Reached::InComposer, now, || seen.why().into());
        }
        let wait = match scene.composer.sight() {
            _ if now < until => until - since,
            Sight::Holds(_) if seen.is_some() => return current.press_enter(scene),
            Sight::Unknown if scene.composer.is_described() && now < since + FIND => FIND,
            Sight::Unknown => {
                if scene.composer.echoes(&current.words) {
                    current
                        .entry
                        .mark_once(Reached::InComposer, now, || "it stands before the cursor".into());
                }
                return current.press_enter(scene);
            }
            Sight::Holds(text) if now >= since + OTHER => {
                let other = excerpt(text);
                current
                    .entry
                    .mark_once(Reached::InComposer, now, || format!("its composer shows “{other}” instead"));
                current.doubt = Some(other);
                return current.press_enter(scene);
            }
            Sight::Holds(_) => OTHER,
            Sight::Away => AWAY,
            Sight::Empty if wrote => EMPTY,
            Sight::Empty => SILENT,
        };
        if now < since + wait {
            current.due = Some(since + wait);
            return None;
        }
        let why = match scene.composer.sight() {
            Sight::Away => format!("its composer is gone, and the screen shows “{}”", scene.screen),
            _ => "its composer never showed it".into(),
        };
        self.finish(Outcome::Unknown(format!("its text was typed, and Enter was not: {why}")))
    }

    /// Enter is in the terminal: the text leaves the composer, or it is pressed once more.
    fn leaving(&mut self, scene: Scene<'_>, now: Instant) -> Option<Do> {
        let current = self.current.as_mut()?;
        let Phase::Leaving { since, gone } = &mut current.phase else { return None };
        let (since, wrote) = (*since, scene.end > current.sent);
        let works = scene.worked.is_some() && !current.was_busy;
        // What looks like a composer beside a question may be part of that.
        let question = asks(scene);
        let sight = if question.is_some() { Sight::Away } else { scene.composer.sight() };
        let other = match (&current.doubt, sight) {
            (Some(doubt), Sight::Holds(text)) => excerpt(text) == *doubt,
            _ => false,
        };
        let kept = other || scene.composer.keeps(&current.words);
        let works = works && !kept;
        if kept && question.is_none() {
            *gone = None;
            let wait = if wrote { REACTION } else { NO_REACTION };
            if now < since + wait {
                current.due = Some(since + wait);
                return None;
            }
            if current.enters() < 2 {
                current.rest.extend(current.enter.clone());
                return current.press_enter(scene);
            }
            return self
                .finish(Outcome::Unknown("its text is still in its composer after two Enters".into()));
        }
        let wait = match sight {
            Sight::Unknown if works => {
                return self.submitted("it was not at work before, and is now", scene, now);
            }
            Sight::Unknown if scene.shows_work && !current.was_busy => REACTION,
            Sight::Unknown => return self.typed(scene, now),
            Sight::Away if works => {
                return self.submitted("its composer is gone, and it is at work", scene, now);
            }
            Sight::Away if question.is_some() => REACTION,
            Sight::Away => AWAY,
            Sight::Empty | Sight::Holds(_) => {
                let gone = *gone.get_or_insert(now);
                let empty = sight == Sight::Empty;
                if works || now >= gone + GONE {
                    let why =
                        if empty { "its composer is empty" } else { "its composer holds something else" };
                    return self.submitted(why, scene, now);
                }
                current.due = Some(gone + GONE);
                return None;
            }
        };
        if now < since + wait {
            current.due = Some(since + wait);
            return None;
        }
        if sight == Sight::Unknown {
            return self.typed(scene, now);
        }
        let why = question.map_or_else(
            || format!("its composer is gone, and the screen shows “{}”", scene.screen),
            |asks| format!("it {asks} now"),
        );
        self.finish(Outcome::Unknown(format!("its text and Enter were typed, and {why}")))
    }

    fn submitted(&mut self, why: &str, scene: Scene<'_>, now: Instant) -> Option<Do> {
        let current = self.current.as_mut()?;
        let from = current.from;
        if let Some(other) = &current.doubt {
            let why = format!(
                "its composer showed “{other}” instead of the text; Enter was pressed, and that left it"
            );
            return self.finish(Outcome::Unknown(why));
        }
        current.entry.mark(Reached::Submitted, now, why);
        self.over(Outcome::Submitted { from }, scene, now)
    }

    fn typed(&mut self, scene: Scene<'_>, now: Instant) -> Option<Do> {
        let from = self.current.as_ref()?.from;
        self.over(Outcome::Typed { from }, scene, now)
    }

    /// It is over, but for the turn that may be seen to begin.
    fn over(&mut self, outcome: Outcome, scene: Scene<'_>, now: Instant) -> Option<Do> {
        let current = self.current.as_mut()?;
        match scene.worked {
            _ if current.was_busy || !scene.shows_work => {}
            Some(why) => current.entry.mark(Reached::TurnStarted, now, why),
            None => {
                let (id, accepted) = (current.entry.job.id, current.entry.accepted);
                self.last = Some(Last { id, accepted, until: now + Self::TURN });
            }
        }
        self.finish(outcome)
    }
}

impl Current {
    /// Writes the next stroke.
    fn write(&mut self, scene: Scene<'_>) -> Option<Do> {
        self.sent = scene.end;
        let stroke = self.rest.pop_front()?;
        let (bytes, known) = (stroke.bytes.clone(), self.stroke(self.at));
        if !self.interrupting {
            self.at += 1;
        }
        self.phase = Phase::Writing { stroke };
        Some(Do::Write { bytes, last: self.rest.is_empty() && !self.interrupting, stroke: known })
    }

    fn press_enter(&mut self, scene: Scene<'_>) -> Option<Do> {
        self.was_busy = *scene.state == State::Busy;
        self.write(scene)
    }
}
