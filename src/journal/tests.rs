//! What is remembered, refused, set aside and read again.

use serde_json::{Value, json};

use super::*;
use crate::id::{Caller, ChildId, RootId};

const C1: ChildId = ChildId(1);

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn report(number: u64) -> Change {
    Change::Report { inbox: Caller::Person, number, body: json!({"n": number}) }
}

/// Until the thread has written everything and let go of the file.
async fn closed(journal: Journal) {
    let _ = journal.rest().await;
}

#[tokio::test]
async fn what_was_written_or_noted_is_read_again() {
    let dir = dir();
    let (journal, past) = Journal::open(dir.path()).unwrap();
    assert!(past.blank && past.children.is_empty());
    let (m1, m2) = (json!("hello"), json!("secret"));
    journal
        .write(vec![
            Change::Root { id: RootId(4), body: json!("host") },
            Change::Child { id: C1, body: json!({"name": "a"}) },
            Change::Child { id: ChildId(9), body: json!({"name": "b"}) },
            Change::Message { id: 1, child: C1, body: m1.clone() },
            Change::Message { id: 2, child: C1, body: m2 },
            Change::Wait { id: 3, body: json!("until") },
        ])
        .await
        .unwrap();
    journal.note(Change::Settled { id: 2, outcome: json!("typed") });
    journal.note(Change::Ended { id: C1, end: json!({"code": 0}) });
    journal.note(Change::Forgotten { id: ChildId(9) });
    closed(journal).await;

    let (journal, past) = Journal::open(dir.path()).unwrap();
    assert!(!past.blank);
    assert_eq!(past.roots, [(RootId(4), json!("host"))]);
    assert_eq!(past.children, [(C1, json!({"name": "a"}), Some(json!({"code": 0})))]);
    assert_eq!(past.messages, [MessageRow { id: 1, child: C1, body: m1 }]);
    assert_eq!(past.waits, [(3, json!("until"))]);
    let last = past.last;
    assert_eq!((last.root, last.child, last.message, last.wait), (4, 9, 2, 3), "no number is given twice");
    closed(journal).await;
    let bytes = std::fs::read(dir.path().join(Journal::FILE)).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"secret"), "what was typed is not kept");
}

#[tokio::test]
async fn an_end_may_be_written_before_the_child() {
    let dir = dir();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    journal.write(vec![Change::Ended { id: C1, end: json!("lost") }]).await.unwrap();
    journal.write(vec![Change::Child { id: C1, body: json!({"name": "a"}) }]).await.unwrap();
    closed(journal).await;
    let (_journal, past) = Journal::open(dir.path()).unwrap();
    assert_eq!(past.children, [(C1, json!({"name": "a"}), Some(json!("lost")))]);
}

#[tokio::test]
async fn reports_stay_until_they_were_heard_and_a_while_longer() {
    let dir = dir();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    journal.write((1..=150).map(report).collect()).await.unwrap();
    let heard = |number| Change::Heard { inbox: Caller::Person, number };
    let given = |number| Change::Given { inbox: Caller::Person, number };
    journal.write(vec![given(100), heard(140), heard(120), given(145), given(141)]).await.unwrap();
    closed(journal).await;
    let (_journal, past) = Journal::open(dir.path()).unwrap();
    let heard = HeardRow { inbox: Caller::Person, heard: 140, given: 145 };
    assert_eq!(past.heard, [heard], "neither goes back");
    let numbers: Vec<u64> = past.reports.iter().map(|(_, number, _)| *number).collect();
    assert_eq!(numbers, (41..=150).collect::<Vec<u64>>());
}

#[tokio::test]
async fn one_that_rests_has_written_all_let_go_of_its_file_and_goes_on_when_there_is_more() {
    let dir = dir();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    for number in 1..=1000 {
        journal.note(report(number));
    }
    journal.rest().await.unwrap();
    assert!(!dir.path().join("journal.db-wal").exists());
    assert_eq!(Journal::open(dir.path()).unwrap().1.reports.len(), 1000);
    journal.write(vec![report(1001)]).await.unwrap();
    closed(journal).await;
    assert_eq!(Journal::open(dir.path()).unwrap().1.reports.len(), 1001);
}

#[tokio::test]
async fn everything_can_be_written_twice() {
    let dir = dir();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let all = || {
        vec![
            Change::Root { id: RootId(1), body: json!(1) },
            Change::Child { id: C1, body: json!(1) },
            Change::Message { id: 1, child: C1, body: json!(1) },
            Change::Settled { id: 1, outcome: json!("typed") },
            Change::Message { id: 1, child: C1, body: json!(1) },
            report(1),
            Change::Wait { id: 1, body: json!(1) },
            Change::WaitOver { id: 1 },
        ]
    };
    journal.write(all()).await.unwrap();
    journal.write(all()).await.unwrap();
    closed(journal).await;
    let (_journal, past) = Journal::open(dir.path()).unwrap();
    assert_eq!((past.roots.len(), past.children.len(), past.reports.len()), (1, 1, 1));
    assert!(past.messages.is_empty(), "a settled message is not open again");
    assert!(past.waits.is_empty());
}

