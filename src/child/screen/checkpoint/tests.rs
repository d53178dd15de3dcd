//! A screen that was restored is the one that was kept, now and after whatever comes; and bytes that are no checkpoint
//! harm nobody.

use std::time::Instant;

use super::*;
use crate::child::screen::tests::Dice;

pub(in crate::child::screen) mod program;

const SIZE: Size = Size { rows: 9, cols: 30 };

fn fed(bytes: &[u8]) -> Screen {
    let mut screen = Screen::new(SIZE);
    let _ = screen.feed(bytes, Instant::now());
    screen
}

/// A restored twin of it.
#[track_caller]
fn twin(screen: &mut Screen) -> Screen {
    Screen::restore(&screen.checkpoint().unwrap()).unwrap()
}

/// Everything that they are.
#[track_caller]
pub(in crate::child::screen) fn same(a: &mut Screen, b: &mut Screen, when: &str) {
    let cells = |grid: &Grid<Cell>| {
        let lines = -(grid.history_size() as i32)..grid.screen_lines() as i32;
        lines.map(|line| grid[Line(line)].clone()).collect::<Vec<_>>()
    };
    let told = |screen: &Screen| {
        let facts = serde_json::to_string(&Facts::of(screen)).unwrap();
        (facts, screen.extra.saved_primary.clone())
    };
    assert_eq!(told(a), told(b), "{when}");
    assert_eq!(a.text(Screen::HISTORY), b.text(Screen::HISTORY), "{when}");
    let (shown, other) = (a.emulator.term.grid(), b.emulator.term.grid());
    assert_eq!(shown.cursor, other.cursor, "{when}");
    assert_eq!(shown.saved_cursor, other.saved_cursor, "{when}");
    assert!(cells(shown) == cells(other), "{when}");
    let alternate = a.alternate();
    let hidden = |screen: &mut Screen| {
        behind(&mut screen.emulator.term, |grid| match alternate {
            true => (grid.cursor.clone(), cells(grid)),
            false => (grid.saved_cursor.clone(), Vec::new()),
        })
    };
    assert!(hidden(a) == hidden(b), "{when}, behind");
}

/// Follows a program of this seed to somewhere, and a twin of it from there on.
fn follow(seed: u64, len: usize) {
    let (mut dice, now) = (Dice(seed), Instant::now());
    let size = |dice: &mut Dice| Size { rows: 1 + dice.roll(14) as u16, cols: 2 + dice.roll(60) as u16 };
    let mut screen = Screen::new(size(&mut dice));
    for _ in 0..dice.roll(4) {
        let len = dice.roll(1500);
        let bytes = program::write(&mut dice, len);
        let _ = screen.feed(&bytes, now);
        screen.resize(size(&mut dice));
    }
    let cut = dice.roll(2000);
    let bytes = program::write(&mut dice, cut);
    let _ = screen.feed(&bytes[..cut], now);
    let bytes = program::write(&mut dice, len);
    let mut rest = bytes.chunks(1 + dice.roll(3));
    while screen.checkpoint().is_none() {
        let shown_at = screen.sync_deadline().unwrap_or(now);
        let _ = screen.feed(rest.next().unwrap(), shown_at);
    }
    let mut other = twin(&mut screen);
    same(&mut screen, &mut other, &format!("seed {seed}, now"));
    let rest: Vec<u8> = rest.flatten().copied().collect();
    let (mut from, mut len) = (0, 100);
    while from < rest.len() {
        let part = &rest[from..rest.len().min(from + len)];
        (from, len) = (from + len, 3 * len);
        assert_eq!(screen.feed(part, now), other.feed(part, now), "seed {seed}");
        same(&mut screen, &mut other, &format!("seed {seed}, {from} bytes later"));
        if dice.roll(2) == 0 {
            let size = size(&mut dice);
            screen.resize(size);
            other.resize(size);
            same(&mut screen, &mut other, &format!("seed {seed}, {size:?}"));
        }
    }
}

