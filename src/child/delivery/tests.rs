//! Messages on their way, step by step.

use std::time::SystemTime;

use super::*;
use crate::id::Exit;

const TTY: Tty = Tty { canonical: false, foreground: None };

fn write(bytes: &[u8], last: bool, id: u64, stroke: u32) -> Do {
    Do::Write { bytes: bytes.into(), last, stroke: Some((DeliveryId(id), stroke)) }
}

fn job(id: u64, writer: Writer, what: What) -> Job {
    Job { id: DeliveryId(id), writer, what, begun: 0, prompt: None }
}

struct Played {
    queue: Queue,
    owner: Owner,
    state: State,
    settled: bool,
    asks: Option<&'static str>,
    now: Instant,
}

impl Played {
    fn new(state: State) -> Self {
        let owner = Owner::Orchestrator { since: SystemTime::UNIX_EPOCH };
        Played { queue: Queue::default(), owner, state, settled: true, asks: None, now: Instant::now() }
    }

    fn message(&mut self, id: u64, writer: Writer) -> &mut Self {
        self.queue.push(job(id, writer, What::Message(format!("m{id}")))).unwrap();
        self
    }

    fn next(&mut self) -> Option<Do> {
        let scene = Scene {
            owner: &self.owner,
            state: &self.state,
            settled: self.settled,
            end: Offset(5),
            asks: self.asks,
        };
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
    assert_eq!(played.next(), Some(write(b"m1", false, 1, 0)));
    assert_eq!(played.next(), None, "nothing goes on before the kernel took it");
    played.queue.written(played.now);
    assert_eq!(played.next(), None, "nor before the pause is over");
    assert_eq!(played.queue.deadline(), Some(played.now + Duration::from_millis(300)));
    assert_eq!(played.later(300).next(), Some(write(b"\r", true, 1, 1)));
    played.queue.written(played.now);
    let typed = Outcome::Typed { from: Offset(5) };
    assert_eq!(played.next(), Some(Do::Finish(DeliveryId(1), typed)));
    played.plans();
    assert_eq!(played.next(), Some(write(b"m2", false, 2, 0)));
}

#[test]
fn nothing_is_typed_before_the_program_is_ready_or_into_its_question() {
    let mut played = Played::new(State::Starting);
    played.message(1, Writer::Agent);
    assert_eq!(played.next(), None);
    played.state = State::NeedsInput { what: "permission".into() };
    let Some(Do::Finish(DeliveryId(1), Outcome::Refused(reason))) = played.next() else { panic!() };
    assert!(reason.contains("permission"), "{reason}");
    played.queue.push(job(2, Writer::Agent, What::Keys(vec!["1".into()]))).unwrap();
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
    assert_eq!(played.next(), Some(write(b"m1", false, 1, 0)));
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
fn a_broken_line_asks_again_and_writes_again_what_the_keeper_would_know() {
    let mut played = Played::new(State::Idle);
    assert_eq!(played.queue.interrupted(), None);
    played.message(1, Writer::Agent);
    assert_eq!(played.next(), Some(Do::AskTty));
    assert_eq!(played.queue.interrupted(), Some(Do::AskTty));
    assert!(matches!(played.queue.tty(TTY), Some(Do::Plan(..))));
    let stroke = Stroke { bytes: b"m1".into(), pause: Duration::ZERO };
    assert_eq!(played.queue.strokes(Ok(vec![stroke.clone()])), None);
    assert_eq!(played.queue.interrupted(), None, "nothing was written yet");
    assert_eq!(played.next(), Some(write(b"m1", true, 1, 0)));
    assert_eq!(played.queue.interrupted(), Some(write(b"m1", true, 1, 0)));
    played.queue.written(played.now);
    assert!(matches!(played.next(), Some(Do::Finish(DeliveryId(1), Outcome::Typed { .. }))));

    played.queue.push(job(2, Writer::Agent, What::Keys(vec!["1".into()]))).unwrap();
    assert_eq!(played.next(), Some(Do::AskTty));
    played.queue.tty(TTY);
    played.queue.strokes(Ok(vec![stroke]));
    assert!(matches!(played.next(), Some(Do::Write { stroke: None, .. })));
    assert!(matches!(played.queue.interrupted(), Some(Do::Finish(DeliveryId(2), Outcome::Unknown(_)))));
}

#[test]
fn what_an_earlier_broker_had_begun_goes_on_where_it_was_and_before_the_rest() {
    let begun = |begun| Job { begun, ..job(7, Writer::Agent, What::Message("m7".into())) };
    let mut played = Played::new(State::Idle);
    played.queue.restore(job(6, Writer::Agent, What::Message("m6".into())));
    played.queue.restore(begun(1));
    assert_eq!(played.next(), Some(Do::AskTty));
    played.queue.tty(TTY);
    let strokes = [b"m7", b"\r\r"].map(|bytes| Stroke { bytes: bytes.to_vec(), pause: Duration::ZERO });
    played.queue.strokes(Ok(strokes.into()));
    assert_eq!(played.next(), Some(write(b"\r\r", true, 7, 1)), "the text itself is not typed again");

    for state in [State::NeedsInput { what: "permission".into() }, State::Exited(Exit::Code(0))] {
        let mut played = Played::new(state);
        played.queue.restore(begun(1));
        let over = played.next();
        assert!(matches!(over, Some(Do::Finish(DeliveryId(7), Outcome::Unknown(_)))), "{over:?}");
    }
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
    let more = job(999, Writer::Agent, What::Message("x".into()));
    assert_eq!(played.queue.push(more), Err(Full { jobs: Queue::MAX_JOBS }));
    let mut large = Played::new(State::Starting);
    large.message(1, Writer::Agent);
    let huge = What::Message("x".repeat(Queue::MAX_BYTES));
    assert!(large.queue.push(job(2, Writer::Agent, huge)).is_err());
}

#[test]
fn what_has_not_begun_can_be_taken_back() {
    let mut played = Played::new(State::Idle);
    played.message(1, Writer::Agent).message(2, Writer::Agent).message(3, Writer::Agent).plans();
    assert!(played.queue.withdraw(DeliveryId(1)), "its strokes are made, and none is written");
    assert!(played.queue.withdraw(DeliveryId(2)));
    assert!(!played.queue.withdraw(DeliveryId(2)), "once");
    played.plans();
    assert_eq!(played.next(), Some(write(b"m3", false, 3, 0)));
    assert!(!played.queue.withdraw(DeliveryId(3)), "it has begun");
    assert_eq!(played.queue.len(), 1);
    let mut adopted = Queue::default();
    adopted.restore(Job { begun: 1, ..job(4, Writer::Agent, What::Message("m4".into())) });
    assert!(!adopted.withdraw(DeliveryId(4)), "another broker has begun it");
}

#[test]
fn keys_for_a_question_are_not_pressed_into_another() {
    let answer = |asks| {
        let mut played = Played::new(State::NeedsInput { what: "permission".into() });
        let keys = What::Keys(vec!["1".into()]);
        played.queue.push(Job { prompt: Some("aa".into()), ..job(1, Writer::Agent, keys) }).unwrap();
        assert!(played.queue.compares());
        assert_eq!(played.next(), Some(Do::AskTty));
        assert!(matches!(played.queue.tty(TTY), Some(Do::Plan(..))));
        let one = Stroke { bytes: b"1".into(), pause: Duration::ZERO };
        let two = Stroke { bytes: b"\r".into(), pause: Duration::ZERO };
        assert_eq!(played.queue.strokes(Ok(vec![one, two])), None);
        // The screen may have changed while the terminal was asked.
        played.asks = asks;
        let first = played.next();
        // What follows is one unit with it.
        played.asks = None;
        played.queue.written(played.now);
        (first, played.next())
    };
    let (first, second) = answer(Some("aa"));
    assert_eq!(first, Some(Do::Write { bytes: b"1".into(), last: false, stroke: None }));
    assert_eq!(second, Some(Do::Write { bytes: b"\r".into(), last: true, stroke: None }));
    for (asks, why) in [
        (Some("bb"), "it asks something else now: prompt bb, and not aa"),
        (None, "it asks nothing now, and not prompt aa"),
    ] {
        assert_eq!(answer(asks), (Some(Do::Finish(DeliveryId(1), Outcome::Refused(why.into()))), None));
    }
}
