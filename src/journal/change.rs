//! What can be written, and how. Every change can be written twice with the same effect.

use rusqlite::{Connection, params};
use serde_json::Value;

use super::past::Last;
use crate::id::{Caller, ChildId, RootId};

/// One thing to remember.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A root, as it is now.
    Root {
        /// Which.
        id: RootId,
        /// Whatever its owner wants to read again.
        body: Value,
    },
    /// Nothing is left of a root.
    RootGone {
        /// Which.
        id: RootId,
    },
    /// A child, as it is now.
    Child {
        /// Which.
        id: ChildId,
        /// Whatever its owner wants to read again.
        body: Value,
    },
    /// How a child ended.
    Ended {
        /// Which.
        id: ChildId,
        /// How.
        end: Value,
    },
    /// Nothing of a child can be read any more. Its events can.
    Forgotten {
        /// Which.
        id: ChildId,
    },
    /// A message that was accepted and whose fate is open.
    Message {
        /// Its number, of all messages.
        id: u64,
        /// To whom.
        child: ChildId,
        /// What it says.
        body: Value,
    },
    /// A message's fate.
    Settled {
        /// Its number.
        id: u64,
        /// What became of it.
        outcome: Value,
    },
    /// A report that was accepted.
    Report {
        /// Whose inbox.
        inbox: Caller,
        /// Its number there.
        number: u64,
        /// What it says.
        body: Value,
    },
    /// Reports up to this one were put into an answer, which may not have arrived.
    Given {
        /// Whose inbox.
        inbox: Caller,
        /// The last number.
        number: u64,
    },
    /// Reports up to this one have reached their reader.
    Heard {
        /// Whose inbox.
        inbox: Caller,
        /// The last number.
        number: u64,
    },
    /// A wait that can be continued.
    Wait {
        /// Its number.
        id: u64,
        /// What it waits for.
        body: Value,
    },
    /// A wait that cannot be continued any more.
    WaitOver {
        /// Its number.
        id: u64,
    },
    /// Numbers up to these were given, whatever is left of what they were given to.
    Counted(Last),
    /// Something a person may want to read about later.
    Event {
        /// Of which child, or of the company.
        child: Option<ChildId>,
        /// In a word.
        kind: &'static str,
        /// In a line.
        text: String,
        /// When, in milliseconds after 1970.
        at: i64,
    },
}

impl Change {
    /// An event of now.
    pub fn event(child: impl Into<Option<ChildId>>, kind: &'static str, text: impl Into<String>) -> Change {
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Change::Event { child: child.into(), kind, text: text.into(), at: at.as_millis() as i64 }
    }

    /// Writes it, within whatever transaction there is.
    pub(super) fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        let run =
            |sql: &str, values: &[&dyn rusqlite::ToSql]| db.prepare_cached(sql)?.execute(values).map(drop);
        match self {
            Change::Root { id, body } => {
                run(
                    "INSERT OR REPLACE INTO roots (id, body) VALUES (?1, ?2)",
                    params![id.0, body.to_string()],
                )?;
                count(db, "root", id.0.into())
            }
            Change::RootGone { id } => {
                forget_inbox(db, Caller::Root(*id))?;
                run("DELETE FROM roots WHERE id = ?1", params![id.0])
            }
            Change::Child { id, body } => {
                run(
                    "INSERT INTO children (id, body) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET body = ?2",
                    params![id.0, body.to_string()],
                )?;
                count(db, "child", id.0.into())
            }
            // A child may have ended before its row is written: both are on their way at once.
            Change::Ended { id, end } => run(
                "INSERT INTO children (id, body, ended) VALUES (?1, 'null', ?2)
                 ON CONFLICT (id) DO UPDATE SET ended = ?2",
                params![id.0, end.to_string()],
            ),
            Change::Forgotten { id } => {
                forget_inbox(db, Caller::Child(*id))?;
                run("DELETE FROM messages WHERE child = ?1", params![id.0])?;
                run("DELETE FROM children WHERE id = ?1", params![id.0])
            }
            Change::Message { id, child, body } => {
                run(
                    "INSERT OR IGNORE INTO messages (id, child, body) VALUES (?1, ?2, ?3)",
                    params![*id as i64, child.0, body.to_string()],
                )?;
                count(db, "message", *id)
            }
            // What it said has been said; a secret in it need not stay.
            Change::Settled { id, outcome } => run(
                "UPDATE messages SET outcome = ?2, body = '' WHERE id = ?1",
                params![*id as i64, outcome.to_string()],
            ),
            Change::Report { inbox, number, body } => run(
                "INSERT OR REPLACE INTO reports (inbox, number, body) VALUES (?1, ?2, ?3)",
                params![inbox.to_string(), *number as i64, body.to_string()],
            ),
            Change::Given { inbox, number } => run(
                "INSERT INTO heard (inbox, heard, given) VALUES (?1, 0, ?2)
                 ON CONFLICT (inbox) DO UPDATE SET given = max(given, ?2)",
                params![inbox.to_string(), *number as i64],
            ),
            Change::Heard { inbox, number } => {
                run(
                    "INSERT INTO heard (inbox, heard, given) VALUES (?1, ?2, ?2)
                     ON CONFLICT (inbox) DO UPDATE SET heard = max(heard, ?2), given = max(given, ?2)",
                    params![inbox.to_string(), *number as i64],
                )?;
                run(
                    "DELETE FROM reports WHERE inbox = ?1 AND number <= ?2 - ?3",
                    params![inbox.to_string(), *number as i64, KEEP_HEARD],
                )
            }
            Change::Wait { id, body } => {
                run(
                    "INSERT OR REPLACE INTO waits (id, body) VALUES (?1, ?2)",
                    params![*id as i64, body.to_string()],
                )?;
                count(db, "wait", *id)
            }
            Change::WaitOver { id } => run("DELETE FROM waits WHERE id = ?1", params![*id as i64]),
            Change::Counted(last) => {
                count(db, "root", last.root.into())?;
                count(db, "child", last.child.into())?;
                count(db, "message", last.message)?;
                count(db, "wait", last.wait)
            }
            Change::Event { child, kind, text, at } => run(
                "INSERT INTO events (at, child, kind, text) VALUES (?1, ?2, ?3, ?4)",
                params![at, child.map(|id| id.0), kind, text],
            ),
        }
    }
}

/// Reports that stay readable after they were heard, as an inbox has it.
const KEEP_HEARD: i64 = 100;
/// Events and settled messages that are kept.
const KEEP_EVENTS: i64 = 50_000;
const KEEP_SETTLED: i64 = 5_000;

/// Forgets the oldest of what would grow for ever.
pub(super) fn trim(db: &Connection) -> rusqlite::Result<()> {
    db.execute("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?1", [KEEP_EVENTS])?;
    db.execute(
        "DELETE FROM messages WHERE outcome IS NOT NULL AND id <= (SELECT max(id) FROM messages) - ?1",
        [KEEP_SETTLED],
    )?;
    Ok(())
}

/// A number that was given is never given again, whatever is forgotten.
fn count(db: &Connection, what: &str, number: u64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO last (what, number) VALUES (?1, ?2)
               ON CONFLICT (what) DO UPDATE SET number = max(number, ?2)";
    db.prepare_cached(sql)?.execute(params![what, number as i64]).map(drop)
}

fn forget_inbox(db: &Connection, whose: Caller) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM reports WHERE inbox = ?1")?.execute([whose.to_string()])?;
    db.prepare_cached("DELETE FROM heard WHERE inbox = ?1")?.execute([whose.to_string()]).map(drop)
}
