//! Messages on their way, step by step.

use std::time::SystemTime;

use super::*;
use crate::{child::rules::ComposerRule, id::Exit};

const TTY: Tty = Tty { canonical: false, foreground: None };
const TRUST: &str = "trust";

fn write(bytes: &[u8], last: bool, id: u64, stroke: u32) -> Do {
    Do::Write { bytes: bytes.into(), last, stroke: Some((DeliveryId(id), stroke)) }
}

fn job(id: u64, writer: Writer, what: What) -> Job {
    Job { id: DeliveryId(id), writer, what, begun: 0, now: false, prompt: None }
}

fn asks(what: &str) -> State {
    State::NeedsInput { what: what.into() }
}

/// A program with an input box `> …`, of which only a test knows what is in it.
struct Played {
    queue: Queue,
    owner: Owner,
    state: State,
    settled: bool,
    worked: Option<&'static str>,
    shows_work: bool,
    asks: Option<&'static str>,
    end: u64,
    composer: Composer,
    now: Instant,
}

impl Played {
    /// Without a composer that is known.
    fn new(state: State) -> Self {
        let owner = Owner::Orchestrator { since: SystemTime::UNIX_EPOCH };
        Played {
            queue: Queue::default(),
            owner,
            state,
            settled: true,
            worked: None,
            shows_work: false,
            asks: None,
            end: 5,
            composer: Composer::new(None),
            now: Instant::now(),
        }
    }

    fn with_composer(state: State) -> Self {
        let rule = ComposerRule {
            matches: r"(?s)(?:.*\n|\A)> ?(?P<text>.*)\z".into(),
            empty: vec!["^hint$".into()],
            pasted: Some(r"^\[Pasted\]".into()),
        };
        let composer = Composer::new(Some(&rule));
        let mut played = Played { composer, shows_work: true, ..Played::new(state) };
        played.shows("> ");
        played
    }

    fn shows(&mut self, screen: &str) -> &mut Self {
        self.end += 1;
        self.composer.look(screen, self.now);
        self
    }

    fn message(&mut self, id: u64, writer: Writer) -> &mut Self {
        self.queue.push(job(id, writer, What::Message(format!("m{id}"))), self.now).unwrap();
        self
    }

