//! The choices of a question: numbered or lettered ones, ones behind a pointer or a radio button, ones side by side, and
//! yes or no.

use std::{ops::Range, sync::LazyLock};

use regex::{Captures, Regex};
use serde::Serialize;

use super::{Place, unframed};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The number or letter before it, which in most programs takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it says.
    pub text: String,
    /// Enter would take it, as far as that is seen: by a pointer, a filled button, a background or a capital.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub selected: bool,
}

/// More are no question; what is longer is no choice.
const MOST: usize = 20;
const LONGEST: usize = 200;

/// A choice, and where its text lies on the screen.
struct Found {
    choice: Choice,
    at: Range<usize>,
}

/// Those in the text `whole` of a place.
pub(super) fn read(place: &Place<'_>, whole: &str) -> Vec<Choice> {
    let mut found = match place.row.and_then(|(from, to)| Some((from, place.screen.get(from..to)?))) {
        Some((from, row)) => side_by_side(row, from),
        None => {
            let lines = lines(whole, place.at.0);
            let mut found = keyed(&lines);
            if found.is_empty() {
                found = pointed(&lines);
            }
            if found.is_empty() { yes_or_no(&lines) } else { found }
        }
    };
    if !found.iter().any(|found| found.choice.selected)
        && let Some(odd) = odd(place, &found)
    {
        found[odd].choice.selected = true;
    }
    // A mark before every one of them tells nothing.
    if found.len() > 1 && found.iter().all(|found| found.choice.selected) {
        found.iter_mut().for_each(|found| found.choice.selected = false);
    }
    found.into_iter().map(|found| found.choice).collect()
}

/// Lines with where they begin on the screen.
fn lines(whole: &str, from: usize) -> Vec<(usize, &str)> {
    let mut at = from;
    let lines = whole.split('\n').map(|line| {
        let begins = at;
        at += line.len() + 1;
        (begins, line)
    });
    lines.collect()
}

const POINTERS: &str = "❯›>▶►→●◉⦿☑✔";
const OPEN: &str = "○◯☐◌";

/// The last run of lines that begin with 1, 2, 3 … or with single letters.
fn keyed(lines: &[(usize, &str)]) -> Vec<Found> {
    static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(&format!(
            r"^(?P<before>[\s│┃║|]*(?:(?P<mark>[{POINTERS}])|[{OPEN}]|\((?P<checked>checked|x|\*)\)|\((?:unchecked| )\))?\s*)(?P<key>\d{{1,2}}|[A-Za-z])[.)]\s+(?P<text>\S.*)$"
        ))
        .ok()
    });
    let Some(pattern) = &*LINE else { return Vec::new() };
    let mut run: Vec<Found> = Vec::new();
    let mut last = Vec::new();
    // Where the text of the run's last choice begins in its line, while that can go on.
    let mut column = None;
    for (at, line) in lines {
        let Some(captures) = pattern.captures(line) else {
            let goes_on = column.is_some_and(|column| indent(line) >= column && !line.trim().is_empty());
            match run.last_mut() {
                Some(found) if goes_on => {
                    found.choice.text = short(&format!("{} {}", found.choice.text, clean(line)));
                }
                _ => column = None,
            }
            continue;
        };
        let text = |name| captures.name(name).map_or("", |found| found.as_str());
        let key = text("key").to_owned();
        let follows = run.last().and_then(|found| found.choice.key.as_deref()).is_some_and(|before| {
            match (before.parse::<u8>(), key.parse::<u8>()) {
                // One that is not shown is left out (codex: 1, 3).
                (Ok(before), Ok(now)) => now > before && now <= before + 2,
                (Err(_), Err(_)) => before != key,
                _ => false,
            }
        });
        if !follows {
            last = keep(std::mem::take(&mut run), last);
        }
        let begins = captures.name("text").map_or(0, |text| text.start());
        column = Some(line[..begins].chars().count());
        run.push(Found {
            choice: Choice { key: Some(key), text: clean(text("text")), selected: is_marked(&captures) },
            at: at + begins..at + line.trim_end().len(),
        });
        if run.len() > MOST {
            run.clear();
        }
    }
    keep(run, last)
}

/// A run if it is one, else the one before.
fn keep(run: Vec<Found>, before: Vec<Found>) -> Vec<Found> {
    let begins = run.first().and_then(|found| found.choice.key.as_deref());
    let numbered = begins == Some("1");
    let lettered = begins.is_some_and(|key| key.parse::<u8>().is_err()) && run.len() > 1;
    if numbered || lettered { run } else { before }
}

fn is_marked(captures: &Captures<'_>) -> bool {
    captures.name("mark").is_some() || captures.name("checked").is_some()
}

