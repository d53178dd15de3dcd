//! Screens from bytes, cut anywhere, hostile or not.

use alacritty_terminal::{
    index::{Column, Line},
    vte::ansi::{Color, NamedColor},
};

use super::*;
use crate::child::status::ProgramState;

const SIZE: Size = Size { rows: 4, cols: 10 };

fn fed(text: &str) -> Screen {
    let mut screen = Screen::new(SIZE);
    let _ = screen.feed(text.as_bytes(), Instant::now());
    screen
}

#[track_caller]
fn check(text: &str, lines: &[&str]) {
    assert_eq!(fed(text).text(0).lines, lines, "{text:?}");
}

/// Everything a program is answered, when its bytes come in two pieces.
fn answers(bytes: &[u8], cut: usize) -> String {
    let (mut screen, now) = (Screen::new(SIZE), Instant::now());
    let mut answers = screen.feed(&bytes[..cut], now).answers;
    answers.extend(screen.feed(&bytes[cut..], now).answers);
    String::from_utf8(answers).unwrap()
}

#[test]
fn answers_come_once_and_in_order_wherever_the_bytes_are_cut() {
    let version = format!("\x1bP>|compere {}\x1b\\", env!("CARGO_PKG_VERSION"));
    let queries = "\x1b[c\x1b[>q\x1b[6n\x1b[?6n\x1b]11;?\x07\x1bP$qr\x1b\\\x1b]7501;?\x1b\\\x1b[5n";
    let expected = format!(
        "\x1b[?6c{version}\x1b[1;1R\x1b[?1;1R\x1b]11;rgb:0000/0000/0000\x07\x1bP1$r1;4r\x1b\\\x1b]7501;?\x1b\\\x1b[0n"
    );
    for queries in [queries.to_owned(), format!("\x1b[?2026h{queries}\x1b[?2026l")] {
        for cut in 0..=queries.len() {
            assert_eq!(answers(queries.as_bytes(), cut), expected, "cut at {cut}");
        }
    }
}

#[test]
fn wide_characters_and_marks_are_read_once() {
    check("漢字\r\nab", &["漢字", "ab"]);
    check("e\u{301}x 👩\u{200d}💻", &["e\u{301}x 👩\u{200d}💻"]);
    check("123456789漢字", &["123456789漢字"]);
    check("漢字\x1b[2Gx", &[" x字"]);
    check("a\tb", &["a       b"]);
}

#[test]
fn a_character_in_two_reads_costs_none_after_it() {
    // vte alone drops the second e: it takes the four bytes from the cut on for one character.
    let bytes = "e\u{301}e\u{301}".as_bytes();
    for cut in 0..=bytes.len() {
        let mut screen = Screen::new(SIZE);
        for piece in [&bytes[..cut], &bytes[cut..]] {
            let _ = screen.feed(piece, Instant::now());
        }
        assert_eq!(screen.text(0).lines, ["e\u{301}e\u{301}"], "cut at {cut}");
    }
}

#[test]
fn wrapped_rows_are_one_line_and_blanks_at_the_end_none() {
    check("0123456789abcdefghij!\r\nnext", &["0123456789abcdefghij!", "next"]);
    check("0123456789\r\nnext", &["0123456789", "next"]);
    check("12345     6\r\n\r\nx  ", &["12345     6", "", "x"]);
    check("", &[]);
}

#[test]
fn nothing_hidden_and_nothing_that_controls_a_reader_is_read() {
    check("a\x1b[8mb漢\x1b[28mc", &["a   c"]);
    check("a\u{202e}b\u{2066}c\u{e0041}d\u{200f}\u{9b}31m", &["abcd31m"]);
    check("x\x00\x07\x7fy", &["xy"]);
}

