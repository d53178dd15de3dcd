//! The queue of what is to be typed into one child, and how far each message got. A plain value: it is told what
//! happened and says what to do next. It knows no terminal and no clock.

mod held;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    owner::{Owner, Writer},
    state::{State, Tty},
};
use crate::id::Offset;

/// A message on its way, and never another: `d7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub u64);

impl std::fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "d{}", self.0)
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

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The kernel took every byte, Enter included. What the program made of them is not known.
    Typed {
        /// What the child had written when typing began.
        from: Offset,
    },
    /// Nothing was typed.
    Refused(String),
    /// Part of it may have been typed.
    Unknown(String),
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
    /// Write this and answer with [`Queue::written`]. The last stroke is the one a program reacts to.
    Write {
        /// What to write.
        bytes: Vec<u8>,
        /// Whether nothing of this job comes after it.
        last: bool,
        /// Which stroke of which message it is, by which a keeper knows it again; keys are not known again.
        stroke: Option<(DeliveryId, u32)>,
    },
    /// The job is over.
    Finish(DeliveryId, Outcome),
}

/// What the queue needs to know to go on.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Who holds the input.
    pub owner: &'a Owner,
    /// What the child is doing.
    pub state: &'a State,
    /// Whether that is to be relied on, or a question was answered only just now.
    pub settled: bool,
    /// What the child has written so far.
    pub end: Offset,
    /// The hash of what is asked on the screen at this moment, if anything is.
    pub asks: Option<&'a str>,
}

impl Scene<'_> {
    /// Why this must not be typed, if it answers a question that is not the one on the screen.
    fn contradicts(&self, job: &Job) -> Option<String> {
        let meant = job.prompt.as_deref()?;
        match self.asks {
            Some(asked) if asked == meant => None,
            Some(asked) => Some(format!("it asks something else now: prompt {asked}, and not {meant}")),
            None => Some(format!("it asks nothing now, and not prompt {meant}")),
        }
    }

    /// Whether the first stroke of this may be written now. Keys are for questions, too.
    fn admits(&self, job: &Job) -> bool {
        let ready = self.settled && !matches!(self.state, State::Starting | State::NeedsInput { .. });
        self.owner.admits(job.writer) && (ready || matches!(job.what, What::Keys(_)))
    }
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
    jobs: VecDeque<Job>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    job: Job,
    from: Offset,
    /// The next stroke's number.
    at: u32,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Asking,
    Planning,
    Ready(VecDeque<Stroke>),
    Writing { stroke: Stroke, rest: VecDeque<Stroke> },
    Pausing { until: Instant, rest: VecDeque<Stroke> },
}

impl Queue {
    /// Messages and bytes that may wait for one child; beyond them the sender is told so, instead of us keeping all.
    pub const MAX_JOBS: usize = 100;
    /// See [`Queue::MAX_JOBS`].
    pub const MAX_BYTES: usize = 1 << 20;

    /// Puts a job at the end. Answers how many are before it.
    pub fn push(&mut self, job: Job) -> Result<usize, Full> {
        let waiting = self.jobs.len() + usize::from(self.current.is_some());
        let bytes: usize = self.jobs.iter().map(|job| job.what.bytes()).sum();
        if waiting >= Self::MAX_JOBS || (waiting > 0 && bytes + job.what.bytes() > Self::MAX_BYTES) {
            return Err(Full { jobs: waiting });
        }
        self.jobs.push_back(job);
        Ok(waiting)
    }

    /// Puts back what an earlier broker had accepted: in front what it had begun to type, the rest behind.
    pub fn restore(&mut self, job: Job) {
        if job.begun > 0 { self.jobs.push_front(job) } else { self.jobs.push_back(job) }
    }

    /// Takes back what has not begun to be typed. Answers whether it was.
    pub fn withdraw(&mut self, id: DeliveryId) -> bool {
        if self.current.take_if(|current| current.job.id == id && current.at == 0).is_some() {
            return true;
        }
        let waiting = self.jobs.len();
        self.jobs.retain(|job| job.id != id || job.begun > 0);
        self.jobs.len() < waiting
    }

    /// How many jobs wait only because `owner` keeps their writer out.
    pub fn held(&self, owner: &Owner) -> usize {
        self.jobs.iter().filter(|job| !owner.admits(job.writer)).count()
    }

