//! What a keeper is told to run, and what it answers: the two lines of JSON between it and whoever launched
//! it. Knows nothing of how a program is started.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::Size;

/// What to run, and where to leave what is known about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Whose keeper this is, for whoever reads the process list or a log.
    pub child: String,
    /// The program, looked for as `execvp` would in the `PATH` of `env`, and its arguments.
    pub argv: Vec<String>,
    /// Where it starts; absolute.
    pub cwd: PathBuf,
    /// All of its environment. Without `SHELL` it is given the user's.
    pub env: Vec<(String, String)>,
    /// Its terminal's size, clamped to what the emulator bears.
    pub size: Size,
    /// The file that will hold its output; must not exist. Absolute.
    pub ring: PathBuf,
    /// Where the keeper will listen; must not exist, and has at most 107 bytes. Absolute.
    pub socket: PathBuf,
    /// Who the child is, for a broker that knows nothing any more and finds the file: at most 64 KiB, and nothing to the
    /// keeper.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub about: Value,
    /// How many files it may have open, if fewer than its broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
}

/// Why nothing was started. Travels to the broker as JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartError {
    /// The keeper was told something it does not understand.
    #[error("read what to start: {reason}")]
    BadSpec {
        /// What is wrong with it.
        reason: String,
    },
    /// There is too much to be remembered.
    #[error("remember who the child is: {bytes} bytes are more than {limit}")]
    AboutTooLong {
        /// How long it is, as JSON.
        bytes: u64,
        /// How long it may be.
        limit: u64,
    },
    /// Nothing to run.
    #[error("start a program: there is no program in the command")]
    EmptyArgv,
    /// The kernel ends texts at a NUL.
    #[error("start {program:?}: there is a NUL byte in {place}")]
    Nul {
        /// What was to run.
        program: String,
        /// `argv[2]`, `the value of PATH`, `cwd`.
        place: String,
    },
    /// Empty, or with a `=` in it.
    #[error("start {program:?}: {name:?} cannot be the name of an environment variable")]
    BadEnvName {
        /// What was to run.
        program: String,
        /// The name.
        name: String,
    },
    /// The directory to start in must not depend on where a keeper happens to run.
    #[error("enter the directory {cwd:?}: it is not an absolute path")]
    CwdRelative {
        /// The directory.
        cwd: PathBuf,
    },
    /// There is nothing there.
    #[error("enter the directory {cwd:?}: it does not exist")]
    CwdMissing {
        /// The directory.
        cwd: PathBuf,
    },
    /// There is something else.
    #[error("enter the directory {cwd:?}: it is not a directory")]
    CwdNotADirectory {
        /// The path.
        cwd: PathBuf,
    },
    /// We may not, or it cannot be reached.
    #[error("enter the directory {cwd:?}: {reason}")]
    CwdNotEnterable {
        /// The directory.
        cwd: PathBuf,
        /// What the kernel said.
        reason: String,
    },
    /// No such program.
    #[error("find the program {program:?} in {searched:?}")]
    ProgramNotFound {
        /// What was to run.
        program: String,
        /// The `PATH` that was searched, or the directory a relative path was taken from.
        searched: String,
    },
    /// A program of that name is there, but without permission to execute it.
    #[error("start {program:?}: {path:?} is not executable")]
    NotExecutable {
        /// What was to run.
        program: String,
        /// What was found.
        path: PathBuf,
    },
    /// It is a directory.
    #[error("start {program:?}: {path:?} is a directory")]
    ProgramIsADirectory {
        /// What was to run.
        program: String,
        /// What was found.
        path: PathBuf,
    },
    /// The script is there, but not what its first line says it is for.
    #[error("start the script {script:?}: its interpreter {interpreter:?} is missing or not executable")]
    InterpreterMissing {
        /// The script.
        script: PathBuf,
        /// What its `#!` names.
        interpreter: PathBuf,
    },
    /// More than the kernel passes to a program.
    #[error("start {program:?}: {what} has {bytes} bytes, of which the kernel passes {limit}")]
    TooLong {
        /// What was to run.
        program: String,
        /// `argv[2]`, `the value of PATH`, `the command with its environment`.
        what: String,
        /// How long it is.
        bytes: u64,
        /// How long it may be.
        limit: u64,
    },
    /// No pseudo-terminal is to be had.
    #[error("allocate a pseudo-terminal: {reason}")]
    NoPty {
        /// ENOSPC: the machine has no more of them; EMFILE and ENFILE: no more open files.
        errno: Option<i32>,
        /// What the kernel said.
        reason: String,
    },
    /// The ring or the socket cannot be made.
    #[error("make {path:?}: {reason}")]
    Files {
        /// Which one.
        path: PathBuf,
        /// What the kernel said.
        reason: String,
    },
    /// Anything else that kept the program from being started.
    #[error("start {program:?}: {reason}")]
    Spawn {
        /// What was to run.
        program: String,
        /// What was said.
        reason: String,
    },
}

/// The line a keeper answers with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Ok { keeper_pid: i32, child_pid: i32 },
    Error(StartError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_look_so_for_ever() {
        for (answer, json) in [
            (Answer::Ok { keeper_pid: 1, child_pid: 2 }, r#"{"ok":{"keeper_pid":1,"child_pid":2}}"#),
            (Answer::Error(StartError::EmptyArgv), r#"{"error":"empty_argv"}"#),
            (
                Answer::Error(StartError::CwdMissing { cwd: "/x".into() }),
                r#"{"error":{"cwd_missing":{"cwd":"/x"}}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&answer).unwrap(), json);
            assert_eq!(serde_json::from_str::<Answer>(json).unwrap(), answer);
        }
    }
}
