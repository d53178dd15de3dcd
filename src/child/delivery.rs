//! The queue of what is to be typed into one child, and how far each message got, with what showed it. A plain value:
//! it is told what happened and says what to do next. It knows no terminal and no clock.

mod fate;
mod gate;
mod step;

mod held;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use self::{
    gate::Gate,
    step::{Current, Phase},
};
use super::{
    composer::Composer,
    owner::{Owner, Writer},
    rules::{Now, Typing, WhileBusy},
    state::{State, Tty},
};
use crate::id::Offset;

pub use self::fate::{Fate, Mark, Outcome, Reached, Standing};

/// A message on its way, and never another: `d7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub u64);

impl std::fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "d{}", self.0)
    }
}

impl std::str::FromStr for DeliveryId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = text.strip_prefix('d').ok_or(())?;
        number.parse().map(DeliveryId).map_err(drop)
    }
}

/// Something to type, as one unit that no other writer can split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its receipt's name.
    pub id: DeliveryId,
    /// Whose it is.
    pub writer: Writer,
    /// What to type.
    pub what: What,
    /// How many of its strokes an earlier broker has typed.
    #[serde(default)]
    pub begun: u32,
    /// The hash of the question that it answers: nothing is typed if another is asked by then, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// A busy program is not waited for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
}

/// What to type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A text, then Enter.
    Message(String),
    /// Single keys, by their names.
    Keys(Vec<String>),
}

impl What {
    fn bytes(&self) -> usize {
        match self {
            What::Message(text) => text.len(),
            What::Keys(keys) => keys.iter().map(String::len).sum(),
        }
    }
}

/// One write, and how long to leave the program alone after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stroke {
    /// What to write.
    pub bytes: Vec<u8>,
    /// The pause before the next stroke.
    pub pause: Duration,
}

/// What the queue wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Do {
    /// Ask the kernel about the terminal and answer with [`Queue::tty`].
    AskTty,
    /// Make strokes of this for the terminal as it is and answer with [`Queue::strokes`].
    Plan(What, Tty),
    /// Write this and answer with [`Queue::written`].
    Write {
        /// What to write.
        bytes: Vec<u8>,
        /// Whether the program is to react to it: an Enter, or the last key.
        last: bool,
        /// Which stroke of which message it is, by which a keeper knows it again; keys are not known again.
        stroke: Option<(DeliveryId, u32)>,
    },
    /// Something more was seen of a message that is over.
    Note(DeliveryId, Mark),
    /// The job is over.
    Finish(DeliveryId, Fate),
}

/// What the queue needs to know to go on.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Who holds the input.
    pub owner: &'a Owner,
    /// What the child is doing.
    pub state: &'a State,
    /// Which rule says so.
    pub why: &'a str,
    /// Whether that is to be relied on, or a question was answered only just now.
    pub settled: bool,
    /// Which rule has shown it at work since the last Enter.
    pub worked: Option<&'a str>,
    /// Whether the preset's rules could show that at all.
    pub shows_work: bool,
    /// What the child has written so far.
    pub end: Offset,
    /// Its input box.
    pub composer: &'a Composer,
    /// The hash of what is asked on the screen at this moment, if anything is.
    pub asks: Option<&'a str>,
    /// The end of its screen in a few words, for what is said of a question or of a screen that is not understood.
    pub screen: &'a str,
}

/// No room for another job.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{jobs} messages are already waiting")]
pub struct Full {
    /// How many wait.
    pub jobs: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Queue {
    while_busy: WhileBusy,
    now: Now,
    interrupt: Vec<String>,
    jobs: VecDeque<Entry>,
    current: Option<Current>,
    /// The last message that was submitted, until its turn is seen to begin.
    last: Option<Last>,
}

/// A job that waits, and what was seen of it.
#[derive(Debug)]
struct Entry {
    job: Job,
    accepted: Instant,
    marks: Vec<Mark>,
}

#[derive(Debug)]
struct Last {
    id: DeliveryId,
    accepted: Instant,
    until: Instant,
}

impl Queue {
    /// Messages and bytes that may wait for one child; beyond them the sender is told so, instead of us keeping all.
    pub const MAX_JOBS: usize = 100;
    /// See [`Queue::MAX_JOBS`].
    pub const MAX_BYTES: usize = 1 << 20;
    /// How long after a message was submitted its turn is looked for.
    const TURN: Duration = Duration::from_secs(30);

    /// An empty one, for a program that wants its text so.
    pub fn new(typing: &Typing) -> Self {
        Queue {
            while_busy: typing.while_busy,
            now: typing.now,
            interrupt: typing.interrupt.clone(),
            ..Queue::default()
        }
    }

    /// Puts a job at the end. Answers how many are before it.
    pub fn push(&mut self, job: Job, now: Instant) -> Result<usize, Full> {
        let waiting = self.len();
        let bytes: usize = self.jobs.iter().map(|entry| entry.job.what.bytes()).sum();
        if waiting >= Self::MAX_JOBS || (waiting > 0 && bytes + job.what.bytes() > Self::MAX_BYTES) {
            return Err(Full { jobs: waiting });
        }
        self.jobs.push_back(Entry { job, accepted: now, marks: Vec::new() });
        Ok(waiting)
    }

