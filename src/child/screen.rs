//! The emulator of one terminal: bytes in, answers and a screen out. A plain value; it is told the time, and whatever
//! a program writes, it stays bounded and does not crash.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use alacritty_terminal::{
    Term,
    event::{Event, EventListener, WindowSize},
    grid::Dimensions,
    index::{Column, Line},
    term::{Config, TermMode, cell::Flags},
    vte::{
        self,
        ansi::{Processor, Rgb, StdSyncHandler},
    },
};

use super::{
    guard::{Guard, Track},
    scan::Scan,
    side::{Act, ProgramStatus, Side},
    text::hidden,
};
use crate::id::Size;

/// What feeding brought about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fed {
    /// To be written back to the program, in this order.
    pub answers: Vec<u8>,
}

/// Where the cursor is, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The line.
    pub row: usize,
    /// The column.
    pub col: usize,
    /// Whether it is shown.
    pub visible: bool,
}

/// The screen as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Lines, soft wraps joined, without what is blank at their ends, or at the end of all.
    pub lines: Vec<String>,
    /// How many of them are scrollback.
    pub history: usize,
}

/// See the module.
pub struct Screen {
    size: Size,
    term: Term<Outbox>,
    processor: Processor<StdSyncHandler>,
    outbox: Outbox,
    track: Track,
    side: Side,
    side_parser: vte::Parser,
    scan: Scan,
    /// Bytes since the string sequence we are in began.
    string: usize,
    version: u64,
    resets: u32,
}

/// What the emulator wants to say, in order.
#[derive(Clone, Default)]
struct Outbox(Arc<Mutex<Vec<Event>>>);

impl EventListener for Outbox {
    fn send_event(&self, event: Event) {
        if matches!(event, Event::PtyWrite(_) | Event::ColorRequest(..) | Event::TextAreaSizeRequest(_)) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }
    }
}

struct Cells(Size);

impl Dimensions for Cells {
    fn total_lines(&self) -> usize {
        self.0.rows.into()
    }

    fn screen_lines(&self) -> usize {
        self.0.rows.into()
    }

    fn columns(&self) -> usize {
        self.0.cols.into()
    }
}

impl Screen {
    /// Lines of scrollback. The emulator allocates all of them at the first line that scrolls: 3 MB at 120 columns.
    const HISTORY: usize = 1000;
    /// A string sequence (OSC, DCS, …) that has not ended by then never will, and the parser would keep all of it.
    const MAX_STRING: usize = 64 * 1024;
    /// A cell in pixels, as the kernel is told too.
    const CELL: (u16, u16) = (8, 16);

    /// A blank screen.
    pub fn new(size: Size) -> Self {
        let (size, outbox) = (size.clamped(), Outbox::default());
        Screen {
            size,
            term: Self::term(size, &outbox),
            processor: Processor::new(),
            outbox,
            track: Track::default(),
            side: Side::default(),
            side_parser: vte::Parser::new(),
            scan: Scan::default(),
            string: 0,
            version: 0,
            resets: 0,
        }
    }

    fn term(size: Size, outbox: &Outbox) -> Term<Outbox> {
        let config = Config { scrolling_history: Self::HISTORY, kitty_keyboard: true, ..Config::default() };
        Term::new(config, &Cells(size), outbox.clone())
    }

    /// The program wrote these bytes.
    pub fn feed(&mut self, bytes: &[u8], _now: Instant) -> Fed {
        let mut fed = Fed::default();
        self.version += u64::from(!bytes.is_empty());
        for piece in bytes.chunks(Self::MAX_STRING) {
            self.string = if self.scan.in_string() { self.string + piece.len() } else { 0 };
            self.scan = self.scan.over(piece);
            self.advance(piece, &mut fed);
            if self.scan.in_string() && self.string >= Self::MAX_STRING {
                // CAN ends it in every parser at once.
                self.scan = Scan::default();
                self.advance(b"\x18", &mut fed);
            }
        }
        fed
    }

