//! What stands in the cells of a terminal, as a value that can cross a socket and be composed, compared and painted.
//! Holds nothing that could be obeyed: no control character, no hidden mark, no link but to a page or a file.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthChar;

use super::plain::is_plain;
use crate::id::Size;

/// Rows of cells, and the cursor among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    size: Size,
    rows: Vec<Row>,
    /// Where the cursor is seen, if it is.
    pub pointer: Option<Pointer>,
}

/// One row, always of its sheet's width. On the wire, runs of one style, without the blanks at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Run>", into = "Vec<Run>")]
pub struct Row(Vec<Cell>);

/// What one cell shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its character; a blank for the right half of a wide one.
    pub c: char,
    /// Marks upon it.
    pub marks: String,
    /// Which part of a character it is.
    pub part: Part,
    /// How it looks.
    pub style: Style,
}

/// Which part of a character a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of one.
    Whole,
    /// The left half.
    Left,
    /// The right half.
    Right,
}

/// How a cell looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Style {
    /// The text's colour, where it is not the terminal's own.
    #[serde(rename = "f", skip_serializing_if = "Option::is_none")]
    pub fg: Option<Tint>,
    /// The ground's.
    #[serde(rename = "b", skip_serializing_if = "Option::is_none")]
    pub bg: Option<Tint>,
    /// The underline's, where it is not the text's.
    #[serde(rename = "u", skip_serializing_if = "Option::is_none")]
    pub line: Option<Tint>,
    /// A union of the constants below.
    #[serde(rename = "a", skip_serializing_if = "is_zero")]
    pub attributes: u16,
    /// Where it leads.
    #[serde(rename = "l", skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
}

/// A colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tint {
    /// One of the sixteen that a terminal's user chooses.
    #[serde(rename = "n")]
    Named(u8),
    /// One of 256.
    #[serde(rename = "i")]
    Indexed(u8),
    /// Red, green and blue.
    #[serde(rename = "r")]
    Rgb(u8, u8, u8),
}

/// Somewhere a person may go: a page or a file, and nothing that a terminal or a browser would run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Link(Arc<str>);

/// The cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// From the top, from 0.
    pub row: u16,
    /// From the left, from 0.
    pub col: u16,
    /// What it looks like.
    pub shape: Shape,
    /// Whether it blinks.
    pub blinks: bool,
}

/// What a cursor looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A filled cell.
    #[default]
    Block,
    /// A line below.
    Underline,
    /// A line to the left.
    Beam,
}

impl Style {
    /// Bold.
    pub const BOLD: u16 = 1;
    /// Faint.
    pub const DIM: u16 = 1 << 1;
    /// Italic.
    pub const ITALIC: u16 = 1 << 2;
    /// Foreground and background exchanged.
    pub const INVERSE: u16 = 1 << 3;
    /// Crossed out.
    pub const STRIKE: u16 = 1 << 4;
    /// Underlined: with one line,
    pub const UNDERLINE: u16 = 1 << 5;
    /// with two,
    pub const DOUBLE: u16 = 1 << 6;
    /// with a wave,
    pub const CURL: u16 = 1 << 7;
    /// with dots,
    pub const DOTS: u16 = 1 << 8;
    /// or with dashes.
    pub const DASHES: u16 = 1 << 9;

    /// With these attributes and nothing else.
    pub fn of(attributes: u16) -> Style {
        Style { attributes, ..Style::default() }
    }
}

impl Link {
    /// Longer ones are not kept: a terminal would not open them either.
    pub const MAX: usize = 1024;

