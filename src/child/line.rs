//! One line as a program without cursor addressing sees it: what it wrote over is gone. Knows columns and characters;
//! does not parse, and knows no width of a screen.

use unicode_width::UnicodeWidthChar;

use super::plain::is_plain;

/// A line that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// One for each column; [`FILLER`] after a wide character. A tab is one column: nothing knows the stops.
    cells: Vec<char>,
    /// Characters without width, by the column they stand on.
    marks: Vec<(usize, char)>,
    cursor: usize,
    /// Something was written over, so blanks at the end may be what erased it.
    edited: bool,
    /// Blanks that moves beyond the end have made and that no bytes have paid for yet.
    owed: usize,
}

/// Columns of a line. Longer ones come in parts.
const LINE_MAX: usize = 64 * 1024;
/// A move to the right goes no further: the widest screen.
const COLUMN_MAX: usize = 1000;
/// Blanks that a byte of input pays for, and that may be owed. Columns of honest tables need about one for a byte.
const BLANKS_PER_BYTE: usize = 4;
const BLANKS_OWED: usize = 16 * 1024;
const FILLER: char = '\0';

impl Line {
    /// Bytes came in: they pay for blanks, so that `CSI 999 C` does not make a thousand bytes of seven.
    pub(super) fn pay(&mut self, bytes: usize) {
        self.owed = self.owed.saturating_sub(bytes.saturating_mul(BLANKS_PER_BYTE));
    }

    /// Nothing more fits.
    pub(super) fn full(&self) -> bool {
        self.cells.len() + self.marks.len() >= LINE_MAX
    }

    /// Appends what the line says.
    pub(super) fn write_to(&self, text: &mut String) {
        let end = match self.edited {
            true => self.cells.iter().rposition(|&c| c != ' ').map_or(0, |last| last + 1),
            false => self.cells.len(),
        };
        let mut marks = self.marks.iter().peekable();
        for (column, &c) in self.cells[..end].iter().enumerate() {
            if c != FILLER {
                text.push(c);
            }
            while let Some((_, mark)) = marks.next_if(|(on, _)| *on <= column) {
                text.push(*mark);
            }
        }
    }

