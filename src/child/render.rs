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
    vte::ansi::Color,
};

use super::{plain::is_plain, prompt::Shade};

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

/// The visible screen's text, its lines joined, with the backgrounds it is drawn on: pieces of it in order, in bytes, and
/// a number for each background. Blanks count; inverse video is a background.
pub(super) fn shaded(term: &Term<VoidListener>) -> (String, Vec<Shade>) {
    let (mut text, mut line, mut shades) = (String::new(), String::new(), Vec::<Shade>::new());
    let mut grounds: Vec<(Color, bool)> = Vec::new();
    let last = term.screen_lines() as i32 - 1;
    for row in 0..=last {
        let cells = &term.grid()[Line(row)];
        let begin = text.len();
        write_row(cells, &mut line, |cell, from, to| {
            let ground = (cell.bg, cell.flags.contains(Flags::INVERSE));
            let known = grounds.iter().position(|known| *known == ground).unwrap_or_else(|| {
                // A screen of gradients: what comes late is as good as what is shown last.
                if grounds.len() < usize::from(GROUNDS) {
                    grounds.push(ground);
                }
                grounds.len() - 1
            });
            let (ground, at) = (known as u16, begin + from..begin + to);
            match shades.last_mut() {
                Some(shade) if shade.ground == ground && shade.at.end == at.start => shade.at.end = at.end,
                _ => shades.push(Shade { at, ground }),
            }
        });
        if !wraps(cells) || row == last {
            line.truncate(line.trim_end_matches(' ').len());
            text.push_str(&line);
            line.clear();
            // The blanks at its end are not in the text.
            while shades.pop_if(|shade| shade.at.start >= text.len()).is_some() {}
            if let Some(shade) = shades.last_mut() {
                shade.at.end = shade.at.end.min(text.len());
            }
            text.push('\n');
        }
    }
    text.truncate(text.trim_end_matches('\n').len());
    (text, shades)
}

/// Backgrounds that are told apart.
const GROUNDS: u16 = 64;

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
        write_row(cells, &mut line, |_, _, _| {});
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

/// Adds a row to a line, and tells of each cell where in the line it stands.
fn write_row(row: &Row<Cell>, line: &mut String, mut wrote: impl FnMut(&Cell, usize, usize)) {
    for cell in row {
        if cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER) {
            continue;
        }
        let from = line.len();
        if cell.flags.contains(Flags::HIDDEN) {
            line.push_str(if cell.flags.contains(Flags::WIDE_CHAR) { "  " } else { " " });
            wrote(cell, from, line.len());
            continue;
        }
        // A tab is kept in the first of its cells, the others are blank.
        line.push(if is_plain(cell.c) { cell.c } else { ' ' });
        if let Some(marks) = cell.zerowidth() {
            line.extend(marks.iter().copied().filter(|&mark| is_plain(mark)));
        }
        wrote(cell, from, line.len());
    }
}