#[test]
fn a_restored_screen_is_the_same_now_and_ever_after() {
    for seed in 1..=40 {
        follow(seed, if seed % 20 == 0 { 30_000 } else { 3000 });
    }
}

/// What the first bytes leave behind shows in what the second do.
#[track_caller]
fn check(before: &str, after: &str) {
    let mut screen = fed(before.as_bytes());
    let mut other = twin(&mut screen);
    same(&mut screen, &mut other, before);
    let (mut bare, now) = (fed(b""), Instant::now());
    let answered = screen.feed(after.as_bytes(), now);
    assert_eq!(answered, other.feed(after.as_bytes(), now), "{before:?}");
    same(&mut screen, &mut other, before);
    let otherwise = bare.feed(after.as_bytes(), now).answers != answered.answers;
    assert!(otherwise || bare.text(99) != screen.text(99), "{before:?} leaves nothing");
}

#[test]
fn what_cannot_be_seen_is_kept_too() {
    check("\x1b[3g\x1b[6G\x1bH\x1b[29G\x1bH\r", "\tx\tx\ty");
    check("ab", "\x1b[5b");
    check("\x1b(0", "lqqk");
    check("\x1b)0\x0e", "lqqk");
    check("\x1b*0\x1b[1;3r", "\x1bn\n\n\n\n\nx\x1bP$qr\x1b\\");
    check("\x1b[2;4r\x1b[?6h\x1b[2;2H", "x\x1b[6n\x1b[9Bx");
    check("\x1b[3;3H\x1b[31m\x1b7\x1b[m\x1b[H", "\x1b8x\x1bP$qm\x1b\\");
    check("\x1b[4:3;58;5;9m", "x\x1bP$qm\x1b\\");
    check("\x1b[3;3H\x1b7\x1b[?1049h\x1b[5;5H\x1b7\x1b[?1049l", "\x1b[?47h\x1b8x\x1b[6n\x1b[?47l");
    check("main\x1b[5;5H\x1b7\x1b[H\x1b[?47h\x1b[2;2H", "x\x1b[?47l\x1b8y");
    check("main\x1b[?1049h\x1b[Halt", "x\x1b[?1049ly");
    check("\x1b[>1u\x1b[>5u\x1b[=8;2u", "\x1b[?u\x1b[<u\x1b[?u");
    check("\x1b[>1u\x1b[?1049h\x1b[>3u\x1b[>7u\x1b[?1049l", "\x1b[?u\x1b[?1049h\x1b[?u\x1b[<u\x1b[?u");
    check("012345678901234567890123456789", "x");
    check("0123456789012345678901234567\x1b[?7l漢", "漢x");
    check("\x1b[4h\x1b[20habc\r", "xy\nz");
    check(
        "\x1b[?1;12;1002;1006;1004h\x1b[?1007;1042l",
        "\x1b[?1$p\x1b[?12$p\x1b[?1002$p\x1b[?1006$p\x1b[?1007$p\x1b[?1042$p",
    );
    check("\x1b[5 q", "\x1bP$q q\x1b\\");
    check("\x1b]4;7;#102030\x07\x1b]10;#445566\x07", "\x1b]4;7;?\x07\x1b]10;?\x07");
    check(&"\x1b#8".repeat(200), "x\x1b#8");
}

#[test]
fn titles_and_what_was_told_are_kept() {
    let mut screen = fed(
        "\x1b]2;one\x07\x1b[22t\x1b]2;two\x07\x07\x07\x1b]7;file:///a\x07\x1b]9;hi\x07\x1b]9;4;1;50\x07\x1b]133;D;3\x07\
         \x1b]7501;state=blocked:kind=permission:msg=aGk\x07\x1b]7501;state=pondering:id=a\x07"
            .as_bytes(),
    );
    let mut other = twin(&mut screen);
    assert_eq!(other.told(), screen.told());
    assert_eq!((other.title(), other.bell_count(), other.version()), (Some("two"), 2, screen.version()));
    let _ = other.feed(b"\x1b[23t", Instant::now());
    assert_eq!(other.title(), Some("one"));
    let _ = screen.feed("\u{10fffd}".as_bytes(), Instant::now());
    assert_eq!(twin(&mut screen).emulator_resets(), 1);
}

