//! A question as a program shows it: its text, its choices, and a hash by which it is known again. Reads a piece of the
//! screen's text; where on the screen the question lies, and that there is one, others know.

mod choice;

use std::{ops::Range, sync::LazyLock};

use regex::Regex;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use self::choice::Choice;

/// What a program asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prompt {
    /// The question as it stands on the screen, choices included, without the lines it is framed with; after what the
    /// program itself says of it (OSC 7501), if it does. At most [`Prompt::MAX`] characters: of a longer one, the
    /// beginning and the end.
    pub text: String,
    /// The choices, if any were recognised.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// Twelve hexadecimal digits that stay as long as the question does: made of the whole text and of the choices,
    /// with the one that is selected, since Enter takes that. Blinking cursors, spinners and clocks beside the text
    /// are not in it.
    pub hash: String,
}

/// Where a question lies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// The whole screen.
    pub screen: &'a str,
    /// The part of it that is the question.
    pub at: (usize, usize),
    /// The part that has choices side by side, if that is known.
    pub row: Option<(usize, usize)>,
    /// The backgrounds on the screen: see [`Shade`].
    pub shades: &'a [Shade],
    /// What the program itself says that it asks.
    pub says: Option<&'a str>,
}

/// A piece of a screen's text, in bytes, and the background it is drawn on. Numbers tell backgrounds apart, and nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shade {
    /// Which piece.
    pub at: Range<usize>,
    /// Which background.
    pub ground: u16,
}

impl Prompt {
    /// Characters of its text that are kept.
    pub const MAX: usize = 2000;
    /// Characters of those that are the end's: the choices stand there.
    const END: usize = 800;

    /// The question that is there.
    pub fn read(place: &Place<'_>) -> Self {
        let whole = place.screen.get(place.at.0..place.at.1).unwrap_or_default();
        let choices = choice::read(place, whole);
        let lines = tidy(whole);
        let says = place.says.map(str::trim).filter(|says| !says.is_empty());
        let mut hash = Sha256::new();
        for line in says.into_iter().chain(lines.iter().map(String::as_str)) {
            let line = steady(line);
            if !line.is_empty() {
                hash.update(line);
                hash.update("\n");
            }
        }
        for choice in &choices {
            hash.update([b'\0', u8::from(choice.selected)]);
            hash.update(&choice.text);
        }
        let text = lines.join("\n");
        let text = match says {
            Some(says) if !text.contains(says) => format!("{says}\n\n{text}"),
            _ => text,
        };
        let hash = hex::encode(&hash.finalize()[..6]);
        Prompt { text: bounded(text.trim_end()), choices, hash }
    }

    /// What stays while somebody goes through the choices: the text without them, and without what moves by itself.
    pub fn question(&self) -> String {
        let choice = |line: &str| self.choices.iter().any(|choice| line.trim_end().ends_with(&choice.text));
        let lines = self.text.lines().filter(|line| !choice(line)).map(steady);
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

/// The lines without frames around them, without a common margin, and with no more than one blank line at once.
fn tidy(text: &str) -> Vec<String> {
    let unframed: Vec<String> = text.lines().map(unframed).collect();
    let margin = |line: &String| line.len() - line.trim_start_matches(' ').len();
    let common = unframed.iter().filter(|line| !line.is_empty()).map(margin).min().unwrap_or(0);
    let mut lines: Vec<String> = Vec::new();
    for line in unframed {
        let blank_before = lines.last().is_none_or(|last| last.is_empty());
        if !(line.is_empty() && blank_before) {
            lines.push(line.get(common..).unwrap_or_default().to_owned());
        }
    }
    lines.truncate(lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1));
    lines
}

/// A line without what a box is drawn with at either end. Blanks take the place of a left edge.
fn unframed(line: &str) -> String {
    let drawn = |c: char| matches!(c, '\u{2500}'..='\u{259f}');
    let line = line.trim_end_matches(|c| drawn(c) || c == ' ');
    let edge = line.len() - line.trim_start_matches(|c| drawn(c) || c == ' ').len();
    let blanks = line[..edge].chars().count();
    format!("{}{}", " ".repeat(blanks), &line[edge..])
}

/// A line as it stays while nothing but spinners, cursors and clocks move; blank if it is no more than that. Leaves what
/// could be part of a command.
fn steady(line: &str) -> String {
    static CLOCK: LazyLock<Option<Regex>> = LazyLock::new(|| {
        // Beside the text: a line of its own, or so far to the right that no text leads there.
        const TIME: &str = r"\d{1,2}:\d{2}(?::\d{2})?(?: ?[AaPp][Mm])?|(?:\d+(?:\.\d+)? ?(?:ms|s|m|h)\b ?)+";
        Regex::new(&format!(r"(?:^|\s{{8,}})\(?(?:{TIME})\)?\s*$")).ok()
    });
    static TURNING: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\d+(?:\.\d+)? ?(?:ms|s|m|h)\b|\d{1,2}:\d{2}(?::\d{2})?").ok());
    let line = line.trim().trim_end_matches(|c| matches!(c, '\u{2581}'..='\u{258f}'));
    // An underscore that stands alone is a cursor.
    let line = line.strip_suffix('_').filter(|rest| rest.ends_with(' ') || rest.is_empty()).unwrap_or(line);
    let rest = line.trim_start_matches(|c| spinner(c) || c == ' ');
    let turning = rest.len() < line.trim_start().len();
    let rest = rest.trim_end_matches(|c| spinner(c) || c == ' ');
    let cut = match &*CLOCK {
        Some(clock) => clock.replace(rest, ""),
        None => rest.into(),
    };
    // What stands behind a spinner tells how long it has been turning.
    let cut = match &*TURNING {
        Some(time) if turning => time.replace_all(&cut, ""),
        _ => cut,
    };
    cut.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What programs draw in turn to show that they are alive. Not the marks that stand before choices, and nothing that a
/// command could begin or end with.
fn spinner(c: char) -> bool {
    matches!(c, '\u{2801}'..='\u{28ff}' | '◐'..='◓' | '◴'..='◷' | '✢'..='✧' | '✱'..='✽' | '⏳' | '⌛' | '·' | '\u{fe0e}' | '\u{fe0f}')
}

/// The text, or its beginning and its end.
fn bounded(text: &str) -> String {
    const GAP: &str = "\n[…]\n";
    let count = text.chars().count();
    if count <= Prompt::MAX {
        return text.to_owned();
    }
    let cut = |chars: usize| text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    let begin = Prompt::MAX - Prompt::END - GAP.chars().count();
    format!("{}{GAP}{}", &text[..cut(begin)], &text[cut(count - Prompt::END)..])
}

#[cfg(test)]
mod tests;
