//! How the stand-in is drawn: what was said above, the composer and one line of state below it, redrawn in place, on the
//! main screen or the alternate one. Knows cells and escapes; decides nothing.

use std::{
    collections::VecDeque,
    fmt::Write,
    time::{Duration, Instant},
};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::agent::{Agent, Phase};

/// The last line at its prompt, by which a rule knows it.
pub(super) const PROMPT: &str = "enter sends, ctrl-d leaves";
/// The last line at work.
pub(super) const BUSY: &str = "working… esc to interrupt";
/// What an empty composer shows, dimly.
pub(super) const HINT: &str = "Say something";

/// Between two pictures of the mark that turns.
pub(super) const TURN: Duration = Duration::from_millis(100);

const MARKS: [char; 4] = ['◐', '◓', '◑', '◒'];
/// Lines of a composer that are shown.
const SHOWN: usize = 8;
/// Lines that are kept, for when all must be drawn again.
const KEPT: usize = 500;

/// What is redrawn in place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Live {
    lines: Vec<Line>,
    /// Where the cursor stands: line and column; nowhere in particular during a dialog.
    cursor: Option<(usize, usize)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    text: String,
    dim: bool,
    /// How many cells of it are never dim.
    plain: usize,
}

impl Line {
    fn plain(text: impl Into<String>) -> Self {
        Line { text: text.into(), dim: false, plain: 0 }
    }

    fn dim(text: impl Into<String>, plain: usize) -> Self {
        Line { text: text.into(), dim: true, plain }
    }

    fn draw(&self, cols: usize) -> String {
        let text = cut(&self.text, cols);
        if !self.dim {
            return text;
        }
        let (plain, dim) = text.split_at(self.plain.min(text.len()));
        format!("{plain}\x1b[2m{dim}\x1b[22m")
    }
}

impl Live {
    /// What is to be seen of it now.
    pub(super) fn of(agent: &Agent, silent: bool, now: Instant) -> Self {
        let foot = match agent.phase() {
            Phase::Starting { .. } => return Live { lines: vec![Line::plain("starting…")], cursor: None },
            Phase::Gone(_) => return Live::default(),
            Phase::Asking { dialog, .. } => {
                return Live { lines: dialog.lines().into_iter().map(Line::plain).collect(), cursor: None };
            }
            Phase::Idle { .. } => Line::dim(format!("  {PROMPT}"), 0),
            Phase::Working { since, .. } => {
                let turns = (now - *since).as_millis() / TURN.as_millis();
                let at = if silent { 0 } else { turns as usize % MARKS.len() };
                Line::plain(format!("{} {BUSY}", MARKS[at]))
            }
        };
        let shown = agent.composer().shown();
        let mut lines: Vec<Line> = if shown.is_empty() {
            vec![Line::dim(format!("> {HINT}"), 2)]
        } else {
            shown.split('\n').map(|line| Line::plain(format!("  {line}"))).collect()
        };
        if let (Some(first), false) = (lines.first_mut(), shown.is_empty()) {
            first.text.replace_range(..1, ">");
        }
        lines.drain(..lines.len().saturating_sub(SHOWN));
        let at = if shown.is_empty() { 2 } else { lines.last().map_or(2, |line| line.text.width()) };
        let cursor = Some((lines.len() - 1, at));
        lines.push(foot);
        Live { lines, cursor }
    }
}

/// What the terminal shows.
#[derive(Debug, Default)]
pub(super) struct Picture {
    /// Always draws the whole screen.
    whole: bool,
    said: VecDeque<String>,
    live: Live,
    /// The cursor's line within what is redrawn in place.
    at: usize,
}

impl Picture {
    /// On the alternate screen, which is drawn whole each time.
    pub(super) fn alternate() -> Self {
        Picture { whole: true, ..Picture::default() }
    }

    pub(super) fn is_alternate(&self) -> bool {
        self.whole
    }

