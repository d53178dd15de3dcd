//! A recording of a terminal, line by line: asciicast v2 and v3, as asciinema writes them. Trusts no byte of it, keeps no
//! more than a line, and does not know what its output means.

use std::{
    io::{self, BufRead, Read},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;

use crate::id::Size;

/// One moment of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// Since the beginning.
    pub at: Duration,
    /// What happened then.
    pub what: Happened,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    /// The program wrote this.
    Output(String),
    /// This was typed, or answered by the terminal.
    Input(String),
    /// The terminal got this size.
    Resized(Size),
    /// The program ended.
    Exited(i32),
    /// Something of no concern here: a marker, or what later versions bring.
    Other,
}

/// Why a recording cannot be read on.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct BadRecording {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The first line is no header.
    #[error("it is not the header of an asciicast: {0}")]
    Header(String),
    /// A later line is no event.
    #[error("it is not an event such as [1.5, \"o\", \"text\"]: {0}")]
    Event(String),
    /// A time that cannot be.
    #[error("{at} is no time within a recording of at most {} days", LONGEST.as_secs() / 86_400)]
    Time {
        /// What stands there.
        at: f64,
    },
    /// Time runs backwards.
    #[error("it goes back in time")]
    Back,
    /// More than is kept.
    #[error("it is longer than {LINE} bytes")]
    Long,
}

/// Bytes of one line. A piece of output is a few KiB; escapes as JSON writes them are six times as long.
const LINE: usize = 4 << 20;
/// No recording lasts longer.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A recording that is being read.
#[derive(Debug)]
pub struct Recording<R> {
    lines: R,
    line: usize,
    /// Times count from the event before (v3), and not from the beginning (v2).
    relative: bool,
    at: Duration,
    size: Size,
    command: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    version: u64,
    width: Option<u64>,
    height: Option<u64>,
    term: Option<Term>,
    command: Option<String>,
}

#[derive(Deserialize)]
struct Term {
    cols: u64,
    rows: u64,
}

impl<R> Recording<R> {
    /// The terminal's size at the beginning.
    pub fn size(&self) -> Size {
        self.size
    }

    /// What was run, if the header says so.
    pub fn command(&self) -> Option<&str> {
        self.command.as_deref()
    }
}

impl<R: BufRead> Recording<R> {
    /// Reads the header.
    pub fn new(lines: R) -> Result<Self, BadRecording> {
        let size = Size::DEFAULT;
        let mut recording =
            Recording { lines, line: 0, relative: false, at: Duration::ZERO, size, command: None };
        let header = recording.line()?.unwrap_or_default();
        let header = serde_json::from_str::<Header>(&header)
            .map_err(|error| recording.bad(Fault::Header(error.to_string())))?;
        let (cols, rows) = match (header.version, header.term, header.width, header.height) {
            (2, _, Some(width), Some(height)) => (width, height),
            (3, Some(term), ..) => (term.cols, term.rows),
            (2 | 3, ..) => return Err(recording.bad(Fault::Header("it has no size".into()))),
            (other, ..) => {
                return Err(recording.bad(Fault::Header(format!("version {other} is neither 2 nor 3"))));
            }
        };
        recording.relative = header.version == 3;
        recording.size = size_of(rows, cols);
        recording.command = header.command;
        Ok(recording)
    }

    /// The next moment, if there is one.
    pub fn moment(&mut self) -> Result<Option<Moment>, BadRecording> {
        loop {
            let Some(line) = self.line()? else { return Ok(None) };
            // v3 has comments.
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (time, kind, data): (f64, String, Value) =
                serde_json::from_str(&line).map_err(|error| self.bad(Fault::Event(error.to_string())))?;
            let text = match data {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                _ => return Err(self.bad(Fault::Event("its third part is no text".into()))),
            };
            self.pass(time)?;
            let what = match &*kind {
                "o" => Happened::Output(text),
                "i" => Happened::Input(text),
                "r" => Happened::Resized(self.resized(&text)?),
                "x" => match text.parse() {
                    Ok(code) => Happened::Exited(code),
                    Err(_) => return Err(self.bad(Fault::Event(format!("{:.20?} is no exit code", text)))),
                },
                _ => Happened::Other,
            };
            return Ok(Some(Moment { at: self.at, what }));
        }
    }

    fn pass(&mut self, time: f64) -> Result<(), BadRecording> {
        let wrong = |this: &Self| this.bad(Fault::Time { at: time });
        let time = Duration::try_from_secs_f64(time).map_err(|_| wrong(self))?;
        if !self.relative && time < self.at {
            return Err(self.bad(Fault::Back));
        }
        let at = if self.relative { self.at.saturating_add(time) } else { time };
        if at > LONGEST {
            return Err(wrong(self));
        }
        self.at = at;
        Ok(())
    }

    fn resized(&self, text: &str) -> Result<Size, BadRecording> {
        let both =
            text.split_once('x').and_then(|(cols, rows)| Some((cols.parse().ok()?, rows.parse().ok()?)));
        match both {
            Some((cols, rows)) => Ok(size_of(rows, cols)),
            None => Err(self.bad(Fault::Event(format!("{:.20?} is no size such as 80x24", text)))),
        }
    }

    /// The next line without its end; none at the end.
    fn line(&mut self) -> Result<Option<String>, BadRecording> {
        let mut bytes = Vec::new();
        self.line += 1;
        let read = (&mut self.lines).take(LINE as u64 + 1).read_until(b'\n', &mut bytes);
        read.map_err(|error| self.bad(Fault::Io(error)))?;
        if bytes.len() > LINE {
            return Err(self.bad(Fault::Long));
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        match String::from_utf8(bytes) {
            Ok(line) => Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned())),
            Err(_) => Err(self.bad(Fault::Event("it is not UTF-8".into()))),
        }
    }

    fn bad(&self, fault: Fault) -> BadRecording {
        BadRecording { line: self.line, fault }
    }
}

/// Whatever a file says, a size that a terminal can have.
fn size_of(rows: u64, cols: u64) -> Size {
    let near = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
    Size { rows: near(rows), cols: near(cols) }.clamped()
}

#[cfg(test)]
mod tests;
