//! Text, which is most of all output: what stands in a row is written at once where nothing special is the case. Where
//! something is, character by character, as `Term` has it. What comes of it is the same (`screen/same` holds that).

use alacritty_terminal::{
    grid::Dimensions,
    index::Column,
    term::{TermMode, cell::Flags},
    vte::ansi::{C0, CharsetIndex, Handler, StandardCharset},
};
use unicode_width::UnicodeWidthChar;

use super::{CHARSETS, Guard};

impl Guard<'_> {
    /// What the parser makes of text outside of any sequence.
    pub(in crate::child) fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(&first) = rest.as_bytes().first() {
            let taken = match first {
                b' '..=b'~' => {
                    let run = rest.bytes().take_while(|byte| matches!(byte, b' '..=b'~')).count();
                    self.ascii(&rest[..run]);
                    run
                }
                C0::DEL.. => self.characters(rest),
                _ => {
                    self.control_character(first);
                    1
                }
            };
            rest = &rest[taken..];
        }
    }

    fn control_character(&mut self, byte: u8) {
        match byte {
            C0::LF | C0::VT | C0::FF => self.linefeed(),
            C0::CR => self.carriage_return(),
            C0::HT => self.put_tab(1),
            C0::BS => self.backspace(),
            C0::BEL => self.bell(),
            C0::SUB => self.substitute(),
            C0::SO => self.set_active_charset(CharsetIndex::G1),
            C0::SI => self.set_active_charset(CharsetIndex::G0),
            _ => {}
        }
    }

    /// Printable ones.
    fn ascii(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while let [first, others @ ..] = rest {
            let room = self.room(rest.len());
            if room == 0 {
                self.input(char::from(*first));
                rest = others;
                continue;
            }
            let (now, later) = rest.split_at(room);
            self.put(now.iter().map(|&byte| (char::from(byte), Flags::empty())), room);
            self.extra.last = now.last().copied().map(char::from);
            rest = later;
        }
    }

    /// Some of those at the start that are not ASCII. Returns their bytes.
    fn characters(&mut self, text: &str) -> usize {
        let (mut cells, mut len) = ([(' ', Flags::empty()); CELLS], 0);
        for c in text.chars() {
            match c.width() {
                _ if c.is_ascii() || len + 2 > CELLS => break,
                Some(1) => cells[len] = (c, Flags::empty()),
                Some(2) => {
                    (cells[len], cells[len + 1]) = ((c, Flags::WIDE_CHAR), (' ', Flags::WIDE_CHAR_SPACER));
                    len += 1;
                }
                _ => break,
            }
            len += 1;
        }
        let mut room = self.room(len);
        if room > 0 && cells[room - 1].1 == Flags::WIDE_CHAR {
            room -= 1;
        }
        let cells = &cells[..room];
        let characters = cells.iter().filter(|(_, kind)| *kind != Flags::WIDE_CHAR_SPACER).map(|(c, _)| *c);
        match (characters.clone().next_back(), text.chars().next()) {
            (None, Some(c @ '\u{80}'..='\u{9f}')) => c.len_utf8(),
            (None, Some(c)) => {
                self.input(c);
                c.len_utf8()
            }
            (last, _) => {
                #[cfg(test)]
                assert!(!cells.iter().any(|(c, _)| *c == super::tests::BOOM), "as a bug in Term would");
                self.put(cells.iter().copied(), room);
                self.extra.last = last;
                characters.map(char::len_utf8).sum()
            }
        }
    }

    /// How many cells from the cursor on, of so many, may simply be written: no wrap is due before, nothing is pushed
    /// aside, a character is what it says, and nothing wide loses a half.
    fn room(&self, most: usize) -> usize {
        let grid = self.term.grid();
        let cursor = &grid.cursor;
        let draws = cursor.charsets[CHARSETS[usize::from(self.extra.charset)]] != StandardCharset::Ascii;
        if cursor.input_needs_wrap || cursor.template.extra.is_some() || draws || self.mode(TermMode::INSERT)
        {
            return 0;
        }
        let at = cursor.point.column.0;
        let cells = &grid[cursor.point.line][Column(at)..Column(grid.columns().min(at + most))];
        cells.iter().take_while(|cell| !cell.flags.intersects(WIDE)).count()
    }

    /// Writes so many cells, which there is room for.
    fn put(&mut self, cells: impl Iterator<Item = (char, Flags)>, len: usize) {
        self.extra.touched = true;
        let grid = self.term.grid_mut();
        let (line, start) = (grid.cursor.point.line, grid.cursor.point.column.0);
        let (fg, bg, flags) = (grid.cursor.template.fg, grid.cursor.template.bg, grid.cursor.template.flags);
        let (columns, end) = (grid.columns(), start + len);
        for (cell, (c, kind)) in grid[line][Column(start)..Column(end)].iter_mut().zip(cells) {
            (cell.c, cell.fg, cell.bg, cell.flags, cell.extra) = (c, fg, bg, flags | kind, None);
        }
        grid.cursor.input_needs_wrap = end == columns;
        grid.cursor.point.column = Column(end.min(columns - 1));
    }
}

/// So many at once, of those that are not ASCII.
const CELLS: usize = 16;
/// What is not one cell.
const WIDE: Flags = Flags::WIDE_CHAR.union(Flags::WIDE_CHAR_SPACER);