    /// How many jobs are not over.
    pub fn len(&self) -> usize {
        self.jobs.len() + usize::from(self.current.is_some())
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The terminal, as asked for.
    pub fn tty(&mut self, tty: Tty) -> Option<Do> {
        let current = self.current.as_mut()?;
        if !matches!(current.phase, Phase::Asking) {
            return None;
        }
        current.phase = Phase::Planning;
        Some(Do::Plan(current.job.what.clone(), tty))
    }

    /// The strokes, as asked for, or why there cannot be any.
    pub fn strokes(&mut self, strokes: Result<Vec<Stroke>, String>) -> Option<Do> {
        let current = self.current.as_mut()?;
        match strokes {
            Ok(strokes) => {
                current.phase = Phase::Ready(strokes.into_iter().skip(current.at as usize).collect());
                None
            }
            Err(reason) if current.at == 0 => self.finish(Outcome::Refused(reason)),
            Err(reason) => self.finish(Outcome::Unknown(reason)),
        }
    }

    /// The kernel took the last stroke.
    pub fn written(&mut self, now: Instant) {
        if let Some(current) = &mut self.current
            && let Phase::Writing { stroke, rest } = &mut current.phase
        {
            current.phase = Phase::Pausing { until: now + stroke.pause, rest: std::mem::take(rest) };
        }
    }

    /// The last stroke could not be written.
    pub fn unwritten(&mut self, reason: &str) -> Option<Do> {
        self.finish(Outcome::Unknown(reason.into()))
    }

    /// The line to the keeper broke and is whole again: what was asked was not heard. A message's stroke is written
    /// again, since the keeper knows it; whether a key was typed is not known.
    pub fn interrupted(&mut self) -> Option<Do> {
        let current = self.current.as_ref()?;
        match &current.phase {
            Phase::Asking => Some(Do::AskTty),
            Phase::Writing { stroke, rest } => match current.stroke(current.at - 1) {
                None => self.unwritten("the line to its keeper broke while this was typed"),
                known => {
                    Some(Do::Write { bytes: stroke.bytes.clone(), last: rest.is_empty(), stroke: known })
                }
            },
            Phase::Planning | Phase::Ready(_) | Phase::Pausing { .. } => None,
        }
    }

    /// When to come back, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        match self.current.as_ref()?.phase {
            Phase::Pausing { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Whether [`Scene::asks`] decides about something that waits: then it must be what is on the screen now.
    pub fn compares(&self) -> bool {
        let current = self.current.iter().map(|current| &current.job);
        current.chain(&self.jobs).any(|job| job.prompt.is_some())
    }

    /// The next thing to do, if there is one now. Call until it answers nothing.
    pub fn advance(&mut self, scene: Scene<'_>, now: Instant) -> Option<Do> {
        if scene.state.ended() {
            return self.give_up(scene.state);
        }
        let Some(current) = &mut self.current else { return self.start(scene) };
        if current.at == 0
            && matches!(current.phase, Phase::Ready(_))
            && let Some(reason) = scene.contradicts(&current.job)
        {
            return self.finish(Outcome::Refused(reason));
        }
        match &mut current.phase {
            Phase::Asking | Phase::Planning | Phase::Writing { .. } => None,
            Phase::Pausing { until, .. } if *until > now => None,
            Phase::Pausing { rest, .. } if rest.is_empty() => {
                let from = current.from;
                self.finish(Outcome::Typed { from })
            }
            // While the terminal was asked, a person took the input, or the program began to ask.
            Phase::Ready(_) if !scene.admits(&current.job) => {
                let job = self.current.take()?.job;
                self.jobs.push_front(job);
                self.start(scene)
            }
            Phase::Ready(rest) | Phase::Pausing { rest, .. } => {
                let mut rest = std::mem::take(rest);
                let Some(stroke) = rest.pop_front() else {
                    return self.finish(Outcome::Refused("there was nothing to type".into()));
                };
                let (bytes, last, known) =
                    (stroke.bytes.clone(), rest.is_empty(), current.stroke(current.at));
                current.at += 1;
                current.phase = Phase::Writing { stroke, rest };
                Some(Do::Write { bytes, last, stroke: known })
            }
        }
    }

    /// Takes the first job its owner admits, unless the program is not ready for it.
    fn start(&mut self, scene: Scene<'_>) -> Option<Do> {
        let at = self.jobs.iter().position(|job| scene.owner.admits(job.writer))?;
        if !scene.admits(&self.jobs[at]) {
            let State::NeedsInput { what } = scene.state else { return None };
            if !scene.settled {
                return None;
            }
            let job = self.jobs.remove(at)?;
            let outcome = if job.begun == 0 {
                Outcome::Refused(format!("it asks for {what}, and Enter would answer that"))
            } else {
                Outcome::Unknown(format!("its text was typed, and Enter was not: it asks for {what} now"))
            };
            return Some(Do::Finish(job.id, outcome));
        }
        let job = self.jobs.remove(at)?;
        self.current = Some(Current { from: scene.end, at: job.begun, phase: Phase::Asking, job });
        Some(Do::AskTty)
    }

    fn give_up(&mut self, state: &State) -> Option<Do> {
        if let Some(current) = self.current.take() {
            let outcome = match &current.phase {
                // The last stroke was taken; perhaps it is what ended the program.
                Phase::Pausing { rest, .. } if rest.is_empty() => Outcome::Typed { from: current.from },
                Phase::Writing { .. } | Phase::Pausing { .. } => {
                    Outcome::Unknown(format!("it {state} while this was typed"))
                }
                _ if current.at > 0 => Outcome::Unknown(format!("it {state} when some of this was typed")),
                Phase::Asking | Phase::Planning | Phase::Ready(_) => {
                    Outcome::Refused(format!("it has {state}"))
                }
            };
            return Some(Do::Finish(current.job.id, outcome));
        }
        let job = self.jobs.pop_front()?;
        let outcome = if job.begun == 0 {
            Outcome::Refused(format!("it has {state}"))
        } else {
            Outcome::Unknown(format!("it {state} when some of this was typed"))
        };
        Some(Do::Finish(job.id, outcome))
    }

    fn finish(&mut self, outcome: Outcome) -> Option<Do> {
        self.current.take().map(|current| Do::Finish(current.job.id, outcome))
    }
}

impl Current {
    /// How a keeper knows this stroke again.
    fn stroke(&self, at: u32) -> Option<(DeliveryId, u32)> {
        matches!(self.job.what, What::Message(_)).then_some((self.job.id, at))
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
