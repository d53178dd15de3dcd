//! What is painted is what there was, whatever was painted before; and nothing but what is written in `paint`.

use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::{
    child::{picture::Row, screen::Screen},
    id::Size,
};

const SIZE: Size = Size { rows: 8, cols: 30 };

fn fed(size: Size, bytes: &[u8]) -> Screen {
    let mut screen = Screen::new(size);
    feed(&mut screen, bytes);
    screen
}

fn feed(screen: &mut Screen, bytes: &[u8]) {
    let now = Instant::now();
    let _ = screen.feed(bytes, now);
    if let Some(deadline) = screen.sync_deadline() {
        let _ = screen.end_sync(deadline);
    }
}

fn sheet(screen: &Screen) -> Sheet {
    screen.sheet(0).0
}

/// A person's terminal that has shown this and that, and then this screen.
#[track_caller]
fn check(screen: &Screen, before: &[&Sheet], what: &str) {
    let shown = sheet(screen);
    let mut terminal = fed(shown.size(), b"left \x1b[1;31mover\x1b[5;5Hand more");
    feed(&mut terminal, b"\x1b[?1049h");
    let mut old: Option<&Sheet> = None;
    for sheet in before.iter().copied().chain([&shown]) {
        let painted = paint(old.filter(|old| old.size() == sheet.size()), sheet);
        only_ours(&painted);
        if terminal.size() != sheet.size() {
            terminal.resize(sheet.size());
        }
        feed(&mut terminal, painted.as_bytes());
        old = Some(sheet);
    }
    // The emulator's own cells, by way of the text that models read, and the whole look.
    assert_eq!(terminal.text(0).lines.len(), screen_lines(screen).len(), "{what}");
    assert_eq!(sheet_lines(&terminal), screen_lines(screen), "{what}");
    assert_eq!(self::sheet(&terminal), shown, "{what}");
    assert!(paint(Some(&shown), &shown).is_empty());
}

/// Rows that wrap are joined in the text of the one and not of the other: cut them again.
fn screen_lines(screen: &Screen) -> Vec<String> {
    let mut lines = sheet(screen).text();
    lines.truncate(lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1));
    lines
}

fn sheet_lines(terminal: &Screen) -> Vec<String> {
    terminal.text(0).lines
}

/// Text, cursor moves, pens, links to pages and files, and the three modes that painting needs.
#[track_caller]
fn only_ours(painted: &str) {
    let ours = regex::Regex::new(concat!(
        "\u{1b}(?:\\[[0-9;:]*m|\\[[0-9]+;[0-9]+H|\\[H|\\[2J|\\[K|\\[\\?(?:25|2026)[hl]|\\[[1-6] q",
        "|\\]8;;(?:(?i:https?|file)://[!-~]*)?\u{1b}\\\\)"
    ))
    .unwrap();
    let rest = ours.replace_all(painted, "");
    assert!(!rest.contains(char::is_control), "{rest:?}");
}

#[test]
fn each_kind_of_cell_is_painted_as_it_was() {
    for bytes in [
        "",
        "plain text\r\nand more",
        "\x1b[1mbold\x1b[2mdim\x1b[3mitalic\x1b[7mturned\x1b[9mcrossed\x1b[m",
        "\x1b[4ma\x1b[4:2mb\x1b[4:3mc\x1b[4:4md\x1b[4:5me\x1b[58;5;9mf\x1b[58:2::1:2:3mg",
        "\x1b[31ma\x1b[92mb\x1b[44mc\x1b[105md\x1b[38;5;3me\x1b[38;5;200mf\x1b[48;2;1;2;3mg",
        "漢字 and \u{1f469}\u{200d}\u{1f4bb} e\u{301}\u{302} ✔\u{fe0f}",
        "012345678901234567890123456789012345678901234567890",
        "01234567890123456789012345678漢字",
        "\x1b[44m\x1b[2J\x1b[Hblue all over",
        "\x1b]8;;https://a/b?c=d\x07link\x1b]8;;\x07 and \x1b]8;id=x;file:///tmp\x1b\\\x1b[1mfile\x1b[m more",
        "\x1b]4;1;#102030\x07\x1b[31mchanged\x1b]11;#445566\x07",
        "main\x1b[?1049h\x1b[3;3Halternate",
        "\x1b[?25lunseen",
        "\x1b[5 qbeam\x1b[4;4H",
        "\x1b[2;10r\x1b[?6h\x1b[4hmodes\x1b(0lqqk",
        "a\tb\tc\x1b[8mhidden漢\x1b[28m!",
        "a\u{202e}b\u{2066}c\u{e0041}",
        "漢字\x1b[2Gx\x1b[2;1H漢字\x1b[1P\x1b[3;1H漢字\x1b[2G\x1b[@",
    ] {
        let screen = fed(SIZE, bytes.as_bytes());
        check(&screen, &[], bytes);
        let full = sheet(&fed(SIZE, "漢字 text \x1b[41m".repeat(40).as_bytes()));
        check(&screen, &[&full], bytes);
        let shifted = sheet(&fed(SIZE, format!("x{bytes}").as_bytes()));
        check(&screen, &[&full, &shifted], bytes);
    }
}

