//! A child's last mebibyte: whatever is written, read and recorded, the ring and its file hold what a plain queue would;
//! and a file that anything may have written to is refused or read, and panics nowhere.
#![no_main]

use std::{fs, os::unix::fs::FileExt, path::Path, sync::LazyLock};

use compere::{
    id::{Exit, Offset, Size},
    keeper::Ring,
};
use compere_fuzz::place;
use libfuzzer_sys::fuzz_target;

const HELD: u64 = Ring::HELD as u64;
/// A header's length.
const HEADER: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let path = place("ring");
    match data {
        [0, ops @ ..] => written(&path, ops),
        [1, spoils @ ..] => spoiled(&path, spoils),
        [_, file @ ..] => {
            fs::write(&path, file).unwrap();
            read(&path);
        }
        [] => return,
    }
    fs::remove_file(&path).unwrap();
});

/// The queue, as a rule: what is written from an offset on. Its period divides no size of the ring's.
fn bytes(from: u64, len: usize) -> &'static [u8] {
    static PERIODS: LazyLock<Vec<u8>> = LazyLock::new(|| (0..251).cycle().take(Ring::HELD + 251).collect());
    &PERIODS[(from % 251) as usize..][..len]
}

/// Three bytes for each thing to do.
fn written(path: &Path, ops: &[u8]) {
    let mut ring = Ring::create(path).unwrap();
    let (mut end, mut exit, mut eof, mut child) = (0u64, None, false, 0);
    for op in ops.as_chunks::<3>().0 {
        let number = u16::from_le_bytes([op[1], op[2]]);
        match op[0] % 8 {
            // Some bytes, or many.
            0 | 1 => {
                let times = if op[0] % 8 == 0 { 1 } else { 1 + usize::from(op[0] / 8) };
                for _ in 0..times {
                    let free = ring.free().unwrap();
                    let n = usize::from(number).min(free.len());
                    free.copy_from_slice(bytes(end, free.len()));
                    ring.commit(n);
                    end += n as u64;
                }
            }
            // As a keeper killed between reading and committing.
            2 => ring.free().unwrap().fill(op[1]),
            3 => {
                let at = end.saturating_sub(u64::from(number) * 32);
                let (from, first, second) = ring.slice(Offset(at), usize::from(op[0]) * 512);
                assert_eq!(from, Offset(at.max(end.saturating_sub(HELD))));
                assert_eq!(
                    first.len() + second.len(),
                    (usize::from(op[0]) * 512).min((end - from.0) as usize)
                );
                assert_eq!(first, bytes(from.0, first.len()));
                assert_eq!(second, bytes(from.0 + first.len() as u64, second.len()));
            }
            4 => {
                exit =
                    Some(if op[1] & 1 == 0 { Exit::Code(number.into()) } else { Exit::Signal(op[2].into()) });
                ring.record_exit(exit.unwrap());
            }
            5 => {
                ring.record_eof();
                eof = true;
            }
            6 => {
                child = i32::from(number);
                ring.record_child(child);
            }
            _ => ring.record_size(Size { rows: op[1].into(), cols: op[2].into() }),
        }
        assert_eq!((ring.start().0, ring.end().0), (end.saturating_sub(HELD), end));
    }
    let record = Ring::open(path).unwrap();
    assert_eq!((record.start, record.end, record.exit), (ring.start(), ring.end(), exit));
    assert_eq!((record.eof, record.child_pid), (eof, child));
    let (from, held) = record.read(Offset(0), usize::MAX).unwrap();
    assert_eq!((from, from + held.len()), (record.start, record.end));
    assert!(held == bytes(from.0, held.len()));
    assert!(Ring::is_kept(path).unwrap());
    drop(ring);
    assert!(!Ring::is_kept(path).unwrap());
}

/// A good file with bytes put into its header, three for each, and its end cut off.
fn spoiled(path: &Path, spoils: &[u8]) {
    drop(Ring::create(path).unwrap());
    let file = fs::File::options().write(true).open(path).unwrap();
    for [low, high, value] in spoils.as_chunks().0 {
        let at = u64::from(u16::from_le_bytes([*low, *high]));
        match at {
            0..64 => file.write_all_at(&[*value], at).unwrap(),
            at => file.set_len(at * u64::from(*value)).unwrap(),
        }
    }
    read(path);
}

/// Whatever it is.
fn read(path: &Path) {
    let Ok(record) = Ring::open(path) else { return };
    assert!(record.start <= record.end && record.size == record.size.clamped());
    for from in [0, 1, record.start.0, record.start.0 / 2, record.end.0, record.end.0 / 2, u64::MAX] {
        if let Ok((at, bytes)) = record.read(Offset(from), 16 * HEADER) {
            assert!(record.start <= at && bytes.len() as u64 <= record.end - at);
        }
    }
}
