//! Stands before alacritty's `Term`: bounds what a hostile program could make it spend, does what xterm does where
//! `Term` does otherwise, and gives all answers itself, so that they lie in one place and in order. Does not know
//! where the bytes come from, nor who reads the screen.
//!
//! What xterm does was told by xterm.js's 76 fixtures, recorded with xterm itself: `Term` alone passed 50, the
//! prototype of this 66.

use alacritty_terminal::{
    Term,
    event::VoidListener,
    grid::{Cursor, Dimensions},
    index::Column,
    term::{
        TermMode,
        cell::{Cell, Flags},
    },
    vte::ansi::{Attr, CharsetIndex, Color, Handler, NamedColor, NamedMode, NamedPrivateMode},
};
use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthChar;

use super::plain::is_plain_text;
use crate::id::Size;

mod control;
mod handler;
pub(super) mod links;
mod text;

/// What `Term` does not tell, or is not trusted with. With what it does tell this is all of its state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Extra {
    /// Scroll region when it is not the whole screen: first and last row, from 0.
    pub(super) margins: Option<(i32, i32)>,
    /// Title, plain and bounded.
    pub(super) title: Option<String>,
    /// Times the bell rang.
    pub(super) bells: u64,
    /// Something that can be seen may have changed.
    #[serde(skip)]
    pub(super) touched: bool,
    /// To be written to the program.
    #[serde(skip)]
    pub(super) answers: Vec<u8>,
    titles: Vec<Option<String>>,
    /// The keyboard stacks of the primary and of the alternate screen, as kitty's numbers.
    pub(super) keyboards: [Vec<u8>; 2],
    /// Which columns are tab stops, once it is no longer every eighth.
    pub(super) tabs: Option<Vec<bool>>,
    /// Which of the character sets G0 to G3 is in use.
    pub(super) charset: u8,
    /// What DECSC had saved when the program went to the alternate screen by ?47. The screen may have shrunk since.
    #[serde(skip)]
    pub(super) saved_primary: Option<Cursor<Cell>>,
    /// The links that cells hold.
    #[serde(skip)]
    links: links::Links,
    /// What REP repeats.
    last: Option<char>,
    /// Cells that REP, DECALN and ED 2 have gone over and that no bytes have paid for yet.
    owed: usize,
    /// Cells that the bytes now being read have paid for beforehand.
    #[serde(skip)]
    ahead: usize,
}

impl Extra {
    /// New bytes came in: what those before them have paid too much is gone.
    pub(super) fn new_bytes(&mut self) {
        self.ahead = 0;
    }

    /// So many of them are read next: they pay for work on cells that had not a byte for each.
    pub(super) fn pay(&mut self, bytes: usize) {
        let paid = bytes * CELLS_PER_BYTE;
        let settled = paid.min(self.owed);
        self.owed -= settled;
        self.ahead += paid - settled;
    }

    fn owe(&mut self, cells: usize) {
        let paid = cells.min(self.ahead);
        self.ahead -= paid;
        self.owed += cells - paid;
    }

    /// Adds an answer, unless the program asks faster than anybody could read.
    pub(super) fn answer(&mut self, text: &str) {
        if self.answers.len() + text.len() <= ANSWERS_MAX {
            self.answers.extend(text.as_bytes());
        }
    }

    /// The screen is to have so many columns.
    pub(super) fn resize(&mut self, columns: usize) {
        self.margins = None;
        if let Some(tabs) = &mut self.tabs {
            tabs.truncate(columns);
            tabs.extend((tabs.len()..columns).map(is_first_tab));
        }
    }

    /// Could a screen of this size have it? For what comes from a file.
    pub(super) fn is_sound(&self, size: Size) -> bool {
        let (rows, columns) = (i32::from(size.rows), usize::from(size.cols));
        let cells = usize::from(Size::MAX.rows) * usize::from(Size::MAX.cols);
        self.margins.is_none_or(|(top, bottom)| 0 <= top && top < bottom && bottom < rows)
            && self.titles.iter().chain([&self.title]).flatten().all(|title| is_plain_text(title, TITLE_MAX))
            && self.titles.len() <= TITLES_MAX
            && self.keyboards.iter().all(|stack| stack.len() <= KEYBOARDS_MAX)
            && self.tabs.as_ref().is_none_or(|tabs| tabs.len() == columns)
            && self.charset < 4
            && self.owed <= 2 * cells
    }

