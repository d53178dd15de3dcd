//! A child's screen: bytes in, text and facts out, with the answers that a terminal owes its program. Does no I/O, has
//! no clock, and does not know what the program is.

mod checkpoint;
mod facts;
mod grids;
mod cells;
mod nap;
mod view;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use alacritty_terminal::{
    Term,
    event::VoidListener,
    grid::Dimensions,
    term::{Config, Osc52, TermMode},
    vte::{
        Parser,
        ansi::{Processor, Timeout},
    },
};

pub use super::render::Text;
use super::{
    guard::{Extra, Guard},
    prompt::Shade,
    render,
    scan::{Piece, Scanner},
    side::{Ask, Side},
    status::{ProgramStatus, Progress, PromptMark, Told},
};
use crate::id::Size;
pub use view::{Mouse, Wants};

/// A terminal without a window.
pub struct Screen {
    size: Size,
    emulator: Emulator,
    extra: Extra,
    side: Side,
    scanner: Scanner,
    held: Option<Held>,
    version: u64,
    resets: u64,
}

/// What came of some bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Fed {
    /// To be written to the program: its queries' answers, in order.
    pub answers: Vec<u8>,
    /// Anything that can be asked of the screen may be other than before.
    pub changed: bool,
    /// The emulator failed and began anew: the program ought to redraw.
    pub reset: bool,
}

/// Where the cursor is, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// From the top.
    pub row: usize,
    /// From the left.
    pub col: usize,
    /// The program wants it seen.
    pub visible: bool,
}

impl Screen {
    /// Rows that are kept after they have left the screen: 3 MB at 120 columns, allocated with the first.
    pub const HISTORY: usize = 1000;

    /// An empty one, of a size that the emulator bears.
    pub fn new(size: Size) -> Self {
        let size = size.clamped();
        Screen {
            size,
            emulator: Emulator::new(size),
            extra: Extra::default(),
            side: Side::default(),
            scanner: Scanner::default(),
            held: None,
            version: 0,
            resets: 0,
        }
    }

    /// What the child wrote, in pieces of any length.
    pub fn feed(&mut self, bytes: &[u8], now: Instant) -> Fed {
        let before = (self.version, self.resets);
        if self.sync_deadline().is_some_and(|deadline| deadline <= now) {
            self.release();
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = if self.held.is_some() { self.hold(rest) } else { self.step(rest, Some(now)) };
            rest = &rest[taken..];
        }
        self.fed(before)
    }

    /// When the synchronised update that the program has begun is to be shown, finished or not.
    pub fn sync_deadline(&self) -> Option<Instant> {
        self.held.as_ref().map(|held| held.deadline)
    }

    /// Shows an unfinished synchronised update. Does nothing before its deadline, so a late timer harms no later
    /// update; at the end of a child, pass the deadline.
    pub fn end_sync(&mut self, now: Instant) -> Fed {
        self.feed(&[], now)
    }

    /// Text reflows as far as the emulator can; to the nearest size that it bears.
    pub fn resize(&mut self, size: Size) {
        let size = size.clamped();
        if size == self.size {
            return;
        }
        self.size = size;
        self.extra.resize(size.cols.into());
        let resized = catch_unwind(AssertUnwindSafe(|| {
            self.emulator.term.resize(Cells(size));
            grids::forget_blanks(&mut self.emulator.term);
        }));
        if resized.is_err() {
            self.renew();
        }
        self.version += 1;
    }

    /// The size it has, which may not be the one it was asked for.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The screen as text, with up to so many lines of what has scrolled away before it. None of those under the
    /// alternate screen.
    pub fn text(&self, history_lines: usize) -> Text {
        render::text(&self.emulator.term, history_lines)
    }

    /// The visible screen's text, its lines joined, with the backgrounds it is drawn on.
    pub fn shaded(&self) -> (String, Vec<Shade>) {
        render::shaded(&self.emulator.term)
    }

    /// The visible screen as patterns for a program's input box see it.
    pub fn marked(&self) -> String {
        render::marked(&self.emulator.term)
    }

