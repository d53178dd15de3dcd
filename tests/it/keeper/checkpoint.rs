//! What a keeper holds for a broker that comes back knowing nothing: who the child is, who kept it, and the screen.

use compere::proc::boot_id;
use serde_json::json;

use super::*;

fn resident(kept: &Kept) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", kept.keeper.as_raw_nonzero())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    resident.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn who_the_child_is_and_who_keeps_it_stands_in_the_file() {
    let about = json!({"name": "tests", "parent": "c1", "deep": [1, {"ä": null}]});
    let kept = Kept::with("read x", |spec| spec.about = about.clone());
    let record = Ring::open(&kept.ring()).unwrap();
    assert_eq!(record.about, Some(about));
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", record.keeper_pid)).unwrap();
    let started = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(19).unwrap();
    assert_eq!(record.keeper_started, Some(started.parse().unwrap()));
    assert_eq!((record.boot, record.is_of_another_boot()), (boot_id(), false));
    assert!(record.boot.is_some());

    // As much as there is room for, its two quotes included.
    let longest = Value::String("x".repeat((64 << 10) - 2));
    let kept = Kept::with("read x", |spec| spec.about = longest.clone());
    assert!(Ring::open(&kept.ring()).unwrap().about == Some(longest));
}

#[test]
fn a_checkpoint_outlives_the_broker_that_made_it_and_the_keeper_that_held_it() {
    let mut kept = Kept::sh("echo hello; read x; sleep 1000");
    kept.follower().sees("hello\r\n");
    assert_eq!(Ring::open(&kept.ring()).unwrap().checkpoint(), None);
    let before = resident(&kept);
    let picture = |byte: u8| vec![byte; Ring::MAX_CHECKPOINT];
    let mut client = kept.client();
    for (at, byte) in (0..20).map(|_| (1, b'x')).chain([(3, b'a'), (7, b'b'), (7, b'c'), (5, b'd')]) {
        client.send(&Request::Save { at: Offset(at), bytes: &picture(byte) });
    }
    client.send(&Request::Save { at: Offset(7), bytes: &[picture(b'e'), vec![b'e']].concat() });
    client.send(&Request::Save { at: Offset(8), bytes: b"of output that never came" });
    // Not answered; what is answered after them tells that they were seen.
    client.tty();
    drop(client);
    let saved = |kept: &Kept| Ring::open(&kept.ring()).unwrap().checkpoint().unwrap();
    assert!(saved(&kept) == (Offset(7), picture(b'c')));
    let after = resident(&kept);
    // The allocator keeps a piece that was used once.
    assert!(after < before + 3 * 1024, "{before} kB before, {after} kB after");

    kept.process.kill().unwrap();
    kept.process.wait().unwrap();
    assert!(saved(&kept) == (Offset(7), picture(b'c')));
}
