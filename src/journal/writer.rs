//! The journal's thread: takes what has come in, writes it as one transaction, and answers everyone at once, so that
//! a burst costs one wait for the disk.

use std::{
    mem,
    path::PathBuf,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
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
    /// Each commit waits for the disk, as the file is told now.
    waits: bool,
    /// Since when notes are in the file for which no disk was waited: the program's end cannot undo them, the machine's
    /// could.
    unsynced: Option<Instant>,
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
    /// How long notes alone wait for the disk, unless a write takes them along.
    const SOON: Duration = Duration::from_secs(1);
    /// Commits between two looks at what is old.
    const TRIM_EVERY: u64 = 512;

    pub(super) fn open(path: PathBuf) -> (Writer, Past) {
        let mut writer = Writer {
            path,
            db: None,
            strange: false,
            owed: Vec::new(),
            waits: true,
            unsynced: None,
            commits: 0,
        };
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
            let patience = match self.unsynced {
                _ if !self.owed.is_empty() => Some(Self::AGAIN),
                since => since.map(|since| Self::SOON.saturating_sub(since.elapsed())),
            };
            let first = match patience {
                None => work.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
                Some(patience) => work.recv_timeout(patience),
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
                    self.sync();
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
            if self.unsynced.is_some_and(|since| since.elapsed() >= Self::SOON) {
                self.sync();
            }
            match next {
                Some(Alone::Rebuild(changes, reply)) => self.rebuild(changes, reply),
                Some(Alone::Rest(reply)) => {
                    let result = self.commit(&[]);
                    self.sync();
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
        let waits = !writes.is_empty();
        if waits != self.waits {
            file::wait_for_disk(db, waits).map_err(|error| file::why(&self.path, &error))?;
            self.waits = waits;
        }
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
        if written.is_ok() {
            let notes = !waits && !self.owed.is_empty();
            self.unsynced = if waits { None } else { self.unsynced.or_else(|| notes.then(Instant::now)) };
        }
        written.map_err(|error| {
            let error = file::why(&self.path, &error);
            tracing::error!(%error);
            // Whatever it is, a fresh look at the file can only help; SQLite rolls back what was begun.
            self.db = None;
            self.strange |= matches!(error, NotWritten::Corrupt { .. });
            error
        })
    }

    /// Waits for the disk, for notes that did not.
    fn sync(&mut self) {
        if self.unsynced.take().is_some()
            && let Err(error) = file::sync(&self.path)
        {
            // What is only noted can be found out again.
            tracing::warn!(%error, "what was noted last may not be on the disk");
        }
    }

    fn reopen(&mut self) -> Result<(), NotWritten> {
        if self.strange {
            return Err(NotWritten::Corrupt { path: self.path.clone() });
        }
        (self.db, self.waits) = (Some(file::open(&self.path)?), true);
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
            (self.db, self.waits) = (Some(db), true);
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

    /// Which of SQLite's modes the file is in, and whether something is not on the disk yet.
    fn after(writer: &mut Writer, batch: Batch) -> (u32, bool) {
        writer.settle(batch, &AtomicUsize::new(9));
        let db = writer.db.as_ref().unwrap();
        let mode = db.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
        (mode, writer.unsynced.is_some())
    }

    #[test]
    fn a_note_waits_for_no_disk_and_a_write_waits_for_both() {
        const NORMAL: u32 = 1;
        const FULL: u32 = 2;
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, _) = Writer::open(dir.path().join("journal.db"));
        let notes = || Batch { notes: vec![Change::event(None, "said", "a")], writes: Vec::new() };
        let write = || Batch { notes: Vec::new(), writes: vec![(Vec::new(), oneshot::channel().0)] };
        assert_eq!(after(&mut writer, write()), (FULL, false));
        assert_eq!(after(&mut writer, notes()), (NORMAL, true));
        assert_eq!(after(&mut writer, notes()), (NORMAL, true));
        assert_eq!(after(&mut writer, write()), (FULL, false));
        assert_eq!(after(&mut writer, notes()), (NORMAL, true));
        writer.sync();
        assert!(writer.unsynced.is_none());
        let other = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
        let events: u32 = other.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
        assert_eq!(events, 3, "whoever reads it does not wait");
    }
}
