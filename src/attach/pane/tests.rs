//! A person's keys and the broker's words, and what comes of them.

use super::*;
use crate::{attach::keys::Keys, child::picture::Pointer};

const PREFIX: u8 = 0x1d;

fn pane(yours: bool) -> Pane {
    let mut pane = Pane::new(Size { rows: 25, cols: 80 }, ("C-]".into(), PREFIX));
    let known =
        Known { child: "c1".into(), yours, person: yours.then(|| "ada".into()), held: 2, ..Known::default() };
    pane.heard(ToViewer::Child(known)).unwrap();
    screen(&mut pane, Size { rows: 24, cols: 80 }, Wants::default());
    pane
}

fn screen(pane: &mut Pane, size: Size, wants: Wants) {
    let (rows, pointer) = (Vec::new(), None);
    pane.heard(ToViewer::Screen { size, rows, pointer, up: pane.up, above: 100, wants }).unwrap();
}

fn press(pane: &mut Pane, bytes: &[u8]) -> Vec<Act> {
    let mut keys = Keys::new(PREFIX);
    let mut sent = keys.read(bytes);
    sent.extend(keys.rest());
    sent.into_iter().flat_map(|sent| pane.sent(sent)).collect()
}

fn typed(acts: &[Act]) -> Vec<u8> {
    let bytes = acts.iter().map(|act| match act {
        Act::Send(FromViewer::Input { bytes }) => bytes.clone(),
        other => panic!("{other:?}"),
    });
    bytes.flatten().collect()
}

#[test]
fn keys_go_to_the_child_as_they_came() {
    let mut pane = pane(true);
    let keys = "ls é\r\x03\x1b[A\x1b\x1b[5~".as_bytes();
    assert_eq!(typed(&press(&mut pane, keys)), keys);
    assert_eq!(typed(&press(&mut pane, b"\x1d\x1d")), [PREFIX]);
    assert_eq!(
        press(&mut pane, b"\x1b[200~a\nb\x1b[201~"),
        [Act::Send(FromViewer::Paste { text: "a\nb".into() })]
    );
}

#[test]
fn who_looks_on_types_nothing() {
    let mut pane = pane(false);
    assert_eq!(press(&mut pane, b"rm -rf\r"), []);
    assert_eq!(pane.notice.as_deref(), Some("the input is the orchestrator's; C-] t takes it"));
    assert_eq!(press(&mut pane, b"\x1b[200~a\x1b[201~\x1b[I\x1b[<0;1;1M"), []);
    assert_eq!(press(&mut pane, b"\x1b[5~"), [Act::Send(FromViewer::Scroll { up: 23 })]);
}

#[test]
fn each_order_does_its_own() {
    for (keys, act) in [
        (&b"\x1dd"[..], Act::Detach),
        (b"\x1db", Act::Send(FromViewer::GiveBack)),
        (b"\x1dt", Act::Send(FromViewer::Take)),
        (b"\x1de", Act::Send(FromViewer::Deliver { delivery: None })),
        (b"\x1dh", Act::Send(FromViewer::Held)),
        (b"\x1dky", Act::Send(FromViewer::Kill)),
        (b"\x1d[k", Act::Send(FromViewer::Scroll { up: 1 })),
    ] {
        assert_eq!(press(&mut pane(true), keys), [act], "{keys:?}");
    }
    for keys in [&b"\x1dkn"[..], b"\x1dx", b"\x1d\x1b", b"\x1d["] {
        assert_eq!(press(&mut pane(true), keys), [], "{keys:?}");
    }
    assert_eq!(typed(&press(&mut pane(true), b"\x1dxy")), b"y");
}

