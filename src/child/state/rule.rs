//! A preset's rules, compiled, and where on what is seen they hold. Knows no time and draws no conclusion.

use std::{ops::Range, sync::Arc, time::Duration};

use regex::Regex;

use super::Look;
use crate::child::{
    explain::Tried,
    pattern::pattern,
    prompt::{Place, Prompt},
    rules::{Meaning, Rule, Sign},
};

/// One rule, ready to be tried.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Which of the preset's it is, from 1.
    pub(super) number: usize,
    pub(super) on: Sign,
    pub(super) pattern: Arc<Regex>,
    pub(super) meaning: Meaning,
    pub(super) what: String,
    /// How long it must have been the first that holds, to decide.
    pub(super) lasts: Duration,
    /// Whether it says where a question lies.
    places: bool,
}

impl Compiled {
    /// None if the pattern does not compile: a preset's are checked when it is read.
    pub(super) fn new(index: usize, rule: &Rule) -> Option<Self> {
        let pattern = pattern(&rule.matches)?;
        Some(Compiled {
            number: index + 1,
            on: rule.on,
            places: pattern.capture_names().any(|name| name == Some("prompt")),
            pattern,
            meaning: rule.state,
            what: rule.what.clone().unwrap_or_else(|| "input".into()),
            lasts: Duration::from_millis(rule.for_ms.unwrap_or(0).into()),
        })
    }

    pub(super) fn holds(&self, look: Look<'_>) -> bool {
        self.on.text(look).is_some_and(|text| self.pattern.is_match(text))
    }

    /// What is there, in a line, as far as it is short.
    pub(super) fn shows(&self, look: Look<'_>) -> Option<String> {
        const LONGEST: usize = 60;
        let text = self.on.text(look)?;
        let found = self.pattern.captures(text)?;
        let found = match self.on {
            Sign::Screen | Sign::Bottom => {
                &text[lines(text, found.name("prompt").or_else(|| found.get(0))?.range())]
            }
            // These are short: all of it tells more.
            Sign::Title | Sign::Status | Sign::Progress => text,
        };
        let mut lines = found.lines().filter(|line| line.contains(char::is_alphanumeric));
        let first = lines.next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let more = lines.next().is_some() || first.chars().count() > LONGEST;
        let first: String = first.chars().take(LONGEST).collect();
        Some(format!("{first}{}", if more { "…" } else { "" }))
    }

    /// Where it looks and what it found there, for a reader.
    pub(super) fn why(&self, look: Look<'_>) -> String {
        let (word, number) = (self.on.word(), self.number);
        let told = look.msg.filter(|_| self.on == Sign::Status && self.meaning != Meaning::NeedsInput);
        let told: String = told.iter().flat_map(|msg| [": ", msg]).flat_map(str::chars).take(200).collect();
        format!("its {word} shows {:?}{told} (rule {number})", self.shows(look).unwrap_or_default())
    }

    /// What a group of its pattern matches.
    pub(super) fn group<'a>(&self, name: &str, look: Look<'a>) -> Option<&'a str> {
        Some(self.pattern.captures(self.on.text(look)?)?.name(name)?.as_str())
    }

    /// How it fares on what is seen.
    pub(super) fn tried(&self, look: Look<'_>, first: bool) -> Tried {
        Tried {
            rule: self.number,
            on: self.on,
            matches: self.pattern.as_str().to_owned(),
            state: self.meaning,
            what: (self.meaning == Meaning::NeedsInput).then(|| self.what.clone()),
            holds: self.holds(look),
            shows: self.shows(look),
            first,
        }
    }

    /// Where on the screen it says that the question is, and its row of choices.
    fn place(&self, look: Look<'_>) -> Option<(Range<usize>, Option<Range<usize>>)> {
        let from = match self.on {
            Sign::Screen => 0,
            Sign::Bottom => bottom(look.screen),
            _ => return None,
        };
        let found = self.pattern.captures(look.screen.get(from..)?)?;
        let moved = |range: Range<usize>| range.start + from..range.end + from;
        let row = found.name("choices").map(|row| moved(row.range()));
        let place = match (found.name("prompt"), self.on) {
            (Some(prompt), _) => moved(prompt.range()),
            (None, Sign::Screen) => lines(look.screen, moved(found.get(0)?.range())),
            (None, _) => from..look.screen.len(),
        };
        Some((place, row))
    }
}

/// What is asked, by the rule that says so.
pub(super) struct Asked {
    pub(super) prompt: Prompt,
    /// Whether a rule says where it stands. Else it was read at the bottom.
    pub(super) located: bool,
    /// What it asks for, in a word or two.
    pub(super) what: String,
}

/// The question that a rule says there is: where that rule says, or the first that says where questions stand.
pub(super) fn question(rules: &[Compiled], decides: &Compiled, look: Look<'_>) -> Asked {
    let own = decides.place(look).map(|place| (place, decides));
    let other = || {
        let places = |rule: &&Compiled| rule.meaning == Meaning::NeedsInput && rule.places;
        rules.iter().filter(places).find_map(|rule| Some((rule.place(look)?, rule)))
    };
    let found = own.or_else(other);
    let located = found.is_some();
    let bottom = || ((bottom(look.screen)..look.screen.len(), None), decides);
    let ((at, row), rule) = found.unwrap_or_else(bottom);
    let pair = |range: Range<usize>| (range.start, range.end);
    let says = look.msg.filter(|_| decides.on == Sign::Status);
    let place = Place { screen: look.screen, at: pair(at), row: row.map(pair), shades: look.shades, says };
    Asked { prompt: Prompt::read(&place), located, what: rule.what.clone() }
}

impl Sign {
    /// Where a rule looks, in a word for a reader.
    pub(super) fn word(self) -> &'static str {
        match self {
            Sign::Screen | Sign::Bottom => "screen",
            Sign::Title => "title",
            Sign::Status => "own status (OSC 7501)",
            Sign::Progress => "progress (OSC 9;4)",
        }
    }

    /// What is there.
    fn text(self, look: Look<'_>) -> Option<&str> {
        match self {
            Sign::Screen => Some(look.screen),
            Sign::Bottom => look.screen.get(bottom(look.screen)..),
            Sign::Title => look.title,
            Sign::Status => look.status,
            Sign::Progress => look.progress,
        }
    }
}

/// Where the last twelve lines that are not blank begin.
pub(super) fn bottom(screen: &str) -> usize {
    let text = screen.trim_end();
    let (mut end, mut lines) = (text.len(), 0);
    for (at, _) in text.rmatch_indices('\n') {
        lines += usize::from(!text[at + 1..end].trim().is_empty());
        end = at;
        if lines == 12 {
            return at + 1;
        }
    }
    0
}

/// Those of them that are not blank, cut to what a line of a terminal may have.
pub(super) fn bottom_lines(screen: &str) -> Vec<String> {
    let lines = screen[bottom(screen)..].lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.map(|line| line.chars().take(200).collect()).collect()
}

/// The whole lines of a piece.
fn lines(text: &str, piece: Range<usize>) -> Range<usize> {
    let start = text[..piece.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[piece.end..].find('\n').map_or(text.len(), |newline| piece.end + newline);
    start..end
}
