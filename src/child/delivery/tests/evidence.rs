//! What is seen of a message, and what is done when it is not seen.

use super::*;

#[test]
fn a_message_is_seen_in_the_composer_and_seen_to_leave_it() {
    let mut played = Played::with_composer(State::Idle);
    played.message(1, Writer::Agent).pastes(1).shows("> m");
    assert_eq!(played.later(300).next(), None, "not all of it is there");
    played.shows("> m1");
    assert_eq!(played.next(), Some(write(b"\r", true, 1, 1)));
    assert_eq!(played.written().next(), None, "it is still there");
    played.shows("you: m1\n> hint");
    assert_eq!(played.next(), None, "that may be half a picture");
    played.later(120);
    let fate = played.fate(1);
    assert_eq!(fate.outcome, Outcome::Submitted { from: Offset(6) });
    let all = [Reached::Ready, Reached::Pasted, Reached::InComposer, Reached::Typed, Reached::Submitted];
    assert_eq!(phases(&fate), all);
    assert_eq!(played.next(), None);
    played.worked = Some("a spinner");
    let Some(Do::Note(DeliveryId(1), mark)) = played.next() else { panic!() };
    assert_eq!((mark.phase, mark.why.as_str()), (Reached::TurnStarted, "a spinner"));
    assert_eq!(played.next(), None, "that is told once");
}

#[test]
fn a_long_paste_is_known_by_what_stands_for_it() {
    let mut played = Played::with_composer(State::Idle);
    played.message(1, Writer::Agent).pastes(1).shows("> [Pasted]").later(300);
    assert_eq!(played.next(), Some(write(b"\r", true, 1, 1)));
    played.written().shows("> ");
    played.worked = Some("a spinner");
    let fate = played.fate(1);
    assert_eq!(phases(&fate)[4..], [Reached::Submitted, Reached::TurnStarted]);
}

#[test]
fn an_enter_that_was_swallowed_is_pressed_once_more_and_never_the_text() {
    let mut played = Played::with_composer(State::Idle);
    played.message(1, Writer::Agent).enters(1);
    assert_eq!(played.next(), None);
    played.shows("> m1\n").later(1999);
    assert_eq!(played.next(), None);
    assert_eq!(played.later(1).next(), Some(write(b"\r", true, 1, 2)));
    assert_eq!(played.written().next(), None);
    played.later(4000);
    played.unknown(1, "its text is still in its composer after two Enters");

    let mut played = Played::with_composer(State::Idle);
    played.message(1, Writer::Agent).enters(1);
    assert_eq!(played.next(), None);
    assert_eq!(played.later(3999).next(), None, "who has not written a byte may only be slow");
    assert_eq!(played.later(1).next(), Some(write(b"\r", true, 1, 2)));
    played.written().shows("> ").next();
    let fate = played.later(120).fate(1);
    assert_eq!(phases(&fate)[3..], [Reached::Typed, Reached::TypedAgain, Reached::Submitted]);
}

#[test]
fn no_enter_is_pressed_into_a_question() {
    let mut played = Played::with_composer(State::Idle);
    played.message(1, Writer::Agent).pastes(1).shows("> m1");
    played.state = asks("permission");
    played.unknown(1, "its text was typed, and Enter was not: it asks for permission (“1. Yes 2. No”) now");

    // The rules do not know the question, and the composer is gone.
    let mut played = Played::with_composer(State::Idle);
    played.message(1, Writer::Agent).pastes(1).shows("Really? 1. Yes 2. No").later(4999);
    assert_eq!(played.next(), None);
    played.later(1);
    played.unknown(1, "Enter was not: its composer is gone, and the screen shows “1. Yes 2. No”");

    // It came between Enter and the text's leaving.
    let mut played = Played::with_composer(State::Idle);
    played.message(1, Writer::Agent).enters(1).shows("Really?");
    played.state = asks("permission");
    assert_eq!(played.next(), None);
    played.later(2000);
    played.unknown(1, "its text and Enter were typed, and it asks for permission (“1. Yes 2. No”) now");

    // There is no second Enter either.
    let mut played = Played::with_composer(State::Idle);
    played.message(1, Writer::Agent).enters(1);
    played.state = asks("permission");
    assert_eq!(played.next(), None);
    played.later(2000);
    played.unknown(1, "its text and Enter were typed, and it asks for permission");
}

#[test]
fn without_a_composer_work_shows_that_it_was_taken() {
    let mut played = Played::new(State::Idle);
    played.shows_work = true;
    played.message(1, Writer::Agent).pastes(1).later(300).next();
    assert_eq!(played.written().next(), None);
    played.worked = Some("a spinner");
    assert_eq!(played.fate(1).outcome, Outcome::Submitted { from: Offset(5) });

    let mut played = Played::new(State::Idle);
    played.shows_work = true;
    played.message(1, Writer::Agent).pastes(1).later(300).next();
    assert_eq!(played.written().next(), None);
    assert_eq!(played.later(1999).next(), None);
    played.later(1).typed(1);

    // One that worked before shows nothing by working.
    let mut played = Played::new(State::Busy);
    played.queue.while_busy = WhileBusy::Type;
    (played.shows_work, played.worked) = (true, Some("a spinner"));
    played.message(1, Writer::Agent).pastes(1).later(300).next();
    played.written().typed(1);
}

#[test]
fn a_composer_that_never_shows_it_gets_no_enter() {
    let mut played = Played::with_composer(State::Idle);
    played.message(1, Writer::Agent).pastes(1);
    assert_eq!(played.later(59_999).next(), None, "it has not written a byte: it is only slow");
    played.shows("> ");
    played.unknown(1, "its text was typed, and Enter was not: its composer never showed it");

    let mut played = Played::with_composer(State::Idle);
    played.message(1, Writer::Agent).pastes(1).next();
    played.shows("> ").later(9_999);
    assert_eq!(played.next(), None);
    played.later(1);
    played.unknown(1, "never showed it");
}

#[test]
fn something_else_in_the_composer_is_sent_and_never_called_the_message() {
    let mut played = Played::with_composer(State::Idle);
    played.message(1, Writer::Agent).pastes(1).shows("> [Image #1]").later(4999);
    assert_eq!(played.next(), None);
    assert_eq!(played.later(1).next(), Some(write(b"\r", true, 1, 1)));
    assert_eq!(played.written().next(), None);
    played.shows("> ").next();
    played.later(120);
    played.unknown(
        1,
        "its composer showed “[Image #1]” instead of the text; Enter was pressed, and that left it",
    );
}

#[test]
fn a_composer_that_was_never_found_is_not_waited_for() {
    let mut played = Played::with_composer(State::Idle);
    played.composer =
        Composer::new(Some(&ComposerRule { matches: "never(?P<text>)".into(), empty: vec![], pasted: None }));
    played.shows_work = false;
    played.message(1, Writer::Agent).pastes(1).shows("m1▮").later(999);
    assert_eq!(played.next(), None);
    assert_eq!(played.later(1).next(), Some(write(b"\r", true, 1, 1)));
    let fate = played.written().fate(1);
    assert!(matches!(fate.outcome, Outcome::Typed { .. }), "{fate:?}");
    assert_eq!(phases(&fate), [Reached::Ready, Reached::Pasted, Reached::InComposer, Reached::Typed]);
    assert_eq!(fate.evidence[2].why, "it stands before the cursor");
}