#[test]
fn wrapped_lines_and_history_reflow_as_they_would_have() {
    let mut screen = fed("0123456789 漢字\tabc 0123456789 0123456789 漢字\r\n".repeat(20).as_bytes());
    let mut other = twin(&mut screen);
    for cols in [17, 80, 2, 30] {
        screen.resize(Size { rows: 7, cols });
        other.resize(Size { rows: 7, cols });
        same(&mut screen, &mut other, &format!("at {cols} columns"));
    }
}

#[test]
fn what_is_unfinished_has_no_checkpoint() {
    for begun in
        ["\x1b", "\x1b[", "\x1b[3", "\x1b(", "\x1b]0;t", "\x1bP", "\x1bPq#0", "\x1b_x", "\x1b[?2026hx"]
    {
        assert!(fed(begun.as_bytes()).checkpoint().is_none(), "{begun:?}");
    }
    let long = [&b"\x1b]0;"[..], &[b'x'; 9000]].concat();
    assert!(fed(&long).checkpoint().is_none());
    let now = Instant::now();
    let mut screen = fed("é".as_bytes());
    for (byte, whole) in "漢👩".bytes().zip([false, false, true, false, false, false, true]) {
        let _ = screen.feed(&[byte], now);
        assert_eq!(screen.checkpoint().is_some(), whole);
    }
    let _ = screen.feed(b"\xf0\x9f\x1b[m", now);
    assert!(screen.checkpoint().is_some());
    let _ = screen.feed(b"\x1b[?2026hx", now);
    assert!(screen.checkpoint().is_none());
    let deadline = screen.sync_deadline().unwrap();
    let _ = screen.end_sync(deadline);
    assert!(screen.checkpoint().is_some());
}

#[test]
fn history_gives_way_and_the_screen_never() {
    let mut screen = Screen::new(Size { rows: 250, cols: 1000 });
    let _ = screen.feed("漢\x1b[500b".repeat(250).as_bytes(), Instant::now());
    assert!(screen.checkpoint().is_none());
    let _ = screen.feed(&b"\n".repeat(100), Instant::now());
    let bytes = screen.checkpoint().unwrap();
    assert!(
        (Screen::MAX_CHECKPOINT - 5000..=Screen::MAX_CHECKPOINT).contains(&bytes.len()),
        "{}",
        bytes.len()
    );
    let other = Screen::restore(&bytes).unwrap();
    assert_eq!(other.text(0), screen.text(0));
    let (kept, all) = (other.emulator.term.grid().history_size(), screen.emulator.term.grid().history_size());
    assert!((10..all).contains(&kept), "{kept} of {all}");
}

