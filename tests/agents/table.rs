//! What came of all tries, in numbers and in words.

use std::collections::BTreeMap;

use crate::{judge::Verdict, programs::Program};

/// What came of a cell with a program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) tries: usize,
    pub(crate) arrived: usize,
    pub(crate) refused: usize,
    pub(crate) lied: usize,
    /// The first that did not hold, in words.
    pub(crate) why: Option<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        self.tries += 1;
        match verdict {
            Verdict::Arrived => self.arrived += 1,
            Verdict::Refused(_) => self.refused += 1,
            Verdict::Lied(why) => {
                self.lied += 1;
                self.why.get_or_insert_with(|| why.clone());
            }
            Verdict::Wrong(why) => {
                self.why.get_or_insert_with(|| why.clone());
            }
        }
    }

    pub(crate) fn holds(&self) -> bool {
        self.arrived + self.refused == self.tries
    }

    /// In a cell of a table.
    pub(crate) fn word(&self) -> String {
        let mut word = if self.refused == self.tries && self.tries > 0 {
            format!("refused {}/{}", self.refused, self.tries)
        } else {
            format!("{}/{}", self.arrived, self.tries)
        };
        if self.refused > 0 && self.refused < self.tries {
            word += &format!(", {} refused", self.refused);
        }
        if self.lied > 0 {
            word += &format!(", {} lied", self.lied);
        }
        if self.holds() { word } else { format!("**{word}**") }
    }
}

/// By cell and program.
pub(crate) type Matrix = BTreeMap<(String, String), Tally>;
/// What was measured, in milliseconds, by its name and the program.
pub(crate) type Measures = BTreeMap<(String, String), Vec<i64>>;

/// What does not hold, and is known not to: program, cell, and why. A cell that is not here must hold; one that is here
/// and holds should be taken out.
const KNOWN: &[(&str, &str, &str)] = &[];

/// All that was seen.
pub(crate) struct Seen {
    pub(crate) tallies: Matrix,
    pub(crate) measures: Measures,
    /// What is no cell's.
    pub(crate) troubles: Vec<String>,
}

impl Seen {
    /// What does not hold and is not known.
    pub(crate) fn deviations(&self) -> usize {
        let new = self
            .tallies
            .iter()
            .filter(|((cell, program), tally)| !tally.holds() && known(program, cell).is_none());
        new.count() + self.troubles.len()
    }

    /// All of it, for a person.
    pub(crate) fn lines(&self, families: &[(&str, Vec<&str>)], programs: &[Program]) -> Vec<String> {
        let programs: Vec<&str> = programs.iter().map(|program| program.name).collect();
        let mut lines = Vec::new();
        for (family, cells) in families.iter().filter(|(_, cells)| !cells.is_empty()) {
            lines.extend(table(family, cells, &programs, |cell, program| {
                self.tallies.get(&(cell.to_owned(), program.to_owned())).map(Tally::word)
            }));
            lines.push(String::new());
        }
        let mut names: Vec<&str> = self.measures.keys().map(|(name, _)| name.as_str()).collect();
        names.dedup();
        if !names.is_empty() {
            lines.extend(table("milliseconds: median, most", &names, &programs, |name, program| {
                self.measures.get(&(name.to_owned(), program.to_owned())).map(|times| spread(times))
            }));
            lines.push(String::new());
        }
        let red = self.tallies.iter().filter(|(_, tally)| !tally.holds());
        lines.extend(red.map(|((cell, program), tally)| {
            let why = tally.why.as_deref().unwrap_or_default().replace('\n', " ⏎ ");
            let why: String = why.chars().take(300).collect();
            let known = known(program, cell).map(|known| format!(" (known: {known})")).unwrap_or_default();
            format!("- {program}, {cell}: {why}{known}")
        }));
        for (program, cell, _) in KNOWN {
            let tally = self.tallies.get(&((*cell).to_owned(), (*program).to_owned()));
            if tally.is_some_and(Tally::holds) {
                lines.push(format!("- {program}, {cell}: was known not to hold, and has held"));
            }
        }
        lines.extend(self.troubles.iter().map(|trouble| format!("- {trouble}")));
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }
}

fn known(program: &str, cell: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| known.0 == program && known.1 == cell).map(|known| known.2)
}

/// A table with a row for each name and a column for each program.
fn table(
    head: &str,
    names: &[&str],
    programs: &[&str],
    word: impl Fn(&str, &str) -> Option<String>,
) -> Vec<String> {
    let mut lines = vec![
        format!("| {head} | {} |", programs.join(" | ")),
        format!("|---|{}", "---|".repeat(programs.len())),
    ];
    for name in names {
        let words: Vec<String> =
            programs.iter().map(|program| word(name, program).unwrap_or_else(|| "–".into())).collect();
        lines.push(format!("| {} | {} |", name.replace('|', "\\|"), words.join(" | ")));
    }
    lines
}

/// The median and the most.
fn spread(times: &[i64]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let most = times.last().copied().unwrap_or_default();
    format!("{}, {most}", times[times.len() / 2])
}
