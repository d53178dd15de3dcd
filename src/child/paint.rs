//! A sheet, or what has changed since another, as sequences for a person's terminal. They are all written here: no byte
//! of a child's passes. Knows no child and no terminal's state but what it has itself painted.

use std::fmt::Write;

use super::picture::{Cell, Part, Pointer, Shape, Sheet, Style, Tint};

/// What makes a terminal that shows `old` show `new`; all of it if nothing is known of what it shows. The terminal must
/// have the sheet's size. Its pen is left as it is after a reset.
pub fn paint(old: Option<&Sheet>, new: &Sheet) -> String {
    let old = old.filter(|old| old.size() == new.size());
    if old == Some(new) {
        return String::new();
    }
    let mut to = String::from("\x1b[?2026h\x1b[?25l");
    let blank;
    let (old, pointer) = match old {
        Some(old) => (old, old.pointer),
        None => {
            to.push_str("\x1b[m\x1b]8;;\x1b\\\x1b[H\x1b[2J");
            blank = Sheet::new(new.size());
            (&blank, None)
        }
    };
    let mut pen = Pen { to, style: Style::default() };
    for (row, (old, new)) in old.rows().iter().zip(new.rows()).enumerate() {
        if old != new {
            pen.row(row, old.cells(), new.cells());
        }
    }
    pen.put(&Style::default());
    let mut to = pen.to;
    if let Some(at) = new.pointer {
        let look = |at: Pointer| (at.shape, at.blinks);
        if pointer.map(look) != Some(look(at)) {
            let _ = write!(to, "\x1b[{} q", shape(at));
        }
        let _ = write!(to, "\x1b[{};{}H\x1b[?25h", at.row + 1, at.col + 1);
    }
    to.push_str("\x1b[?2026l");
    to
}

/// What it writes to, and how the next character would look.
struct Pen {
    to: String,
    style: Style,
}

impl Pen {
    fn row(&mut self, row: usize, old: &[Cell], new: &[Cell]) {
        let changed = changes(old, new);
        // From here on nothing is to be seen.
        let end = new.iter().rposition(|cell| !cell.is_blank()).map_or(0, |last| last + 1);
        let erase = (end..new.len()).any(|at| changed[at]);
        // Where the next character goes, as far as that is certain.
        let mut here = None;
        for at in (0..end).filter(|at| changed[*at]) {
            let cell = &new[at];
            if cell.part == Part::Right {
                continue;
            }
            if here != Some(at) {
                let _ = write!(self.to, "\x1b[{};{}H", row + 1, at + 1);
            }
            self.put(&cell.style);
            self.to.push(cell.c);
            self.to.push_str(&cell.marks);
            here = sure_width(cell).map(|width| at + width);
        }
        if erase {
            self.put(&Style::default());
            let _ = write!(self.to, "\x1b[{};{}H\x1b[K", row + 1, end + 1);
        }
    }

    fn put(&mut self, style: &Style) {
        if self.style == *style {
            return;
        }
        if self.style.link != style.link {
            let uri = style.link.as_ref().map_or("", |link| link.uri());
            let _ = write!(self.to, "\x1b]8;;{uri}\x1b\\");
        }
        let (looks, looked) =
            (Style { link: None, ..style.clone() }, Style { link: None, ..self.style.clone() });
        if looks != looked {
            self.to.push_str("\x1b[0");
            for (attribute, code) in ATTRIBUTES {
                if style.attributes & attribute != 0 {
                    let _ = write!(self.to, ";{code}");
                }
            }
            tint(&mut self.to, style.fg, 30);
            tint(&mut self.to, style.bg, 40);
            // With colons, or a terminal that does not know it would take it for other attributes.
            let _ = match style.line {
                None => Ok(()),
                Some(Tint::Named(index) | Tint::Indexed(index)) => write!(self.to, ";58:5:{index}"),
                Some(Tint::Rgb(r, g, b)) => write!(self.to, ";58:2::{r}:{g}:{b}"),
            };
            self.to.push('m');
        }
        self.style = style.clone();
    }
}

/// Which cells must be painted: those that differ, and the other half of each wide character that is torn.
fn changes(old: &[Cell], new: &[Cell]) -> Vec<bool> {
    let mut changed: Vec<bool> = old.iter().zip(new).map(|(old, new)| old != new).collect();
    let one = |cells: &[Cell], at: usize| cells[at].part == Part::Left && at + 1 < cells.len();
    let mut grown = true;
    while grown {
        grown = false;
        for at in 0..changed.len() {
            if (one(old, at) || one(new, at)) && changed[at] != changed[at + 1] {
                changed[at] = true;
                changed[at + 1] = true;
                grown = true;
            }
        }
    }
    changed
}

/// How many cells every terminal gives this one; none where they do not agree.
fn sure_width(cell: &Cell) -> Option<usize> {
    let sure = matches!(cell.c, ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' | '\u{370}'..='\u{52f}')
        || matches!(cell.c, '\u{2500}'..='\u{259f}');
    (sure && cell.marks.is_empty() && cell.part == Part::Whole).then_some(1)
}

fn tint(to: &mut String, tint: Option<Tint>, base: u8) {
    let _ = match tint {
        None => Ok(()),
        Some(Tint::Named(index @ 0..8)) => write!(to, ";{}", base + index),
        Some(Tint::Named(index @ 8..16)) => write!(to, ";{}", base + 60 + index - 8),
        Some(Tint::Named(index) | Tint::Indexed(index)) => write!(to, ";{};5;{index}", base + 8),
        Some(Tint::Rgb(r, g, b)) => write!(to, ";{};2;{r};{g};{b}", base + 8),
    };
}

/// DECSCUSR.
fn shape(pointer: Pointer) -> u8 {
    let steady = match pointer.shape {
        Shape::Block => 2,
        Shape::Underline => 4,
        Shape::Beam => 6,
    };
    steady - u8::from(pointer.blinks)
}

const ATTRIBUTES: [(u16, &str); 10] = [
    (Style::BOLD, "1"),
    (Style::DIM, "2"),
    (Style::ITALIC, "3"),
    (Style::INVERSE, "7"),
    (Style::STRIKE, "9"),
    (Style::UNDERLINE, "4"),
    (Style::DOUBLE, "4:2"),
    (Style::CURL, "4:3"),
    (Style::DOTS, "4:4"),
    (Style::DASHES, "4:5"),
];

#[cfg(test)]
mod tests;
