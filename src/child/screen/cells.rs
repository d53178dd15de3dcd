//! Cells and cursors as bytes, and exactly the same again. Bytes to be read may be anybody's: they cost at most a small
//! multiple of their length, and a row of cells for each row that is asked for.
//!
//! A number is LEB128. A row is spans until it is full; a span is its length, doubled, plus one if all its cells hold
//! the same character; its style; and its characters. A style is given in full where it is first used, and by its
//! number thereafter.

use std::{collections::HashMap, sync::Arc};

use alacritty_terminal::{
    grid::Cursor,
    index::{Column, Line, Point},
    term::cell::{Cell, CellExtra, Flags, Hyperlink},
    vte::ansi::{Color, NamedColor, Rgb, StandardCharset},
};

use crate::{
    child::{
        guard::{CHARSETS, MARKS_MAX, NAMED, links::hyperlink},
        picture::Link,
    },
    id::Size,
};

/// Puts cells after what it was begun with.
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// How many styles were written out. The next one has this number.
    styles: u64,
    /// The numbers of those that are colours and flags alone, as almost all are. There may be one for each cell, so an old
    /// one makes room for a new one, and is written out again.
    plain: Vec<Option<(u128, u64)>>,
    /// The numbers of all others, by their bytes.
    rich: HashMap<Vec<u8>, u64>,
}

/// Places for plain styles: a power of two.
const PLACES: usize = 512;