#[test]
fn scrollback_is_read_in_whole_lines_but_not_under_the_alternate_screen() {
    let mut screen = fed("one\r\n0123456789abc\r\nthree\r\n\r\nfive\r\n0123456789abcdef\r\n");
    let lines = |screen: &Screen, history| {
        let text = screen.text(history);
        (text.lines.join("|"), text.history, text.cursor_line)
    };
    assert_eq!(lines(&screen, 0), ("five|0123456789abcdef".into(), 0, 2));
    assert_eq!(lines(&screen, 1), ("|five|0123456789abcdef".into(), 1, 3));
    assert_eq!(lines(&screen, 3), ("0123456789abc|three||five|0123456789abcdef".into(), 3, 5));
    assert_eq!(lines(&screen, 99), ("one|0123456789abc|three||five|0123456789abcdef".into(), 4, 6));
    let _ = screen.feed(b"\r\n\r\n", Instant::now());
    assert_eq!(lines(&screen, 0), ("abcdef".into(), 0, 3));
    assert_eq!(lines(&screen, 1), ("five|0123456789abcdef".into(), 1, 4));
    let _ = screen.feed(b"\x1b[?1049h\x1b[Hvi", Instant::now());
    assert!(screen.alternate());
    assert_eq!(lines(&screen, 99), ("vi".into(), 0, 0));
    let _ = screen.feed(b"\x1b[?1049l\x1b[3J", Instant::now());
    assert_eq!(lines(&screen, 99), ("abcdef".into(), 0, 3));
}

#[test]
fn a_synchronised_update_shows_at_its_end_or_its_deadline() {
    let (mut screen, now) = (fed("old"), Instant::now());
    let bytes = b"\x1b[?2026h\x1b[Hnew\x1b[?2026lafter";
    for cut in 0..=bytes.len() {
        let _ = screen.feed(b"\x1bcold", now);
        let _ = screen.feed(&bytes[..cut], now);
        let shown = if cut < bytes.len() - 5 { "old" } else { "new" };
        assert!(screen.text(0).lines[0].starts_with(shown), "cut at {cut}");
        let _ = screen.feed(&bytes[cut..], now);
        assert_eq!((screen.text(0).lines, screen.sync_deadline()), (vec!["newafter".to_owned()], None));
    }

    let version = screen.version();
    assert!(!screen.feed(b"\x1b[?2026h", now).changed || screen.version() != version);
    let held = screen.feed(b"\x1b[2J\x1b[H\x1b[?2026hlate\x1b[c", now);
    assert_eq!(held, Fed::default());
    let deadline = screen.sync_deadline().unwrap();
    assert_eq!(deadline, now + SYNC);
    assert_eq!(screen.end_sync(now), Fed::default());
    let shown = screen.end_sync(deadline);
    assert_eq!((shown.changed, shown.answers), (true, b"\x1b[?6c".to_vec()));
    assert_eq!((screen.text(0).lines, screen.sync_deadline()), (vec!["late".to_owned()], None));

    let _ = screen.feed(b"\x1b[?2026h!", now);
    let _ = screen.feed(b"?", now + SYNC);
    assert_eq!(screen.text(0).lines, ["late!?"]);
    let _ = screen.feed(b"\x1b[?2026h", now);
    let _ = screen.feed(&vec![b'\r'; HELD_MAX + 1], now);
    assert_eq!(screen.sync_deadline(), None);
}

#[test]
fn a_failed_emulator_begins_anew_and_goes_on() {
    let mut screen = fed("before\x07");
    let fed = screen.feed("\x1b[?1049hx\x1b[c\u{10fffd}lost\x1b[>q after\x1b[5n".as_bytes(), Instant::now());
    assert!(fed.reset && fed.changed && fed.answers.starts_with(b"\x1b[?6c"));
    assert_eq!((screen.text(0).lines, screen.emulator_resets()), (vec![" after".to_owned()], 1));
    assert!(!screen.alternate() && fed.answers.ends_with(b"\x1b[0n"));
    assert_eq!((screen.size(), screen.bell_count()), (SIZE, 1));
    assert!(!screen.feed(b"\x1b[2J", Instant::now()).reset);
}