/// What a hostile program prints so that something else happens on the terminal of whoever looks.
#[test]
fn nothing_of_a_hostile_program_passes() {
    let hostile: [&[u8]; 24] = [
        b"\x1b]0;title\x07",
        b"\x1b]2;title\x1b\\\x1b[21t\x1b[22t",
        b"\x1b]52;c;cm0gLXJmIH4=\x07",
        b"\x1b]52;c;?\x07",
        b"\x1bP$qm\x1b\\",
        b"\x1bP+q544e\x1b\\",
        b"\x1b[>1u\x1b[=31u\x1b[?u",
        b"\x1bPq#0;2;0;0;0#0~~@@vv\x1b\\",
        b"\x1b_Gi=31,s=1,v=1,a=T,f=24;AAAA\x1b\\",
        b"\x1b^private\x1b\\\x1bXstring\x1b\\",
        b"\x1b]8;;javascript:alert(1)\x07click\x1b]8;;\x07",
        b"\x1b]8;;http://a\x1b]52;c;eA==\x07click\x1b]8;;\x07",
        "\u{9b}31m\u{9d}0;t\u{9c}\u{90}q\u{9c}".as_bytes(),
        b"\x9b2J\x9d52;c;eA==\x9c",
        b"\x1b]1337;File=inline=1:AAAA\x07",
        b"\x1b]9;notify\x07\x1b]777;notify;a;b\x07\x1b]99;;x\x1b\\",
        b"\x1b]50;font\x07\x1b]4;1;#ffffff\x07\x1b]10;#000000\x07\x1b]104\x07",
        b"\x1b[5i\x1b[4i\x1b[c\x1b[6n\x1b[18t\x1b[8;2;2t\x1b[3;1;1t",
        b"\x1b[?1000h\x1b[?1003h\x1b[?1006h\x1b[?1004h\x1b[?2004h\x1b[?1049h\x1b[?9h",
        b"\x07\x07\x05\x0e\x1b(0\x1b#8\x1bc",
        b"\x1b[?69h\x1b[2;3s\x1b[2;3r\x1b[?6h\x1b[4h\x1b[20h",
        b"\x1b]7;file:///etc\x07\x1b]133;A\x07\x1b]7501;state=idle\x07",
        "a\u{202e}b\u{2066}\u{e0041}\u{200f}\u{feff}".as_bytes(),
        b"\x1b]0;never ended",
    ];
    for bytes in hostile {
        let what = bytes.escape_ascii().to_string();
        let screen = fed(SIZE, &[b"before ", bytes, b" after"].concat());
        check(&screen, &[], &what);
        let (mut terminal, painted) = (Screen::new(SIZE), paint(None, &sheet(&screen)));
        let fed = terminal.feed(painted.as_bytes(), Instant::now());
        assert_eq!(fed.answers, b"", "{what}");
        let quiet = Screen::new(SIZE);
        assert_eq!(
            (terminal.told(), terminal.title(), terminal.bell_count()),
            (quiet.told(), None, 0),
            "{what}"
        );
        assert_eq!(terminal.wants(), quiet.wants(), "{what}");
    }
}

#[test]
fn what_has_scrolled_away_is_seen_from_above() {
    let lines: String = (0..30).map(|n| format!("\x1b[3{}mline {n}\r\n", n % 8)).collect();
    let screen = fed(SIZE, lines.as_bytes());
    assert_eq!(screen.rows_above(), 23);
    let (sheet, up) = screen.sheet(10);
    assert_eq!((up, sheet.text()[0].as_str(), sheet.pointer), (10, "line 13", None));
    assert_eq!((screen.sheet(99).1, screen.sheet(99).0.text()[0].as_str()), (23, "line 0"));
}

#[test]
fn little_is_written_for_a_little_change() {
    let one = fed(Size::DEFAULT, "a long line of text that stays as it is\r\n".repeat(30).as_bytes());
    let mut other = fed(Size::DEFAULT, "a long line of text that stays as it is\r\n".repeat(30).as_bytes());
    feed(&mut other, b"x");
    let (one, other) = (sheet(&one), sheet(&other));
    assert!(paint(Some(&one), &other).len() < 60, "{:?}", paint(Some(&one), &other));
    assert_eq!(other.changed(Some(&one)).len(), 1);
    assert_eq!(other.changed(None).len(), 40);
}

#[test]
fn a_text_that_is_cut_anywhere_is_a_row() {
    let sheet = sheet(&fed(SIZE, "漢字漢字 \x1b[44m漢".as_bytes()));
    for from in 0..12 {
        for cols in 0..12 {
            let mut cut = Sheet::new(Size { rows: 1, cols: 12 });
            let row: Row = sheet.rows()[0].part(from, cols);
            cut.set(0, row);
            let mut terminal = Screen::new(cut.size());
            feed(&mut terminal, paint(None, &cut).as_bytes());
            assert_eq!(self::sheet(&terminal).rows(), cut.rows(), "{from} {cols}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(5), cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// A program that does whatever a terminal knows, seen at some moments: each is painted upon the one before.
    #[test]
    fn a_screen_is_painted_over_whatever_was_there(seed in 1..u64::MAX, rows in 1..12u16, cols in 2..50u16) {
        let size = Size { rows, cols };
        let mut program = crate::child::screen::tests::Program::new(seed);
        let mut screen = Screen::new(size);
        let mut moments: Vec<Sheet> = Vec::new();
        for _ in 0..6 {
            feed(&mut screen, &program.write(400));
            // A sequence that was begun would swallow what comes to end an update.
            feed(&mut screen, b"\x18\x1b\\");
            let before: Vec<&Sheet> = moments.iter().collect();
            check(&screen, &before, &format!("{seed}"));
            let shown = sheet(&screen);
            let json = serde_json::to_string(shown.rows()).unwrap();
            let mut read = Sheet::new(size);
            for (at, row) in serde_json::from_str::<Vec<Row>>(&json).unwrap().into_iter().enumerate() {
                read.set(at, row);
            }
            prop_assert_eq!(read.rows(), shown.rows());
            moments.push(shown);
        }
    }
}