    /// What outlives the emulator that broke or was reset.
    pub(super) fn renewed(&mut self) -> Extra {
        let (answers, title) = (std::mem::take(&mut self.answers), self.title.take());
        Extra { title, answers, bells: self.bells, owed: self.owed, touched: true, ..Extra::default() }
    }
}

/// The character sets that can be in use, as [`Extra`] counts them.
pub(super) const CHARSETS: [CharsetIndex; 4] =
    [CharsetIndex::G0, CharsetIndex::G1, CharsetIndex::G2, CharsetIndex::G3];

/// The sixteen colours that have names, by number.
pub(super) const NAMED: [NamedColor; 16] = [
    NamedColor::Black,
    NamedColor::Red,
    NamedColor::Green,
    NamedColor::Yellow,
    NamedColor::Blue,
    NamedColor::Magenta,
    NamedColor::Cyan,
    NamedColor::White,
    NamedColor::BrightBlack,
    NamedColor::BrightRed,
    NamedColor::BrightGreen,
    NamedColor::BrightYellow,
    NamedColor::BrightBlue,
    NamedColor::BrightMagenta,
    NamedColor::BrightCyan,
    NamedColor::BrightWhite,
];

/// Marks on one character. Term has no limit; the longest honest ones, in Tibetan or Hebrew, have under ten.
pub(super) const MARKS_MAX: usize = 16;
/// Bytes of unread answers.
const ANSWERS_MAX: usize = 64 * 1024;
/// Characters of a title.
const TITLE_MAX: usize = 256;
/// Saved titles; xterm keeps ten. Term keeps 4,096, of any length.
const TITLES_MAX: usize = 16;
/// Saved keyboard modes. At 4,096 Term takes one from the wrong stack, and panics.
const KEYBOARDS_MAX: usize = 64;
/// A line drawn by REP costs eight bytes and a screen is under 200 wide; more is an attack: of `CSI 65535 b`,
/// 0.014 MB/s get through bare Term.
const CELLS_PER_BYTE: usize = 24;

/// For the time of a few bytes.
pub(super) struct Guard<'a> {
    pub(super) term: &'a mut Term<VoidListener>,
    pub(super) extra: &'a mut Extra,
}

