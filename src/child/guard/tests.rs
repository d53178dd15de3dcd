//! Each thing that the guard closes or mends, by the sequence that shows it, on a screen of 4 by 10.

use std::time::Instant;

use super::{handler::FIRST_MARK, *};
use crate::{child::screen::Screen, id::Size};

/// Makes the emulator fail, in tests only.
pub(super) const BOOM: char = '\u{10fffd}';

fn fed(bytes: &[u8]) -> (Screen, String) {
    let mut screen = Screen::new(Size { rows: 4, cols: 10 });
    let fed = screen.feed(bytes, Instant::now());
    assert!(!fed.reset, "{bytes:?}");
    (screen, String::from_utf8(fed.answers).unwrap())
}

#[track_caller]
fn check(bytes: &[u8], lines: &[&str], cursor: (usize, usize)) {
    let (screen, _) = fed(bytes);
    let at = screen.cursor();
    assert_eq!((screen.text(0).lines, (at.row, at.col)), (lines.iter().map(|&l| l.into()).collect(), cursor));
}

#[track_caller]
fn cursor(bytes: &[u8], cursor: (usize, usize)) {
    let at = fed(bytes).0.cursor();
    assert_eq!((at.row, at.col), cursor, "{}", bytes.escape_ascii());
}

#[track_caller]
fn answer(bytes: &[u8], expected: &str) {
    assert_eq!(fed(bytes).1.escape_debug().to_string(), expected.escape_debug().to_string());
}

#[test]
fn a_pending_wrap_ends_as_in_xterm() {
    for index in ["\n", "\x0b", "\x0c", "\x1bD"] {
        check(format!("abcdefghij{index}x").as_bytes(), &["abcdefghij", "         x"], (1, 9));
    }
    check(b"\nabcdefghi\x1b[10Gj\x1bMx", &["         x", "abcdefghij"], (0, 9));
    cursor(b"abcdefghij\t", (0, 9));
    for erase in ["[K", "[J", "[X", "7\x1b8", "[@"] {
        check(format!("abcdefghij\x1b{erase}x").as_bytes(), &["abcdefghix"], (0, 9));
    }
    check(b"abcdefghij\x1b[1K", &[], (0, 9));
    check(b"abcdefghijk", &["abcdefghijk"], (1, 1));
}

#[test]
fn lines_are_inserted_and_deleted_from_the_first_column() {
    check(b"abc\x1b[L", &["", "abc"], (0, 0));
    check(b"abc\r\ndef\x1b[M", &["abc"], (1, 0));
    check(b"abc\x1b[2;3r\x1b[1;3H\x1b[L\x1b[M", &["abc"], (0, 2));
}

#[test]
fn relative_moves_stop_at_the_margins() {
    cursor(b"\x1b[2;3r\x1b[3;5H\x1b[9A", (1, 4));
    cursor(b"\x1b[2;3r\x1b[2;5H\x1b[9B", (2, 4));
    cursor(b"\x1b[2;3r\x1b[3;5H\x1b[9F", (1, 0));
    cursor(b"\x1b[2;3r\x1b[2;5H\x1b[9E", (2, 0));
    cursor(b"\x1b[2;3r\x1b[1;5H\x1b[9B", (2, 4));
    cursor(b"\x1b[2;3r\x1b[1;5H\x1b[9A", (0, 4));
    cursor(b"\x1b[2;3r\x1b[4;5H\x1b[9B", (3, 4));
    cursor(b"\x1b[65535B\x1b[65535C", (3, 9));
}

#[test]
fn moves_count_from_the_screen_and_positions_from_the_margin() {
    cursor(b"\x1b[2;4r\x1b[?6h\x1b[1;1H\x1b[4G", (1, 3));
    cursor(b"\x1b[2;4r\x1b[?6h\x1b[3;1H\x1b[A", (2, 0));
    cursor(b"\x1b[2;4r\x1b[?6h\x1b[B", (2, 0));
    cursor(b"\x1b[?6h\x1b[3;3H\x1b[?6l", (0, 0));
    answer(b"\x1b[2;4r\x1b[?6h\x1b[3;3H\x1b[6n\x1b[?6n", "\x1b[3;3R\x1b[?3;3R");
    cursor(b"\x1b[3;3H\x1b[9;12r", (2, 2));
    cursor(b"\x1b[3;3H\x1b[9;12r\x1b[L", (2, 0));
    cursor(b"\x1b[3g\x1b[8G\x1b[Z", (0, 0));
    cursor(b"\x1b[10G\x1b[Z", (0, 8));
}

#[test]
fn erasing_above_erases_the_first_row_too() {
    check(b"ab\r\ncdef\x1b[2D\x1b[1J", &["", "   f"], (1, 2));
}