    /// Puts back what an earlier broker had accepted: in front what it had begun to type, the rest behind.
    pub fn restore(&mut self, job: Job, now: Instant) {
        let begun = job.begun;
        let mut entry = Entry { job, accepted: now, marks: Vec::new() };
        if begun == 0 {
            return self.jobs.push_back(entry);
        }
        let typed = if begun == 1 { "its text" } else { "its text and Enter" };
        entry.mark(Reached::Adopted, now, format!("an earlier broker had typed {typed}"));
        self.jobs.push_front(entry);
    }

    /// Takes back what has not begun to be typed. Answers whether it was.
    pub fn withdraw(&mut self, id: DeliveryId) -> bool {
        let untouched =
            |current: &Current| current.at == 0 && !matches!(current.phase, Phase::Writing { .. });
        if self.current.take_if(|current| current.entry.job.id == id && untouched(current)).is_some() {
            return true;
        }
        let waiting = self.jobs.len();
        self.jobs.retain(|entry| entry.job.id != id || entry.job.begun > 0);
        self.jobs.len() < waiting
    }

    /// Whether [`Scene::asks`] decides about something that waits: then it must be what is on the screen now.
    pub fn compares(&self) -> bool {
        let current = self.current.iter().map(|current| &current.entry);
        current.chain(&self.jobs).any(|entry| entry.job.prompt.is_some())
    }

    /// How many jobs wait only because `owner` keeps their writer out.
    pub fn held(&self, owner: &Owner) -> usize {
        self.jobs.iter().filter(|entry| !owner.admits(entry.job.writer)).count()
    }

    /// How many jobs are not over.
    pub fn len(&self) -> usize {
        self.jobs.len() + usize::from(self.current.is_some())
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether what is on the screen matters to what is being typed.
    pub fn watches(&self) -> bool {
        self.current.is_some()
    }

    /// Whether what is in the composer may be ours.
    pub fn is_typing(&self) -> bool {
        self.current.as_ref().is_some_and(Current::has_begun)
    }

    /// How far a job is that is not over.
    pub fn standing(&self, id: DeliveryId, scene: Scene<'_>) -> Option<Standing> {
        if let Some(current) = self.current.as_ref().filter(|current| current.entry.job.id == id) {
            return Some(current.standing());
        }
        let before = self.jobs.iter().position(|entry| entry.job.id == id)?;
        let entry = &self.jobs[before];
        let (reached, why) = if !scene.owner.admits(entry.job.writer) {
            (Reached::Held, "a person holds the input; it is delivered when they give it back".into())
        } else {
            let first = |entry: &Entry| scene.owner.admits(entry.job.writer);
            let next = self.current.is_none() && self.jobs.iter().position(first) == Some(before);
            match self.gate(&entry.job, scene) {
                Gate::Wait(why) if next => (Reached::Queued, why),
                _ => (Reached::Queued, "others are before it".into()),
            }
        };
        let before = before + usize::from(self.current.is_some());
        Some(Standing { reached, why, before, from: None, marks: entry.marks.clone() })
    }

    /// The terminal, as asked for.
    pub fn tty(&mut self, tty: Tty) -> Option<Do> {
        let current = self.current.as_mut()?;
        if !matches!(current.phase, Phase::Asking) {
            return None;
        }
        current.phase = Phase::Planning;
        let what = match current.interrupting {
            true => What::Keys(self.interrupt.clone()),
            false => current.entry.job.what.clone(),
        };
        Some(Do::Plan(what, tty))
    }

    /// The strokes, as asked for, or why there cannot be any. Those of a message are its text and Enter.
    pub fn strokes(&mut self, strokes: Result<Vec<Stroke>, String>) -> Option<Do> {
        let current = self.current.as_mut()?;
        match strokes {
            Ok(strokes) => {
                current.planned(strokes);
                None
            }
            Err(reason) if current.at == 0 => self.finish(Outcome::Refused(reason)),
            Err(reason) => self.finish(Outcome::Unknown(reason)),
        }
    }

    /// The kernel took the last stroke.
    pub fn written(&mut self, now: Instant) {
        if let Some(current) = &mut self.current {
            current.written(now);
        }
    }

    /// The last stroke could not be written.
    pub fn unwritten(&mut self, reason: &str) -> Option<Do> {
        self.finish(Outcome::Unknown(reason.into()))
    }

    /// The line to the keeper broke and is whole again: what was asked was not heard. A message's stroke is written
    /// again, since the keeper knows it; whether a key was typed is not known.
    pub fn interrupted(&mut self, now: Instant) -> Option<Do> {
        let current = self.current.as_mut()?;
        match &current.phase {
            Phase::Asking => Some(Do::AskTty),
            Phase::Writing { .. } if current.interrupting => {
                // They may have been pressed or not; what counts is whether it is busy afterwards.
                current.written(now);
                None
            }
            Phase::Writing { stroke } => match current.stroke(current.at - 1) {
                None => self.unwritten("the line to its keeper broke while this was typed"),
                known => Some(Do::Write {
                    bytes: stroke.bytes.clone(),
                    last: current.rest.is_empty(),
                    stroke: known,
                }),
            },
            _ => None,
        }
    }

    /// When to come back, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        let turn = self.last.as_ref().map(|last| last.until);
        self.current.as_ref().map_or(turn, |current| current.due)
    }