/// Lines of which one has a pointer, or a filled button, and the others begin at the same column.
fn pointed(lines: &[(usize, &str)]) -> Vec<Found> {
    static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(&format!(r"^[\s│┃║|]*(?:(?P<mark>[{POINTERS}])|(?P<open>[{OPEN}]))\s+(?P<text>\S.*)$"))
            .ok()
    });
    let Some(pattern) = &*LINE else { return Vec::new() };
    // The column of the text, and whether it has a mark or an open button before it.
    let seen = |line: &str| -> Option<(usize, usize, Option<bool>)> {
        if let Some(captures) = pattern.captures(line) {
            let begins = captures.name("text")?.start();
            return Some((line[..begins].chars().count(), begins, Some(captures.name("mark").is_some())));
        }
        let framed = unframed(line);
        (!framed.is_empty()).then(|| {
            let column = indent(&framed);
            (column, line.char_indices().nth(column).map_or(line.len(), |(at, _)| at), None)
        })
    };
    let marked = |(_, line): &(usize, &str)| matches!(seen(line), Some((_, _, Some(true))));
    let Some(pointer) = lines.iter().rposition(marked) else { return Vec::new() };
    let Some((column, ..)) = seen(lines[pointer].1) else { return Vec::new() };
    let same = |line: &str| seen(line).is_some_and(|(other, ..)| other == column);
    let first = lines[..pointer].iter().rposition(|(_, line)| !same(line)).map_or(0, |before| before + 1);
    let after =
        lines[pointer..].iter().position(|(_, line)| !same(line)).map_or(lines.len(), |end| pointer + end);
    if !(2..=MOST).contains(&(after - first)) {
        return Vec::new();
    }
    let choice = |(at, line): &(usize, &str)| {
        let (_, begins, mark) = seen(line)?;
        let choice = Choice { key: None, text: clean(&line[begins..]), selected: mark == Some(true) };
        Some(Found { choice, at: at + begins..at + line.trim_end().len() })
    };
    lines[first..after].iter().filter_map(choice).collect()
}

/// Choices in one line, with two blanks or more between them.
fn side_by_side(row: &str, from: usize) -> Vec<Found> {
    static GAP: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\s{2,}").ok());
    let Some(gap) = &*GAP else { return Vec::new() };
    let (mut found, mut at) = (Vec::new(), 0);
    let mut take = |text: &str, at: usize| {
        let begins = at + text.len() - text.trim_start().len();
        let text = clean(text);
        let selected = text.starts_with(|c| POINTERS.contains(c));
        let text =
            text.trim_start_matches(|c: char| POINTERS.contains(c) || OPEN.contains(c)).trim().to_owned();
        if !text.is_empty() && found.len() < MOST {
            let at = from + begins..from + begins + text.len();
            found.push(Found { choice: Choice { key: None, text, selected }, at });
        }
    };
    for between in gap.find_iter(row) {
        take(&row[at..between.start()], at);
        at = between.end();
    }
    take(&row[at..], at);
    found
}

/// `[y/N]`, `(yes/no)`, `y/n:` at the end of one of the last lines that are not blank. A capital is preselected.
fn yes_or_no(lines: &[(usize, &str)]) -> Vec<Found> {
    static END: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?:^|[\s\[(])(?P<yes>[Yy]|[Yy]es|YES)/(?P<no>[Nn]|[Nn]o|NO)[\])]?\s*[?:>]?\s*_?$").ok()
    });
    let Some(pattern) = &*END else { return Vec::new() };
    let mut last = lines.iter().rev().filter(|(_, line)| !line.trim().is_empty()).take(3);
    let Some(captures) = last.find_map(|(_, line)| pattern.captures(line)) else { return Vec::new() };
    let word = |name| captures.name(name).map_or("", |found| found.as_str());
    let (yes, no) = (word("yes"), word("no"));
    let capital = |word: &str| word.starts_with(|c: char| c.is_uppercase());
    let choice = |word: &str, other: &str| Found {
        choice: Choice {
            key: Some(word.to_lowercase()),
            text: if word.len() == 1 {
                if word.eq_ignore_ascii_case("y") { "yes" } else { "no" }
            } else {
                word
            }
            .to_lowercase(),
            selected: capital(word) && !capital(other),
        },
        at: 0..0,
    };
    vec![choice(yes, no), choice(no, yes)]
}

/// The one that is drawn on another background than the others.
fn odd(place: &Place<'_>, found: &[Found]) -> Option<usize> {
    let ground =
        |at: usize| place.shades.iter().find(|shade| shade.at.contains(&at)).map(|shade| shade.ground);
    let grounds: Vec<u16> = found.iter().map(|found| ground(found.at.start)).collect::<Option<_>>()?;
    let count = |ground: u16| grounds.iter().filter(|other| **other == ground).count();
    if grounds.len() == 2 && grounds[0] != grounds[1] {
        // The one of the two grounds of which there is less around them.
        let around = |ground: u16| -> usize {
            let within = |shade: &&super::Shade| shade.ground == ground && shade.at.start < place.at.1;
            let within = |shade: &&super::Shade| within(shade) && shade.at.end > place.at.0;
            place.shades.iter().filter(within).map(|shade| shade.at.len()).sum()
        };
        let (first, second) = (around(grounds[0]), around(grounds[1]));
        return (first != second).then_some(usize::from(second < first));
    }
    let alone = |at: &usize| {
        count(grounds[*at]) == 1 && count(grounds[(*at + 1) % grounds.len()]) + 1 == grounds.len()
    };
    (grounds.len() > 2).then(|| (0..grounds.len()).find(alone)).flatten()
}

fn indent(line: &str) -> usize {
    line.chars().count() - line.trim_start().chars().count()
}

/// A choice's text without the frame beside it.
fn clean(text: &str) -> String {
    short(unframed(text).trim())
}

fn short(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