    /// Begins a new line.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.marks.clear();
        self.cursor = 0;
        self.edited = false;
    }

    pub(super) fn put(&mut self, c: char) {
        let width = match c {
            ' '..='~' | '\t' => 1,
            c if !is_plain(c) => return,
            c => match c.width() {
                Some(0) => return self.mark(c),
                Some(width) => width,
                None => return,
            },
        };
        self.reach(self.cursor);
        self.write(c);
        if width == 2 {
            self.write(FILLER);
        }
    }

    /// Tabs stay tabs at the end of a line; before it they move.
    pub(super) fn tab(&mut self) {
        if self.cursor >= self.cells.len() {
            self.put('\t');
        } else {
            self.cursor = (self.cursor / 8 + 1) * 8;
        }
    }

    pub(super) fn to(&mut self, column: usize) {
        self.cursor = column.min(COLUMN_MAX.max(self.cells.len()));
    }

    pub(super) fn left(&mut self, columns: usize) {
        self.cursor = self.cursor.saturating_sub(columns);
    }

    pub(super) fn right(&mut self, columns: usize) {
        self.to(self.cursor + columns);
    }

    /// EL 0.
    pub(super) fn erase_right(&mut self) {
        self.split_wide(self.cursor);
        self.truncate(self.cursor);
    }

    /// EL 1.
    pub(super) fn erase_left(&mut self) {
        self.blank(0, self.cursor + 1);
    }

    /// EL 2.
    pub(super) fn erase(&mut self) {
        self.truncate(0);
    }

    /// ECH.
    pub(super) fn erase_chars(&mut self, count: usize) {
        self.blank(self.cursor, self.cursor.saturating_add(count));
    }

    /// DCH, as line editors use it.
    pub(super) fn delete_chars(&mut self, count: usize) {
        let end = self.cursor.saturating_add(count).min(self.cells.len());
        if self.cursor < end {
            self.blank(self.cursor, end);
            self.cells.drain(self.cursor..end);
            let gone = end - self.cursor;
            for (column, _) in self.marks.iter_mut().filter(|(column, _)| *column >= end) {
                *column -= gone;
            }
        }
    }

    /// ICH.
    pub(super) fn insert_blanks(&mut self, count: usize) {
        if self.cursor < self.cells.len() {
            let count = self.owe(count.min(COLUMN_MAX));
            self.split_wide(self.cursor);
            self.cells.splice(self.cursor..self.cursor, std::iter::repeat_n(' ', count));
            let cursor = self.cursor;
            for (column, _) in self.marks.iter_mut().filter(|(column, _)| *column >= cursor) {
                *column += count;
            }
        }
    }

    fn mark(&mut self, mark: char) {
        let Some(mut on) = self.cursor.min(self.cells.len()).checked_sub(1) else {
            // Its character may be in the part of the line that was read before.
            return self.write(mark);
        };
        if self.cells[on] == FILLER {
            on -= 1;
        }
        let at = self.marks.partition_point(|(column, _)| *column <= on);
        let crowd = self.marks[..at].iter().rev().take_while(|(column, _)| *column == on).count();
        if crowd < 16 {
            self.marks.insert(at, (on, mark));
        }
    }

    fn write(&mut self, c: char) {
        if self.cursor < self.cells.len() {
            self.edited = true;
            if c != FILLER {
                self.split_wide(self.cursor);
            }
            self.split_wide(self.cursor + 1);
            self.drop_marks(self.cursor, self.cursor + 1);
            self.cells[self.cursor] = c;
        } else {
            self.cells.push(c);
        }
        self.cursor += 1;
    }

    /// A wide character of which one half goes loses the other half too.
    fn split_wide(&mut self, column: usize) {
        if self.cells.get(column) == Some(&FILLER) {
            self.cells[column] = ' ';
            self.cells[column - 1] = ' ';
            self.drop_marks(column - 1, column);
        }
    }

    fn blank(&mut self, from: usize, to: usize) {
        let (from, to) = (from.min(self.cells.len()), to.min(self.cells.len()));
        if from < to {
            self.edited = true;
            self.split_wide(from);
            self.split_wide(to);
            self.drop_marks(from, to);
            self.cells[from..to].fill(' ');
        }
    }

    fn truncate(&mut self, columns: usize) {
        if columns < self.cells.len() {
            self.edited = true;
            self.cells.truncate(columns);
            self.drop_marks(columns, usize::MAX);
        }
    }

    fn drop_marks(&mut self, from: usize, to: usize) {
        if !self.marks.is_empty() {
            self.marks.retain(|(column, _)| !(from..to).contains(column));
        }
    }

    /// As many of these blanks as may be made now.
    fn owe(&mut self, blanks: usize) -> usize {
        let blanks = blanks.min(BLANKS_OWED - self.owed);
        self.owed += blanks;
        blanks
    }

    /// Blanks up to the column, as far as they are paid for.
    fn reach(&mut self, column: usize) {
        let gap = self.owe(column.saturating_sub(self.cells.len()));
        self.cells.resize(self.cells.len() + gap, ' ');
        self.cursor = column.min(self.cells.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(edit: impl FnOnce(&mut Line), expected: &str) {
        let mut line = Line::default();
        edit(&mut line);
        let mut text = String::new();
        line.write_to(&mut text);
        assert_eq!(text, expected);
    }

    fn put(line: &mut Line, text: &str) {
        text.chars().for_each(|c| line.put(c));
    }

    /// Writes, goes to a column, does something there.
    #[track_caller]
    fn at(text: &str, column: usize, edit: impl FnOnce(&mut Line), expected: &str) {
        check(
            |line| {
                put(line, text);
                line.to(column);
                edit(line);
            },
            expected,
        );
    }

    #[test]
    fn what_is_written_over_is_gone() {
        at("50%", 0, |line| put(line, "1"), "10%");
        at("done", 6, |line| put(line, "x"), "done  x");
        at("abcd", 2, Line::erase_right, "ab");
        at("abcd", 1, Line::erase_left, "  cd");
        at("abcd", 1, Line::erase, "");
        at("abcd", 1, |line| line.erase_chars(2), "a  d");
        at("abcd", 1, |line| line.delete_chars(2), "ad");
        at("abcd", 1, |line| line.delete_chars(99), "a");
        at("abcd", 1, |line| line.insert_blanks(2), "a  bcd");
        at("abcd", 0, |line| put(line, "    "), "");
        at("a\tb", 0, Line::tab, "a\tb");
        check(|line| put(line, "blanks  "), "blanks  ");
    }

    #[test]
    fn half_a_wide_character_is_none() {
        at("漢字", 1, |line| put(line, "x"), " x字");
        at("漢字", 0, |line| put(line, "x"), "x 字");
        at("漢字", 1, |line| put(line, "語"), " 語");
        at("漢字", 0, |line| put(line, "語"), "語字");
        at("a漢字", 0, |line| put(line, "語"), "語 字");
        at("漢字", 1, Line::erase_right, "");
        at("漢字", 2, Line::erase_right, "漢");
        at("漢字", 1, |line| line.delete_chars(1), " 字");
    }

    #[test]
    fn marks_stay_on_their_character() {
        check(|line| put(line, "e\u{301}x"), "e\u{301}x");
        check(|line| put(line, "\u{301}x"), "\u{301}x");
        at("e\u{301}x", 0, |line| put(line, "a"), "ax");
        at("xe\u{301}", 0, |line| line.delete_chars(1), "e\u{301}");
        at("xe\u{301}", 0, |line| line.insert_blanks(1), " xe\u{301}");
        at("ab", 1, |line| line.put('\u{301}'), "a\u{301}b");
        check(|line| put(line, &format!("e{}", "\u{301}".repeat(99))), &format!("e{}", "\u{301}".repeat(16)));
        check(|line| put(line, "漢\u{fe0f}字"), "漢\u{fe0f}字");
    }

    #[test]
    fn moves_make_no_more_blanks_than_were_paid_for() {
        let mut line = Line::default();
        let mut blanks = 0;
        for _ in 0..1000 {
            line.pay(8);
            line.to(usize::MAX);
            line.put('x');
            blanks += line.cells.len();
            line.clear();
        }
        assert!(blanks < 50_000, "{blanks}");
    }
}
