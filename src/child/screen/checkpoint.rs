//! A screen as bytes, so that another process can go on where this one was: the checkpoint and the bytes that came after
//! it give exactly the screen that all the bytes gave. Does not know where either is kept.
//!
//! The cells are taken from `Term` and put back as they are, not painted again: painting can say neither where a tab was,
//! nor half of a wide character, nor which lines were wrapped. What else `Term` hides (tab stops, margins, the keyboard
//! stacks, the character set) the guard has in its `Extra`. The facts are one line of JSON, for they will grow; the cells
//! are not, for as JSON each takes a hundred bytes.
//!
//! Not in it: the oldest of the lines that scrolled away, where all do not fit; answers, which went out before; and what no
//! child can reach of `Term`: selection, vi mode, links. "Exactly" is of the same bytes in the same pieces. In others, with
//! or without a checkpoint, `version` counts otherwise, and a flood of REP, DECALN or ED 2 is cut short elsewhere.

use alacritty_terminal::{
    Term,
    event::VoidListener,
    grid::{Cursor, Dimensions, Grid, Row},
    index::Line,
    term::{TermMode, cell::Cell},
    vte::ansi::{Handler, KeyboardModes},
};

use super::{
    Screen,
    cells::{Reader, Writer},
    facts::Facts,
    grids::{behind, set_keyboard},
};
use crate::id::Size;

impl Screen {
    /// Bytes of a checkpoint: with what else is to be kept of a child it fits into a mebibyte.
    pub const MAX_CHECKPOINT: usize = 1024 * 1024 - 64 * 1024;

    /// All that this screen is and remembers, for [`Screen::restore`]. None in the middle of a character, of a sequence or
    /// of a synchronised update: ask again after the next bytes. None too while the cells on the screens alone take more
    /// than [`Screen::MAX_CHECKPOINT`], as 70,000 of them do when each has two colours of its own.
    pub fn checkpoint(&mut self) -> Option<Vec<u8>> {
        if self.held.is_some() || !self.scanner.is_between() {
            return None;
        }
        self.write(Screen::MAX_CHECKPOINT).filter(|bytes| bytes.len() <= Screen::MAX_CHECKPOINT)
    }

    /// The same at any moment: without what is unfinished, and with as much of the history as fits into so many bytes.
    pub(super) fn write(&mut self, most: usize) -> Option<Vec<u8>> {
        let mut bytes = MAGIC.to_vec();
        serde_json::to_writer(&mut bytes, &Facts::of(self)).ok()?;
        bytes.push(b'\n');
        let mut to = Writer::after(bytes);

        let term = &mut *self.emulator.term;
        write_shown(&mut to, term.grid(), most);
        to.mark(self.extra.saved_primary.is_some().into());
        self.extra.saved_primary.iter().for_each(|cursor| to.cursor(cursor));
        if term.mode().contains(TermMode::ALT_SCREEN) {
            behind(term, |primary| {
                write_shown(&mut to, primary, most);
                write_history(&mut to, primary, most);
            });
        } else {
            behind(term, |alternate| to.cursor(&alternate.saved_cursor));
            write_history(&mut to, term.grid(), most);
        }
        to.mark(END);
        Some(to.into_bytes())
    }

    /// The screen that the checkpoint was taken of. None if the bytes are no checkpoint, or one of another version. They
    /// may be anybody's: what comes of them takes no more memory than any screen could. Later bytes are answered as ever,
    /// those too that have been answered already.
    pub fn restore(bytes: &[u8]) -> Option<Screen> {
        if bytes.len() > Screen::MAX_CHECKPOINT {
            return None;
        }
        Screen::read(bytes)
    }

