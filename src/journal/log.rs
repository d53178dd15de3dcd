//! The events, for a person to read: from any process, whether a broker runs or not.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};
use serde::Serialize;

use super::{Journal, NotWritten, file};
use crate::id::ChildId;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Logged {
    /// When, in milliseconds after 1970.
    pub at_ms: i64,
    /// Of which child, or of the company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<ChildId>,
    /// In a word.
    pub kind: String,
    /// In a line.
    pub text: String,
}

/// The newest events of a child, or of all, oldest first. Nothing where there is no journal.
pub fn read_log(dir: &Path, child: Option<ChildId>, most: usize) -> Result<Vec<Logged>, NotWritten> {
    let path = dir.join(Journal::FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let read = || -> rusqlite::Result<Vec<Logged>> {
        // Not read-only: a WAL that nobody has open cannot be read otherwise. Nothing is written all the same.
        let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        let sql = "SELECT at, child, kind, text FROM events WHERE ?1 IS NULL OR child = ?1 ORDER BY id DESC LIMIT ?2";
        let mut statement = db.prepare(sql)?;
        let rows = statement.query_map(params![child.map(|id| id.0), most as i64], |row| {
            let child = row.get::<_, Option<u32>>(1)?.map(ChildId);
            Ok(Logged { at_ms: row.get(0)?, child, kind: row.get(2)?, text: row.get(3)? })
        })?;
        rows.collect()
    };
    let mut events = read().map_err(|error| file::why(&path, &error))?;
    events.reverse();
    Ok(events)
}