#[test]
fn sizes_are_clamped_and_text_reflows() {
    let mut screen = Screen::new(Size { rows: 0, cols: 0 });
    assert_eq!(screen.size(), Size::MIN);
    assert!(!screen.feed("漢a\tb\x1b[9;9H".as_bytes(), Instant::now()).reset);
    screen.resize(SIZE);
    let _ = screen.feed(b"\x1bc0123456789abc", Instant::now());
    screen.resize(Size { rows: 4, cols: 20 });
    assert_eq!(screen.text(0).lines, ["0123456789abc"]);
    let version = screen.version();
    screen.resize(Size { rows: 4, cols: 5 });
    assert_eq!(screen.text(9).lines, ["0123456789abc"]);
    assert_ne!(screen.version(), version);
}

#[test]
fn a_row_that_a_resize_has_lengthened_is_erased_whole() {
    let wide = Size { rows: 4, cols: 20 };
    let pen = |screen: &Screen, col| screen.emulator.term.grid()[Line(1)][Column(col)].bg;
    let mut screen = fed("\x1b[44m\x1b[2J\x1b[m");
    screen.resize(wide);
    let _ = screen.feed(b"\x1b[2J", Instant::now());
    assert_eq!(pen(&screen, 5), Color::Named(NamedColor::Background));
    let mut screen = fed("\x1b[44m\x1b[?1049h\x1b[?1049l\x1b[m");
    screen.resize(wide);
    let _ = screen.feed(b"\x1b[?1049h", Instant::now());
    assert_eq!(pen(&screen, 5), Color::Named(NamedColor::Background));
}

#[test]
fn the_cursor_saved_on_the_way_to_the_alternate_screen_moves_with_its_text() {
    for back in ["\x1b[?1049l", "\x1b[?47l"] {
        let mut screen = fed("0123456789abc\x1b[?1049h");
        screen.resize(Size { rows: 4, cols: 20 });
        let _ = screen.feed(format!("{back}\x1b8x").as_bytes(), Instant::now());
        assert_eq!(screen.text(0).lines, ["0123456789abcx"], "{back}");
    }
}

#[test]
fn who_looks_for_a_composer_sees_the_cursor_and_no_hints() {
    for (text, marked) in [
        ("$ ls\r\n> \x1b[2mType\x1b[22m\x1b[2;3H", "$ ls\n> ▮"),
        ("> mine", "> mine▮"),
        ("> mi\x1b[D", "> m▮i"),
        ("\x1b[?25l> mine\x1b[7m \x1b[27m", "> mine▮"),
        ("\x1b[?25l> \x1b[48;5;7mr\x1b[49mun it", "> ▮run it"),
        ("\x1b[?25l> \x1b[7m漢\x1b[27m字", "> ▮漢字"),
        ("\x1b[?25l\x1b[44m a bar \x1b[m none", " a bar  none"),
        ("\x1b[?25l> wraps right here", "> wraps right here"),
    ] {
        assert_eq!(fed(text).marked(), marked, "{text:?}");
    }
}

#[test]
fn facts_are_told() {
    let mut screen = fed("\x1b]0;a title\x07\x1b[?1;1004;2004h\x1b[2;3H\x1b[?25l\x07");
    assert_eq!(screen.title(), Some("a title"));
    assert_eq!(screen.cursor(), Cursor { row: 1, col: 2, visible: false });
    assert!(screen.app_cursor() && screen.focus_reporting() && screen.bracketed_paste());
    assert_eq!(screen.bell_count(), 1);
    let fed = screen.feed(b"\x1b]7501;state=working\x1b\\\x1b]9;4;1;5\x07\x1b]133;C\x07", Instant::now());
    assert!(fed.changed);
    assert_eq!(screen.status().map(|status| &status.state), Some(&ProgramState::Working));
    assert_eq!(screen.progress().and_then(|progress| progress.percent), Some(5));
    assert_eq!(screen.prompt_mark(), Some(PromptMark::Running));
    let quiet = screen.feed(b"\x1b[c\x1b[31m\x1b]4;1;?\x07\x1b[>1u", Instant::now());
    assert!(!quiet.changed && !quiet.answers.is_empty());
}

#[test]
fn an_osc_that_never_ends_costs_nothing_and_ends() {
    let mut screen = fed("a\x1b]0;");
    for _ in 0..1000 {
        assert!(!screen.feed(&[b'x'; 1000], Instant::now()).changed);
    }
    let _ = screen.feed(b"\x1b\\b", Instant::now());
    assert_eq!((screen.text(0).lines, screen.title().map(str::len)), (vec!["ab".to_owned()], Some(256)));
}