    /// This address, if it is of a kind that may be shown and has no character that may not be.
    pub fn new(uri: &str) -> Option<Link> {
        let (scheme, rest) = uri.split_once(':')?;
        let known = ["http", "https", "file"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let safe = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
        let sound = known && rest.starts_with("//") && uri.len() <= Self::MAX && uri.bytes().all(safe);
        sound.then(|| Link(uri.into()))
    }

    /// It.
    pub fn uri(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Link {
    type Error = &'static str;

    fn try_from(uri: String) -> Result<Self, Self::Error> {
        Link::new(&uri).ok_or("an address that may not be shown")
    }
}

impl From<Link> for String {
    fn from(link: Link) -> String {
        link.0.as_ref().to_owned()
    }
}

impl Default for Cell {
    fn default() -> Self {
        Cell { c: ' ', marks: String::new(), part: Part::Whole, style: Style::default() }
    }
}

impl Cell {
    /// What a character is in the cells it takes: one, or two. One that must not be shown, or takes none, is a blank.
    pub fn of(c: char, style: &Style) -> (Cell, Option<Cell>) {
        let cell = |c, part| Cell { c, part, marks: String::new(), style: style.clone() };
        match c.width() {
            Some(1) if is_plain(c) => (cell(c, Part::Whole), None),
            Some(2) if is_plain(c) => (cell(c, Part::Left), Some(cell(' ', Part::Right))),
            _ => (cell(' ', Part::Whole), None),
        }
    }

    /// Puts a mark on it, if it is one that may be shown.
    pub fn mark(&mut self, mark: char) {
        if mark.width() == Some(0) && is_plain(mark) {
            self.marks.push(mark);
        }
    }

    /// Nothing to be seen, whatever was there before.
    pub fn is_blank(&self) -> bool {
        self.c == ' ' && self.part == Part::Whole && self.marks.is_empty() && self.style == Style::default()
    }
}

impl Row {
    /// A blank one.
    pub fn new(cols: usize) -> Row {
        Row(vec![Cell::default(); cols])
    }

    /// These cells. A half of a wide character without the other is a blank.
    pub fn of(mut cells: Vec<Cell>) -> Row {
        for at in 0..cells.len() {
            let whole = match cells[at].part {
                Part::Whole => true,
                Part::Left => cells.get(at + 1).is_some_and(|next| next.part == Part::Right),
                Part::Right => at > 0 && cells[at - 1].part == Part::Left,
            };
            if !whole {
                let style = std::mem::take(&mut cells[at].style);
                cells[at] = Cell { style, ..Cell::default() };
            }
        }
        Row(cells)
    }

    /// Its cells.
    pub fn cells(&self) -> &[Cell] {
        &self.0
    }

    /// Some of its cells, or fewer where it ends.
    pub fn part(&self, from: usize, cols: usize) -> Row {
        Row::of(self.0.iter().skip(from).take(cols).cloned().collect())
    }

    /// Writes a text over its cells from a column on, as far as it goes. Returns the column after it.
    pub fn write(&mut self, from: usize, text: &str, style: &Style) -> usize {
        let mut at = from;
        for c in text.chars() {
            if c.width() == Some(0) {
                if at > from {
                    let last = if self.0[at - 1].part == Part::Right { at - 2 } else { at - 1 };
                    self.0[last].mark(c);
                }
                continue;
            }
            let (cell, second) = Cell::of(c, style);
            if at + 1 + usize::from(second.is_some()) > self.0.len() {
                break;
            }
            for cell in [Some(cell), second].into_iter().flatten() {
                self.0[at] = cell;
                at += 1;
            }
        }
        let cells = std::mem::take(&mut self.0);
        *self = Row::of(cells);
        at
    }

    fn fit(&mut self, cols: usize) {
        let mut cells = std::mem::take(&mut self.0);
        cells.resize(cols, Cell::default());
        *self = Row::of(cells);
    }
}

impl Sheet {
    /// A blank one.
    pub fn new(size: Size) -> Sheet {
        Sheet { size, rows: vec![Row::new(size.cols.into()); size.rows.into()], pointer: None }
    }

    /// Its size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Its rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Puts another row in the place of one; it is cut or filled up to the sheet's width.
    pub fn set(&mut self, at: usize, mut row: Row) {
        if let Some(place) = self.rows.get_mut(at) {
            row.fit(self.size.cols.into());
            *place = row;
        }
    }

    /// One of its rows, to be written on.
    pub fn row_mut(&mut self, at: usize) -> Option<&mut Row> {
        self.rows.get_mut(at)
    }

    /// The rows that are not as they are in another, by their numbers; all of them if that is of another size.
    pub fn changed(&self, since: Option<&Sheet>) -> Vec<(u16, Row)> {
        let since = since.filter(|since| since.size == self.size);
        let differs = |at: usize| since.is_none_or(|since| since.rows[at] != self.rows[at]);
        (0..self.rows.len()).filter(|at| differs(*at)).map(|at| (at as u16, self.rows[at].clone())).collect()
    }

    /// Its text, a line for each row, without the blanks at its end.
    pub fn text(&self) -> Vec<String> {
        let line = |row: &Row| {
            let mut line = String::new();
            for cell in row.0.iter().filter(|cell| cell.part != Part::Right) {
                line.push(cell.c);
                line.push_str(&cell.marks);
            }
            line.truncate(line.trim_end_matches(' ').len());
            line
        };
        self.rows.iter().map(line).collect()
    }
}

/// Characters of one style.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    #[serde(rename = "t")]
    text: String,
    #[serde(rename = "s", default, skip_serializing_if = "is_default")]
    style: Style,
}

impl From<Row> for Vec<Run> {
    fn from(row: Row) -> Self {
        let end = row.0.iter().rposition(|cell| !cell.is_blank()).map_or(0, |last| last + 1);
        let mut runs: Vec<Run> = Vec::new();
        for cell in row.0.into_iter().take(end).filter(|cell| cell.part != Part::Right) {
            match runs.last_mut() {
                Some(run) if run.style == cell.style => run.text.push(cell.c),
                _ => runs.push(Run { text: cell.c.into(), style: cell.style }),
            }
            if let Some(run) = runs.last_mut() {
                run.text.push_str(&cell.marks);
            }
        }
        runs
    }
}

impl From<Vec<Run>> for Row {
    fn from(runs: Vec<Run>) -> Row {
        let mut cells: Vec<Cell> = Vec::new();
        for run in runs {
            for c in run.text.chars() {
                if c.width() == Some(0) {
                    let last = match cells.last() {
                        Some(cell) if cell.part == Part::Right => cells.len().checked_sub(2),
                        _ => cells.len().checked_sub(1),
                    };
                    if let Some(last) = last {
                        cells[last].mark(c);
                    }
                    continue;
                }
                let (cell, second) = Cell::of(c, &run.style);
                cells.push(cell);
                cells.extend(second);
            }
        }
        Row::of(cells)
    }
}

fn is_zero(number: &u16) -> bool {
    *number == 0
}

fn is_default(style: &Style) -> bool {
    *style == Style::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_a_page_or_a_file_and_nowhere_else() {
        for good in ["http://a/b?c#d", "HTTPS://a.b/%20x", "file:///tmp/x", "file://host/a(1)"] {
            assert!(Link::new(good).is_some(), "{good}");
        }
        let long = format!("http://{}", "x".repeat(Link::MAX));
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "http:x",
            "ssh://a",
            "file",
            "",
            "http://a b",
            "http://a\u{1b}]52;c;x\u{7}",
            "http://a\u{9c}",
            "http://ü/",
            "http://a\"><",
            &long,
        ] {
            assert_eq!(Link::new(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_row_is_written_and_read_again() {
        let bold = Style::of(Style::BOLD);
        let mut row = Row::new(12);
        assert_eq!(row.write(1, "a漢e\u{301}", &bold), 5);
        assert_eq!(row.write(11, "漢", &bold), 11, "half of it would be outside");
        let json = serde_json::to_string(&row).unwrap();
        assert_eq!(json, "[{\"t\":\" \"},{\"t\":\"a漢e\u{301}\",\"s\":{\"a\":1}}]");
        let mut read: Row = serde_json::from_str(&json).unwrap();
        read.fit(12);
        assert_eq!(read, row);
        row.write(2, "x", &bold);
        assert_eq!(row.cells()[3], Cell { style: bold, ..Cell::default() }, "the other half goes too");
    }

    #[test]
    fn what_would_be_obeyed_is_not_taken_from_the_wire_either() {
        let json = r#"[{"t":"a\u001b[31m\u202eb\u009b\u200ec\ue000\u0007"}]"#;
        let row: Row = serde_json::from_str(json).unwrap();
        let text: String = row.cells().iter().map(|cell| format!("{}{}", cell.c, cell.marks)).collect();
        assert!(text.chars().all(is_plain), "{text:?}");
        assert!(serde_json::from_str::<Row>(r#"[{"t":"a","s":{"l":"javascript:x"}}]"#).is_err());
    }
}
