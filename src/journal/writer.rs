//! The journal's thread: takes what has come in, writes it as one transaction, and answers everyone at once, so that
//! a burst costs one wait for the disk.

use std::{
    mem,
    path::PathBuf,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{NotWritten, Past, Work, change, change::Change, file};
use crate::fault;

type Reply = oneshot::Sender<Result<(), NotWritten>>;

/// See the module.
pub(super) struct Writer {
    path: PathBuf,
    db: Option<Connection>,
    /// The file is broken, or could not be read when we began: only [`Work::Rebuild`] helps.
    strange: bool,
    /// Notes that could not be written yet.
    owed: Vec<Change>,
    commits: u64,
}

/// What one turn takes in.
#[derive(Default)]
struct Batch {
    notes: Vec<Change>,
    writes: Vec<(Vec<Change>, Reply)>,
}

/// What is done when a batch is.
enum Alone {
    Rebuild(Vec<Change>, Reply),
    Rest(Reply),
}

impl Batch {
    /// Takes it in, unless it has to be done alone.
    fn take(&mut self, work: Work) -> Option<Alone> {
        match work {
            Work::Note(change) => self.notes.push(change),
            Work::Write(changes, reply) => self.writes.push((changes, reply)),
            Work::Rebuild(changes, reply) => return Some(Alone::Rebuild(changes, reply)),
            Work::Rest(reply) => return Some(Alone::Rest(reply)),
        }
        None
    }
}

impl Writer {
    /// More at once would make the first wait for the last.
    const MOST_AT_ONCE: usize = 256;
    /// How long until what could not be written is tried again, if nobody else makes us try.
    const AGAIN: Duration = Duration::from_secs(2);
    /// Commits between two looks at what is old.
    const TRIM_EVERY: u64 = 512;

    pub(super) fn open(path: PathBuf) -> (Writer, Past) {
        let mut writer = Writer { path, db: None, strange: false, owed: Vec::new(), commits: 0 };
        let existed = writer.path.exists();
        let past = file::open(&writer.path).and_then(|db| {
            let past = Past::read(&db).map_err(|error| file::why(&writer.path, &error))?;
            writer.db = Some(db);
            Ok(past)
        });
        let past = match past {
            Ok(past) => Past { blank: !existed, ..past },
            Err(error @ NotWritten::Corrupt { .. }) => {
                tracing::error!(%error, "it is set aside");
                writer.strange = true;
                Past { blank: true, ..Past::default() }
            }
            Err(error) => {
                tracing::error!(%error, "reads and children go on; what must be written is refused");
                let past = existed.then(|| {
                    let here = file::peek(&writer.path).and_then(|db| Past::read(&db));
                    here.ok().or_else(|| file::in_a_copy(&writer.path, Past::read).ok())
                });
                let past = past.flatten();
                // What we could not read must not be mixed with what we know.
                writer.strange = existed && past.is_none();
                past.unwrap_or(Past { blank: true, ..Past::default() })
            }
        };
        (writer, past)
    }

    /// Until the last handle is gone; then what is owed is tried once more.
    pub(super) fn run(mut self, work: &mpsc::Receiver<Work>, noted: &AtomicUsize) {
        loop {
            let first = if self.owed.is_empty() {
                work.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected)
            } else {
                work.recv_timeout(Self::AGAIN)
            };
            let mut batch = Batch::default();
            let mut next = match first {
                Ok(work) => batch.take(work),
                Err(mpsc::RecvTimeoutError::Timeout) => None,
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    // One that rests and owes nothing leaves the file alone.
                    if !self.owed.is_empty() {
                        self.settle(batch, noted);
                    }
                    return;
                }
            };
            while next.is_none()
                && batch.notes.len() + batch.writes.len() < Self::MOST_AT_ONCE
                && let Ok(work) = work.try_recv()
            {
                next = batch.take(work);
            }
            self.settle(batch, noted);
            match next {
                Some(Alone::Rebuild(changes, reply)) => self.rebuild(changes, reply),
                Some(Alone::Rest(reply)) => {
                    let result = self.commit(&[]);
                    self.db = None;
                    let _ = reply.send(result);
                }
                None => {}
            }
        }
    }

    /// Writes a batch and answers for it.
    fn settle(&mut self, batch: Batch, noted: &AtomicUsize) {
        self.owed.extend(batch.notes);
        let result = self.commit(&batch.writes);
        if result.is_ok() {
            noted.fetch_sub(mem::take(&mut self.owed).len(), Ordering::Relaxed);
        }
        for (_, reply) in batch.writes {
            // Whoever does not wait for it any more has it all the same.
            let _ = reply.send(result.clone());
        }
    }

    fn commit(&mut self, writes: &[(Vec<Change>, Reply)]) -> Result<(), NotWritten> {
        if self.db.is_none() {
            self.reopen()?;
        }
        let Some(db) = &self.db else { return Ok(()) };
        fault::point!("journal.begun");
        if let Some(error) = fault::failure!("journal.failing") {
            return Err(NotWritten::Io { path: self.path.clone(), why: error.to_string() });
        }
        let written = (|| {
            let transaction = db.unchecked_transaction()?;
            for change in self.owed.iter().chain(writes.iter().flat_map(|(changes, _)| changes)) {
                change.write(&transaction)?;
            }
            if self.commits.is_multiple_of(Self::TRIM_EVERY) {
                change::trim(&transaction)?;
            }
            transaction.commit()
        })();
        fault::point!("journal.committed");
        self.commits += 1;
        written.map_err(|error| {
            let error = file::why(&self.path, &error);
            tracing::error!(%error);
            // Whatever it is, a fresh look at the file can only help; SQLite rolls back what was begun.
            self.db = None;
            self.strange |= matches!(error, NotWritten::Corrupt { .. });
            error
        })
    }

    fn reopen(&mut self) -> Result<(), NotWritten> {
        if self.strange {
            return Err(NotWritten::Corrupt { path: self.path.clone() });
        }
        self.db = Some(file::open(&self.path)?);
        Ok(())
    }

    fn rebuild(&mut self, changes: Vec<Change>, reply: Reply) {
        self.db = None;
        let fresh = || {
            if self.path.exists() {
                let aside = file::set_aside(&self.path)
                    .map_err(|error| NotWritten::Io { path: self.path.clone(), why: error.to_string() })?;
                tracing::warn!(aside = %aside.display(), "the journal is begun anew");
            }
            file::open(&self.path)
        };
        let result = fresh().and_then(|db| {
            self.db = Some(db);
            self.strange = false;
            self.commit(&[(changes, oneshot::channel().0)])
        });
        let _ = reply.send(result);
    }
}

#[cfg(test)]
impl Writer {
    pub(super) fn limit_pages(&mut self, pages: Option<u32>) {
        if let Some(db) = &self.db {
            db.pragma_update(None, "max_page_count", pages.unwrap_or(u32::MAX - 1)).unwrap();
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One turn: the answer to the write, and how many notes are owed after it.
    pub(in crate::journal) fn turn(
        writer: &mut Writer,
        notes: Vec<Change>,
        write: Vec<Change>,
        noted: &AtomicUsize,
    ) -> (Result<(), NotWritten>, usize) {
        let (reply, mut answer) = oneshot::channel();
        writer.settle(Batch { notes, writes: vec![(write, reply)] }, noted);
        (answer.try_recv().unwrap(), writer.owed.len())
    }
}