#[tokio::test]
async fn a_corrupt_file_is_named_and_set_aside_for_a_new_one() {
    let dir = dir();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    journal.write(vec![report(1)]).await.unwrap();
    closed(journal).await;
    std::fs::write(dir.path().join(Journal::FILE), vec![7; 8192]).unwrap();

    let (journal, past) = Journal::open(dir.path()).unwrap();
    assert!(past.blank && past.reports.is_empty());
    let error = journal.write(vec![report(2)]).await.unwrap_err();
    assert!(matches!(error, NotWritten::Corrupt { .. }), "{error}");
    journal.rebuild(vec![report(3)]).await.unwrap();
    journal.write(vec![report(4)]).await.unwrap();
    closed(journal).await;
    let (_journal, past) = Journal::open(dir.path()).unwrap();
    let numbers: Vec<u64> = past.reports.iter().map(|(_, number, _)| *number).collect();
    assert_eq!(numbers, [3, 4]);
    assert_eq!(std::fs::read(dir.path().join("journal.corrupt-1")).unwrap(), vec![7; 8192]);
}

/// A file that may not grow is SQLite's own full disk.
#[test]
fn a_full_disk_is_named_and_what_was_only_noted_is_written_later() {
    let dir = dir();
    let (mut writer, _) = writer::Writer::open(dir.path().join(Journal::FILE));
    let noted = AtomicUsize::new(1);
    writer.limit_pages(Some(1));
    let large = Change::Report { inbox: Caller::Person, number: 2, body: json!("x".repeat(1 << 20)) };
    let (write, owed) = writer::tests::turn(&mut writer, vec![report(1)], vec![large], &noted);
    assert!(matches!(write, Err(NotWritten::Full { .. })), "{write:?}");
    assert_eq!(owed, 1, "the note is");
    let (write, owed) = writer::tests::turn(&mut writer, Vec::new(), vec![report(3)], &noted);
    assert_eq!((write, owed), (Ok(()), 0));
    drop(writer);
    let (_journal, past) = Journal::open(dir.path()).unwrap();
    let numbers: Vec<u64> = past.reports.iter().map(|(_, number, _)| *number).collect();
    assert_eq!(numbers, [1, 3], "what was refused was not written");
}

#[tokio::test]
async fn the_file_is_ours_alone_and_never_through_a_link() {
    use std::os::unix::fs::PermissionsExt;
    let dir = dir();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    journal.write(vec![report(1)]).await.unwrap();
    for name in [Journal::FILE, "journal.db-wal", "journal.db-shm"] {
        let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let other = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(dir.path().join(Journal::FILE), other.path().join(Journal::FILE)).unwrap();
    let (journal, _) = Journal::open(other.path()).unwrap();
    assert!(journal.write(vec![report(2)]).await.is_err());
}

#[tokio::test]
async fn a_file_from_a_later_program_is_left_alone() {
    let dir = dir();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    journal.write(vec![report(1)]).await.unwrap();
    closed(journal).await;
    let db = rusqlite::Connection::open(dir.path().join(Journal::FILE)).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let error = journal.write(vec![report(2)]).await.unwrap_err();
    assert!(error.to_string().contains("99"), "{error}");
}

#[tokio::test]
async fn events_are_read_while_they_are_written() {
    let dir = dir();
    assert_eq!(read_log(dir.path(), None, 10).unwrap(), []);
    let (journal, _) = Journal::open(dir.path()).unwrap();
    for n in 0..5 {
        journal.note(Change::event(ChildId(n % 2 + 1), "said", n.to_string()));
    }
    journal.write(vec![Change::event(None, "began", "")]).await.unwrap();
    let texts = |child| -> Vec<String> {
        read_log(dir.path(), child, 3).unwrap().into_iter().map(|event| event.text).collect()
    };
    assert_eq!(texts(Some(C1)), ["0", "2", "4"]);
    assert_eq!(texts(None), ["3", "4", ""]);
    let body: Value = serde_json::to_value(&read_log(dir.path(), Some(C1), 1).unwrap()[0]).unwrap();
    assert_eq!((&body["child"], &body["kind"]), (&json!("c1"), &json!("said")));
}

#[tokio::test]
async fn a_directory_that_could_not_be_made_is_made_when_it_can() {
    let dir = dir();
    std::fs::write(dir.path().join("s"), "").unwrap();
    let (journal, past) = Journal::open(&dir.path().join("s/state")).unwrap();
    assert!(past.blank);
    assert!(matches!(journal.write(vec![report(1)]).await, Err(NotWritten::Io { .. })));
    std::fs::remove_file(dir.path().join("s")).unwrap();
    assert_eq!(journal.write(vec![report(2)]).await, Ok(()));
    closed(journal).await;
    let (_journal, past) = Journal::open(&dir.path().join("s/state")).unwrap();
    assert_eq!(past.reports.len(), 1, "what was refused was not written");
}
