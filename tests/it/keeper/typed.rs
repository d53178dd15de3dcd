//! Strokes are typed once, whoever asks how often, and who asked last is told.

use compere::keeper::Typed;

use super::*;

/// A `cat` that shows each line it reads once more, between bars, and nothing else.
const SHOW: &str = "stty -echo; echo ready; while read -r x; do echo \"|$x|\"; done";
/// One that reads nothing before it is told to.
const DEAF: &str =
    "trap 'stty -echo; cat; exit' USR1; stty raw -echo; echo ready; while :; do sleep 1000 & wait; done";

fn stroke<'a>(id: u64, delivery: u64, stroke: u32, last: bool, text: &'a str) -> Request<'a> {
    Request::Type { id, delivery, stroke, last, bytes: text.as_bytes() }
}

fn settled(wanted: u64) -> impl FnMut(Event<'_>) -> Option<Result<(), String>> {
    move |event| match event {
        Event::Written { id } if id == wanted => Some(Ok(())),
        Event::Refused { id, reason } if id == wanted => Some(Err(reason)),
        _ => None,
    }
}

fn hello(client: &mut Client) -> (Vec<Typed>, u64) {
    client.ask(&Request::Hello { version: VERSION }, |event| match event {
        Event::Hello { typed, forgotten, version: 2, .. } => Some((typed, forgotten)),
        _ => None,
    })
}

fn typed(delivery: u64, accepted: u32, written: u32, complete: bool) -> Typed {
    Typed { delivery, accepted, written, complete }
}

#[test]
fn what_a_lost_connection_may_have_typed_is_sent_again_and_typed_once() {
    let kept = Kept::sh(SHOW);
    let mut follower = kept.follower();
    follower.sees("ready\r\n");
    let mut expected = "ready\r\n".to_owned();
    for delivery in 1..=146 {
        let text = format!("text {delivery}");
        kept.client().send(&stroke(1, delivery, 0, false, &text));
        let mut client = kept.client();
        client.send(&stroke(8, delivery, 0, false, &text));
        client.send(&stroke(9, delivery, 1, true, "\n"));
        assert_eq!(client.until(settled(8)), Ok(()));
        assert_eq!(client.until(settled(9)), Ok(()));
        // And once more, when all is done.
        client.send(&stroke(10, delivery, 1, true, "\n"));
        client.send(&stroke(11, delivery, 0, false, &text));
        assert_eq!(client.until(settled(10)), Ok(()));
        assert_eq!(client.until(settled(11)), Ok(()));
        expected += &format!("|{text}|\r\n");
        follower.sees(&format!("|{text}|\r\n"));
    }
    follower.client.type_in("\x04");
    follower.exited();
    assert_eq!(follower.text(), expected);
    let record = kept.ended();
    let all: Vec<Typed> = (19..=146).map(|delivery| typed(delivery, 2, 2, true)).collect();
    assert_eq!((record.typed, record.forgotten), (all, 18));
}

#[test]
fn a_stroke_that_waits_is_answered_to_whoever_asked_last() {
    let kept = Kept::sh(DEAF);
    let mut follower = kept.follower();
    follower.sees("ready");
    let mut first = kept.client();
    // More than a terminal that nobody reads takes.
    let long = "x".repeat(100_000);
    first.send(&stroke(1, 7, 0, false, &long));
    first.send(&stroke(2, 7, 1, true, "end"));
    assert_eq!(hello(&mut first), (vec![typed(7, 2, 0, true)], 0));
    let mut second = kept.client();
    second.send(&stroke(3, 7, 0, false, &long));
    second.send(&stroke(4, 7, 1, true, "end"));
    assert_eq!(hello(&mut second), (vec![typed(7, 2, 0, true)], 0));

    second.send(&Request::Signal { signal: Signal::USR1.as_raw(), whom: Whom::Group });
    assert_eq!(second.until(settled(3)), Ok(()));
    assert_eq!(second.until(settled(4)), Ok(()));
    assert_eq!(hello(&mut second), (vec![typed(7, 2, 2, true)], 0));
    follower.sees("end");
    assert_eq!(follower.text().matches('x').count(), long.len());
    // Whoever asked before has heard nothing of it.
    first.ask(&Request::Tty { req: 1 }, |event| {
        assert!(matches!(event, Event::Tty { .. }), "{event:?}");
        Some(())
    });
}

