//! What a program wrote, as text: the stream read line by line, the way a log is read. Applies what rewrites the
//! current line and drops the rest. Knows no screen: rows above and cursor addressing are [`super::screen`]'s.

use alacritty_terminal::vte::{Params, Parser, Perform};
use unicode_width::UnicodeWidthChar;

use super::scan;

/// The longest incomplete escape sequence held back at the end, in bytes. A longer one is not worth waiting for.
pub const MAX_HELD: usize = 4096;

/// The longest line, in bytes; also how far to look for a line's end after an overrun.
const MAX_LINE: usize = 64 * 1024;

/// How far to the right the cursor may be sent past the end of a line, in columns: no terminal of ours is wider.
const MAX_COLUMN: usize = 1000;

/// Marks on one character: more than any script needs.
const MAX_MARKS: usize = 16;

/// What stands before the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The end of earlier output, or nothing.
    Boundary,
    /// Output that was lost: the first bytes may be half of something, so begin after the next newline, or where
    /// none comes within 64 KiB at the next character.
    Cut,
}

/// A stretch of output as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// The lines, each ended by `\n` but perhaps the last.
    pub text: String,
    /// How many bytes of the input `text` stands for, those skipped after an overrun included. What is left is the
    /// beginning of a character or an escape sequence: ask again with it before what comes next.
    pub used: usize,
    /// The program addresses its screen so much that lines mean little: look at the screen instead.
    pub redraws: bool,
}

/// Output as text, line by line. `bytes` begin outside any escape sequence, unless `start` says otherwise.
pub fn clean(bytes: &[u8], start: Start) -> Cleaned {
    let (skip, used) = raw(bytes, start);
    let mut text = String::new();
    let mut model =
        Model { line: Line::default(), moves: 0, each: |line: &Line, ended| line.write(&mut text, ended) };
    Parser::new().advance(&mut model, &bytes[skip..used]);
    let (line, moves) = (model.line, model.moves);
    line.write(&mut text, End::Open);
    // A log has none of them, a full redraw several a line.
    let redraws = moves >= 4 && moves * 100 >= used - skip;
    Cleaned { text, used, redraws }
}

/// Where to cut `bytes` so that no character and no escape sequence is halved: the part to show is
/// `bytes[skip..used]` of the answer `(skip, used)`.
pub fn raw(bytes: &[u8], start: Start) -> (usize, usize) {
    let skip = match start {
        Start::Boundary => 0,
        Start::Cut => {
            let near = &bytes[..bytes.len().min(MAX_LINE)];
            let newline = near.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            newline.unwrap_or_else(|| near.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count())
        }
    };
    let held = scan::unfinished(&bytes[skip..]);
    (skip, bytes.len() - if held > MAX_HELD { 0 } else { held })
}

/// Output as lines, however it is cut.
#[derive(Debug, Default)]
pub struct Lines {
    parser: Feed,
    line: Line,
}

impl Lines {
    /// Takes more output and hands over each line that it ends, without its newline. A line longer than 64 KiB is
    /// handed over in parts.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        let mut text = String::new();
        let mut model = Model {
            line: std::mem::take(&mut self.line),
            moves: 0,
            each: |line: &Line, _| {
                text.clear();
                line.write(&mut text, End::Open);
                each(&text);
            },
        };
        self.parser.0.advance(&mut model, bytes);
        self.line = model.line;
    }

    /// The line that has not ended yet.
    pub fn partial(&self) -> String {
        let mut text = String::new();
        self.line.write(&mut text, End::Open);
        text
    }
}

/// Never to be emitted, whatever the program wrote: control characters, what turns the direction of the text around
/// it, and the two separators some readers take for line ends.
pub(super) fn hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The parser has no `Debug` of its own.
#[derive(Default)]
struct Feed(Parser);

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parser")
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Newline,
    Open,
}

/// The right part of a wide character or of a tab.
const FILLER: char = '\0';

/// One line: a cell a column, and where the cursor is.
#[derive(Debug, Default)]
struct Line {
    cells: Vec<char>,
    /// Combining marks, with the column they sit on; few, so a list.
    marks: Vec<(usize, char)>,
    column: usize,
    bytes: usize,
}

impl Line {
    fn write(&self, to: &mut String, end: End) {
        let mut marks = self.marks.iter().peekable();
        for (column, c) in self.cells.iter().enumerate() {
            if *c != FILLER {
                to.push(*c);
            }
            while let Some((_, mark)) = marks.next_if(|(at, _)| *at <= column) {
                to.push(*mark);
            }
        }
        if end == End::Newline {
            to.truncate(to.trim_end_matches(' ').len());
            to.push('\n');
        }
    }

