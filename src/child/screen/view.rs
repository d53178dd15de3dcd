//! The screen as a sheet for a person, and what its program wants of the person's terminal. Does not paint.

use alacritty_terminal::{
    grid::Dimensions,
    index::Line,
    term::{
        TermMode,
        cell::{Cell, Flags},
    },
    vte::ansi::{Color, CursorShape, NamedColor, Rgb},
};
use serde::{Deserialize, Serialize};

use super::Screen;
use crate::child::picture::{self, Link, Part, Pointer, Row, Shape, Sheet, Style, Tint};

/// What a program wants of the terminal that it is typed into from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wants {
    /// Arrow keys in their application form.
    pub app_cursor: bool,
    /// Keypad keys in their application form.
    pub app_keypad: bool,
    /// Pasted text between brackets.
    pub bracketed_paste: bool,
    /// To be told of the focus.
    pub focus: bool,
    /// Which of the mouse's doings it is told of.
    pub mouse: Mouse,
    /// That in the form of ?1006.
    pub sgr_mouse: bool,
    /// Whether it draws on the alternate screen.
    pub alternate: bool,
}

/// Which of the mouse's doings a program is told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mouse {
    /// None.
    #[default]
    Off,
    /// Its buttons.
    Clicks,
    /// And its ways while one is held.
    Drags,
    /// All its ways.
    Motion,
}

impl Screen {
    /// What is to be seen, so many rows further up than now, or as many as there are. Returns how many those were. Of a
    /// screen that is looked at from above, the cursor is not seen.
    pub fn sheet(&self, up: usize) -> (Sheet, usize) {
        let grid = self.emulator.term.grid();
        let up = up.min(grid.history_size());
        let mut sheet = Sheet::new(self.size());
        for row in 0..grid.screen_lines() {
            let cells = &grid[Line(row as i32 - up as i32)];
            sheet.set(row, self.row(cells));
        }
        sheet.pointer = (up == 0).then(|| self.pointer()).flatten();
        (sheet, up)
    }

    /// How many rows there are above.
    pub fn rows_above(&self) -> usize {
        self.emulator.term.grid().history_size()
    }

    /// See [`Wants`].
    pub fn wants(&self) -> Wants {
        let mouse = [
            (TermMode::MOUSE_MOTION, Mouse::Motion),
            (TermMode::MOUSE_DRAG, Mouse::Drags),
            (TermMode::MOUSE_REPORT_CLICK, Mouse::Clicks),
        ];
        Wants {
            app_cursor: self.app_cursor(),
            app_keypad: self.mode(TermMode::APP_KEYPAD),
            bracketed_paste: self.bracketed_paste(),
            focus: self.focus_reporting(),
            mouse: mouse
                .into_iter()
                .find(|(mode, _)| self.mode(*mode))
                .map_or(Mouse::Off, |(_, mouse)| mouse),
            sgr_mouse: self.mode(TermMode::SGR_MOUSE),
            alternate: self.alternate(),
        }
    }

    fn pointer(&self) -> Option<Pointer> {
        let cursor = self.cursor();
        let style = self.emulator.term.cursor_style();
        let shape = match style.shape {
            CursorShape::Hidden => return None,
            CursorShape::Block | CursorShape::HollowBlock => Shape::Block,
            CursorShape::Underline => Shape::Underline,
            CursorShape::Beam => Shape::Beam,
        };
        let (row, col) = (cursor.row as u16, cursor.col as u16);
        cursor.visible.then_some(Pointer { row, col, shape, blinks: style.blinking })
    }

    fn row(&self, cells: &alacritty_terminal::grid::Row<Cell>) -> Row {
        let cells = cells.into_iter().map(|cell| {
            let style = self.style(cell);
            if cell.flags.contains(Flags::WIDE_CHAR_SPACER) {
                return picture::Cell { part: Part::Right, style, ..picture::Cell::default() };
            }
            let hidden = cell.flags.contains(Flags::HIDDEN);
            let (mut shown, second) = picture::Cell::of(if hidden { ' ' } else { cell.c }, &style);
            // Half of a wide character, or the other half of nothing: then the row makes blanks of both.
            if second.is_some() != cell.flags.contains(Flags::WIDE_CHAR) {
                shown = picture::Cell::of(' ', &style).0;
            }
            let marks = cell.zerowidth().unwrap_or_default().iter();
            if !hidden {
                marks.for_each(|mark| shown.mark(*mark));
            }
            shown
        });
        Row::of(cells.collect())
    }

    fn style(&self, cell: &Cell) -> Style {
        const FLAGS: [(Flags, u16); 10] = [
            (Flags::BOLD, Style::BOLD),
            (Flags::DIM, Style::DIM),
            (Flags::ITALIC, Style::ITALIC),
            (Flags::INVERSE, Style::INVERSE),
            (Flags::STRIKEOUT, Style::STRIKE),
            (Flags::UNDERLINE, Style::UNDERLINE),
            (Flags::DOUBLE_UNDERLINE, Style::DOUBLE),
            (Flags::UNDERCURL, Style::CURL),
            (Flags::DOTTED_UNDERLINE, Style::DOTS),
            (Flags::DASHED_UNDERLINE, Style::DASHES),
        ];
        let has = |(flag, _): &&(Flags, u16)| cell.flags.contains(*flag);
        Style {
            fg: self.tint(cell.fg),
            bg: self.tint(cell.bg),
            line: cell.underline_color().and_then(|color| self.tint(color)),
            attributes: FLAGS.iter().filter(has).fold(0, |all, (_, one)| all | one),
            link: cell.hyperlink().and_then(|link| Link::new(link.uri())),
        }
    }

    /// A person's palette is theirs: a colour that the program has changed is shown by its value.
    fn tint(&self, color: Color) -> Option<Tint> {
        let changed =
            |index: usize| self.emulator.term.colors()[index].map(|Rgb { r, g, b }| Tint::Rgb(r, g, b));
        match color {
            Color::Spec(Rgb { r, g, b }) => Some(Tint::Rgb(r, g, b)),
            Color::Indexed(index) => changed(index.into()).or(Some(Tint::Indexed(index))),
            Color::Named(name @ (NamedColor::Foreground | NamedColor::Background)) => changed(name as usize),
            Color::Named(name) => {
                let index = name as usize;
                changed(index)
                    .or_else(|| u8::try_from(index).ok().filter(|index| *index < 16).map(Tint::Named))
            }
        }
    }
}
