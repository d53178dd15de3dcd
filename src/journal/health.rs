//! How it stands with the journal's files, for a person to know: from any process, whether a broker runs or not.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{Journal, NotWritten, file};

/// A journal that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Its file.
    pub path: PathBuf,
    /// What it takes on the disk, with its log.
    pub bytes: u64,
    /// How many events it has.
    pub events: u64,
}

/// Whether the journal in this directory is sound; nothing where there is none.
pub fn health(dir: &Path) -> Result<Option<Health>, NotWritten> {
    let path = dir.join(Journal::FILE);
    let size = |path: &Path| fs::metadata(path).map_or(0, |there| there.len());
    if !path.exists() {
        return Ok(None);
    }
    let read = || -> rusqlite::Result<Option<u64>> {
        // As `read_log` has it: a log beside it that nobody has open could not be read otherwise.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let db = Connection::open_with_flags(&path, flags)?;
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        if !file::is_sound(&db)? {
            return Ok(None);
        }
        let events: i64 = db.query_row("SELECT count(*) FROM events", [], |row| row.get(0))?;
        Ok(Some(events.max(0) as u64))
    };
    match read().map_err(|error| file::why(&path, &error))? {
        Some(events) => {
            let bytes = size(&path) + size(&path.with_extension("db-wal"));
            Ok(Some(Health { path, bytes, events }))
        }
        None => Err(NotWritten::Corrupt { path }),
    }
}

/// Broken journals that were set aside in this directory.
pub fn set_aside(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut aside: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_aside(path)).collect();
    aside.sort();
    aside
}

/// Not what belongs to one, whose name goes on after the number.
fn is_aside(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let number = extension.and_then(|extension| extension.strip_prefix("corrupt-"));
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Change;

    #[tokio::test]
    async fn a_sound_file_has_a_size_and_a_broken_one_is_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(health(dir.path()), Ok(None));
        let (journal, _) = Journal::open(dir.path()).unwrap();
        journal.write(vec![Change::event(None, "began", "")]).await.unwrap();
        let sound = health(dir.path()).unwrap().unwrap();
        assert_eq!(sound.events, 1);
        assert!(sound.bytes > 4096, "{sound:?}");
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join(Journal::FILE), vec![7; 8192]).unwrap();
        assert!(matches!(health(other.path()), Err(NotWritten::Corrupt { .. })));
        for name in ["journal.corrupt-2", "journal.corrupt-2-db-wal", "journal.corrupt-x", "other"] {
            fs::write(other.path().join(name), "").unwrap();
        }
        assert_eq!(set_aside(other.path()), [other.path().join("journal.corrupt-2")]);
    }
}