/// xorshift64, so that a failure can be had again.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

/// A program that does whatever a terminal knows, in any order.
pub(in crate::child) struct Program(Dice);

impl Program {
    pub(in crate::child) fn new(seed: u64) -> Self {
        Program(Dice(seed))
    }

    pub(in crate::child) fn write(&mut self, len: usize) -> Vec<u8> {
        super::checkpoint::tests::program::write(&mut self.0, len)
    }
}

#[test]
fn no_bytes_and_no_size_break_it() {
    const PIECES: &[&str] = &[
        "\x1b[",
        "\x1b]",
        "\x1bP",
        "\x1b",
        "?",
        ";",
        "0",
        "9",
        "65535",
        "1049",
        "47",
        "6",
        "h",
        "l",
        "m",
        "r",
        "H",
        "J",
        "K",
        "L",
        "M",
        "P",
        "@",
        "X",
        "S",
        "T",
        "A",
        "B",
        "C",
        "D",
        "G",
        "d",
        "E",
        "F",
        "I",
        "Z",
        "g",
        "b",
        "u",
        ">",
        "<",
        "=",
        "t",
        "n",
        "c",
        "q",
        "$",
        "!",
        "p",
        "\x1b7",
        "\x1b8",
        "\x1bM",
        "\x1bD",
        "\x1b#8",
        "\x1b(0",
        "\x1bc",
        "\r",
        "\n",
        "\t",
        "\x08",
        "\x18",
        "\x07",
        "漢",
        "👩\u{200d}💻",
        "\u{301}",
        "text",
        "\x1b[?2026h",
        "\x1b[?2026l",
        "\x1b\\",
        "\x1b[2;3r",
        "\x1b[?6h",
        "\x1b[?7l",
        "\x1b[4h",
        "\x1b[?1049h",
        "\x1b[?47l",
        "\x1b[3g",
    ];
    for seed in 1..=40 {
        let (mut dice, mut now) = (Dice(seed), Instant::now());
        let mut screen = Screen::new(SIZE);
        for _ in 0..60 {
            let mut bytes = Vec::new();
            for _ in 0..dice.roll(60) {
                match dice.roll(4) {
                    0 => bytes.push(dice.roll(256) as u8),
                    _ => bytes.extend(PIECES[dice.roll(PIECES.len())].as_bytes()),
                }
            }
            let _ = screen.feed(&bytes, now);
            let text = screen.text(dice.roll(20));
            assert!(text.history <= text.lines.len());
            assert!(text.lines.iter().all(|line| !line.contains(char::is_control)));
            now += Duration::from_millis(dice.roll(100) as u64);
            if dice.roll(4) == 0 {
                screen.resize(Size { rows: dice.roll(12) as u16, cols: dice.roll(24) as u16 });
            }
        }
        screen.resize(SIZE);
        let _ = screen.feed(b"\x18\x1b\\\x1b[?2026l\x1bcusable", now);
        assert_eq!(screen.text(0).lines, ["usable"], "seed {seed}");
        assert_eq!(screen.emulator_resets(), 0, "seed {seed}");
    }
}

#[test]
fn the_backgrounds_lie_under_the_text_that_is_shown() {
    let mut screen = Screen::new(Size { rows: 5, cols: 10 });
    let drawn = "one\x1b[44m two \x1b[0m\r\n\x1b[7m\u{6f22}\x1b[0mx   \r\n\r\n12345678\x1b[44m9012\x1b[0m";
    let _ = screen.feed(drawn.as_bytes(), Instant::now());
    let (text, shades) = screen.shaded();
    assert_eq!(text, screen.text(0).lines.join("\n"));
    assert_eq!(text, "one two\n漢x\n\n123456789012");
    let pieces: Vec<(&str, u16)> =
        shades.iter().map(|shade| (&text[shade.at.clone()], shade.ground)).collect();
    assert_eq!(pieces, [("one", 0), (" two", 1), ("漢", 2), ("x", 0), ("12345678", 0), ("9012", 1)]);
}
