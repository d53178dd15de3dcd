//! What a broker reads when it starts: whatever is in the journal's file, or in its rows, it starts all the same, and a
//! journal that cannot be used is set aside for one that can.
#![no_main]

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use compere::{
    id::{Caller, ChildId, RootId},
    journal::{Change, Journal},
    registry::{Place, Registry, limits::Limits, roots::Orphans},
};
use compere_fuzz::place;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

/// A journal that holds something of everything.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = place("good-journal");
    fs::create_dir_all(&dir).unwrap();
    let all =
        [b"0{}", b"1{}", b"2{}", b"3{}", b"4{}", b"5{}"].iter().filter_map(|row| change(*row)).collect();
    RUNTIME.block_on(async {
        let (journal, _) = Journal::open(&dir).unwrap();
        journal.write(all).await.unwrap();
    });
    closed(&dir);
    let bytes = fs::read(dir.join(Journal::FILE)).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    bytes
});

fuzz_target!(|data: &[u8]| {
    let dir = place("journal");
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join(Journal::FILE);
    match data {
        [0, bytes @ ..] => fs::write(&file, bytes).unwrap(),
        [1, spoils @ ..] => {
            fs::write(&file, &*GOOD).unwrap();
            let good = fs::File::options().write(true).open(&file).unwrap();
            for [low, high, value] in spoils.as_chunks().0 {
                let at = u64::from(u16::from_le_bytes([*low, *high])) % GOOD.len() as u64;
                good.write_all_at(&[*value], at).unwrap();
            }
        }
        [_, rows @ ..] => RUNTIME.block_on(async {
            let (journal, _) = Journal::open(&dir).unwrap();
            let changes = rows.split(|byte| *byte == b'\n').filter_map(change).collect();
            journal.write(changes).await.unwrap();
            drop(journal);
            closed(&dir);
        }),
        [] => {}
    }
    RUNTIME.block_on(recover(&dir));
    closed(&dir);
    fs::remove_dir_all(&dir).unwrap();
});

/// Starts as a broker does, and writes; then once more.
async fn recover(dir: &Path) {
    for _ in 0..2 {
        let (journal, past) = Journal::open(dir).unwrap();
        let nowhere = dir.join("nowhere");
        let at = |name: &str| -> PathBuf { nowhere.join(name) };
        let place = Place {
            exe: at("exe"),
            socket: at("socket"),
            keepers: at("k"),
            files: at("k"),
            presets: None,
            trust: None,
            open_files: None,
        };
        let registry = Registry::new(place, Limits::default(), Orphans::default(), journal.clone());
        registry.recover(past).await;
        // What is broken may show only when it is written to: then a new one is begun.
        let began = || vec![Change::event(None, "began", "again")];
        if journal.write(began()).await.is_err() {
            journal.rebuild(Vec::new()).await.unwrap();
            journal.write(began()).await.unwrap();
        }
        registry.close();
        drop((registry, journal));
        closed(dir);
    }
}

/// A row: a digit that says of what, and its body.
fn change(row: &[u8]) -> Option<Change> {
    let (kind, text) = row.split_first()?;
    let body: Value = serde_json::from_slice(text).ok()?;
    let id = ChildId(1 + u32::from(*kind) % 7);
    Some(match kind % 6 {
        0 => Change::Root { id: RootId(1), body },
        1 => Change::Child { id, body },
        2 => Change::Ended { id, end: json!({"state": "exited"}) },
        3 => Change::Message { id: u64::from(*kind), child: id, body },
        4 => Change::Report { inbox: Caller::Person, number: u64::from(*kind), body },
        _ => Change::Wait { id: u64::from(*kind), body },
    })
}

/// Waits until the journal's thread has let go of its file: SQLite then takes its log away.
fn closed(dir: &Path) {
    while dir.join("journal.db-wal").exists() && dir.join("journal.db-shm").exists() {
        std::thread::yield_now();
    }
}
