//! How a command ends when it did not do what was asked: the words and the exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use super::client::CallError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fail {
    /// The tool said no, in its own words.
    #[error("{0}")]
    Said(String),
    /// Something was asked for in a way that cannot be.
    #[error("{0}")]
    Usage(String),
    /// There is nobody to ask.
    #[error("{0}")]
    NoBroker(String),
    /// A file, a pipe, a terminal.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Fail {
    const SAID: u8 = 1;
    /// What clap uses too.
    pub(super) const USAGE: u8 = 2;
    const NO_BROKER: u8 = 3;

    fn code(&self) -> u8 {
        match self {
            Fail::Said(_) | Fail::Io(_) => Self::SAID,
            Fail::Usage(_) => Self::USAGE,
            Fail::NoBroker(_) => Self::NO_BROKER,
        }
    }
}

impl From<CallError> for Fail {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(why) => Fail::Said(why),
            CallError::Broker(_) | CallError::Lost(_) => {
                Fail::NoBroker(format!("{error}; `compere doctor` tells more"))
            }
        }
    }
}

/// Tells why, and answers the exit code.
pub(super) fn exit(fail: &Fail) -> ExitCode {
    if let Fail::Io(error) = fail
        && error.kind() == io::ErrorKind::BrokenPipe
    {
        // Whoever read our output has seen enough (`compere ls | head -1`).
        return ExitCode::SUCCESS;
    }
    // If standard error is closed, there is nobody to tell.
    let _ = writeln!(io::stderr(), "compere: {fail}");
    ExitCode::from(fail.code())
}