    /// Feeds both parsers in step, so that every question is answered once and in order.
    fn advance(&mut self, mut bytes: &[u8], fed: &mut Fed) {
        while !bytes.is_empty() {
            let used = self.side_parser.advance_until_terminated(&mut self.side, bytes);
            let (segment, rest) = bytes.split_at(used);
            self.emulate(segment, fed);
            if let Some(act) = self.side.act.take() {
                // What the emulator holds back for a synchronised update comes before this answer.
                if self.sync_deadline().is_some() {
                    self.flush_sync(fed);
                }
                self.act(act, fed);
            }
            bytes = rest;
        }
    }

    fn emulate(&mut self, bytes: &[u8], fed: &mut Fed) {
        self.guarded(fed, bytes.len(), |processor, guard| processor.advance(guard, bytes));
    }

    fn flush_sync(&mut self, fed: &mut Fed) {
        let held = self.processor.sync_bytes_count();
        self.guarded(fed, held, |processor, guard| processor.stop_sync(guard));
    }

    /// Runs the emulator. If it panics, a new one takes over with a blank screen, which the next redraw mends.
    fn guarded(
        &mut self,
        fed: &mut Fed,
        bytes: usize,
        run: impl FnOnce(&mut Processor<StdSyncHandler>, &mut Guard<'_, Outbox>),
    ) {
        let screenful = usize::from(self.size.rows) * usize::from(self.size.cols);
        self.track.budget = bytes + self.processor.sync_bytes_count() + screenful;
        let mut guard = Guard { term: &mut self.term, track: &mut self.track };
        let processor = &mut self.processor;
        if catch_unwind(AssertUnwindSafe(|| run(processor, &mut guard))).is_err() {
            self.resets += 1;
            self.outbox = Outbox::default();
            self.term = Self::term(self.size, &self.outbox);
            self.processor = Processor::new();
            self.track = Track::default();
        }
        self.collect(fed);
    }

    fn collect(&mut self, fed: &mut Fed) {
        let events = std::mem::take(&mut *self.outbox.0.lock().unwrap_or_else(PoisonError::into_inner));
        for event in events {
            let answer = match event {
                Event::PtyWrite(text) => text,
                Event::ColorRequest(index, format) => format(color(index)),
                Event::TextAreaSizeRequest(format) => format(WindowSize {
                    num_lines: self.size.rows,
                    num_cols: self.size.cols,
                    cell_width: Self::CELL.0,
                    cell_height: Self::CELL.1,
                }),
                _ => continue,
            };
            fed.answers.extend(answer.bytes());
        }
    }

    fn act(&mut self, act: Act, fed: &mut Fed) {
        let answer = match act {
            Act::Answer(bytes) => bytes,
            Act::CursorPosition => {
                let Cursor { row, col, .. } = self.cursor();
                format!("\x1b[?{};{}R", row + 1, col + 1).into()
            }
            Act::Title => format!("\x1b]l{}\x1b\\", self.title().unwrap_or_default()).into(),
            Act::ScreenSize => format!("\x1b[9;{};{}t", self.size.rows, self.size.cols).into(),
            Act::Setting(name) => self.setting(&name),
            Act::SoftReset => {
                // DECSTR by what the emulator knows: the modes, margins, saved cursor, rendition and character set.
                return self
                    .emulate(b"\x1b[?25h\x1b[4l\x1b[?1l\x1b[?6l\x1b>\x1b7\x1b[r\x1b8\x1b[m\x1b(B\x0f", fed);
            }
        };
        fed.answers.extend(answer);
    }

    /// DECRQSS, for the settings that programs ask for.
    fn setting(&self, name: &[u8]) -> Vec<u8> {
        let value = match name {
            b"r" => {
                let (top, bottom) = self.track.margins.unwrap_or((1, self.size.rows.into()));
                format!("{top};{bottom}r")
            }
            b"m" => "0m".into(),
            b" q" => "2 q".into(),
            b"\"p" => "64;1\"p".into(),
            _ => return b"\x1bP0$r\x1b\\".into(),
        };
        format!("\x1bP1$r{value}\x1b\\").into()
    }

    /// When a synchronised update (mode 2026) that has not ended is shown all the same.
    pub fn sync_deadline(&self) -> Option<Instant> {
        self.processor.sync_timeout().sync_timeout()
    }

    /// Shows what a synchronised update has held back.
    pub fn end_sync(&mut self, _now: Instant) -> Fed {
        let mut fed = Fed::default();
        self.version += 1;
        self.flush_sync(&mut fed);
        fed
    }

    /// Another size.
    pub fn resize(&mut self, size: Size) {
        self.size = size.clamped();
        self.version += 1;
        self.track.margins = None;
        let (term, cells) = (&mut self.term, Cells(self.size));
        if catch_unwind(AssertUnwindSafe(|| term.resize(cells))).is_err() {
            self.resets += 1;
            self.term = Self::term(self.size, &self.outbox);
        }
    }

    /// The size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The title that was set.
    pub fn title(&self) -> Option<&str> {
        self.track.title.as_deref()
    }

    /// Whether the program wants pastes marked.
    pub fn bracketed_paste(&self) -> bool {
        self.term.mode().contains(TermMode::BRACKETED_PASTE)
    }

    /// Whether arrow keys are sent in application form.
    pub fn app_cursor(&self) -> bool {
        self.term.mode().contains(TermMode::APP_CURSOR)
    }

    /// Whether the alternate screen is shown.
    pub fn alternate(&self) -> bool {
        self.term.mode().contains(TermMode::ALT_SCREEN)
    }

    /// The cursor.
    pub fn cursor(&self) -> Cursor {
        let point = self.term.grid().cursor.point;
        let visible = self.term.mode().contains(TermMode::SHOW_CURSOR);
        Cursor { row: usize::try_from(point.line.0).unwrap_or(0), col: point.column.0, visible }
    }

    /// What the program says it is doing.
    pub fn status(&self) -> Option<&ProgramStatus> {
        self.side.status()
    }

    /// Changes whenever what is visible may have.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How often the emulator had to begin anew.
    pub fn emulator_resets(&self) -> u32 {
        self.resets
    }

    /// The screen, with up to `history` lines of scrollback above it.
    pub fn text(&self, history: usize) -> Text {
        let grid = self.term.grid();
        let above = grid.history_size().min(history) as i32;
        let mut text = Text::default();
        let mut joined = String::new();
        for row in -above..grid.screen_lines() as i32 {
            let wraps = self.write_row(Line(row), &mut joined);
            if wraps && row + 1 < grid.screen_lines() as i32 {
                continue;
            }
            joined.truncate(joined.trim_end_matches(' ').len());
            text.history += usize::from(row < 0);
            text.lines.push(std::mem::take(&mut joined));
        }
        while text.lines.last().is_some_and(String::is_empty) {
            text.lines.pop();
        }
        text
    }

    /// Appends a row's cells. Answers whether the next row goes on with the same line.
    fn write_row(&self, line: Line, to: &mut String) -> bool {
        let row = &self.term.grid()[line];
        let columns = self.term.columns();
        for column in 0..columns {
            let cell = &row[Column(column)];
            if cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER) {
                continue;
            }
            // A tab is a cell of its own kind here, and what is concealed is so for a reader too.
            to.push(if hidden(cell.c) || cell.flags.contains(Flags::HIDDEN) { ' ' } else { cell.c });
            if !cell.flags.contains(Flags::HIDDEN) {
                to.extend(cell.zerowidth().into_iter().flatten().filter(|mark| !hidden(**mark)));
            }
        }
        row[Column(columns - 1)].flags.contains(Flags::WRAPLINE)
    }
}