    /// Takes the cells of `columns` out of wider characters, and their marks off.
    fn free(&mut self, columns: std::ops::Range<usize>) {
        for column in columns {
            let Some(cell) = self.cells.get(column) else { break };
            if *cell != FILLER && self.cells.get(column + 1) != Some(&FILLER) {
                continue;
            }
            let head = self.cells[..=column].iter().rposition(|c| *c != FILLER).unwrap_or(0);
            let fillers = self.cells[head + 1..].iter().take_while(|c| **c == FILLER).count();
            self.cells[head..=head + fillers].fill(' ');
        }
    }

    fn unmark(&mut self, columns: std::ops::Range<usize>) {
        if !self.marks.is_empty() {
            self.marks.retain(|(at, _)| !columns.contains(at));
        }
    }

    fn put(&mut self, c: char, width: usize) {
        let columns = self.column..self.column + width;
        if self.cells.len() < self.column {
            self.bytes += self.column - self.cells.len();
            self.cells.resize(self.column, ' ');
        }
        if self.column < self.cells.len() {
            self.free(columns.clone());
            self.unmark(columns.clone());
        } else {
            self.bytes += c.len_utf8();
        }
        if self.cells.len() < columns.end {
            self.cells.resize(columns.end, FILLER);
        }
        self.cells[columns.clone()].fill(FILLER);
        self.cells[self.column] = c;
        self.column = columns.end;
    }

    fn mark(&mut self, c: char) {
        let Some(before) = self.column.checked_sub(1).filter(|at| *at < self.cells.len()) else { return };
        let first = self.marks.partition_point(|(at, _)| *at <= before);
        let held = self.marks[..first].iter().rev().take_while(|(at, _)| *at == before).count();
        if held < MAX_MARKS {
            self.marks.insert(first, (before, c));
            self.bytes += c.len_utf8();
        }
    }

    fn tab(&mut self) {
        let stop = self.column / 8 * 8 + 8;
        if self.column < self.cells.len() {
            self.column = stop;
        } else {
            self.put('\t', stop - self.column);
        }
    }

    fn erase(&mut self, how: u16) {
        match how {
            0 => {
                self.free(self.column..self.column + 1);
                self.cells.truncate(self.column);
                self.unmark(self.column..usize::MAX);
            }
            1 => {
                let end = (self.column + 1).min(self.cells.len());
                self.free(0..end);
                self.cells[..end].fill(' ');
                self.unmark(0..end);
            }
            2 => {
                self.cells.clear();
                self.marks.clear();
            }
            _ => return,
        }
        self.bytes = self.cells.iter().filter(|c| **c != FILLER).map(|c| c.len_utf8()).sum::<usize>()
            + self.marks.iter().map(|(_, c)| c.len_utf8()).sum::<usize>();
    }

    fn go(&mut self, column: usize) {
        self.column = column.min(self.cells.len().max(MAX_COLUMN));
    }
}

struct Model<F> {
    line: Line,
    moves: usize,
    each: F,
}

impl<F: FnMut(&Line, End)> Model<F> {
    fn end(&mut self, end: End) {
        (self.each)(&self.line, end);
        self.line.cells.clear();
        self.line.marks.clear();
        self.line.column = 0;
        self.line.bytes = 0;
    }

    fn bound(&mut self) {
        if self.line.bytes + 4 > MAX_LINE && self.line.column >= self.line.cells.len() {
            self.end(End::Open);
        }
    }
}

