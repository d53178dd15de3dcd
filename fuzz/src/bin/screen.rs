//! What a child writes, against its screen: in pieces, with resizes and deadlines between them. Nothing breaks the
//! emulator (a panic that the screen would catch ends the fuzzer all the same), and what is shown can be shown.
//!
//! An input is the rows, the columns and the bytes; where the rows are odd, each escape comes by itself. 0xff, which no
//! honest program writes, stands for what happens beside them: `ff fe N` N milliseconds pass, `ff fd` nothing, `ff ff` is
//! 0xff itself, and `ff ROWS COLS` a resize.
#![no_main]

use std::time::{Duration, Instant};

use compere::{
    child::screen::{Cursor, Fed, Screen, Text},
    id::Size,
};
use libfuzzer_sys::fuzz_target;

/// Bytes of answers that are kept for a program that does not read them.
const ANSWERS: usize = 64 * 1024;
/// The shortest question with a long answer asks for a title of 256 characters.
const ANSWERS_PER_BYTE: usize = 256;

fuzz_target!(|data: &[u8]| {
    let [rows, cols, rest @ ..] = data else { return };
    let mut played = Played::new(size(*rows, *cols), rows % 2 == 1);
    let mut rest = rest;
    while let Some(at) = rest.iter().position(|byte| *byte == 0xff) {
        played.feed(&rest[..at]);
        rest = match rest[at + 1..] {
            [0xff, ref rest @ ..] => {
                played.feed(b"\xff");
                rest
            }
            [0xfe, ms, ref rest @ ..] => {
                played.wait(ms);
                rest
            }
            [0xfd, ref rest @ ..] => rest,
            [rows, cols, ref rest @ ..] => {
                played.resize(size(rows, cols));
                rest
            }
            _ => &[],
        };
    }
    played.feed(rest);
    played.end();
});

/// Small ones: they fill sooner, and cost less.
fn size(rows: u8, cols: u8) -> Size {
    Size { rows: u16::from(rows) / 8, cols: u16::from(cols) / 4 }
}

struct Played {
    screen: Screen,
    seen: Seen,
    size: Size,
    now: Instant,
    fed: Vec<u8>,
    answers: Vec<u8>,
    /// Only bytes came, and no time passed.
    plain: bool,
    /// Each escape comes by itself.
    cuts: bool,
}

/// All that can be asked of a screen.
#[derive(Debug, PartialEq)]
struct Seen {
    text: Text,
    cursor: Cursor,
    title: Option<String>,
    modes: [bool; 4],
    bells: u64,
    told: String,
}

impl Seen {
    fn of(screen: &Screen) -> Self {
        Seen {
            text: screen.text(0),
            cursor: screen.cursor(),
            title: screen.title().map(String::from),
            modes: [
                screen.bracketed_paste(),
                screen.app_cursor(),
                screen.focus_reporting(),
                screen.alternate(),
            ],
            bells: screen.bell_count(),
            told: format!("{:?}", screen.told()),
        }
    }
}

impl Played {
    fn new(size: Size, cuts: bool) -> Self {
        let screen = Screen::new(size);
        Played {
            seen: Seen::of(&screen),
            screen,
            size,
            now: Instant::now(),
            fed: Vec::new(),
            answers: Vec::new(),
            plain: true,
            cuts,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let cuts = self.cuts;
        for piece in bytes.chunk_by(|_, next| !cuts || *next != 0x1b) {
            self.fed.extend(piece);
            self.change(|screen, now| screen.feed(piece, now));
        }
    }

    fn wait(&mut self, ms: u8) {
        self.plain = false;
        self.now += Duration::from_millis(ms.into());
        self.change(|screen, now| screen.end_sync(now));
        assert!(self.screen.sync_deadline().is_none_or(|deadline| deadline > self.now));
    }

    fn resize(&mut self, size: Size) {
        self.plain = false;
        self.size = size;
        self.screen.resize(size);
        assert_eq!(self.screen.size(), size.clamped());
        self.seen = Seen::of(&self.screen);
        self.check();
    }

    fn change(&mut self, what: impl FnOnce(&mut Screen, Instant) -> Fed) {
        let version = self.screen.version();
        let fed = what(&mut self.screen, self.now);
        assert!(!fed.reset && fed.answers.len() <= ANSWERS);
        assert_eq!(fed.changed, self.screen.version() != version);
        let seen = Seen::of(&self.screen);
        assert!(fed.changed || seen == self.seen, "whoever looks at the version would not look again");
        self.seen = seen;
        self.answers.extend(fed.answers);
        assert!(self.answers.len() <= ANSWERS_PER_BYTE * self.fed.len());
        self.check();
    }

    fn check(&self) {
        let (rows, cols) = (usize::from(self.screen.size().rows), usize::from(self.screen.size().cols));
        let Seen { text, cursor, title, .. } = &self.seen;
        assert!(cursor.row < rows && cursor.col < cols);
        assert!(text.lines.len() <= rows && text.history == 0 && text.cursor_line < rows);
        assert!(!text.lines.iter().any(|line| line.contains(char::is_control)));
        if let Some(title) = title {
            assert!(title.chars().count() <= 256 && !title.contains(char::is_control));
        }
    }

    /// The same bytes at once leave the same screen, but where what a program may spend hangs on how they came.
    fn end(&mut self) {
        for asked in [1, 10, Screen::HISTORY] {
            let text = self.screen.text(asked);
            assert!(text.history <= asked.min(text.lines.len()));
            assert!(text.lines.len() - text.history <= usize::from(self.screen.size().rows));
            assert!(!text.lines.iter().any(|line| line.contains(char::is_control)));
        }
        let spends = |bytes: &[u8]| matches!(bytes, b"#8") || bytes.ends_with(b"b");
        if !self.plain || self.fed.windows(2).any(spends) || self.answers.len() > ANSWERS / 2 {
            return;
        }
        let mut other = Screen::new(self.size);
        let fed = other.feed(&self.fed, self.now);
        assert_eq!(Seen::of(&other), Seen::of(&self.screen));
        assert_eq!(fed.answers.escape_ascii().to_string(), self.answers.escape_ascii().to_string());
    }
}
