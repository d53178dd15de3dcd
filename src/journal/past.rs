//! What a journal tells a broker that starts. A row that cannot be read is left out and told to the log: one broken
//! row must not cost the others.

use rusqlite::{Connection, Row};
use serde_json::Value;

use crate::id::{Caller, ChildId, RootId};

/// Everything that was before.
#[derive(Debug, Default)]
pub struct Past {
    /// Roots and their bodies.
    pub roots: Vec<(RootId, Value)>,
    /// Children in the order they were spawned, their bodies, and how they ended, if they had.
    pub children: Vec<(ChildId, Value, Option<Value>)>,
    /// Messages whose fate is open, in order.
    pub messages: Vec<MessageRow>,
    /// The newest ones whose fate is known, which their bodies are; the newest first.
    pub settled: Vec<MessageRow>,
    /// Reports by inbox and number.
    pub reports: Vec<(Caller, u64, Value)>,
    /// How far each inbox was read.
    pub heard: Vec<HeardRow>,
    /// Waits that can be continued.
    pub waits: Vec<(u64, Value)>,
    /// The highest number given to a root, a child, a message and a wait.
    pub last: Last,
    /// The file was new, or had to be set aside: children may live that it does not know.
    pub blank: bool,
}

/// See [`Past::last`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// Of roots.
    pub root: u32,
    /// Of children.
    pub child: u32,
    /// Of messages.
    pub message: u64,
    /// Of waits.
    pub wait: u64,
}

/// How far an inbox was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardRow {
    /// Whose.
    pub inbox: Caller,
    /// The last report that has reached its reader.
    pub heard: u64,
    /// The last one that was put into an answer.
    pub given: u64,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageRow {
    /// Its number.
    pub id: u64,
    /// To whom.
    pub child: ChildId,
    /// What it says; or its fate, when that is known.
    pub body: Value,
}

impl Past {
    /// How many messages whose fate is known are told of, the newest. More stand in the file, for a person.
    pub const SETTLED: usize = 500;

    pub(super) fn read(db: &Connection) -> rusqlite::Result<Past> {
        let last = |what: &str| -> rusqlite::Result<u64> {
            let sql = "SELECT coalesce(max(number), 0) FROM last WHERE what = ?1";
            db.query_row(sql, [what], |row| row.get::<_, i64>(0)).map(|number| number.max(0) as u64)
        };
        let small = |what| last(what).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Ok(Past {
            roots: rows(db, "SELECT id, body FROM roots ORDER BY id", |row| {
                Some((RootId(row.get(0).ok()?), json(row, 1)?))
            })?,
            children: rows(db, "SELECT id, body, ended FROM children ORDER BY id", |row| {
                Some((ChildId(row.get(0).ok()?), json(row, 1)?, json(row, 2)))
            })?,
            messages: rows(
                db,
                "SELECT id, child, body FROM messages WHERE outcome IS NULL ORDER BY id",
                message,
            )?,
            settled: rows(
                db,
                &format!(
                    "SELECT id, child, outcome FROM messages WHERE outcome IS NOT NULL ORDER BY id DESC LIMIT {}",
                    Self::SETTLED
                ),
                message,
            )?,
            reports: rows(db, "SELECT inbox, number, body FROM reports ORDER BY inbox, number", |row| {
                Some((caller(row)?, number(row, 1)?, json(row, 2)?))
            })?,
            heard: rows(db, "SELECT inbox, heard, given FROM heard", |row| {
                Some(HeardRow { inbox: caller(row)?, heard: number(row, 1)?, given: number(row, 2)? })
            })?,
            waits: rows(db, "SELECT id, body FROM waits ORDER BY id", |row| {
                Some((number(row, 0)?, json(row, 1)?))
            })?,
            last: Last {
                root: small("root")?,
                child: small("child")?,
                message: last("message")?,
                wait: last("wait")?,
            },
            blank: false,
        })
    }
}

fn rows<T>(db: &Connection, sql: &str, read: impl Fn(&Row<'_>) -> Option<T>) -> rusqlite::Result<Vec<T>> {
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        match read(row) {
            Some(one) => all.push(one),
            None => tracing::error!(sql, "a row of the journal makes no sense and is left out"),
        }
    }
    Ok(all)
}

fn json(row: &Row<'_>, at: usize) -> Option<Value> {
    serde_json::from_slice(row.get_ref(at).ok()?.as_str().ok()?.as_bytes()).ok()
}

/// A message's id, its child, and what it says or what became of it.
fn message(row: &Row<'_>) -> Option<MessageRow> {
    Some(MessageRow { id: number(row, 0)?, child: ChildId(row.get(1).ok()?), body: json(row, 2)? })
}

fn number(row: &Row<'_>, at: usize) -> Option<u64> {
    u64::try_from(row.get::<_, i64>(at).ok()?).ok()
}

fn caller(row: &Row<'_>) -> Option<Caller> {
    row.get_ref(0).ok()?.as_str().ok()?.parse().ok()
}