impl Writer {
    pub(super) fn after(bytes: Vec<u8>) -> Self {
        Writer { bytes, styles: 0, plain: vec![None; PLACES], rich: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes back the newest bytes; only a mark may follow.
    pub(super) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// A byte that no row begins with if it is zero.
    pub(super) fn mark(&mut self, mark: u8) {
        self.bytes.push(mark);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn row(&mut self, cells: &[Cell]) {
        let mut rest = cells;
        while let Some(first) = rest.first() {
            let alike = |cell: &Cell| {
                cell.flags == first.flags
                    && cell.fg == first.fg
                    && cell.bg == first.bg
                    && cell.extra == first.extra
            };
            let (mut len, mut same, mut last) = (1, 1, first.c);
            // Up to another style, or to where many of the same character have ended.
            for cell in &rest[1..] {
                let again = cell.c == last;
                if !again && same >= SAME_MIN || !alike(cell) {
                    break;
                }
                (len, same, last) = (len + 1, if again { same + 1 } else { 1 }, cell.c);
            }
            let (different, same) = if same < SAME_MIN { (len, 0) } else { (len - same, same) };
            for (span, all_same) in [(&rest[..different], false), (&rest[different..different + same], true)]
            {
                let Some(first) = span.first() else { continue };
                self.number(2 * span.len() as u64 + u64::from(all_same));
                self.style(first);
                for cell in &span[..if all_same { 1 } else { span.len() }] {
                    self.number(cell.c.into());
                }
            }
            rest = &rest[len..];
        }
    }

    pub(super) fn cursor(&mut self, cursor: &Cursor<Cell>) {
        self.number(cursor.point.line.0 as u64);
        self.number(cursor.point.column.0 as u64);
        let drawing = CHARSETS.map(|set| cursor.charsets[set] != StandardCharset::Ascii);
        let bits = drawing.into_iter().chain([cursor.input_needs_wrap]);
        self.mark(bits.fold(0, |bits, bit| 2 * bits + u8::from(bit)));
        self.style(&cursor.template);
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn style(&mut self, cell: &Cell) {
        let new = self.styles;
        if cell.extra.is_none() {
            let key = plain(cell);
            // Knuth's multiplicative hash, by the golden ratio.
            let hash = (key as u64 ^ (key >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let place = &mut self.plain[(hash >> (64 - PLACES.ilog2())) as usize];
            return match *place {
                Some((known, number)) if known == key => self.number(number),
                _ => {
                    *place = Some((key, new));
                    self.styles += 1;
                    self.number(new);
                    self.full(cell);
                }
            };
        }
        let at = self.bytes.len();
        self.full(cell);
        let style = self.bytes.split_off(at);
        match self.rich.get(&style) {
            Some(&known) => self.number(known),
            None => {
                self.styles += 1;
                self.number(new);
                self.bytes.extend(&style);
                self.rich.insert(style, new);
            }
        }
    }

    fn full(&mut self, cell: &Cell) {
        self.number(cell.flags.bits().into());
        self.color(Some(cell.fg));
        self.color(Some(cell.bg));
        let link = cell.hyperlink();
        self.mark(if link.is_some() { 2 } else { cell.extra.is_some().into() });
        if let Some(link) = &link {
            self.number(link.uri().len() as u64);
            self.bytes.extend(link.uri().bytes());
        }
        if cell.extra.is_some() {
            self.color(cell.underline_color());
            let marks = cell.zerowidth().unwrap_or_default();
            self.number(marks.len() as u64);
            marks.iter().for_each(|&mark| self.number(mark.into()));
        }
    }

    /// No sequence gives other names than those of text and background.
    fn color(&mut self, color: Option<Color>) {
        match color {
            Some(Color::Named(name)) if (name as usize) < NAMED.len() => self.mark(name as u8),
            Some(Color::Named(NamedColor::Background)) => self.mark(BACKGROUND),
            Some(Color::Named(_)) => self.mark(FOREGROUND),
            Some(Color::Indexed(index)) => self.bytes.extend([INDEXED, index]),
            Some(Color::Spec(Rgb { r, g, b })) => self.bytes.extend([SPEC, r, g, b]),
            None => self.mark(NO_COLOR),
        }
    }
}

/// A style that is colours and flags alone, as a number: no two have the same.
fn plain(cell: &Cell) -> u128 {
    let color = |color| match color {
        Color::Named(name) => name as u32,
        Color::Indexed(index) => 1 << 24 | u32::from(index),
        Color::Spec(Rgb { r, g, b }) => 2 << 24 | u32::from_be_bytes([0, r, g, b]),
    };
    let colors = u128::from(color(cell.fg)) << 32 | u128::from(color(cell.bg));
    colors << 16 | u128::from(cell.flags.bits())
}

/// Takes cells from the front of some bytes. Each method gives nothing when they are not what it wants.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    styles: Vec<Cell>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes, styles: Vec::new() }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes the next byte if it is this mark.
    pub(super) fn passes(&mut self, mark: u8) -> bool {
        let found = self.rest.first() == Some(&mark);
        self.rest = &self.rest[usize::from(found)..];
        found
    }

    pub(super) fn row(&mut self, columns: usize) -> Option<Vec<Cell>> {
        let mut cells = Vec::new();
        while cells.len() < columns {
            let span = self.number()?;
            let (len, all_same) = (usize::try_from(span / 2).ok()?, span % 2 == 1);
            if len == 0 || len > columns - cells.len() {
                return None;
            }
            let style = self.style()?;
            if all_same {
                let c = self.char()?;
                cells.extend(std::iter::repeat_n(Cell { c, ..style }, len));
            } else {
                for _ in 0..len {
                    cells.push(Cell { c: self.char()?, ..style.clone() });
                }
            }
        }
        Some(cells)
    }

    /// One that is on a screen of this size.
    pub(super) fn cursor(&mut self, size: Size) -> Option<Cursor<Cell>> {
        let (line, column) = (self.number()?, self.number()?);
        if line >= size.rows.into() || column >= size.cols.into() {
            return None;
        }
        let bits = self.byte().filter(|bits| *bits < 32)?;
        let mut cursor = Cursor {
            point: Point::new(Line(line as i32), Column(column as usize)),
            template: self.style()?,
            input_needs_wrap: bits & 1 != 0,
            ..Cursor::default()
        };
        for (set, shift) in CHARSETS.into_iter().zip([4, 3, 2, 1]) {
            if bits >> shift & 1 != 0 {
                cursor.charsets[set] = StandardCharset::SpecialCharacterAndLineDrawing;
            }
        }
        Some(cursor)
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn char(&mut self) -> Option<char> {
        char::from_u32(self.number()?.try_into().ok()?)
    }

    fn style(&mut self) -> Option<Cell> {
        let number = usize::try_from(self.number()?).ok()?;
        if number == self.styles.len() {
            let flags = Flags::from_bits(self.number()?.try_into().ok()?)?;
            let (fg, bg) = (self.color()??, self.color()??);
            let extra = match self.byte()? {
                0 => None,
                1 => Some(self.extra()?),
                // Of later brokers only: an earlier one gives up here, and has the program redraw.
                2 => {
                    let link = self.link()?;
                    let mut cell = Cell { extra: Some(self.extra()?), ..Cell::default() };
                    cell.set_hyperlink(Some(link));
                    cell.extra
                }
                _ => return None,
            };
            self.styles.push(Cell { c: ' ', fg, bg, flags, extra });
        }
        self.styles.get(number).cloned()
    }

    fn link(&mut self) -> Option<Hyperlink> {
        let len = usize::try_from(self.number()?).ok()?;
        let (uri, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Link::new(std::str::from_utf8(uri).ok()?).map(|link| hyperlink(&link))
    }

    fn extra(&mut self) -> Option<Arc<CellExtra>> {
        let mut cell = Cell { extra: Some(Arc::default()), ..Cell::default() };
        let underline = self.color()?;
        let marks = self.number()?;
        if marks > MARKS_MAX as u64 {
            return None;
        }
        for _ in 0..marks {
            cell.push_zerowidth(self.char()?);
        }
        if underline.is_some() {
            cell.set_underline_color(underline);
        }
        cell.extra
    }

    fn color(&mut self) -> Option<Option<Color>> {
        let color = match self.byte()? {
            FOREGROUND => Color::Named(NamedColor::Foreground),
            BACKGROUND => Color::Named(NamedColor::Background),
            INDEXED => Color::Indexed(self.byte()?),
            SPEC => Color::Spec(Rgb { r: self.byte()?, g: self.byte()?, b: self.byte()? }),
            NO_COLOR => return Some(None),
            name => Color::Named(*NAMED.get(usize::from(name))?),
        };
        Some(Some(color))
    }
}

/// Cells from which on a span of the same is the shorter one: it and the next have three bytes before their characters.
const SAME_MIN: usize = 5;

const FOREGROUND: u8 = 16;
const BACKGROUND: u8 = 17;
const INDEXED: u8 = 18;
const SPEC: u8 = 19;
const NO_COLOR: u8 = 20;