    /// The bytes that show these new lines above, and this below; none if nothing has changed.
    pub(super) fn draw(&mut self, said: &[String], live: Live, size: (usize, usize)) -> String {
        if said.is_empty() && live == self.live {
            return String::new();
        }
        self.said.extend(said.iter().cloned());
        self.said.drain(..self.said.len().saturating_sub(KEPT));
        self.live = live;
        if self.whole {
            return self.all(size);
        }
        let mut bytes = String::from("\x1b[?25l");
        if self.at > 0 {
            // A string takes whatever is written.
            let _ = write!(bytes, "\x1b[{}A", self.at);
        }
        bytes += "\r\x1b[J";
        for line in said {
            bytes += line;
            bytes += "\r\n";
        }
        bytes + &self.below(size.1)
    }

    /// The bytes that draw everything anew, for a terminal that has changed.
    pub(super) fn all(&mut self, (rows, cols): (usize, usize)) -> String {
        let room = rows.saturating_sub(self.live.lines.len());
        let mut bytes = String::from("\x1b[?25l\x1b[H\x1b[2J");
        for line in self.said.iter().skip(self.said.len().saturating_sub(room)) {
            bytes += &cut(line, cols);
            bytes += "\r\n";
        }
        bytes + &self.below(cols)
    }

    fn below(&mut self, cols: usize) -> String {
        let lines: Vec<String> = self.live.lines.iter().map(|line| line.draw(cols)).collect();
        let mut bytes = lines.join("\r\n");
        let last = lines.len().saturating_sub(1);
        let (row, col) = self.live.cursor.unwrap_or((last, 0));
        if row < last {
            let _ = write!(bytes, "\x1b[{}A", last - row);
        }
        bytes += "\r";
        if col > 0 {
            let _ = write!(bytes, "\x1b[{}C", col.min(cols.saturating_sub(1)));
        }
        self.at = row;
        bytes + "\x1b[?25h"
    }
}

/// As much of a line as fits without reaching the last column, after which a terminal would wrap.
fn cut(text: &str, cols: usize) -> String {
    let mut width = 0;
    let fits = |c: &char| {
        width += c.width().unwrap_or(0);
        width < cols
    };
    text.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fake_agent::{Ways, keys::Key};

    #[test]
    fn the_composer_stands_above_one_line_of_state() {
        let now = Instant::now();
        let mut agent = Agent::new(Ways { work: 1000, ..Ways::default() }, now);
        let lines = |agent: &Agent| {
            let live = Live::of(agent, false, now);
            (live.lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>(), live.cursor)
        };
        assert_eq!(lines(&agent), (vec!["starting…".into()], None));
        agent.tick(now);
        assert_eq!(lines(&agent), (vec![format!("> {HINT}"), format!("  {PROMPT}")], Some((0, 2))));
        agent.key(Key::Text("a漢\nb".into()), now);
        assert_eq!(lines(&agent), (vec!["> a漢".into(), "  b".into(), format!("  {PROMPT}")], Some((1, 3))));
        agent.key(Key::Enter, now);
        assert_eq!(lines(&agent).0, [format!("> {HINT}"), format!("◐ {BUSY}")]);
    }

    #[test]
    fn what_is_redrawn_is_redrawn_in_place_and_what_was_said_stays() {
        let live =
            |text: &str| Live { lines: vec![Line::plain("a"), Line::plain(text)], cursor: Some((0, 1)) };
        let mut picture = Picture::default();
        let size = (10, 5);
        assert_eq!(picture.draw(&[], live("b"), size), "\x1b[?25l\r\x1b[Ja\r\nb\x1b[1A\r\x1b[1C\x1b[?25h");
        assert_eq!(picture.draw(&[], live("b"), size), "");
        let said = ["long enough".to_owned()];
        assert_eq!(
            picture.draw(&said, live("漢漢c"), size),
            "\x1b[?25l\r\x1b[Jlong enough\r\na\r\n漢漢\x1b[1A\r\x1b[1C\x1b[?25h"
        );
        assert_eq!(picture.all(size), "\x1b[?25l\x1b[H\x1b[2Jlong\r\na\r\n漢漢\x1b[1A\r\x1b[1C\x1b[?25h");
    }
}
