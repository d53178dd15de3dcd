//! What came of all tries, in numbers and in words.

use std::collections::BTreeMap;

use crate::judge::Verdict;

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

/// The matrix as a table.
pub(crate) fn matrix(tallies: &Matrix, family: &str, cells: &[&str], programs: &[&str]) -> Vec<String> {
    let mut lines = vec![
        format!("| {family} | {} |", programs.join(" | ")),
        format!("|---|{}", "---|".repeat(programs.len())),
    ];
    for cell in cells {
        let words = programs.iter().map(|program| {
            let tally = tallies.get(&((*cell).to_owned(), (*program).to_owned()));
            tally.map_or_else(|| "–".to_owned(), Tally::word)
        });
        let words: Vec<String> = words.collect();
        lines.push(format!("| {cell} | {} |", words.join(" | ")));
    }
    lines
}

/// The measures as a table: the median and the most.
pub(crate) fn measures(measures: &Measures, programs: &[&str]) -> Vec<String> {
    let mut lines = vec![
        format!("| ms: median, most | {} |", programs.join(" | ")),
        format!("|---|{}", "---|".repeat(programs.len())),
    ];
    let mut names: Vec<&str> = measures.keys().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    for name in names {
        let words = programs.iter().map(|program| {
            let times = measures.get(&(name.to_owned(), (*program).to_owned()));
            times.map_or_else(
                || "–".to_owned(),
                |times| {
                    let mut times = times.clone();
                    times.sort_unstable();
                    let most = times.last().copied().unwrap_or_default();
                    format!("{}, {most}", times[times.len() / 2])
                },
            )
        });
        let words: Vec<String> = words.collect();
        lines.push(format!("| {name} | {} |", words.join(" | ")));
    }
    lines
}
