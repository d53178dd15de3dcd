//! The journal's file: how it is opened, checked, brought to today's form, and set aside when it is broken.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::NotWritten;

/// The forms the file has had; each takes one to the next, and none is ever changed. `user_version` counts them.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE roots    (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE children (id INTEGER PRIMARY KEY, body TEXT NOT NULL, ended TEXT);
    CREATE TABLE messages (id INTEGER PRIMARY KEY, child INTEGER NOT NULL, body TEXT NOT NULL, outcome TEXT);
    CREATE INDEX messages_of ON messages (child);
    CREATE TABLE reports  (inbox TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL,
                           PRIMARY KEY (inbox, number)) WITHOUT ROWID;
    CREATE TABLE heard    (inbox TEXT PRIMARY KEY, heard INTEGER NOT NULL, given INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE waits    (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE events   (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, child INTEGER, kind TEXT NOT NULL,
                           text TEXT NOT NULL);
    CREATE INDEX events_of ON events (child);
    CREATE TABLE last     (what TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
"];

/// Opens the file, made if it was not there, of mode 0600; checks it, and brings it to today's form.
pub(super) fn open(path: &Path) -> Result<Connection, NotWritten> {
    // SQLite would make it as the umask says; and its other files get this one's mode.
    let make = || OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
    let made = make().or_else(|error| match path.parent() {
        // There was no room for the directory either when we began.
        Some(dir) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(dir).and_then(|()| make())
        }
        _ => Err(error),
    });
    made.map_err(|error| from_io(path, &error))?;
    let named = |error| why(path, &error);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(named)?;
    prepare(&db).map_err(named)?;
    if !is_sound(&db).map_err(named)? {
        return Err(NotWritten::Corrupt { path: path.to_owned() });
    }
    migrate(&db).map_err(named)?;
    Ok(db)
}

/// Opens the file for reading where it cannot be opened for writing. With the lock held for good, SQLite needs no shared
/// memory beside the file, for which a full disk has no room.
pub(super) fn peek(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW,
    )?;
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(db)
}

/// Reads from a copy what cannot even be read where it is: SQLite locks a file for itself by writing to it, which nobody
/// may on a file system that is read-only.
pub(super) fn in_a_copy<T>(
    path: &Path,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, NotWritten> {
    let dir = std::env::temp_dir().join(format!("compere-journal-{}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&dir).map_err(|error| from_io(&dir, &error))?;
    let copied = || {
        let copy = dir.join("journal.db");
        std::fs::copy(path, &copy)?;
        match std::fs::copy(path.with_extension("db-wal"), copy.with_extension("db-wal")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(copy),
        }
    };
    let read = copied()
        .map_err(|error| from_io(path, &error))
        .and_then(|copy| Connection::open(&copy).and_then(|db| read(&db)).map_err(|error| why(path, &error)));
    // What it says is no one's to find.
    let _ = std::fs::remove_dir_all(&dir);
    read
}

/// Moves a broken journal out of the way, with what belongs to it; answers where it is now.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let free = |n: &u32| !path.with_extension(format!("corrupt-{n}")).exists();
    let n = (1..1000).find(free).unwrap_or(1000);
    let aside = path.with_extension(format!("corrupt-{n}"));
    std::fs::rename(path, &aside)?;
    for other in ["db-wal", "db-shm"] {
        // Left there, SQLite would take them for the new file's.
        match std::fs::rename(path.with_extension(other), path.with_extension(format!("corrupt-{n}-{other}")))
        {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

/// SQLite's error by its name.
pub(super) fn why(path: &Path, error: &rusqlite::Error) -> NotWritten {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => NotWritten::Full { path },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => NotWritten::ReadOnly { path },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => NotWritten::Corrupt { path },
        _ => NotWritten::Io { path, why: error.to_string() },
    }
}

fn from_io(path: &Path, error: &io::Error) -> NotWritten {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => NotWritten::Full { path },
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => NotWritten::ReadOnly { path },
        _ => NotWritten::Io { path, why: error.to_string() },
    }
}

fn prepare(db: &Connection) -> rusqlite::Result<()> {
    // One writer; a reader, which is `compere log`, never makes it wait for long.
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // What is answered as written stays written when the machine loses its power.
    db.pragma_update(None, "synchronous", "FULL")?;
    // Bounds what a burst of large reports leaves on the disk.
    db.pragma_update(None, "journal_size_limit", 16 << 20)?;
    db.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Whether a commit returns only when the disk has it. In any case all that was committed before is there with it, and
/// the program's own end undoes none of it.
pub(super) fn wait_for_disk(db: &Connection, waits: bool) -> rusqlite::Result<()> {
    db.pragma_update(None, "synchronous", if waits { "FULL" } else { "NORMAL" })
}

/// Waits until the disk has what was committed. SQLite has no word for that; nor does it lock this file, so that another
/// descriptor of it does no harm.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    match File::open(path.with_extension("db-wal")) {
        // It is in the file itself, for which SQLite waited.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        wal => wal?.sync_data(),
    }
}

pub(super) fn is_sound(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)).map(|word| word == "ok")
}

fn migrate(db: &Connection) -> rusqlite::Result<()> {
    let version: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let version = version as usize;
    if version > MIGRATIONS.len() {
        let words = format!("a later compere wrote it (form {version}, this one knows {})", MIGRATIONS.len());
        return Err(rusqlite::Error::InvalidParameterName(words));
    }
    for (at, step) in MIGRATIONS.iter().enumerate().skip(version) {
        let version = at + 1;
        db.execute_batch(&format!("BEGIN IMMEDIATE; {step} PRAGMA user_version = {version}; COMMIT;"))?;
    }
    Ok(())
}
