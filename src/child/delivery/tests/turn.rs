//! Whose turn it is: what waits, what overtakes it, and what is taken back.

use super::*;

#[test]
fn a_busy_program_is_waited_for_unless_it_is_to_be_now() {
    let mut played = Played::with_composer(State::Busy);
    played.message(1, Writer::Agent);
    assert_eq!(played.next(), None);
    assert_eq!(played.standing(1), (Reached::Queued, "busy: a rule".into()));
    played.state = State::Unknown;
    played.plans();

    let mut played = Played::with_composer(State::Busy);
    played.queue.while_busy = WhileBusy::Type;
    played.message(1, Writer::Agent).plans();

    let mut played = Played::with_composer(State::Busy);
    played.now(1).plans();
}

#[test]
fn now_can_mean_to_interrupt_first() {
    let interrupts = || {
        let mut played = Played::with_composer(State::Busy);
        (played.queue.now, played.queue.interrupt) = (Now::Interrupt, vec!["Escape".into()]);
        played.now(1);
        assert_eq!(played.next(), Some(Do::AskTty));
        assert_eq!(played.queue.tty(TTY), Some(Do::Plan(What::Keys(vec!["Escape".into()]), TTY)));
        let escape = Stroke { bytes: b"\x1b".into(), pause: Duration::ZERO };
        assert_eq!(played.queue.strokes(Ok(vec![escape])), None);
        let pressed = Do::Write { bytes: b"\x1b".into(), last: false, stroke: None };
        assert_eq!(played.next(), Some(pressed));
        assert!(!played.queue.is_typing());
        assert_eq!(played.written().next(), None, "it is still busy");
        played
    };
    let mut played = interrupts();
    played.state = State::Idle;
    played.enters(1).shows("> ").next();
    let fate = played.later(120).fate(1);
    assert_eq!(phases(&fate)[..2], [Reached::Interrupted, Reached::Ready]);

    let mut played = interrupts();
    assert_eq!(played.later(10_000).next(), None, "it waits as if it were not to be now");
    assert_eq!(played.standing(1), (Reached::Queued, "busy: a rule".into()));
    assert_eq!(played.later(10_000).next(), None, "and is not interrupted again");

    let mut played = interrupts();
    assert_eq!(played.queue.interrupted(played.now), None);
    played.state = asks(TRUST);
    assert!(matches!(played.fate(1).outcome, Outcome::Refused(_)));
}

#[test]
fn keys_overtake_what_waits_and_nothing_that_has_begun() {
    let mut played = Played::with_composer(State::Busy);
    let keys = |id| job(id, Writer::Agent, What::Keys(vec!["Escape".into()]));
    played.message(1, Writer::Agent);
    played.queue.push(keys(2), played.now).unwrap();
    assert_eq!(played.next(), Some(Do::AskTty));
    assert!(matches!(played.queue.tty(TTY), Some(Do::Plan(What::Keys(_), _))));
    played.queue.unwritten("gone");
    played.state = State::Idle;
    played.pastes(1);
    played.queue.push(keys(3), played.now).unwrap();
    assert_eq!(played.next(), None);
}

#[test]
fn what_is_to_be_typed_now_overtakes_what_waits() {
    let mut played = Played::with_composer(State::Busy);
    played.message(1, Writer::Agent).message(2, Writer::Agent).now(3);
    played.enters(3).shows("> ").next();
    played.later(120).fate(3);
    assert_eq!(played.next(), None);
    played.state = State::Idle;
    played.pastes(1);
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
    adopted.restore(Job { begun: 1, ..job(4, Writer::Agent, What::Message("m4".into())) }, played.now);
    assert!(!adopted.withdraw(DeliveryId(4)), "another broker has begun it");
}

#[test]
fn keys_for_a_question_are_not_pressed_into_another() {
    let answer = |hash| {
        let mut played = Played::new(asks("permission"));
        let keys = What::Keys(vec!["1".into()]);
        let job = Job { prompt: Some("aa".into()), ..job(1, Writer::Agent, keys) };
        played.queue.push(job, played.now).unwrap();
        assert!(played.queue.compares());
        assert_eq!(played.next(), Some(Do::AskTty));
        assert!(matches!(played.queue.tty(TTY), Some(Do::Plan(..))));
        let one = Stroke { bytes: b"1".into(), pause: Duration::ZERO };
        let two = Stroke { bytes: b"\r".into(), pause: Duration::ZERO };
        assert_eq!(played.queue.strokes(Ok(vec![one, two])), None);
        // The screen may have changed while the terminal was asked.
        played.asks = hash;
        let first = played.next();
        // What follows is one unit with it.
        played.asks = None;
        played.queue.written(played.now);
        (first, played.next())
    };
    let (first, second) = answer(Some("aa"));
    assert_eq!(first, Some(Do::Write { bytes: b"1".into(), last: false, stroke: None }));
    assert_eq!(second, Some(Do::Write { bytes: b"\r".into(), last: true, stroke: None }));
    for (hash, why) in [
        (Some("bb"), "it asks something else now: prompt bb, and not aa"),
        (None, "it asks nothing now, and not prompt aa"),
    ] {
        let (Some(Do::Finish(DeliveryId(1), fate)), None) = answer(hash) else { panic!() };
        assert_eq!(fate, Fate::unseen(Outcome::Refused(why.into())));
    }
}