impl Guard<'_> {
    /// REP. vte's own loops over all the times it was told, whatever we do in `input`.
    pub(super) fn repeat(&mut self, times: u16) {
        let Some(c) = self.extra.last else { return };
        let times = usize::from(times).min(self.credit());
        self.extra.owe(times);
        for _ in 0..times {
            self.input(c);
        }
    }

    /// DECSTR, which vte does not know: modes, margins, pen and character sets as at first; text and cursor stay.
    pub(super) fn soft_reset(&mut self) {
        self.extra.touched = true;
        self.extra.margins = None;
        let term = &mut *self.term;
        term.unset_mode(NamedMode::Insert.into());
        term.unset_private_mode(NamedPrivateMode::Origin.into());
        term.unset_private_mode(NamedPrivateMode::CursorKeys.into());
        term.set_private_mode(NamedPrivateMode::ShowCursor.into());
        term.set_private_mode(NamedPrivateMode::LineWrap.into());
        term.unset_keypad_application_mode();
        term.terminal_attribute(Attr::Reset);
        let mut cursor = term.grid().cursor.clone();
        cursor.charsets = Default::default();
        term.set_scrolling_region(1, None);
        term.grid_mut().cursor = cursor;
        term.grid_mut().saved_cursor = Cursor::default();
        self.set_active_charset(CharsetIndex::G0);
    }

    /// The row for a report: from 1, and from the top margin under DECOM.
    pub(super) fn reported_row(&self) -> i32 {
        let origin = if self.mode(TermMode::ORIGIN) { self.margins().0 } else { 0 };
        self.row() - origin + 1
    }

    /// First and last row of the scroll region, from 0.
    pub(super) fn margins(&self) -> (i32, i32) {
        self.extra.margins.unwrap_or((0, self.term.screen_lines() as i32 - 1))
    }

    /// May a whole screen be worked on now?
    fn owe_screen(&mut self) -> bool {
        self.owe_rows(self.term.screen_lines())
    }

    /// May so many rows be?
    fn owe_rows(&mut self, rows: usize) -> bool {
        let cells = rows * self.term.columns();
        let may = cells <= self.credit();
        if may {
            self.extra.owe(cells);
        }
        may
    }

    /// Erases up to so many rows. In colour that is work on each of their cells, for as little as three bytes (0.05 MB/s of
    /// `CSI S` in two colours at 250 rows of 1,000); without, on those only that were written. So who does it all the time
    /// gets the same text on no ground.
    fn erase_rows(&mut self, rows: usize, erase: impl FnOnce(&mut Term<VoidListener>)) {
        const NONE: Color = Color::Named(NamedColor::Background);
        self.extra.touched = true;
        let rows = rows.min(self.term.screen_lines());
        let ground = self.term.grid().cursor.template.bg;
        if ground == NONE || rows < 2 || self.owe_rows(rows) {
            return erase(self.term);
        }
        self.term.grid_mut().cursor.template.bg = NONE;
        erase(self.term);
        self.term.grid_mut().cursor.template.bg = ground;
    }

    /// Cells that may be worked on without a byte for each: two screens at once.
    fn credit(&self) -> usize {
        let most = 2 * self.term.screen_lines() * self.term.columns();
        most.saturating_sub(self.extra.owed) + self.extra.ahead
    }

    fn mode(&self, mode: TermMode) -> bool {
        self.term.mode().contains(mode)
    }

    fn row(&self) -> i32 {
        self.term.grid().cursor.point.line.0
    }

    fn column(&self) -> usize {
        self.term.grid().cursor.point.column.0
    }

    fn inside_margins(&self) -> bool {
        let (top, bottom) = self.margins();
        (top..=bottom).contains(&self.row())
    }

    fn forget_wrap(&mut self) {
        self.term.grid_mut().cursor.input_needs_wrap = false;
    }

    /// Term's `goto` counts from the top margin under DECOM, also when a relative move has led to it.
    fn goto_absolute(&mut self, row: i32, column: usize) {
        self.extra.touched = true;
        let origin = if self.mode(TermMode::ORIGIN) { self.margins().0 } else { 0 };
        self.term.goto(row - origin, column);
    }

    /// A relative move stops at the margin, if it began on the inner side of it.
    fn row_above(&self, rows: usize) -> i32 {
        let (row, (top, _)) = (self.row(), self.margins());
        let limit = if row >= top { top } else { 0 };
        (row - rows.min(u16::MAX.into()) as i32).max(limit)
    }

    fn row_below(&self, rows: usize) -> i32 {
        let (row, (_, bottom)) = (self.row(), self.margins());
        let limit = if row <= bottom { bottom } else { self.term.screen_lines() as i32 - 1 };
        (row + rows.min(u16::MAX.into()) as i32).min(limit)
    }

    /// Would `c` be one mark too many where Term would put it?
    fn one_mark_too_many(&self, c: char) -> bool {
        if c.width() != Some(0) {
            return false;
        }
        let grid = self.term.grid();
        let row = &grid[grid.cursor.point.line];
        let mut column = grid.cursor.point.column;
        if !grid.cursor.input_needs_wrap {
            column = Column(column.0.saturating_sub(1));
        }
        if row[column].flags.contains(Flags::WIDE_CHAR_SPACER) {
            column = Column(column.0.saturating_sub(1));
        }
        row[column].zerowidth().is_some_and(|marks| marks.len() >= MARKS_MAX)
    }

    /// DECCOLM. Term keeps its columns and does the rest: no margins, and nothing on the screen.
    fn change_columns(&mut self) {
        self.extra.margins = None;
        self.erase_rows(usize::MAX, |term| term.set_private_mode(NamedPrivateMode::ColumnMode.into()));
    }

    fn keyboards(&mut self) -> &mut Vec<u8> {
        let alternate = self.mode(TermMode::ALT_SCREEN);
        &mut self.extra.keyboards[usize::from(alternate)]
    }

    fn tabs(&mut self) -> &mut Vec<bool> {
        let columns = self.term.columns();
        self.extra.tabs.get_or_insert_with(|| (0..columns).map(is_first_tab).collect())
    }

    /// The screen may have shrunk in the meantime.
    fn restore_saved_primary(&mut self) {
        let Some(mut saved) = self.extra.saved_primary.take() else { return };
        saved.point.line = saved.point.line.min(self.term.bottommost_line());
        saved.point.column = saved.point.column.min(self.term.last_column());
        self.term.grid_mut().saved_cursor = saved;
    }
}

fn is_first_tab(column: usize) -> bool {
    column.is_multiple_of(8)
}

#[cfg(test)]
mod tests;
