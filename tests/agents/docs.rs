//! What was seen, written into docs/AGENTS.md below a line that says so; what stands above it is a person's.

use std::{path::Path, time::Duration};

use crate::programs::Program;

/// All below this is written anew.
const MARK: &str = "<!-- below: written by `just agents --write` -->";

/// Writes it, with what one needs to know of how it was seen. What was tried of only some programs and cells replaces
/// what stands there of those.
pub(crate) fn write(lines: &[String], run: &Run<'_>, programs: &[Program]) -> Result<(), String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/AGENTS.md");
    let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let (head, below) = text.split_once(MARK).ok_or("docs/AGENTS.md has no line below which to write")?;
    let versions: Vec<String> = programs
        .iter()
        .map(|program| format!("{} {}", program.name, program.version().unwrap_or_default()))
        .collect();
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let which: String = run.names.iter().map(|name| format!(" \"{name}\"")).collect();
    let seen = format!(
        "Seen on {} with {}; {build} build, `--tries {}{which}`, {} programs at once, {} minutes, on {}.",
        today(),
        versions.join(", "),
        run.tries,
        run.at_once,
        run.took.as_secs().div_ceil(60),
        machine(),
    );
    let mut page = Page::read(lines.iter().map(String::as_str));
    page.seen.push(seen);
    if !run.names.is_empty() {
        let mut all = Page::read(below.lines());
        all.take(page);
        page = all;
    }
    std::fs::write(file, format!("{head}{MARK}\n\n{}", page.text())).map_err(|error| error.to_string())
}

/// How it was seen.
pub(crate) struct Run<'a> {
    pub(crate) tries: usize,
    pub(crate) at_once: usize,
    pub(crate) took: Duration,
    /// The programs and cells that were asked for; none for all.
    pub(crate) names: &'a [String],
}

/// What stands below the mark.
#[derive(Debug, Default, PartialEq)]
struct Page {
    seen: Vec<String>,
    tables: Vec<Vec<Vec<String>>>,
    /// What did not hold: `- program, cell: why`.
    red: Vec<String>,
}

impl Page {
    fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Page {
        let (mut page, mut open) = (Page::default(), false);
        for line in lines {
            if let Some(row) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) {
                let row: Vec<String> = row.split(" | ").map(str::to_owned).collect();
                match page.tables.last_mut().filter(|_| open) {
                    Some(table) => table.push(row),
                    None => page.tables.push(vec![row]),
                }
                open = true;
                continue;
            } else if line.starts_with("- ") {
                page.red.push(line.to_owned());
            } else if !line.is_empty() && !line.starts_with('|') {
                page.seen.push(line.to_owned());
            }
            // The line of dashes ends no table.
            open &= line.starts_with('|');
        }
        page
    }

    /// What a later run has seen stands for what was seen of the same before.
    fn take(&mut self, later: Page) {
        for table in later.tables {
            let [head, rows @ ..] = &*table else { continue };
            let Some(known) = self.tables.iter_mut().find(|known| known[0][0] == head[0]) else {
                self.tables.push(table);
                continue;
            };
            let columns: Vec<Option<usize>> =
                head.iter().map(|name| known[0].iter().position(|known| known == name)).collect();
            for row in rows {
                let at = known.iter().position(|known| known[0] == row[0]).unwrap_or_else(|| {
                    let mut empty = vec!["–".to_owned(); known[0].len()];
                    empty[0].clone_from(&row[0]);
                    known.push(empty);
                    known.len() - 1
                });
                for (column, word) in columns.iter().zip(row).skip(1).filter(|(_, word)| *word != "–") {
                    let Some(column) = *column else { continue };
                    let cell = format!("- {}, {}: ", known[0][column], row[0]);
                    self.red.retain(|red| !red.starts_with(&cell));
                    known[at][column].clone_from(word);
                }
            }
        }
        self.seen.extend(later.seen);
        self.red.extend(later.red);
    }

    fn text(&self) -> String {
        let row = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
        let mut text = self.seen.join("\n\n") + "\n";
        for table in &self.tables {
            let line = format!("|{}\n", "---|".repeat(table[0].len()));
            text += &format!("\n{}{line}{}", row(&table[0]), table[1..].iter().map(row).collect::<String>());
        }
        if !self.red.is_empty() {
            text += &format!("\n{}\n", self.red.join("\n"));
        }
        text
    }
}

/// What a plain `cargo test` tries.
pub(crate) fn self_test() {
    let before = "First.\n\n| a | x | y |\n|---|---|---|\n| one | 1/1 | **0/1** |\n| two | 1/1 | – |\n\n\
                  | b | x | y |\n|---|---|---|\n| one | 5 | 6 |\n\n- y, one: why\n- x, else: that\n";
    let mut page = Page::read(before.lines());
    assert_eq!(page.text(), before);
    page.take(Page::read("Then.\n\n| a | y |\n|---|---|\n| one | 3/3 |\n| new | 2/2 |\n".lines()));
    let after = "First.\n\nThen.\n\n| a | x | y |\n|---|---|---|\n| one | 1/1 | 3/3 |\n| two | 1/1 | – |\n| new | – | 2/2 |\n\n\
                 | b | x | y |\n|---|---|---|\n| one | 5 | 6 |\n\n- x, else: that\n";
    assert_eq!(page.text(), after);
}

fn today() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = chrono::DateTime::from_timestamp(now.as_secs() as i64, 0).unwrap_or_default();
    now.format("%Y-%m-%d").to_string()
}

/// The machine in a few words.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let kib: u64 =
        value(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel: Vec<&str> = kernel.trim().split('.').take(2).collect();
    format!(
        "{cores} cores of {} with {} GB, Linux {}, load average {}",
        value(&read("/proc/cpuinfo"), "model name"),
        kib.div_ceil(1 << 20),
        kernel.join("."),
        read("/proc/loadavg").split(' ').nth(2).unwrap_or_default(),
    )
}