    fn now(&mut self, id: u64) -> &mut Self {
        let job = Job { now: true, ..job(id, Writer::Agent, What::Message(format!("m{id}"))) };
        self.queue.push(job, self.now).unwrap();
        self
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            owner: &self.owner,
            state: &self.state,
            why: "a rule",
            settled: self.settled,
            worked: self.worked,
            shows_work: self.shows_work,
            end: Offset(self.end),
            composer: &self.composer,
            asks: self.asks,
            screen: "1. Yes 2. No",
        }
    }

    fn next(&mut self) -> Option<Do> {
        let mut queue = std::mem::take(&mut self.queue);
        let next = queue.advance(self.scene(), self.now);
        self.queue = queue;
        next
    }

    fn standing(&self, id: u64) -> (Reached, String) {
        let standing = self.queue.standing(DeliveryId(id), self.scene()).unwrap();
        (standing.reached, standing.why)
    }

    fn plans(&mut self) -> &mut Self {
        assert_eq!(self.next(), Some(Do::AskTty));
        let Some(Do::Plan(What::Message(text), _)) = self.queue.tty(TTY) else { panic!("no plan") };
        let body = Stroke { bytes: text.into_bytes(), pause: Duration::from_millis(300) };
        let enter = Stroke { bytes: b"\r".into(), pause: Duration::ZERO };
        assert_eq!(self.queue.strokes(Ok(vec![body, enter])), None);
        self
    }

    /// Plans and pastes.
    fn pastes(&mut self, id: u64) -> &mut Self {
        assert_eq!(self.plans().next(), Some(write(format!("m{id}").as_bytes(), false, id, 0)));
        self.written()
    }

    /// The same, and the text is seen, and Enter pressed.
    fn enters(&mut self, id: u64) -> &mut Self {
        self.pastes(id).shows(&format!("> m{id}")).later(300);
        assert_eq!(self.next(), Some(write(b"\r", true, id, 1)));
        self.written()
    }

    fn written(&mut self) -> &mut Self {
        self.queue.written(self.now);
        self
    }

    fn later(&mut self, ms: u64) -> &mut Self {
        self.now += Duration::from_millis(ms);
        self
    }

    #[track_caller]
    fn fate(&mut self, id: u64) -> Fate {
        match self.next() {
            Some(Do::Finish(DeliveryId(over), fate)) if over == id => fate,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn typed(&mut self, id: u64) {
        let outcome = self.fate(id).outcome;
        assert!(matches!(outcome, Outcome::Typed { .. }), "{outcome:?}");
    }

    #[track_caller]
    fn unknown(&mut self, id: u64, why: &str) {
        let fate = self.fate(id);
        let Outcome::Unknown(reason) = fate.outcome else { panic!("{fate:?}") };
        assert!(reason.contains(why), "{reason}");
        assert!(fate.from.is_some());
    }
}

fn phases(fate: &Fate) -> Vec<Reached> {
    fate.evidence.iter().map(|mark| mark.phase).collect()
}

mod evidence;
mod turn;

#[test]
fn body_and_enter_are_two_writes_and_one_unit() {
    let mut played = Played::new(State::Idle);
    played.message(1, Writer::Agent).message(2, Writer::Person).plans();
    assert_eq!(played.next(), Some(write(b"m1", false, 1, 0)));
    assert_eq!(played.next(), None, "nothing goes on before the kernel took it");
    played.written();
    assert_eq!(played.next(), None, "nor before the pause is over");
    assert_eq!(played.queue.deadline(), Some(played.now + Duration::from_millis(300)));
    assert_eq!(played.later(300).next(), Some(write(b"\r", true, 1, 1)));
    played.written();
    let fate = played.fate(1);
    assert_eq!(fate.outcome, Outcome::Typed { from: Offset(5) });
    assert_eq!(phases(&fate), [Reached::Ready, Reached::Pasted, Reached::Typed]);
    assert_eq!(fate.evidence[2].ms, 300);
    played.pastes(2);
}

#[test]
fn a_draft_is_neither_sent_nor_added_to() {
    let mut played = Played::with_composer(State::Idle);
    played.message(1, Writer::Agent).shows("> not yet done");
    assert_eq!(played.next(), None);
    assert_eq!(played.standing(1), (Reached::Queued, "a draft is in its composer: not yet done".into()));
    played.state = asks(State::DRAFT);
    assert_eq!(played.next(), None, "a draft is no question");
    played.shows("> ");
    assert_eq!(played.next(), None, "the state is not that of the screen yet");
    played.state = State::Idle;
    played.enters(1).shows("> ").next();
    let fate = played.later(120).fate(1);
    assert_eq!((fate.evidence[0].phase, fate.evidence.len()), (Reached::Queued, 6));
}

#[test]
fn nothing_is_typed_before_the_program_is_ready_or_into_its_question() {
    let mut played = Played::new(State::Starting);
    played.message(1, Writer::Agent);
    assert_eq!(played.next(), None);
    played.state = asks("permission");
    let Outcome::Refused(reason) = played.fate(1).outcome else { panic!() };
    assert_eq!(reason, "it asks for permission (“1. Yes 2. No”); Enter would answer that");
    played.queue.push(job(2, Writer::Agent, What::Keys(vec!["1".into()])), played.now).unwrap();
    assert_eq!(played.next(), Some(Do::AskTty), "keys are for questions");
    played.queue = Queue::default();
    (played.state, played.settled) = (State::Busy, false);
    played.message(3, Writer::Agent);
    assert_eq!(played.next(), None, "it may still be asking");
}

#[test]
fn an_unrecognised_program_is_typed_to_and_the_receipt_says_so() {
    let mut played = Played::new(State::Unknown);
    played.message(1, Writer::Agent).pastes(1).later(300).next();
    let fate = played.written().fate(1);
    assert_eq!(fate.evidence[0].why, "not recognised: a rule");
}

#[test]
fn a_composer_that_is_gone_is_waited_for() {
    let mut played = Played::with_composer(State::Idle);
    played.message(1, Writer::Agent).shows("a pager");
    assert_eq!(played.next(), None);
    assert_eq!(played.standing(1), (Reached::Queued, "its composer is not on the screen".into()));
    played.shows("> ").plans();
}

#[test]
fn while_a_person_holds_the_input_agents_wait_in_order_and_the_person_does_not() {
    let mut played = Played::new(State::Idle);
    played.owner = Owner::Person { who: "ada".into(), since: SystemTime::UNIX_EPOCH };
    played.message(1, Writer::Agent).message(2, Writer::Agent).message(3, Writer::Person);
    assert_eq!(played.queue.held(&played.owner), 2);
    assert_eq!(played.standing(2).0, Reached::Held);
    played.plans();
    let Some(Do::Finish(DeliveryId(3), fate)) = played.queue.unwritten("gone") else { panic!() };
    assert_eq!(fate.outcome, Outcome::Unknown("gone".into()));
    assert_eq!(played.next(), None);
    played.owner = Owner::Orchestrator { since: SystemTime::UNIX_EPOCH };
    assert_eq!(played.queue.held(&played.owner), 0);
    assert_eq!(played.standing(2), (Reached::Queued, "others are before it".into()));
    played.pastes(1);
}

#[test]
fn what_changes_while_the_terminal_is_asked_is_heeded() {
    let mut played = Played::new(State::Idle);
    played.message(1, Writer::Agent).message(2, Writer::Agent).plans();
    played.owner = Owner::Person { who: "ada".into(), since: SystemTime::UNIX_EPOCH };
    assert_eq!((played.next(), played.queue.held(&played.owner)), (None, 2));
    played.owner = Owner::Orchestrator { since: SystemTime::UNIX_EPOCH };
    played.plans();
    played.state = asks(TRUST);
    assert!(matches!(played.fate(1).outcome, Outcome::Refused(_)));
}

#[test]
fn an_end_answers_every_message_and_says_which_was_half_typed() {
    let mut played = Played::new(State::Idle);
    played.message(1, Writer::Agent).message(2, Writer::Agent).plans();
    played.next();
    played.state = State::Exited(Exit::Code(0));
    played.unknown(1, "while this was typed");
    assert!(matches!(played.fate(2).outcome, Outcome::Refused(_)));
    assert_eq!(played.next(), None);
    assert!(played.queue.is_empty());
}

#[test]
fn a_broken_line_asks_again_and_writes_again_what_the_keeper_would_know() {
    let mut played = Played::new(State::Idle);
    let now = played.now;
    assert_eq!(played.queue.interrupted(now), None);
    played.message(1, Writer::Agent);
    assert_eq!(played.next(), Some(Do::AskTty));
    assert_eq!(played.queue.interrupted(now), Some(Do::AskTty));
    assert!(matches!(played.queue.tty(TTY), Some(Do::Plan(..))));
    let stroke = |bytes: &[u8]| Stroke { bytes: bytes.to_vec(), pause: Duration::ZERO };
    assert_eq!(played.queue.strokes(Ok(vec![stroke(b"m1"), stroke(b"\r")])), None);
    assert_eq!(played.queue.interrupted(now), None, "nothing was written yet");
    assert_eq!(played.next(), Some(write(b"m1", false, 1, 0)));
    assert_eq!(played.queue.interrupted(now), Some(write(b"m1", false, 1, 0)));
    played.written();
    assert_eq!(played.next(), Some(write(b"\r", true, 1, 1)));
    assert_eq!(played.queue.interrupted(now), Some(write(b"\r", true, 1, 1)));
    played.written().typed(1);

    played.queue.push(job(2, Writer::Agent, What::Keys(vec!["1".into()])), now).unwrap();
    assert_eq!(played.next(), Some(Do::AskTty));
    played.queue.tty(TTY);
    played.queue.strokes(Ok(vec![stroke(b"1")]));
    assert!(matches!(played.next(), Some(Do::Write { stroke: None, .. })));
    let Some(Do::Finish(DeliveryId(2), fate)) = played.queue.interrupted(now) else { panic!() };
    assert!(matches!(fate.outcome, Outcome::Unknown(_)));
}

#[test]
fn what_an_earlier_broker_had_begun_goes_on_where_it_was_and_before_the_rest() {
    let begun = |begun| Job { begun, ..job(7, Writer::Agent, What::Message("m7".into())) };
    let mut played = Played::with_composer(State::Idle);
    played.queue.restore(job(6, Writer::Agent, What::Message("m6".into())), played.now);
    played.queue.restore(begun(1), played.now);
    played.shows("> m7").plans();
    assert_eq!(played.next(), None, "the program has its pause");
    assert_eq!(
        played.later(300).next(),
        Some(write(b"\r", true, 7, 1)),
        "the text itself is not typed again"
    );

    // Its Enter was typed, too, and swallowed.
    let mut played = Played::with_composer(State::Idle);
    played.queue.restore(begun(2), played.now);
    played.shows("> m7").plans();
    assert_eq!(played.next(), None);
    assert_eq!(played.later(4000).next(), Some(write(b"\r", true, 7, 2)));
    played.written().shows("> ").next();
    let fate = played.later(120).fate(7);
    assert_eq!(phases(&fate), [Reached::Adopted, Reached::TypedAgain, Reached::Submitted]);

    // That was done twice already.
    let mut played = Played::with_composer(State::Idle);
    played.queue.restore(begun(3), played.now);
    played.shows("> m7").plans();
    assert_eq!(played.next(), None);
    played.later(4000);
    played.unknown(7, "after two Enters");

    for state in [asks("permission"), State::Exited(Exit::Code(0))] {
        let mut played = Played::new(state);
        played.queue.restore(begun(1), played.now);
        let fate = played.fate(7);
        assert!(matches!(fate.outcome, Outcome::Unknown(_)), "{fate:?}");
    }
}

#[test]
fn a_message_that_ends_the_program_was_typed() {
    let mut played = Played::new(State::Idle);
    played.message(1, Writer::Agent).pastes(1).later(300);
    assert!(matches!(played.next(), Some(Do::Write { last: true, .. })));
    played.written();
    played.state = State::Exited(Exit::Code(3));
    played.typed(1);
}

#[test]
fn a_plan_that_cannot_be_made_refuses_the_message_only() {
    let mut played = Played::new(State::Idle);
    played.message(1, Writer::Agent).message(2, Writer::Agent);
    assert_eq!(played.next(), Some(Do::AskTty));
    assert!(matches!(played.queue.tty(TTY), Some(Do::Plan(..))));
    let over = played.queue.strokes(Err("line 1 is too long".into()));
    let Some(Do::Finish(DeliveryId(1), fate)) = over else { panic!("{over:?}") };
    assert_eq!(fate.outcome, Outcome::Refused("line 1 is too long".into()));
    assert_eq!(played.next(), Some(Do::AskTty));
}

#[test]
fn the_queue_has_an_end() {
    let mut played = Played::new(State::Starting);
    for id in 0..Queue::MAX_JOBS as u64 {
        played.message(id, Writer::Agent);
    }
    let more = job(999, Writer::Agent, What::Message("x".into()));
    assert_eq!(played.queue.push(more, played.now), Err(Full { jobs: Queue::MAX_JOBS }));
    let mut large = Played::new(State::Starting);
    large.message(1, Writer::Agent);
    let huge = What::Message("x".repeat(Queue::MAX_BYTES));
    assert!(large.queue.push(job(2, Writer::Agent, huge), large.now).is_err());
}