impl<F: FnMut(&Line, End)> Perform for Model<F> {
    fn print(&mut self, c: char) {
        if hidden(c) {
            return;
        }
        self.bound();
        match c.width() {
            None | Some(0) => self.line.mark(c),
            Some(width) => self.line.put(c, width),
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' => self.end(End::Newline),
            b'\r' => self.line.column = 0,
            0x08 => self.line.column = self.line.column.saturating_sub(1),
            b'\t' => {
                self.bound();
                self.line.tab();
            }
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        if !intermediates.is_empty() {
            return;
        }
        let first = params.iter().next().and_then(|p| p.first()).copied().unwrap_or(0);
        let count = usize::from(first.max(1));
        match action {
            'K' => self.line.erase(first),
            'G' | '`' => self.line.go(count - 1),
            'C' | 'a' => self.line.go(self.line.column + count),
            'D' => self.line.column = self.line.column.saturating_sub(count),
            'A' | 'B' | 'E' | 'F' | 'H' | 'J' | 'L' | 'M' | 'S' | 'T' | 'd' | 'e' | 'f' | 'r' => {
                self.moves += 1
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &str, text: &str) {
        let cleaned = clean(bytes.as_bytes(), Start::Boundary);
        assert_eq!((cleaned.text.as_str(), cleaned.used), (text, bytes.len()), "{bytes:?}");
    }

    #[test]
    fn what_rewrites_a_line_is_applied_and_the_rest_dropped() {
        check("a\r\nb", "a\nb");
        check("10%\r20%\r100%\r\ndone\n", "100%\ndone\n");
        check("hello\rJ", "Jello");
        check("abc\x08\x08X", "aXc");
        check("abcdef\r\x1b[2Kx", "x");
        check("abcdef\x1b[3D\x1b[K", "abc");
        check("abcdef\x1b[3D\x1b[1KX\n", "   Xef\n");
        check("abc\x1b[2GX\x1b[9G!", "aXc     !");
        check("a\x1b[65535Cb\x1b[65535Cc\n", &format!("a{}bc\n", " ".repeat(999)));
        check("a\tb\t\tc", "a\tb\t\tc");
        check("\tb\r123", "123     b");
        check("世界\rx", "x 界");
        check("e\u{301}f\rg", "gf");
        check("e\u{301}\n", "e\u{301}\n");
        check(
            "\x1b[1;31mred\x1b[0m \x1b]0;t\x07\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\x07\x7f\u{202e}",
            "red link",
        );
        check("\x1bP$qm\x1b\\ok\x1b(B\x1b=", "ok");
        check("a  \r\n", "a\n");
    }

    const SAMPLE: &str = "plain\r\n\x1b[1;31mréd €\x1b[0m\r\n\x1b]0;a title\x1b\\wide 世界 😀\x1b]8;;u\x07\ttab\n\n\
                          \x1bP+q\x1b\\\x1b(Bno newline";

    #[test]
    fn text_cut_anywhere_is_the_same_text() {
        let bytes = SAMPLE.as_bytes();
        let whole = clean(bytes, Start::Boundary);
        assert_eq!(whole.used, bytes.len());
        for cut in 0..=bytes.len() {
            let first = clean(&bytes[..cut], Start::Boundary);
            let second = clean(&bytes[first.used..], Start::Boundary);
            assert_eq!(first.text + &second.text, whole.text, "cut at {cut}");
            let (_, used) = raw(&bytes[..cut], Start::Boundary);
            assert_eq!(used, first.used);
            assert!(std::str::from_utf8(&bytes[..used]).is_ok());
        }
    }

    #[test]
    fn lines_cut_anywhere_are_the_same_lines() {
        let bytes = [SAMPLE.as_bytes(), b"1%\r2%\x1b[K\x08%%\r\nlast\x1b[2DX"].concat();
        let collect = |cut: usize| {
            let (mut lines, mut all) = (Lines::default(), Vec::new());
            lines.push(&bytes[..cut], |line| all.push(line.to_owned()));
            lines.push(&bytes[cut..], |line| all.push(line.to_owned()));
            (all, lines.partial())
        };
        let whole = collect(0);
        assert_eq!(whole.0.last().unwrap(), "2%%");
        assert_eq!(whole.1, "laXt");
        for cut in 0..=bytes.len() {
            assert_eq!(collect(cut), whole, "cut at {cut}");
        }
    }

    #[test]
    fn after_an_overrun_the_next_line_is_the_first() {
        for (bytes, skip) in [(&b"1;31mrest\nline"[..], 10), (b"\x82\xacabc", 2), (b"abc", 0), (b"", 0)] {
            assert_eq!(raw(bytes, Start::Cut), (skip, bytes.len()));
        }
        let long = [vec![b'x'; MAX_LINE], b"\nafter".to_vec()].concat();
        assert_eq!(raw(&long, Start::Cut).0, 0);
    }

    #[test]
    fn endless_things_are_bounded() {
        let osc = format!("a\x1b]0;{}", "x".repeat(MAX_HELD));
        assert_eq!(clean(osc.as_bytes(), Start::Boundary).used, osc.len());
        assert_eq!(clean(&osc.as_bytes()[..MAX_HELD], Start::Boundary).used, 1);
        let long = "y".repeat(3 * MAX_LINE);
        check(&long, &long);
        let mut parts = Vec::new();
        let mut lines = Lines::default();
        lines.push(format!("{long}\n").as_bytes(), |line| parts.push(line.len()));
        assert_eq!(parts.iter().sum::<usize>(), long.len());
        assert!(parts.iter().all(|len| *len <= MAX_LINE));
        check(&format!("e{}", "\u{301}".repeat(1000)), &format!("e{}", "\u{301}".repeat(MAX_MARKS)));
    }

    #[test]
    fn a_program_that_redraws_its_screen_is_told_from_a_log() {
        let redraw = "\x1b[2K\x1b[1A".repeat(20) + &"some text on a line\r\n".repeat(20);
        let log = "\x1b[32mok\x1b[0m compiled something\r\n".repeat(50) + "\x1b[H\x1b[J";
        for (bytes, redraws) in [(redraw, true), (log, false), ("\x1b[H\x1b[2Jx".into(), false)] {
            assert_eq!(clean(bytes.as_bytes(), Start::Boundary).redraws, redraws);
        }
    }
}
