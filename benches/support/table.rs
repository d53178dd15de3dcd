//! Figures with what they are compared to and what was wished for, as rows of a table; and the place of such a table in
//! docs/BENCHMARKS.md. Measures nothing.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::path::Path;

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    what: String,
    ours: f64,
    unit: &'static str,
    theirs: Option<(String, f64)>,
    goal: Option<Goal>,
    how: String,
}

/// What was wished for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// Ours is at most this.
    Most(f64),
    /// Ours is at least this.
    Least(f64),
    /// Ours is at most so many times theirs.
    Times(f64),
    /// Ours is at most so much more than theirs.
    Beyond(f64),
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, ours: f64, unit: &'static str) -> Row {
        Row { what: what.into(), ours, unit, theirs: None, goal: None, how: String::new() }
    }

    /// What a user would pick instead, and its figure of the same run.
    pub(crate) fn beside(mut self, whose: &str, theirs: f64) -> Row {
        self.theirs = Some((whose.to_owned(), theirs));
        self
    }

    pub(crate) fn goal(mut self, goal: Goal) -> Row {
        self.goal = Some(goal);
        self
    }

    pub(crate) fn how(mut self, how: impl Into<String>) -> Row {
        self.how = how.into();
        self
    }

    /// As a line of Markdown.
    pub(crate) fn line(&self) -> String {
        let unit = self.unit;
        let (theirs, ratio) = match &self.theirs {
            Some((whose, theirs)) => {
                (format!("{whose} {} {unit}", number(*theirs)), number(self.ours / theirs))
            }
            None => Default::default(),
        };
        let (goal, verdict) = self.goal.map_or_else(Default::default, |goal| self.verdict(goal));
        let Row { what, how, .. } = self;
        format!("| {what} | {} {unit} | {theirs} | {ratio} | {goal} | {verdict} | {how} |", number(self.ours))
    }

    /// The goal in words, and whether it is met.
    fn verdict(&self, goal: Goal) -> (String, String) {
        let unit = self.unit;
        let theirs = self.theirs.as_ref().map_or(f64::NAN, |(_, theirs)| *theirs);
        let (words, figure, bound) = match goal {
            Goal::Most(most) => (format!("≤ {} {unit}", number(most)), self.ours, most),
            Goal::Least(least) => (format!("≥ {} {unit}", number(least)), least, self.ours),
            Goal::Times(times) => (format!("ratio ≤ {}", number(times)), self.ours / theirs, times),
            Goal::Beyond(more) => (format!("≤ theirs + {} {unit}", number(more)), self.ours - theirs, more),
        };
        let met = figure <= bound;
        let by = if bound > 0.0 && figure > 0.0 {
            let times = if met { bound / figure } else { figure / bound };
            if times < 2.0 {
                format!(" by {:.0} %", (times - 1.0) * 100.0)
            } else {
                format!(" by {} times", number(times))
            }
        } else {
            String::new()
        };
        (words, if met { format!("met{by}") } else { format!("**missed{by}**") })
    }
}

/// The head of a table of rows.
pub(crate) const HEAD: &str =
    "| what | ours | theirs | ratio | goal | | how |\n|---|---:|---:|---:|---|---|---|";

/// Three digits that count.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// The middle one of these, and the one that 99 of 100 do not exceed.
pub(crate) fn middle_and_worst(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    (values[values.len() / 2], values[(values.len() * 99 / 100).min(last)])
}

/// The middle one of these.
pub(crate) fn median(values: Vec<f64>) -> f64 {
    middle_and_worst(values).0
}

/// Puts a text where the one of this name was in docs/BENCHMARKS.md.
pub(crate) fn publish(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/BENCHMARKS.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let at = page.find(&begin).map(|at| at + begin.len()).expect("docs/BENCHMARKS.md has the place");
    let until = page.find(&end).expect("docs/BENCHMARKS.md has its end");
    std::fs::write(&path, format!("{}{}\n{}", &page[..at], text.trim_end(), &page[until..])).unwrap();
}

/// When and where: the date in UTC, the processor, the kernel and the commit.
pub(crate) fn circumstances() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("?", |(_, rest)| rest.trim()).to_owned()
    };
    let cpu = field(&read("/proc/cpuinfo"), "model name");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let gib =
        memory.split(' ').next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / (1024.0 * 1024.0);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let commit = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let commit =
        commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    format!(
        "{}, commit {commit}, {cores} cores of {cpu}, {gib:.0} GiB, Linux {}, load {load} at the start",
        chrono::Utc::now().format("%Y-%m-%d %H:%M UTC"),
        kernel.trim(),
    )
}
