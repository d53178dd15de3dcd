//! What must survive the broker: roots, children, messages, reports, waits and events, in SQLite. A handle to one
//! thread, the only writer, which commits all that has come in meanwhile at once. Knows no rule of the company: its
//! rows are numbers, states, and JSON that whoever wrote it reads again. Output is not in it; that is in the rings.

mod change;
mod file;
mod health;
mod log;
mod past;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use tokio::sync::oneshot;

pub use self::{
    change::Change,
    health::{Health, health, set_aside},
    log::{Logged, read_log},
    past::{HeardRow, Last, MessageRow, Past},
};

/// A handle; clones share one journal. Its thread ends, with everything written, when the last one is gone.
#[derive(Clone, Debug)]
pub struct Journal {
    work: mpsc::Sender<Work>,
    /// Notes that are not committed yet.
    noted: Arc<AtomicUsize>,
    path: PathBuf,
}

/// Why something was not written. Nothing of it was; trying again is right once the cause is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWritten {
    /// No room.
    #[error("the journal cannot be written: the disk is full ({path})")]
    Full {
        /// The journal.
        path: PathBuf,
    },
    /// No right.
    #[error("the journal cannot be written: {path} is read-only")]
    ReadOnly {
        /// The journal.
        path: PathBuf,
    },
    /// The file is broken.
    #[error("the journal cannot be written: {path} is corrupt")]
    Corrupt {
        /// The journal.
        path: PathBuf,
    },
    /// Anything else.
    #[error("the journal cannot be written: {path}: {why}")]
    Io {
        /// The journal.
        path: PathBuf,
        /// SQLite's words.
        why: String,
    },
}

/// What the thread is asked for.
enum Work {
    Write(Vec<Change>, oneshot::Sender<Result<(), NotWritten>>),
    Note(Change),
    /// Set the file aside and begin a new one with this.
    Rebuild(Vec<Change>, oneshot::Sender<Result<(), NotWritten>>),
    /// Write what is owed, and let go of the file until there is more.
    Rest(oneshot::Sender<Result<(), NotWritten>>),
}

impl Journal {
    /// The file's name in the directory it is given.
    pub const FILE: &str = "journal.db";
    /// Notes that may wait for the disk; beyond them events are dropped, and nothing else.
    const MOST_NOTED: usize = 20_000;

    /// Opens the journal in this directory, which must be ours alone, and reads what was before. A corrupt file is set
    /// aside. Where it cannot be opened at all, the past is empty, every write is an error, and each one tries again.
    pub fn open(dir: &Path) -> std::io::Result<(Journal, Past)> {
        let path = dir.join(Self::FILE);
        let (writer, past) = writer::Writer::open(path.clone());
        let (work, received) = mpsc::channel();
        let noted = Arc::new(AtomicUsize::new(0));
        let counted = noted.clone();
        std::thread::Builder::new().name("journal".into()).spawn(move || writer.run(&received, &counted))?;
        Ok((Journal { work, noted, path }, past))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns when all of this is on the disk, or none of it.
    pub async fn write(&self, changes: Vec<Change>) -> Result<(), NotWritten> {
        self.ask(|reply| Work::Write(changes, reply)).await
    }

    /// To be on the disk soon. What cannot be written now is tried again.
    pub fn note(&self, change: Change) {
        let waiting = self.noted.fetch_add(1, Ordering::Relaxed);
        if waiting >= Self::MOST_NOTED && matches!(change, Change::Event { .. }) {
            self.noted.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        // Without its thread, which only a defect of ours could have ended, nothing can be noted.
        let _ = self.work.send(Work::Note(change));
    }

    /// Begins a new file with this as its whole content; the old one is kept beside it.
    pub async fn rebuild(&self, changes: Vec<Change>) -> Result<(), NotWritten> {
        self.ask(|reply| Work::Rebuild(changes, reply)).await
    }

    /// Returns when what was noted is on the disk, or cannot be brought there, and the file is closed.
    pub async fn rest(&self) -> Result<(), NotWritten> {
        self.ask(Work::Rest).await
    }

    async fn ask(
        &self,
        work: impl FnOnce(oneshot::Sender<Result<(), NotWritten>>) -> Work,
    ) -> Result<(), NotWritten> {
        let (reply, answer) = oneshot::channel();
        let ended = || {
            let why = "its thread has ended, by a defect of ours".into();
            NotWritten::Io { path: self.path.clone(), why }
        };
        self.work.send(work(reply)).map_err(|_| ended())?;
        // On the pool for what waits for a disk: the runtime then knows that something is under way, and tests whose clock
        // stands still do not skip it.
        let answer = tokio::task::spawn_blocking(move || answer.blocking_recv()).await;
        answer.ok().and_then(Result::ok).unwrap_or_else(|| Err(ended()))
    }
}

#[cfg(test)]
mod tests;