#[test]
fn what_is_given_up_with_the_child_is_not_written() {
    let kept = Kept::sh("stty raw -echo; setsid sh -c 'echo ready; exec sleep 1000' & exec sleep 1000");
    kept.follower().sees("ready");
    let mut client = kept.client();
    client.send(&stroke(1, 7, 0, true, "short"));
    assert_eq!(client.until(settled(1)), Ok(()));
    client.send(&stroke(2, 8, 0, false, &"x".repeat(100_000)));
    client.send(&stroke(3, 8, 1, true, "\n"));
    client.send(&Request::Signal { signal: 9, whom: Whom::Group });
    assert_eq!(client.until(settled(2)), Err("child is gone".to_owned()));
    assert_eq!(client.until(settled(3)), Err("child is gone".to_owned()));
    let left = vec![typed(7, 1, 1, true), typed(8, 2, 0, true)];
    assert_eq!(hello(&mut client), (left.clone(), 0));

    // What is asked now is answered as it is, not as if it were new.
    let mut other = kept.client();
    for (delivery, number, expected) in
        [(7, 0, Ok(())), (8, 0, Err("child is gone".to_owned())), (9, 0, Err("child is gone".to_owned()))]
    {
        other.send(&stroke(4, delivery, number, true, "short"));
        assert_eq!(other.until(settled(4)), expected, "{delivery}");
    }
    other.send(&Request::Signal { signal: 9, whom: Whom::Tree });
    assert_eq!(kept.ended().typed, left);
}

#[test]
fn what_does_not_fit_may_be_sent_again_later() {
    let kept = Kept::sh(DEAF);
    let mut follower = kept.follower();
    follower.sees("ready");
    let mut client = kept.client();
    // The queue counts an input until its last byte is taken.
    client.send(&stroke(1, 1, 0, true, &"x".repeat((1 << 20) + (60 << 10))));
    client.send(&stroke(2, 2, 0, false, &"y".repeat(5 << 10)));
    client.send(&stroke(3, 2, 1, true, "z"));
    assert_eq!(client.until(settled(2)), Err("queue full".to_owned()));
    assert_eq!(client.until(settled(3)), Err("a stroke before it is missing".to_owned()));
    assert_eq!(hello(&mut client), (vec![typed(1, 1, 0, true)], 0));

    // It reads while it waits, or the child could not go on.
    follower.client.send(&stroke(6, 1, 0, true, ""));
    follower.client.send(&Request::Signal { signal: Signal::USR1.as_raw(), whom: Whom::Group });
    follower.one(|event, _| (*event == Event::Written { id: 6 }).then_some(())).unwrap();
    client.send(&stroke(4, 2, 0, false, &"y".repeat(5 << 10)));
    client.send(&stroke(5, 2, 1, true, "z"));
    assert_eq!(client.until(settled(4)), Ok(()));
    assert_eq!(client.until(settled(5)), Ok(()));
    follower.sees("yz");
    assert_eq!(hello(&mut client), (vec![typed(1, 1, 1, true), typed(2, 2, 2, true)], 0));
}

#[test]
fn a_killed_keeper_leaves_what_was_typed() {
    let mut kept = Kept::sh("stty raw -echo; echo ready; exec sleep 1000");
    kept.follower().sees("ready");
    let mut client = kept.client();
    client.send(&stroke(1, 7, 0, true, "short"));
    assert_eq!(client.until(settled(1)), Ok(()));
    client.send(&stroke(2, 8, 0, false, &"x".repeat(100_000)));
    client.tty();
    kept.process.kill().unwrap();
    kept.process.wait().unwrap();
    let record = Ring::open(&kept.ring()).unwrap();
    assert_eq!(record.typed, [typed(7, 1, 1, true), typed(8, 1, 0, false)]);
}
