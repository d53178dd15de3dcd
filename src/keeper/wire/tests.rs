//! The bytes of every frame, as they are for ever.

use std::fmt::Debug;

use super::*;

/// The bytes are written out: whoever changes them breaks keepers that are running.
#[track_caller]
fn check<'a, F: Frame<'a> + Debug + PartialEq>(
    frame: F,
    encode: impl Fn(&F, &mut Vec<u8>),
    kind: u8,
    payload: &'a [u8],
) {
    let mut expected = (payload.len() as u32 + 1).to_le_bytes().to_vec();
    expected.push(kind);
    expected.extend(payload);
    let mut bytes = Vec::new();
    encode(&frame, &mut bytes);
    assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert!(F::is_known(kind));
    assert_eq!(F::parse(kind, payload).unwrap(), frame);
}

#[test]
fn requests_look_so_for_ever() {
    let check = |request, kind, payload| check(request, |it: &Request<'_>, to| it.encode(to), kind, payload);
    check(Request::Hello { version: 1 }, 0x01, br#"{"version":1}"#);
    check(Request::Follow { from: Offset(7) }, 0x02, br#"{"from":7}"#);
    check(Request::Read { req: 3, from: Offset(7), max: 9 }, 0x03, br#"{"req":3,"from":7,"max":9}"#);
    check(Request::Input { id: 258, bytes: b"ls\n" }, 0x04, b"\x02\x01\0\0\0\0\0\0ls\n");
    check(Request::Resize { size: Size { rows: 4, cols: 5 } }, 0x05, br#"{"size":{"rows":4,"cols":5}}"#);
    check(Request::Signal { signal: 15, whom: Whom::Group }, 0x06, br#"{"signal":15,"whom":"group"}"#);
    check(Request::Signal { signal: 9, whom: Whom::Tree }, 0x06, br#"{"signal":9,"whom":"tree"}"#);
    check(Request::Tty { req: 3 }, 0x07, br#"{"req":3}"#);
    check(Request::Processes { req: 3 }, 0x08, br#"{"req":3}"#);
    let stroke = |stroke, last| Request::Type { id: 258, delivery: 3, stroke, last, bytes: b"ls" };
    check(stroke(0, false), 0x09, b"\x02\x01\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0ls");
    check(stroke(0, true), 0x09, b"\x02\x01\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0ls");
    check(
        stroke(u32::MAX, false),
        0x09,
        b"\x02\x01\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\xfe\xff\xff\xff\x01\0\0\0ls",
    );
    check(Request::Save { at: Offset(258), bytes: b"picture" }, 0x0a, b"\x02\x01\0\0\0\0\0\0picture");
    check(Request::Answer { at: Offset(258), bytes: b"\x1b[0n" }, 0x0b, b"\x02\x01\0\0\0\0\0\0\x1b[0n");
}

#[test]
fn events_look_so_for_ever() {
    let check = |event, kind, payload| check(event, |it: &Event<'_>, to| it.encode(to), kind, payload);
    let hello = |exit| Event::Hello {
        version: 1,
        keeper_pid: 10,
        child_pid: 11,
        start: Offset(1),
        end: Offset(2),
        size: Size { rows: 4, cols: 5 },
        exit,
        typed: vec![],
        forgotten: 0,
    };
    let typed = vec![Typed { delivery: 7, accepted: 2, written: 1, complete: true }];
    check(
        hello(None),
        0x81,
        br#"{"version":1,"keeper_pid":10,"child_pid":11,"start":1,"end":2,"size":{"rows":4,"cols":5},"exit":null,"typed":[],"forgotten":0}"#,
    );
    check(
        hello(Some(Exit::Signal(9))),
        0x81,
        br#"{"version":1,"keeper_pid":10,"child_pid":11,"start":1,"end":2,"size":{"rows":4,"cols":5},"exit":{"signal":9},"typed":[],"forgotten":0}"#,
    );
    check(
        Event::Hello {
            version: 2,
            keeper_pid: 10,
            child_pid: 11,
            start: Offset(1),
            end: Offset(2),
            size: Size { rows: 4, cols: 5 },
            exit: None,
            typed,
            forgotten: 6,
        },
        0x81,
        br#"{"version":2,"keeper_pid":10,"child_pid":11,"start":1,"end":2,"size":{"rows":4,"cols":5},"exit":null,"typed":[{"delivery":7,"accepted":2,"written":1,"complete":true}],"forgotten":6}"#,
    );
    check(Event::Output { from: Offset(513), bytes: b"hi" }, 0x82, b"\x01\x02\0\0\0\0\0\0hi");
    check(
        Event::Data { req: 1, from: Offset(2), start: Offset(3), end: Offset(4), bytes: b"hi" },
        0x83,
        b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0hi",
    );
    check(Event::Written { id: 1 }, 0x84, br#"{"id":1}"#);
    check(Event::Refused { id: 1, reason: "gone".into() }, 0x85, br#"{"id":1,"reason":"gone"}"#);
    check(
        Event::Tty { req: 1, canonical: true, echo: false, foreground: Some(7) },
        0x86,
        br#"{"req":1,"canonical":true,"echo":false,"foreground":7}"#,
    );
    check(Event::Processes { req: 1, pids: vec![2, 3] }, 0x87, br#"{"req":1,"pids":[2,3]}"#);
    check(Event::Exited { exit: Exit::Code(0) }, 0x88, br#"{"exit":{"code":0}}"#);
    check(Event::Eof { end: Offset(9) }, 0x89, br#"{"end":9}"#);
}

#[test]
fn the_header_of_output_is_the_one_of_its_frame() {
    let mut bytes = Vec::new();
    Event::Output { from: Offset(77), bytes: b"hello" }.encode(&mut bytes);
    assert_eq!(output_header(Offset(77), 5), bytes[..OUTPUT_HEADER]);
}

#[test]
fn fields_of_another_time_are_skipped_and_optional_ones_may_be_missing() {
    let parse = |kind, payload| Event::parse(kind, payload).unwrap();
    assert_eq!(parse(0x84, br#"{"id":1,"at":"noon"}"#), Event::Written { id: 1 });
    assert_eq!(
        parse(0x86, br#"{"req":1,"canonical":true,"echo":true}"#),
        Event::Tty { req: 1, canonical: true, echo: true, foreground: None }
    );
    let hello = br#"{"version":1,"keeper_pid":10,"child_pid":11,"start":1,"end":2,"size":{"rows":4,"cols":5},"exit":{"code":3}}"#;
    assert_eq!(
        parse(0x81, hello),
        Event::Hello {
            version: 1,
            keeper_pid: 10,
            child_pid: 11,
            start: Offset(1),
            end: Offset(2),
            size: Size { rows: 4, cols: 5 },
            exit: Some(Exit::Code(3)),
            typed: vec![],
            forgotten: 0,
        }
    );
    let numbers =
        [&1u64.to_le_bytes()[..], &2u64.to_le_bytes(), &0xff00_0000_0000_0007u64.to_le_bytes()].concat();
    assert_eq!(
        Request::parse(0x09, &numbers).unwrap(),
        Request::Type { id: 1, delivery: 2, stroke: 3, last: true, bytes: b"" }
    );
    assert!(!Request::is_known(0x0c) && !Request::is_known(0) && !Event::is_known(0x8a));
}

#[test]
fn what_cannot_be_understood_is_an_error_with_its_kind() {
    for (kind, payload, expected) in [
        (0x02u8, &b"{}"[..], "kind 0x02: missing field"),
        (0x02, b"\xff", "kind 0x02"),
        (0x02, br#"{"from":-1}"#, "kind 0x02: invalid value"),
        (0x04, b"1234567", "kind 0x04: it ends too early"),
        (0x09, &[0; 23], "kind 0x09: it ends too early"),
        (0x0a, b"1234567", "kind 0x0a: it ends too early"),
        (0x06, br#"{"signal":9,"whom":"all"}"#, "kind 0x06: unknown variant"),
    ] {
        let error = Request::parse(kind, payload).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(matches!(Event::parse(0x83, &[0; 31]), Err(WireError::TooShort { kind: 0x83 })));
}