    /// The same of any length.
    pub(super) fn read(bytes: &[u8]) -> Option<Screen> {
        let bytes = bytes.strip_prefix(MAGIC)?;
        let (facts, cells) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n')?);
        let facts: Facts = serde_json::from_slice(facts).ok().filter(Facts::are_sound)?;
        let (size, mode) = (facts.size, facts.mode());

        let from = &mut Reader::new(&cells[1..]);
        let shown = Shown::read(from, size)?;
        let saved_primary = if from.passes(1) { Some(from.cursor(Size::MAX)?) } else { None };
        if saved_primary.is_none() && !from.passes(0) {
            return None;
        }
        let (primary, alternate) = if mode.contains(TermMode::ALT_SCREEN) {
            (Shown::read(from, size)?, Alternate::Shown(shown))
        } else {
            (shown, Alternate::Hidden { saved: from.cursor(size)? })
        };
        let history = read_history(from, size)?;

        let mut screen = Screen::new(size);
        let term = &mut *screen.emulator.term;
        facts.put(term);
        put_grids(term, primary, history, alternate, &facts.extra.keyboards);
        set_keyboard(term, mode);
        if *term.mode() != mode {
            return None;
        }
        screen.version = facts.version;
        screen.resets = facts.resets;
        screen.side.told = facts.told;
        screen.extra = facts.extra;
        screen.extra.saved_primary = saved_primary;
        Some(screen)
    }
}

/// The number changes with the format.
const MAGIC: &[u8] = b"compere screen 1\n";
/// After the history, the last byte. No row begins with it.
const END: u8 = 0;

/// A grid without its history.
struct Shown {
    cursor: Cursor<Cell>,
    saved: Cursor<Cell>,
    rows: Vec<Row<Cell>>,
}

enum Alternate {
    Shown(Shown),
    Hidden { saved: Cursor<Cell> },
}

fn write_shown(to: &mut Writer, grid: &Grid<Cell>, most: usize) {
    to.cursor(&grid.cursor);
    to.cursor(&grid.saved_cursor);
    for line in 0..grid.screen_lines() {
        // Nobody gets to read it then.
        if to.len() > most {
            return;
        }
        to.row(&grid[Line(line as i32)][..]);
    }
}

/// The newest line first, up to the last that fits.
fn write_history(to: &mut Writer, grid: &Grid<Cell>, most: usize) {
    for line in 1..=grid.history_size() {
        let before = to.len();
        to.row(&grid[Line(-(line as i32))][..]);
        if to.len() >= most {
            return to.truncate(before);
        }
    }
}

fn read_history(from: &mut Reader<'_>, size: Size) -> Option<Vec<Row<Cell>>> {
    let mut rows = Vec::new();
    while !from.passes(END) {
        if rows.len() == Screen::HISTORY {
            return None;
        }
        rows.push(read_row(from, size)?);
    }
    from.is_at_end().then_some(rows)
}

fn read_row(from: &mut Reader<'_>, size: Size) -> Option<Row<Cell>> {
    let columns = size.cols.into();
    // To be erased whole, whatever is in it.
    from.row(columns).map(|cells| Row::from_vec(cells, columns))
}

impl Shown {
    fn read(from: &mut Reader<'_>, size: Size) -> Option<Self> {
        Some(Shown {
            cursor: from.cursor(size)?,
            saved: from.cursor(size)?,
            rows: (0..size.rows).map(|_| read_row(from, size)).collect::<Option<_>>()?,
        })
    }

    fn put(self, grid: &mut Grid<Cell>) {
        for (line, row) in self.rows.into_iter().enumerate() {
            grid[Line(line as i32)] = row;
        }
        grid.cursor = self.cursor;
        grid.saved_cursor = self.saved;
    }
}

/// Goes to the alternate screen, as the program did or might have done, and back if that one is hidden.
fn put_grids(
    term: &mut Term<VoidListener>,
    primary: Shown,
    history: Vec<Row<Cell>>,
    alternate: Alternate,
    keyboards: &[Vec<u8>; 2],
) {
    let keys = |term: &mut Term<VoidListener>, stack: &[u8]| {
        stack.iter().for_each(|&mode| term.push_keyboard_mode(KeyboardModes::from_bits_truncate(mode)));
    };
    let grid = term.grid_mut();
    if !history.is_empty() {
        let screen = Line(0)..Line(grid.screen_lines() as i32);
        grid.scroll_up(&screen, history.len());
    }
    for (line, row) in (1..).zip(history) {
        grid[Line(-line)] = row;
    }
    primary.put(grid);
    let saved_primary = grid.saved_cursor.clone();
    keys(term, &keyboards[0]);
    term.swap_alt();
    keys(term, &keyboards[1]);
    match alternate {
        Alternate::Shown(shown) => shown.put(term.grid_mut()),
        Alternate::Hidden { saved } => {
            term.grid_mut().saved_cursor = saved;
            term.swap_alt();
            term.grid_mut().saved_cursor = saved_primary;
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
