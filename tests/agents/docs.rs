//! What was seen, written into docs/AGENTS.md below a line that says so; what stands above it is a person's.

use std::{path::Path, time::Duration};

use crate::programs::Program;

/// All below this is written anew.
const MARK: &str = "<!-- below: written by `just agents --write` -->";

/// Writes it, with what one needs to know of how it was seen.
pub(crate) fn write(
    lines: &[String],
    tries: usize,
    at_once: usize,
    took: Duration,
    programs: &[Program],
) -> Result<(), String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/AGENTS.md");
    let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let (head, _) = text.split_once(MARK).ok_or("docs/AGENTS.md has no line below which to write")?;
    let versions: Vec<String> = programs
        .iter()
        .map(|program| format!("{} {}", program.name, program.version().unwrap_or_default()))
        .collect();
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let seen = format!(
        "Seen on {} with {}; {build} build, `--tries {tries}`, {at_once} programs at once, {} minutes, on {}.",
        today(),
        versions.join(", "),
        took.as_secs().div_ceil(60),
        machine(),
    );
    std::fs::write(file, format!("{head}{MARK}\n\n{seen}\n\n{}\n", lines.join("\n")))
        .map_err(|error| error.to_string())
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
