//! The queue of what is to be typed into one child, and how far each message got. A plain value: it is told what
//! happened and says what to do next. It knows no terminal and no clock.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    owner::{Owner, Writer},
    state::{State, Tty},
};
use crate::id::Offset;

/// A message on its way, for as long as the broker lives: `d7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub u64);

impl std::fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "d{}", self.0)
    }
}

/// Something to type, as one unit that no other writer can split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its receipt's name.
    pub id: DeliveryId,
    /// Whose it is.
    pub writer: Writer,
    /// What to type.
    pub what: What,
}

/// What to type.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

impl Scene<'_> {
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
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Asking,
    Planning,
    Ready(VecDeque<Stroke>),
    Writing { pause: Duration, rest: VecDeque<Stroke> },
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
                current.phase = Phase::Ready(strokes.into());
                None
            }
            Err(reason) => self.finish(Outcome::Refused(reason)),
        }
    }

    /// The kernel took the last stroke.
    pub fn written(&mut self, now: Instant) {
        if let Some(current) = &mut self.current
            && let Phase::Writing { pause, rest } = &mut current.phase
        {
            current.phase = Phase::Pausing { until: now + *pause, rest: std::mem::take(rest) };
        }
    }

    /// The last stroke could not be written.
    pub fn unwritten(&mut self, reason: &str) -> Option<Do> {
        self.finish(Outcome::Unknown(reason.into()))
    }

    /// The line to the keeper broke and is whole again: what was asked was not heard, and what was being written is
    /// not known to have been.
    pub fn interrupted(&mut self) -> Option<Do> {
        match self.current.as_ref()?.phase {
            Phase::Asking => Some(Do::AskTty),
            Phase::Writing { .. } => self.unwritten("the line to its keeper broke while this was typed"),
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

    /// The next thing to do, if there is one now. Call until it answers nothing.
    pub fn advance(&mut self, scene: Scene<'_>, now: Instant) -> Option<Do> {
        if scene.state.ended() {
            return self.give_up(scene.state);
        }
        let Some(current) = &mut self.current else { return self.start(scene) };
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
                let Some(Stroke { bytes, pause }) = rest.pop_front() else {
                    return self.finish(Outcome::Refused("there was nothing to type".into()));
                };
                let last = rest.is_empty();
                current.phase = Phase::Writing { pause, rest };
                Some(Do::Write { bytes, last })
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
            let reason = format!("it asks for {what}, and Enter would answer that");
            return Some(Do::Finish(job.id, Outcome::Refused(reason)));
        }
        let job = self.jobs.remove(at)?;
        self.current = Some(Current { job, from: scene.end, phase: Phase::Asking });
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
                Phase::Asking | Phase::Planning | Phase::Ready(_) => {
                    Outcome::Refused(format!("it has {state}"))
                }
            };
            return Some(Do::Finish(current.job.id, outcome));
        }
        let job = self.jobs.pop_front()?;
        Some(Do::Finish(job.id, Outcome::Refused(format!("it has {state}"))))
    }

    fn finish(&mut self, outcome: Outcome) -> Option<Do> {
        self.current.take().map(|current| Do::Finish(current.job.id, outcome))
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::id::Exit;

    const TTY: Tty = Tty { canonical: false, foreground: None };

    struct Played {
        queue: Queue,
        owner: Owner,
        state: State,
        settled: bool,
        now: Instant,
    }

    impl Played {
        fn new(state: State) -> Self {
            let owner = Owner::Orchestrator { since: SystemTime::UNIX_EPOCH };
            Played { queue: Queue::default(), owner, state, settled: true, now: Instant::now() }
        }

        fn message(&mut self, id: u64, writer: Writer) -> &mut Self {
            let job = Job { id: DeliveryId(id), writer, what: What::Message(format!("m{id}")) };
            self.queue.push(job).unwrap();
            self
        }

        fn next(&mut self) -> Option<Do> {
            let scene =
                Scene { owner: &self.owner, state: &self.state, settled: self.settled, end: Offset(5) };
            self.queue.advance(scene, self.now)
        }

        fn plans(&mut self) -> &mut Self {
            assert_eq!(self.next(), Some(Do::AskTty));
            let Some(Do::Plan(What::Message(text), _)) = self.queue.tty(TTY) else { panic!("no plan") };
            let body = Stroke { bytes: text.into_bytes(), pause: Duration::from_millis(300) };
            let enter = Stroke { bytes: b"\r".into(), pause: Duration::ZERO };
            assert_eq!(self.queue.strokes(Ok(vec![body, enter])), None);
            self
        }

        fn later(&mut self, ms: u64) -> &mut Self {
            self.now += Duration::from_millis(ms);
            self
        }
    }

    #[test]
    fn body_and_enter_are_two_writes_and_one_unit() {
        let mut played = Played::new(State::Idle);
        played.message(1, Writer::Agent).message(2, Writer::Person).plans();
        assert_eq!(played.next(), Some(Do::Write { bytes: b"m1".into(), last: false }));
        assert_eq!(played.next(), None, "nothing goes on before the kernel took it");
        played.queue.written(played.now);
        assert_eq!(played.next(), None, "nor before the pause is over");
        assert_eq!(played.queue.deadline(), Some(played.now + Duration::from_millis(300)));
        assert_eq!(played.later(300).next(), Some(Do::Write { bytes: b"\r".into(), last: true }));
        played.queue.written(played.now);
        let typed = Outcome::Typed { from: Offset(5) };
        assert_eq!(played.next(), Some(Do::Finish(DeliveryId(1), typed)));
        played.plans();
        assert_eq!(played.next(), Some(Do::Write { bytes: b"m2".into(), last: false }));
    }

    #[test]
    fn nothing_is_typed_before_the_program_is_ready_or_into_its_question() {
        let mut played = Played::new(State::Starting);
        played.message(1, Writer::Agent);
        assert_eq!(played.next(), None);
        played.state = State::NeedsInput { what: "permission".into() };
        let Some(Do::Finish(DeliveryId(1), Outcome::Refused(reason))) = played.next() else { panic!() };
        assert!(reason.contains("permission"), "{reason}");
        let keys = Job { id: DeliveryId(2), writer: Writer::Agent, what: What::Keys(vec!["1".into()]) };
        played.queue.push(keys).unwrap();
        assert_eq!(played.next(), Some(Do::AskTty), "keys are for questions");
        played.queue = Queue::default();
        (played.state, played.settled) = (State::Busy, false);
        played.message(3, Writer::Agent);
        assert_eq!(played.next(), None, "it may still be asking");
    }

    #[test]
    fn while_a_person_holds_the_input_agents_wait_in_order_and_the_person_does_not() {
        let mut played = Played::new(State::Idle);
        played.owner = Owner::Person { who: "ada".into(), since: SystemTime::UNIX_EPOCH };
        played.message(1, Writer::Agent).message(2, Writer::Agent).message(3, Writer::Person);
        assert_eq!(played.queue.held(&played.owner), 2);
        played.plans();
        assert_eq!(
            played.queue.unwritten("gone"),
            Some(Do::Finish(DeliveryId(3), Outcome::Unknown("gone".into())))
        );
        assert_eq!(played.next(), None);
        played.owner = Owner::Orchestrator { since: SystemTime::UNIX_EPOCH };
        assert_eq!(played.queue.held(&played.owner), 0);
        played.plans();
        assert_eq!(played.next(), Some(Do::Write { bytes: b"m1".into(), last: false }));
    }

    #[test]
    fn what_changes_while_the_terminal_is_asked_is_heeded() {
        let mut played = Played::new(State::Idle);
        played.message(1, Writer::Agent).message(2, Writer::Agent).plans();
        played.owner = Owner::Person { who: "ada".into(), since: SystemTime::UNIX_EPOCH };
        assert_eq!((played.next(), played.queue.held(&played.owner)), (None, 2));
        played.owner = Owner::Orchestrator { since: SystemTime::UNIX_EPOCH };
        played.plans();
        played.state = State::NeedsInput { what: "trust".into() };
        assert!(matches!(played.next(), Some(Do::Finish(DeliveryId(1), Outcome::Refused(_)))));
    }

    #[test]
    fn an_end_answers_every_message_and_says_which_was_half_typed() {
        let mut played = Played::new(State::Idle);
        played.message(1, Writer::Agent).message(2, Writer::Agent).plans();
        played.next();
        played.state = State::Exited(Exit::Code(0));
        assert!(matches!(played.next(), Some(Do::Finish(DeliveryId(1), Outcome::Unknown(_)))));
        assert!(matches!(played.next(), Some(Do::Finish(DeliveryId(2), Outcome::Refused(_)))));
        assert_eq!(played.next(), None);
        assert!(played.queue.is_empty());
    }

    #[test]
    fn a_broken_line_asks_again_and_does_not_guess_what_was_written() {
        let mut played = Played::new(State::Idle);
        assert_eq!(played.queue.interrupted(), None);
        played.message(1, Writer::Agent);
        assert_eq!(played.next(), Some(Do::AskTty));
        assert_eq!(played.queue.interrupted(), Some(Do::AskTty));
        assert!(matches!(played.queue.tty(TTY), Some(Do::Plan(..))));
        let stroke = Stroke { bytes: b"m1".into(), pause: Duration::ZERO };
        assert_eq!(played.queue.strokes(Ok(vec![stroke])), None);
        assert_eq!(played.queue.interrupted(), None, "nothing was written yet");
        played.next();
        assert!(matches!(played.queue.interrupted(), Some(Do::Finish(DeliveryId(1), Outcome::Unknown(_)))));
    }

    #[test]
    fn a_message_that_ends_the_program_was_typed() {
        let mut played = Played::new(State::Idle);
        played.message(1, Writer::Agent).plans();
        played.next();
        played.queue.written(played.now);
        assert!(matches!(played.later(300).next(), Some(Do::Write { last: true, .. })));
        played.queue.written(played.now);
        played.state = State::Exited(Exit::Code(3));
        let typed = Outcome::Typed { from: Offset(5) };
        assert_eq!(played.next(), Some(Do::Finish(DeliveryId(1), typed)));
    }

    #[test]
    fn a_plan_that_cannot_be_made_refuses_the_message_only() {
        let mut played = Played::new(State::Idle);
        played.message(1, Writer::Agent).message(2, Writer::Agent);
        assert_eq!(played.next(), Some(Do::AskTty));
        assert!(matches!(played.queue.tty(TTY), Some(Do::Plan(..))));
        let refused = Outcome::Refused("line 1 is too long".into());
        assert_eq!(
            played.queue.strokes(Err("line 1 is too long".into())),
            Some(Do::Finish(DeliveryId(1), refused))
        );
        assert_eq!(played.next(), Some(Do::AskTty));
    }

    #[test]
    fn the_queue_has_an_end() {
        let mut played = Played::new(State::Starting);
        for id in 0..Queue::MAX_JOBS as u64 {
            played.message(id, Writer::Agent);
        }
        let job = Job { id: DeliveryId(999), writer: Writer::Agent, what: What::Message("x".into()) };
        assert_eq!(played.queue.push(job), Err(Full { jobs: Queue::MAX_JOBS }));
        let mut large = Played::new(State::Starting);
        large.message(1, Writer::Agent);
        let what = What::Message("x".repeat(Queue::MAX_BYTES));
        assert!(large.queue.push(Job { id: DeliveryId(2), writer: Writer::Agent, what }).is_err());
    }
}
