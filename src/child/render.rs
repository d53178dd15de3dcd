//! The grid as lines of plain text. Does not parse, and does not know who reads it.

use alacritty_terminal::{
    Term,
    event::VoidListener,
    grid::{Dimensions, Row},
    index::{Column, Line},
    term::{
        TermMode,
        cell::{Cell, Flags},
    },
};

use super::plain::is_plain;

/// What a reader of the screen sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Lines from top to bottom, those of the scrollback first. A line that was wrapped is one line; blanks at its end
    /// and empty lines at the end are left out.
    pub lines: Vec<String>,
    /// How many of `lines` have left the screen wholly.
    pub history: usize,
    /// Which of `lines` has the cursor; may point past the end, into the empty ones.
    pub cursor_line: usize,
}

/// The screen with up to `history_lines` of its scrollback, in lines as the program wrote them.
pub(super) fn text(term: &Term<VoidListener>, history_lines: usize) -> Text {
    let alternate = term.mode().contains(TermMode::ALT_SCREEN);
    let top = if alternate || history_lines == 0 { 0 } else { top_row(term, history_lines) };
    let mut text = Text::default();
    let mut line = String::new();
    for row in top..term.screen_lines() as i32 {
        if term.grid().cursor.point.line == row {
            text.cursor_line = text.lines.len();
        }
        let cells = &term.grid()[Line(row)];
        write_row(cells, &mut line);
        if !wraps(cells) || row == term.bottommost_line().0 {
            line.truncate(line.trim_end_matches(' ').len());
            text.lines.push(std::mem::take(&mut line));
            text.history += usize::from(row < 0);
        }
    }
    let kept = text.lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    text.lines.truncate(kept);
    text.history = text.history.min(kept);
    text
}

/// The first row of the `lines`th line above the screen, or of the topmost there is.
fn top_row(term: &Term<VoidListener>, lines: usize) -> i32 {
    let oldest = term.topmost_line().0;
    let mut top = 0;
    let mut whole = 0;
    // A line that is partly on the screen is completed and does not count.
    while top > oldest {
        let ends_here = !wraps(&term.grid()[Line(top - 1)]);
        if ends_here && whole == lines {
            break;
        }
        whole += usize::from(ends_here);
        top -= 1;
    }
    top
}

fn wraps(row: &Row<Cell>) -> bool {
    row[Column(row.len() - 1)].flags.contains(Flags::WRAPLINE)
}

fn write_row(row: &Row<Cell>, line: &mut String) {
    for cell in row {
        if cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER) {
            continue;
        }
        if cell.flags.contains(Flags::HIDDEN) {
            line.push_str(if cell.flags.contains(Flags::WIDE_CHAR) { "  " } else { " " });
            continue;
        }
        // A tab is kept in the first of its cells, the others are blank.
        line.push(if is_plain(cell.c) { cell.c } else { ' ' });
        if let Some(marks) = cell.zerowidth() {
            line.extend(marks.iter().copied().filter(|&mark| is_plain(mark)));
        }
    }
}
