//! What can be wrong with a preset or with a wish for one. Carries the facts; who is told them is not known here.

use std::{
    io,
    path::{Path, PathBuf},
};

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
    #[error("preset {name} comes with this workspace, and {}", why.words(path))]
    Untrusted {
        /// Its name.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is lacking.
        why: Distrust,
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

/// Why a workspace's preset is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// No person has trusted it.
    Never,
    /// Its bytes are not those that were trusted.
    Changed,
    /// Nobody knows: the list of what is trusted cannot be had.
    NoList(String),
}

impl Distrust {
    fn words(&self, path: &Path) -> String {
        let (path, command) = (path.display(), format!("compere trust {}", quoted(path)));
        match self {
            Distrust::Never => format!(
                "is not trusted: it could run anything. A person who has read {path} may run `{command}`"
            ),
            Distrust::Changed => format!(
                "has changed since it was trusted. A person who has read {path} again may run `{command}` again"
            ),
            Distrust::NoList(why) => format!("which presets are trusted cannot be read: {why}"),
        }
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
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
    /// A link, where only a file itself will do.
    #[error("is a symbolic link: name the file itself")]
    Link,
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
