//! What a check found: one line.

use crate::cli::out;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Warn,
    /// Something will not work.
    Fail,
}

/// One check's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    what: &'static str,
    found: String,
    todo: Option<String>,
}

impl Finding {
    pub(super) fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Finding { level: Level::Ok, what, found: found.into(), todo: None }
    }

    pub(super) fn warn(what: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Finding { level: Level::Warn, what, found: found.into(), todo: Some(todo.into()) }
    }

    pub(super) fn fail(what: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Finding { level: Level::Fail, what, found: found.into(), todo: Some(todo.into()) }
    }

    /// As it is printed.
    pub(super) fn line(&self, colours: bool) -> String {
        let (word, colour) = match self.level {
            Level::Ok => ("ok  ", 32),
            Level::Warn => ("warn", 33),
            Level::Fail => ("FAIL", 31),
        };
        let word = if colours { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.into() };
        let todo = self.todo.as_ref().map(|todo| format!(" -> {todo}")).unwrap_or_default();
        // Log lines and names of files are others' words.
        format!("{word}  {}  {}", out::pad(self.what, 9), out::plain(&format!("{}{todo}", self.found)))
    }
}