    /// The next thing to do, if there is one now. Call until it answers nothing.
    pub fn advance(&mut self, scene: Scene<'_>, now: Instant) -> Option<Do> {
        if scene.state.ended() {
            return self.give_up(scene);
        }
        if let Some(last) = self.last.take_if(|last| scene.worked.is_some() || last.until <= now)
            && let Some(why) = scene.worked
        {
            return Some(Do::Note(last.id, Mark::new(Reached::TurnStarted, now - last.accepted, why)));
        }
        if self.current.is_none() {
            return self.start(scene, now);
        }
        self.step(scene, now)
    }

    /// Takes the first job its owner admits, unless the program is not ready for it. Keys overtake a message that waits:
    /// they are for what is on the screen now, and may be what it waits for. So does what is to be typed now.
    fn start(&mut self, scene: Scene<'_>, now: Instant) -> Option<Do> {
        self.mark_waiting(scene, now);
        let admitted = |entry: &Entry| scene.owner.admits(entry.job.writer);
        let urgent = |entry: &Entry| entry.job.now || matches!(entry.job.what, What::Keys(_));
        let mut at = self.jobs.iter().position(admitted)?;
        let mut gate = self.gate(&self.jobs[at].job, scene);
        if let Gate::Wait(_) = gate {
            let open = |entry: &Entry| !matches!(self.gate(&entry.job, scene), Gate::Wait(_));
            at = self.jobs.iter().position(|entry| admitted(entry) && urgent(entry) && open(entry))?;
            gate = self.gate(&self.jobs[at].job, scene);
        }
        let (interrupting, why) = match gate {
            Gate::Wait(_) => return None,
            Gate::Closed(outcome) => {
                let entry = self.jobs.remove(at)?;
                return Some(Do::Finish(entry.job.id, Fate::new(outcome, entry.marks)));
            }
            Gate::Open(why) => (false, why),
            Gate::Interrupt(why) => (true, why),
        };
        let mut entry = self.jobs.remove(at)?;
        if !interrupting && entry.job.begun == 0 && matches!(entry.job.what, What::Message(_)) {
            entry.mark(Reached::Ready, now, why);
        }
        self.current = Some(Current::new(entry, interrupting, scene.end));
        Some(Do::AskTty)
    }

    /// Writes down, once each, that a message had to wait and for what.
    fn mark_waiting(&mut self, scene: Scene<'_>, now: Instant) {
        let Queue { jobs, while_busy, now: at_once, interrupt, .. } = self;
        let mut first = true;
        for entry in jobs.iter_mut().filter(|entry| matches!(entry.job.what, What::Message(_))) {
            if !scene.owner.admits(entry.job.writer) {
                entry.mark_once(Reached::Held, now, || "a person holds the input".into());
            } else if std::mem::take(&mut first)
                && let Gate::Wait(why) = gate::gate((*while_busy, *at_once, interrupt), &entry.job, scene)
            {
                entry.mark_once(Reached::Queued, now, || why);
            }
        }
    }

    fn gate(&self, job: &Job, scene: Scene<'_>) -> Gate {
        gate::gate((self.while_busy, self.now, &self.interrupt), job, scene)
    }

    fn give_up(&mut self, scene: Scene<'_>) -> Option<Do> {
        self.last = None;
        let state = scene.state;
        if let Some(current) = self.current.take() {
            let outcome = current.ended(state);
            return Some(Do::Finish(current.entry.job.id, current.fate(outcome)));
        }
        let entry = self.jobs.pop_front()?;
        let outcome = match entry.job.begun {
            0 => Outcome::Refused(format!("it has {state}")),
            1 => Outcome::Unknown(format!("it {state} when some of this was typed")),
            _ => Outcome::Typed { from: scene.end },
        };
        Some(Do::Finish(entry.job.id, Fate::new(outcome, entry.marks)))
    }

    fn finish(&mut self, outcome: Outcome) -> Option<Do> {
        let current = self.current.take()?;
        Some(Do::Finish(current.entry.job.id, current.fate(outcome)))
    }
}

impl Entry {
    fn mark(&mut self, reached: Reached, now: Instant, why: impl Into<String>) {
        let ago = now.saturating_duration_since(self.accepted);
        self.marks.push(Mark::new(reached, ago, why));
    }

    fn mark_once(&mut self, reached: Reached, now: Instant, why: impl FnOnce() -> String) {
        if !self.marks.iter().any(|mark| mark.phase == reached) {
            self.mark(reached, now, why());
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
