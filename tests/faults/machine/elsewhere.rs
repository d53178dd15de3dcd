//! Another user, planted files, open directories, identities that are foreign or old: tests of `tests/it`, by name.

use std::{path::PathBuf, process::Command};

use crate::fault::{Fault, Outcome};

const TESTS: &[(&str, &str)] = &[
    ("another user, planted files, open directories", "boundary::"),
    ("foreign, sibling and old identities", "nested::"),
    ("no descriptors while children are taken up", "adoption::a_broker_that_runs_out_of_descriptors"),
];

pub(super) fn all() -> Vec<Fault> {
    let row = |(name, filter): &(&str, &'static str)| {
        let filter = *filter;
        let how = format!("the tests it::{filter}*, as they were last built");
        Fault::new(format!("elsewhere: {name}"), how, "they pass", move |run| {
            run.tried();
            passed(filter)
        })
    };
    TESTS.iter().map(row).collect()
}

fn passed(filter: &str) -> Outcome {
    let Some(program) = newest() else { return Ok("skipped: cargo test --test it was not built".into()) };
    let output =
        Command::new("timeout").arg("120").arg(program).arg(filter).env("RUST_BACKTRACE", "0").output();
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().rfind(|line| line.starts_with("test result")).unwrap_or_default();
    match output.status.success() && !last.contains(" 0 passed") {
        true => Ok(last.split(';').next().unwrap_or_default().to_owned()),
        false => Err(text),
    }
}

/// The integration tests' program, which cargo puts beside ours.
fn newest() -> Option<PathBuf> {
    let ours = std::env::current_exe().ok()?;
    let entries = std::fs::read_dir(ours.parent()?).ok()?.flatten();
    let programs = entries.map(|entry| entry.path()).filter(|path| {
        path.extension().is_none()
            && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("it-"))
    });
    programs.max_by_key(|path| path.metadata().and_then(|there| there.modified()).ok())
}