#[test]
fn bytes_that_are_no_checkpoint_make_no_screen() {
    let mut screen = Screen::new(Size { rows: 3, cols: 12 });
    let bytes = "one\t漢e\u{301}\r\n\x1b[31;48;2;1;2;3mtwo\r\n\x1b[4;58;5;3mthree\r\n\x1b[3;5r\x1b[3g\x1bH\x1b[>1u\x1b]2;t\x07\x1b]11;#123456\x07\
                 \x1b]7501;state=blocked:kind=x\x07\x1b7\x1b[?47h\x1b[mfour\r\n";
    let _ = screen.feed(bytes.as_bytes(), Instant::now());
    let good = screen.checkpoint().unwrap();
    for len in 0..good.len() {
        assert!(Screen::restore(&good[..len]).is_none(), "{len} bytes");
    }
    assert!(Screen::restore(&[&good[..], b"\0"].concat()).is_none());
    assert!(Screen::restore(&[&good[..], &vec![0; Screen::MAX_CHECKPOINT]].concat()).is_none());

    let mut dice = Dice(7);
    for at in 0..good.len() {
        for flip in [1, 0x80, 1 + dice.roll(255) as u8] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            let Some(mut screen) = Screen::restore(&bad) else { continue };
            let _ = screen.feed("x漢\x1b[2J\x1b[?1049l\x1b[5b\ty\x1b8z\r\n".as_bytes(), Instant::now());
            screen.resize(Size { rows: 2, cols: 5 });
            assert!(
                screen.text(99).lines.iter().all(|line| !line.contains(char::is_control)),
                "{at} ^ {flip}"
            );
            let _ = screen.feed(b"\x1bcusable", Instant::now());
            assert_eq!(screen.text(0).lines, ["usable"], "{at} ^ {flip}");
        }
    }
}

#[test]
fn facts_that_no_screen_has_make_no_screen() {
    let good = fed(b"\x1b]2;t\x07\x1b[2;4r\x1b]7;file:///a\x07\x1b]9;4;1;50\x07").checkpoint().unwrap();
    let changed = |from: &str, to: &str| {
        let at = good.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        Screen::restore(&[&good[..at], to.as_bytes(), &good[at + from.len()..]].concat())
    };
    assert_eq!(changed(r#""title":"t""#, r#""title":"T""#).unwrap().title(), Some("T"));
    for (from, to) in [
        ("screen 1", "screen 2"),
        (r#""rows":9"#, r#""rows":0"#),
        (r#""rows":9"#, r#""rows":60000"#),
        (r#""version":"#, r#""version":1844674407370955"#),
        (r#""bells":0"#, r#""bells":18446744073709551615"#),
        (r#""owed":0"#, r#""owed":18446744073709551615"#),
        (r#""title":"t""#, r#""title":"\u001b""#),
        (r#""margins":[1,3]"#, r#""margins":[1,9]"#),
        (r#""tabs":null"#, r#""tabs":[true]"#),
        (r#""charset":0"#, r#""charset":4"#),
        (r#""cwd":"/a""#, r#""cwd":"/\u202e""#),
        (r#""percent":50"#, r#""percent":150"#),
        (r#""shape":[0"#, r#""shape":[5"#),
        (r#""colors":[]"#, r#""colors":[[269,[0,0,0]]]"#),
        (r#""modes":"#, r#""modes":9"#),
    ] {
        assert!(changed(from, to).is_none(), "{to}");
    }
}

#[test]
fn a_checkpoint_is_small_and_soon_made() {
    let lines = |count: usize| {
        let line = |n: usize| {
            let colors = ["", "\x1b[32m", "\x1b[1;34m", "\x1b[38;5;208m"];
            let name = &"src/child/screen/checkpoint_of_a_file_with_some_name.rs"[..12 + n * 7 % 40];
            format!(
                "{}{n:5}\x1b[m  \x1b[2m{name}\x1b[m: {} warnings, 0 errors\r\n",
                colors[n % 4],
                n * 31 % 97
            )
        };
        (0..count).map(line).collect::<String>()
    };
    for (history, most) in [(0, 4096), (Screen::HISTORY, 96 * 1024)] {
        let mut screen = Screen::new(Size::DEFAULT);
        let _ = screen.feed(lines(39 + history).as_bytes(), Instant::now());
        let begin = Instant::now();
        let bytes = screen.checkpoint().unwrap();
        let made = begin.elapsed();
        let other = Screen::restore(&bytes).unwrap();
        eprintln!(
            "{history} lines: {} bytes, made in {made:?}, read in {:?}",
            bytes.len(),
            begin.elapsed() - made
        );
        assert_eq!(other.text(Screen::HISTORY), screen.text(Screen::HISTORY));
        assert!(bytes.len() <= most, "{}", bytes.len());
    }
}