#[test]
fn held_messages_are_looked_through_sent_back_and_changed() {
    let mut pane = pane(true);
    press(&mut pane, b"\x1dh");
    let message = |delivery, text: &str| Message { delivery, text: text.into() };
    pane.heard(ToViewer::Held { messages: vec![message(7, "one"), message(9, "two")] }).unwrap();
    assert_eq!(press(&mut pane, b"jd"), [Act::Send(FromViewer::Deliver { delivery: Some(9) })]);
    let sent = press(&mut pane, b"krnot this\x7f\x7fat\r");
    assert_eq!(sent, [Act::Send(FromViewer::Reject { delivery: 7, why: "not that".into() })]);
    let sent = press(&mut pane, b"je\x7fice\r");
    assert_eq!(sent, [Act::Send(FromViewer::Edit { delivery: 9, text: "twice".into() })]);
    assert_eq!(press(&mut pane, b"r\x1b\x1b"), []);
    assert_eq!(pane.mode, Mode::Live);
    press(&mut pane, b"\x1dhr");
    pane.heard(ToViewer::Held { messages: vec![] }).unwrap();
    assert_eq!(pane.mode, Mode::Live, "it has gone meanwhile");
}

#[test]
fn the_wheel_scrolls_unless_the_program_wants_it() {
    let mut pane = pane(true);
    assert_eq!(press(&mut pane, b"\x1b[<64;3;4M"), [Act::Send(FromViewer::Scroll { up: 3 })]);
    assert_eq!(pane.mode, Mode::Scroll);
    assert_eq!(press(&mut pane, b"\x1b[<65;3;4M"), [Act::Send(FromViewer::Scroll { up: 0 })]);
    assert_eq!(pane.mode, Mode::Live);
    assert_eq!(press(&mut pane, b"\x1b[<0;3;4M"), []);
    let size = pane.room();
    screen(&mut pane, size, Wants { alternate: true, ..Wants::default() });
    assert_eq!(typed(&press(&mut pane, b"\x1b[<64;3;4M")), b"\x1b[A\x1b[A\x1b[A");
    screen(&mut pane, size, Wants { mouse: Wanted::Clicks, sgr_mouse: true, ..Wants::default() });
    assert_eq!(
        typed(&press(&mut pane, b"\x1b[<64;3;4M\x1b[<0;80;24M\x1b[<0;80;24m")),
        b"\x1b[<64;3;4M\x1b[<0;80;24M\x1b[<0;80;24m"
    );
    assert_eq!(press(&mut pane, b"\x1b[<0;3;25M\x1b[<32;3;4M\x1b[<35;3;4M"), [], "our own line, and moves");
    screen(&mut pane, size, Wants { mouse: Wanted::Drags, ..Wants::default() });
    assert_eq!(
        typed(&press(&mut pane, b"\x1b[<0;3;4M\x1b[<32;3;5M\x1b[<0;3;5m\x1b[<35;3;4M")),
        b"\x1b[M #$\x1b[M@#%\x1b[M##%"
    );
}

#[test]
fn a_larger_child_is_seen_where_its_cursor_is() {
    let mut pane = pane(true);
    let size = Size { rows: 50, cols: 200 };
    for (at, corner) in [((0, 0), (0, 0)), ((23, 79), (0, 0)), ((24, 80), (1, 1)), ((49, 199), (26, 120))] {
        let pointer = Some(Pointer { row: at.0, col: at.1, shape: Default::default(), blinks: false });
        let (rows, wants) =
            (Vec::new(), Wants { mouse: Wanted::Clicks, sgr_mouse: true, ..Wants::default() });
        pane.heard(ToViewer::Screen { size, rows, pointer, up: 0, above: 0, wants }).unwrap();
        assert_eq!(pane.corner(), corner);
        let mouse = format!("\x1b[<0;{};{}M", 1 + corner.1, 1 + corner.0);
        assert_eq!(typed(&press(&mut pane, b"\x1b[<0;1;1M")), mouse.as_bytes());
    }
}

#[test]
fn whoever_loses_the_input_is_told() {
    let mut pane = pane(true);
    let known = Known { yours: false, person: Some("ben".into()), ..pane.known.clone() };
    pane.heard(ToViewer::Child(known)).unwrap();
    assert_eq!(pane.notice.as_deref(), Some("ben has taken the input; you look on"));
    assert_eq!(press(&mut pane, b"x"), []);
    let known = Known { ended: true, state: "exited 0".into(), ..pane.known.clone() };
    pane.heard(ToViewer::Child(known)).unwrap();
    assert_eq!(press(&mut pane, b"\r"), [Act::Detach]);
    assert!(pane.heard(ToViewer::Refused { why: "no".into() }).is_err());
}