    /// Changes whenever anything that can be asked here may have changed.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How often the emulator has failed.
    pub fn emulator_resets(&self) -> u64 {
        self.resets
    }

    /// Window title, without control characters, at most 256 characters.
    pub fn title(&self) -> Option<&str> {
        self.extra.title.as_deref()
    }

    /// The cursor.
    pub fn cursor(&self) -> Cursor {
        let point = self.emulator.term.grid().cursor.point;
        let row = usize::try_from(point.line.0).unwrap_or(0);
        Cursor { row, col: point.column.0, visible: self.mode(TermMode::SHOW_CURSOR) }
    }

    /// The program wants pasted text between brackets (?2004).
    pub fn bracketed_paste(&self) -> bool {
        self.mode(TermMode::BRACKETED_PASTE)
    }

    /// The program wants arrow keys in their application form (DECCKM).
    pub fn app_cursor(&self) -> bool {
        self.mode(TermMode::APP_CURSOR)
    }

    /// The program wants to be told of the focus (?1004).
    pub fn focus_reporting(&self) -> bool {
        self.mode(TermMode::FOCUS_IN_OUT)
    }

    /// The alternate screen is shown.
    pub fn alternate(&self) -> bool {
        self.mode(TermMode::ALT_SCREEN)
    }

    /// How often the bell rang.
    pub fn bell_count(&self) -> u64 {
        self.extra.bells
    }

    /// The program's own state, if it tells one (OSC 7501).
    pub fn status(&self) -> Option<&ProgramStatus> {
        self.side.told.status.as_ref()
    }

    /// How far the program says it is (OSC 9;4).
    pub fn progress(&self) -> Option<Progress> {
        self.side.told.progress
    }

    /// The newest mark of a shell (OSC 133).
    pub fn prompt_mark(&self) -> Option<PromptMark> {
        self.side.told.prompt
    }

    /// All that the program has said beside its text.
    pub fn told(&self) -> &Told {
        &self.side.told
    }

    fn mode(&self, mode: TermMode) -> bool {
        self.emulator.term.mode().contains(mode)
    }

    /// Keeps back bytes of a synchronised update. Returns how many belong to it.
    fn hold(&mut self, bytes: &[u8]) -> usize {
        let Some(held) = &mut self.held else { return 0 };
        let seen = held.bytes.len().saturating_sub(END_SYNC.len() - 1);
        held.bytes.extend(bytes);
        let end = held.bytes[seen..].windows(END_SYNC.len()).position(|part| part == END_SYNC);
        let after = match end {
            Some(at) => held.bytes.len() - (seen + at + END_SYNC.len()),
            None => 0,
        };
        held.bytes.truncate(held.bytes.len() - after);
        if end.is_some() || held.bytes.len() > HELD_MAX {
            self.release();
        }
        bytes.len() - after
    }

    /// Shows what was kept back. Further beginnings in it are part of it: else a program that begins a thousand
    /// updates and ends none would be shown in a thousand deadlines.
    fn release(&mut self) {
        let bytes = self.held.take().map(|held| held.bytes).unwrap_or_default();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            rest = &rest[self.step(rest, None)..];
        }
    }

    /// Takes in some of the bytes, and returns how many. With a time, a synchronised update may begin after them.
    fn step(&mut self, bytes: &[u8], now: Option<Instant>) -> usize {
        let bytes = &bytes[..bytes.len().min(STEP)];
        let (emulator, extra, side) = (&mut self.emulator, &mut self.extra, &mut self.side);
        let (mut taken, mut begins) = (0, false);
        extra.new_bytes();
        let done = catch_unwind(AssertUnwindSafe(|| {
            while taken < bytes.len() && !begins {
                let piece = self.scanner.next(&bytes[taken..]);
                taken += piece.len();
                extra.pay(piece.len());
                begins = emulator.take(piece, extra, side) && now.is_some();
            }
        }));
        if done.is_err() {
            self.renew();
        }
        if let (Some(now), true) = (now, begins) {
            self.held = Some(Held { deadline: now + SYNC, bytes: Vec::new() });
        }
        if std::mem::take(&mut self.extra.touched) | std::mem::take(&mut self.side.news) {
            self.version += 1;
        }
        taken
    }

    fn renew(&mut self) {
        self.emulator = Emulator::new(self.size);
        self.scanner = Scanner::default();
        self.extra = self.extra.renewed();
        self.resets += 1;
    }

    fn fed(&mut self, (version, resets): (u64, u64)) -> Fed {
        Fed {
            answers: std::mem::take(&mut self.extra.answers),
            changed: self.version != version,
            reset: self.resets != resets,
        }
    }
}