/// xterm's palette of 256, and a light grey on black.
fn color(index: usize) -> Rgb {
    const BASE: [u32; 16] = [
        0x00_0000, 0xcd_0000, 0x00_cd00, 0xcd_cd00, 0x00_00ee, 0xcd_00cd, 0x00_cdcd, 0xe5_e5e5, 0x7f_7f7f,
        0xff_0000, 0x00_ff00, 0xff_ff00, 0x5c_5cff, 0xff_00ff, 0x00_ffff, 0xff_ffff,
    ];
    /// alacritty numbers the special colours after the palette: foreground, background, cursor.
    const BACKGROUND: usize = 257;
    let packed = match index {
        0..=15 => BASE[index],
        16..=231 => {
            let level = |step: usize| if step == 0 { 0 } else { 55 + 40 * step as u32 };
            let index = index - 16;
            level(index / 36) << 16 | level(index / 6 % 6) << 8 | level(index % 6)
        }
        232..=255 => (8 + 10 * (index as u32 - 232)) * 0x01_0101,
        BACKGROUND => 0,
        _ => BASE[7],
    };
    Rgb { r: (packed >> 16) as u8, g: (packed >> 8) as u8, b: packed as u8 }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    const SIZE: Size = Size { rows: 5, cols: 20 };

    fn fed(bytes: impl AsRef<[u8]>) -> Screen {
        let mut screen = Screen::new(SIZE);
        screen.feed(bytes.as_ref(), Instant::now());
        screen
    }

    #[track_caller]
    fn check(bytes: &str, lines: &[&str]) {
        assert_eq!(fed(bytes).text(0).lines, lines, "{bytes:?}");
    }

    #[test]
    fn what_a_person_would_see() {
        check("hello\r\nworld", &["hello", "world"]);
        check("\x1b[3;4Hx", &["", "", "   x"]);
        check("abcdefghijklmnopqrstuvwxyz", &["abcdefghijklmnopqrstuvwxyz"]);
        check("日本\x1b[1;3HX", &["日X"]);
        check("日本語", &["日本語"]);
        check("e\u{301}a", &["e\u{301}a"]);
        check("a\tb", &["a       b"]);
        check("\x1b[31;1mred\x1b[m", &["red"]);
        check("se\x1b[8mcret\x1b[28m!", &["se    !"]);
        check("a\u{202e}b\u{2066}c", &["abc"]);
        check("main\x1b[?1049h\x1b[Halt", &["alt"]);
        check("main\x1b[?1049h\x1b[Halt\x1b[?1049l", &["main"]);
        check("x\x1b[2J", &[]);
    }

    #[test]
    fn scrollback_stands_above_the_screen() {
        let screen = fed((1..=8).map(|n| format!("{n}\r\n")).collect::<String>());
        assert_eq!(screen.text(0).lines, ["5", "6", "7", "8"]);
        let text = screen.text(2);
        assert_eq!((text.history, &text.lines[..3]), (2, &["3", "4", "5"].map(String::from)[..]));
        assert_eq!(screen.text(1000).lines.len(), 8);
        assert_eq!(
            fed("a\r\n".repeat(20) + "\x1b[?1049hx").text(100).history,
            0,
            "the alternate screen has none"
        );
    }

    #[test]
    fn questions_are_answered_once_and_in_order_however_they_are_cut() {
        let questions = b"\x1b[c\x1b[>q\x1b[6n\x1b]7501;?\x1b\\\x1b[16t\x1b[18t\x1b[?6n\x1b[14t\x1bP$qr\x1b\\\x1b[=c\x1b]11;?\x07";
        let whole = Screen::new(SIZE).feed(questions, Instant::now()).answers;
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            String::from_utf8_lossy(&whole),
            format!(
                "\x1b[?6c\x1bP>|compere {version}\x1b\\\x1b[1;1R\x1b]7501;?\x1b\\\x1b[6;16;8t\x1b[8;5;20t\x1b[?1;1R\
                 \x1b[4;80;160t\x1bP1$r1;5r\x1b\\\x1bP!|00000000\x1b\\\x1b]11;rgb:0000/0000/0000\x07"
            )
        );
        for cut in 1..questions.len() {
            let mut screen = Screen::new(SIZE);
            let mut answers = screen.feed(&questions[..cut], Instant::now()).answers;
            answers.extend(screen.feed(&questions[cut..], Instant::now()).answers);
            assert_eq!(answers, whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_synchronised_update_shows_at_its_end_or_its_deadline() {
        let mut screen = fed("\x1b[?2026hheld\x1b[c");
        assert_eq!(screen.text(0).lines, [""; 0]);
        assert!(screen.sync_deadline().is_some());
        assert_eq!(screen.end_sync(Instant::now()).answers, b"\x1b[?6c", "questions in it are answered then");
        assert_eq!(screen.text(0).lines, ["held"]);
        assert_eq!(screen.sync_deadline(), None);
        check("\x1b[?2026hframe\x1b[?2026l", &["frame"]);
        let mut screen = Screen::new(SIZE);
        let answers = screen.feed(b"\x1b[?2026h\x1b[c\x1b[>q", Instant::now()).answers;
        assert!(answers.starts_with(b"\x1b[?6c\x1bP>|"), "in order even across the two parsers");
    }

    #[test]
    fn modes_title_cursor_and_status_are_known() {
        let mut screen = fed("\x1b[?2004h\x1b[?1h\x1b]0;a\x07b\x1b]2;title\x1b\\\x1b[?25l\x1b[2;3H");
        assert!(screen.bracketed_paste() && screen.app_cursor() && !screen.alternate());
        assert_eq!(screen.title(), Some("title"));
        assert_eq!(screen.cursor(), Cursor { row: 1, col: 2, visible: false });
        screen.feed(b"\x1b]7501;state=working\x07", Instant::now());
        assert_eq!(screen.status().unwrap().state, "working");
        screen.feed(b"\x1bc", Instant::now());
        assert!(!screen.bracketed_paste());
        assert_eq!(screen.title(), None);
    }

    #[test]
    fn nothing_a_program_writes_grows_or_crashes_it() {
        for hostile in [
            "\x1b[>1u".repeat(5000),
            "\x1b[>1u".repeat(64) + &"\x1b[?1049h\x1b[<99u\x1b[?1049l\x1b[>1u".repeat(5000),
            format!("x{}", "\x1b[65535b".repeat(500)),
            format!("\x1b[3g{}", "\x1b[65535Z\x1b[999C".repeat(500)),
            format!("\x1b]0;{}\x07{}", "t".repeat(60_000), "\x1b[22t".repeat(5000)),
            format!("a{}", "\u{301}".repeat(100_000)),
            format!("\x1b]0;{}", "t".repeat(500_000)),
            format!("\x1bP{}", "t".repeat(500_000)),
            format!("\x1b]8;;{}\x07link", "u".repeat(50_000)),
            "\x1b[65535@\x1b[65535L\x1b[65535M\x1b[65535P\x1b[65535X\x1b[65535S\x1b[65535T".repeat(50),
        ] {
            let mut screen = fed(&hostile);
            assert_eq!(screen.emulator_resets(), 0);
            screen.feed(b"\x07\x1bcafter", Instant::now());
            assert_eq!(screen.text(0).lines, ["after"], "{:?}", &hostile[..20]);
            assert!(screen.text(1000).lines.iter().all(|line| line.len() < 100));
        }
        let marks = fed(format!("a{}", "\u{301}".repeat(1000))).text(0).lines[0].chars().count();
        assert_eq!(marks, 17);
        assert_eq!(fed(format!("\x1b]0;{}\x07", "t".repeat(1000))).title().unwrap().len(), 256);
    }

    #[test]
    fn noise_and_resizes_leave_it_usable() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(11);
        let mut screen = Screen::new(SIZE);
        let alphabet = b"\x1b\x1b\x1b[[]?;:0123456789hlmHJKABCDrstuqPX^_\\\x07\r\n\x08\t\xe2\x94\x80 abc\x18\xf0\x9f\x92\xa9";
        for _ in 0..300 {
            let bytes: Vec<u8> = (0..200).map(|_| alphabet[rng.random_range(0..alphabet.len())]).collect();
            screen.feed(&bytes, Instant::now());
            if rng.random_range(0..5) == 0 {
                screen.resize(Size { rows: rng.random_range(0..60), cols: rng.random_range(0..200) });
            }
            screen.text(50);
        }
        screen.resize(SIZE);
        screen.feed(b"\x18\x1b\\\x1b[?2026l\x1bcfine", Instant::now());
        assert_eq!(screen.text(0).lines, ["fine"]);
    }

    #[test]
    fn a_panic_of_the_emulator_costs_the_screen_and_no_more() {
        let mut screen = fed("before");
        screen.guarded(&mut Fed::default(), 0, |_, _| panic!("a defect"));
        assert_eq!(screen.emulator_resets(), 1);
        screen.feed(b"after", Instant::now());
        assert_eq!(screen.text(0).lines, ["after"]);
    }

    #[test]
    fn the_palette_is_xterms() {
        for (index, hex) in [
            (1, "cd0000"),
            (16, "000000"),
            (196, "ff0000"),
            (244, "808080"),
            (256, "e5e5e5"),
            (257, "000000"),
        ] {
            let Rgb { r, g, b } = color(index);
            assert_eq!(format!("{r:02x}{g:02x}{b:02x}"), hex, "{index}");
        }
    }
}