#[test]
fn all_ways_to_the_alternate_screen_lead_back() {
    for mode in [47, 1047] {
        check(format!("main\x1b[?{mode}hX\x1b[?{mode}l!").as_bytes(), &["main !"], (0, 6));
        let saved = format!("\x1b[2;2H\x1b7\x1b[4;4H\x1b[?{mode}h\x1b[H\x1b7\x1b[?{mode}l\x1b8x");
        check(saved.as_bytes(), &["", " x"], (1, 2));
    }
    check(b"main\x1b[?1049h\x1b[HX\x1b[?1049l!", &["main!"], (0, 5));
    check(b"main\x1b[?1049h\x1b[2JX", &["    X"], (0, 5));
    check(b"ab\x1b[?1048h\x1b[3;3H\x1b[?1048lc", &["abc"], (0, 3));
}

#[test]
fn a_change_of_columns_ends_the_margins() {
    for change in ["\x1b[?3h", "\x1b[?3l"] {
        answer(format!("\x1b[2;3r{change}\x1bP$qr\x1b\\").as_bytes(), "\x1bP1$r1;4r\x1b\\");
    }
}

#[test]
fn a_cursor_saved_before_a_resize_stays_on_the_screen() {
    let (mut screen, _) = fed(b"\x1b[4;10H\x1b7\x1b[?47h");
    screen.resize(Size { rows: 1, cols: 2 });
    assert!(!screen.feed(b"\x1b[?47l\x1b8x", Instant::now()).reset);
    assert_eq!(screen.text(0).lines, [" x"]);
}

#[test]
fn a_soft_reset_keeps_text_and_cursor() {
    let bytes = b"\x1b[2;3r\x1b[?6h\x1b[4h\x1b[?25;7l\x1b[31mab\x1b(0\x1b[!p\x1b[?6$p\x1b[4$p\x1b[?7$pq\x1b[?6n\x1bP$qr\x1b\\";
    check(bytes, &["", "abq"], (1, 3));
    answer(bytes, "\x1b[?6;2$y\x1b[4;2$y\x1b[?7;1$y\x1b[?2;4R\x1bP1$r1;4r\x1b\\");
}

#[test]
fn decaln_goes_home() {
    check(b"\x1b[2;3r\x1b#8", &["EEEEEEEEEE"; 4], (0, 0));
}

#[test]
fn filling_cells_without_bytes_has_a_limit() {
    let filled = |bytes: &[u8]| {
        let (screen, _) = fed(bytes);
        screen.text(1000).lines.concat().len()
    };
    assert_eq!(filled(b"x\x1b[9b"), 10);
    let flood = b"x".iter().chain(b"\x1b[65535b".repeat(10).iter()).copied().collect::<Vec<_>>();
    assert!(filled(&flood) <= 80 + (CELLS_PER_BYTE + 1) * flood.len(), "{}", filled(&flood));
    let (screen, _) = fed(&b"\x1b#8".repeat(4));
    assert_eq!(screen.text(0).lines, ["EEEEEEEEEE"; 4]);
    cursor(&b"\x1b[3g\x1b[9G\x1b[65535Z".repeat(1000), (0, 0));
}

#[test]
fn working_on_whole_screens_has_a_limit() {
    let mut screen = Screen::new(Size::DEFAULT);
    let _ = screen.feed(&[&b"\x1b#8".repeat(1000)[..], b"\x1b[2J\x1b#8"].concat(), Instant::now());
    assert!(screen.text(0).lines.is_empty());
    let mut screen = Screen::new(Size::DEFAULT);
    let _ = screen.feed(&b"x\r\n\x1b[2J\x1b[H".repeat(500), Instant::now());
    let text = screen.text(1000);
    assert!((10..100).contains(&text.history) && text.lines.len() == text.history, "{}", text.history);
}

#[test]
fn erasing_in_colour_has_a_limit_and_erasing_has_none() {
    let size = Size { rows: 40, cols: 100 };
    let ground = |bytes: &[u8]| {
        let mut screen = Screen::new(size);
        let _ = screen.feed(bytes, Instant::now());
        let (sheet, _) = screen.sheet(0);
        (screen.text(0).lines, sheet.rows()[39].cells()[50].style.bg.is_some())
    };
    for erase in [
        "[S",
        "[40S",
        "[40T",
        "[H\x1b[40L",
        "[H\x1b[40M",
        "[H\x1b[J",
        "[2J",
        "[40;100H\x1b[1J",
        "[?1049h",
        "[?47h",
        "[?3h",
    ] {
        assert!(ground(format!("text\r\n\x1b[44m\x1b{erase}").as_bytes()).1, "{erase:?}");
    }
    for erase in ["[40S", "[40T", "[H\x1b[40L", "[H\x1b[40M", "[H\x1b[J", "[2J"] {
        let flood = [44, 45].map(|color| format!("\x1b[Htext\x1b[{color}m\x1b{erase}")).concat();
        let grounds = (200..210).map(|times| ground(flood.repeat(times).as_bytes()));
        let (texts, coloured): (Vec<_>, Vec<_>) = grounds.unzip();
        // Twenty bytes pay for an eighth of it.
        assert!(coloured.iter().filter(|coloured| **coloured).count() <= 3, "{erase:?} {coloured:?}");
        assert_eq!(texts.concat(), [""; 0], "{erase:?}");
    }
    let honest = format!("{}\x1b[44m\x1b[2J", "text and more of it\r\n".repeat(40));
    assert!(ground(honest.repeat(20).as_bytes()).1, "bytes pay for it");
}

