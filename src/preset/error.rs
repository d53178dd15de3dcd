//! What can be wrong with a preset or with a wish for one. Carries the facts; who is told them is not known here.

use std::{io, path::PathBuf};

use super::{file::MAX_FILE, store::Source};

/// Why there is no preset, or nothing can be started with it.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// Nobody made one of this name.
    #[error("no preset is named {name:?}{}; there are {}", meant(nearest.as_deref()), known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The one that was perhaps meant.
        nearest: Option<String>,
        /// All that can be had.
        known: Vec<String>,
    },
    /// Its file is there and no good.
    #[error("preset {name} cannot be used: {} {fault}", at(source_of))]
    Broken {
        /// Its name.
        name: String,
        /// Where it is.
        source_of: Source,
        /// What is wrong with it.
        fault: String,
    },
    /// It comes with the project, and whoever wrote that may run anything by it.
    #[error(
        "preset {name} comes with this workspace ({}), which is not trusted; read it and, if it is right, copy it to {}",
        path.display(),
        user_dir.as_ref().map_or_else(|| "your own presets".into(), |dir| dir.display().to_string())
    )]
    Untrusted {
        /// Its name.
        name: String,
        /// The file.
        path: PathBuf,
        /// Where the user's presets are.
        user_dir: Option<PathBuf>,
    },
    /// Neither a preset nor a program is named.
    #[error("there is no program to run: the command is empty")]
    NoProgram,
    /// An argument that no program can be given.
    #[error("command[{index}] holds a NUL byte")]
    BadArgument {
        /// Which, from 0.
        index: usize,
    },
    /// A variable that a caller may not set.
    #[error("environment variable {name:?} {problem}")]
    BadVariable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// What is wrong with a preset's file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A directory, a pipe or the like.
    #[error("is not a regular file")]
    NotRegular,
    /// More than 64 KiB.
    #[error("is longer than {MAX_FILE} bytes")]
    TooLarge,
    /// Not JSON, or not of a preset's form; names the field, the line and the column.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Of the right form, but this cannot be.
    #[error("{field}: {problem}")]
    Field {
        /// The field's path: `state.rules[2].matches`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(" (perhaps {name}?)")).unwrap_or_default()
}

fn at(source: &Source) -> String {
    match source {
        Source::Embedded => "embedded:".into(),
        Source::User(path) | Source::Workspace(path) => format!("{}:", path.display()),
    }
}