/// How long a program may keep its screen still: vte's own figure.
const SYNC: Duration = Duration::from_millis(150);
const END_SYNC: &[u8] = b"\x1b[?2026l";
/// Bytes of one synchronised update. Full redraws of large terminals are around 100 KB.
const HELD_MAX: usize = 1024 * 1024;
/// Bytes at once: what is read between two looks at what it cost.
const STEP: usize = 4096;

/// A synchronised update that has not ended. vte could keep it, but with a clock of its own, and then our answers to
/// queries in it would come before the emulator's.
struct Held {
    deadline: Instant,
    bytes: Vec<u8>,
}

/// What is thrown away when it fails.
struct Emulator {
    term: nap::Sleeper,
    processor: Processor<Unsynchronised>,
    /// Always where the processor's parser is.
    side: Parser,
}

impl Emulator {
    fn new(size: Size) -> Self {
        let config = Config {
            scrolling_history: Screen::HISTORY,
            kitty_keyboard: true,
            osc52: Osc52::Disabled,
            ..Config::default()
        };
        Emulator {
            term: nap::Sleeper::awake(Term::new(config, &Cells(size), VoidListener)),
            processor: Processor::new(),
            side: Parser::new(),
        }
    }

    /// Returns whether a synchronised update begins after it.
    fn take(&mut self, piece: Piece<'_>, extra: &mut Extra, side: &mut Side) -> bool {
        let guard = &mut Guard { term: &mut self.term, extra };
        match piece {
            Piece::Text(text) => guard.text(text),
            Piece::Control(sequence) if guard.control(sequence) => {}
            Piece::Control(sequence) if !Side::hears(sequence) => self.processor.advance(guard, sequence),
            Piece::Control(mut rest) | Piece::Other(mut rest) => {
                let mut begins = false;
                while !rest.is_empty() {
                    let taken = self.side.advance_until_terminated(side, rest);
                    let ask = side.ask.take();
                    begins = ask == Some(Ask::BeginSync);
                    advance(&mut self.processor, guard, &rest[..taken], ask);
                    rest = &rest[taken..];
                }
                return begins;
            }
            Piece::Excess(_) => {}
        }
        false
    }
}

/// Bytes that end with what made the side parser ask.
fn advance(processor: &mut Processor<Unsynchronised>, guard: &mut Guard<'_>, bytes: &[u8], ask: Option<Ask>) {
    match (&ask, bytes) {
        // REP is ours: the processor gets CAN for the letter.
        (Some(Ask::Repeat(_)), [before @ .., _]) => {
            processor.advance(guard, before);
            processor.advance(guard, b"\x18");
        }
        _ => processor.advance(guard, bytes),
    }
    if let Some(ask) = ask {
        guard.answer(ask);
    }
}

/// vte never keeps anything back.
#[derive(Default)]
struct Unsynchronised;

impl Timeout for Unsynchronised {
    fn set_timeout(&mut self, _: Duration) {}

    fn clear_timeout(&mut self) {}

    fn pending_timeout(&self) -> bool {
        false
    }
}

struct Cells(Size);

impl Dimensions for Cells {
    fn total_lines(&self) -> usize {
        self.screen_lines()
    }

    fn screen_lines(&self) -> usize {
        self.0.rows.into()
    }

    fn columns(&self) -> usize {
        self.0.cols.into()
    }
}

#[cfg(test)]
mod same;
#[cfg(test)]
pub(super) mod tests;