#[test]
fn stacks_and_titles_are_bounded() {
    answer(&[&b"\x1b[>1u".repeat(5000)[..], b"\x1b[>5u\x1b[?u\x1b[<u\x1b[?u"].concat(), "\x1b[?5u\x1b[?1u");
    answer(b"\x1b[>1u\x1b[?1049h\x1b[?u\x1b[>3u\x1b[?u\x1b[?1049l\x1b[?u", "\x1b[?0u\x1b[?3u\x1b[?1u");
    answer(&[&b"\x1b[>1u\x1b[<u".repeat(100)[..], b"\x1b[>5u\x1b[>1u\x1b[<u\x1b[?u"].concat(), "\x1b[?5u");
    let title = format!("\x1b]2;a\u{202e}b\x1b\\\x1b[22t\x1b]2;{}\x07", "c".repeat(5000));
    let (mut screen, _) = fed(&title.repeat(100).into_bytes());
    assert_eq!(screen.title().map(str::len), Some(256));
    let _ = screen.feed(&b"\x1b[23t".repeat(99), Instant::now());
    assert_eq!(screen.title(), Some("ab"));
    let titles: String = (1..=99).map(|n| format!("\x1b]2;{n}\x07\x1b[22t")).collect();
    let _ = screen.feed((titles + "\x1b[23t").as_bytes(), Instant::now());
    assert_eq!(screen.title(), Some("16"));
    let _ = screen.feed(b"\x1bc", Instant::now());
    assert_eq!(screen.title(), None);
}

#[test]
fn marks_on_a_cell_are_bounded_wherever_it_is() {
    let marks = "\u{301}".repeat(100);
    for (before, expected) in [("", 17), ("e", 17), ("漢", 17), ("123456789e", 26), ("123456789\x1b[10G", 25)]
    {
        let (screen, _) = fed(format!("{before}{marks}").as_bytes());
        assert_eq!(screen.text(0).lines[0].chars().count(), expected, "{before}");
    }
    for c in ('\u{20}'..'\u{7f}').chain('\u{a0}'..FIRST_MARK) {
        assert_ne!(c.width(), Some(0), "{c:?}");
    }
}

#[test]
fn answers_are_those_of_a_dark_xterm() {
    answer(
        b"\x1b[c\x1bZ\x1b[>c\x1b[5n\x1b[?25$p\x1b[?9999$p",
        "\x1b[?6c\x1b[?6c\x1b[>0;2600;1c\x1b[0n\x1b[?25;1$y\x1b[?9999;0$y",
    );
    answer(b"\x1b[14t\x1b[16t\x1b[18t\x1b[19t", "\x1b[4;64;80t\x1b[6;16;8t\x1b[8;4;10t\x1b[9;4;10t");
    answer(b"\x1b]2;rm\x07\x1b[20t\x1b[21t", "\x1b]L\x1b\\\x1b]l\x1b\\");
    answer(b"\x1b]11;?\x07\x1b]10;?\x1b\\", "\x1b]11;rgb:0000/0000/0000\x07\x1b]10;rgb:e5e5/e5e5/e5e5\x1b\\");
    answer(b"\x1b]4;1;?;196;?\x07", "\x1b]4;1;rgb:cdcd/0000/0000\x07\x1b]4;196;rgb:ffff/0000/0000\x07");
    answer(
        b"\x1b]11;#102030\x07\x1b]11;?\x07\x1b]4;255;?\x07",
        "\x1b]11;rgb:1010/2020/3030\x07\x1b]4;255;rgb:eeee/eeee/eeee\x07",
    );
    answer(b"\x1b[?6n\x1b[?996n\x1b[=c", "\x1b[?1;1R\x1b[?997;1n\x1bP!|00000000\x1b\\");
    answer(
        b"\x1b[1;4:3;31;48;5;9m\x1bP$qm\x1b\\\x1bP$q q\x1b\\\x1bP$qx\x1b\\",
        "\x1bP1$r0;1;4:3;31;48;5;9m\x1b\\\x1bP1$r2 q\x1b\\\x1bP0$r\x1b\\",
    );
    answer(b"\x1bP+q544e\x1b\\\x1bP+q\nrm\x1b\\", "\x1bP0+r\x1b\\\x1bP0+r\x1b\\");
    answer(b"\x1b]7501;?\x1b\\\x1b]7501;?\x07", "\x1b]7501;?\x1b\\\x1b]7501;?\x07");
    answer(b"\x1b]52;c;?\x07\x1b[7$p", "\x1b[7;0$y");
    answer(b"\x1b[5 q\x1bP$q q\x1b\\", "\x1bP1$r5 q\x1b\\");
}

#[test]
fn answers_nobody_reads_are_not_kept_for_ever() {
    let (_, answers) = fed(&b"\x1b[>c".repeat(50_000));
    assert!(answers.len() <= ANSWERS_MAX && answers.ends_with('c'));
}
