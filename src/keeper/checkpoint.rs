//! The newest checkpoint of a child's screen: two slots behind the output in the ring's file, written in turns, so that
//! there is always a whole one. Does not know what is in a checkpoint.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use super::{record::Fields, ring::secure};
use crate::id::Offset;

/// What the header says of the slots. All zero is: there is none.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Where in the file the first one begins; the second follows it.
    place: AtomicU64,
    /// How long each is.
    len: AtomicU64,
    /// Which of them is valid, from 1; 0 if neither is.
    valid: AtomicU32,
    _unused: AtomicU32,
    entries: [Entry; 2],
}

/// What is in a slot.
#[repr(C)]
#[derive(Debug, Default)]
struct Entry {
    at: AtomicU64,
    len: AtomicU64,
    /// [`sum`] of `at` and the bytes.
    sum: AtomicU64,
}

impl Slots {
    /// Says where they are. They cost nothing before they are used.
    pub(super) fn place(&self, place: usize, len: usize) {
        self.len.store(len as u64, Ordering::Relaxed);
        self.place.store(place as u64, Ordering::Release);
    }

    /// Replaces an older one, or one of the same offset, which a resize makes. One that is empty or longer than a slot
    /// is ignored. An error leaves the older one.
    pub(super) fn save(&self, file: &File, at: Offset, bytes: &[u8]) -> io::Result<()> {
        let (place, len) = (self.place.load(Ordering::Relaxed), self.len.load(Ordering::Relaxed));
        let valid = self.valid.load(Ordering::Relaxed);
        let newest = self.entries.get((valid as usize).wrapping_sub(1));
        let older = newest.is_some_and(|newest| at.0 < newest.at.load(Ordering::Relaxed));
        if older || bytes.is_empty() || bytes.len() as u64 > len {
            return Ok(());
        }
        let slot = usize::from(valid == 1);
        let place = place + slot as u64 * len;
        secure(file, place, bytes.len() as u64)?;
        file.write_all_at(bytes, place)?;
        let entry = &self.entries[slot];
        entry.at.store(at.0, Ordering::Relaxed);
        entry.len.store(bytes.len() as u64, Ordering::Relaxed);
        entry.sum.store(sum(at, bytes), Ordering::Relaxed);
        // Release: whoever sees the switch, in the file of a keeper that was killed as well, sees the whole of it.
        self.valid.store(slot as u32 + 1, Ordering::Release);
        Ok(())
    }
}

/// A checkpoint that a header tells of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saved {
    place: u64,
    len: u64,
    at: Offset,
    sum: u64,
}

impl Saved {
    /// What is said of slots at this place of a header, the newest first. Nothing of it is certain.
    pub(super) fn told(page: &Fields<'_>, from: usize, longest: usize) -> Vec<Saved> {
        let (place, len, valid) = (page.u64(from), page.u64(from + 8), page.u32(from + 16));
        let slots: &[u64] = match valid {
            1 => &[0, 1],
            2 => &[1, 0],
            _ => &[],
        };
        let told = slots.iter().filter_map(|slot| {
            let entry = from + 24 + 24 * *slot as usize;
            Some(Saved {
                place: slot.checked_mul(len)?.checked_add(place)?,
                len: page.u64(entry + 8),
                at: Offset(page.u64(entry)),
                sum: page.u64(entry + 16),
            })
        });
        told.filter(|saved| (1..=longest as u64).contains(&saved.len)).collect()
    }

    /// It, if it is there and whole.
    pub(super) fn read(self, file: &File) -> Option<(Offset, Vec<u8>)> {
        let mut bytes = vec![0; self.len as usize];
        file.read_exact_at(&mut bytes, self.place).ok()?;
        (sum(self.at, &bytes) == self.sum).then_some((self.at, bytes))
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): to see that something was torn, not that somebody means harm.
fn sum(at: Offset, bytes: &[u8]) -> u64 {
    at.0.to_le_bytes()
        .iter()
        .chain(bytes)
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::MetadataExt,
        path::{Path, PathBuf},
    };

    use super::*;
    use crate::keeper::Ring;

    /// A ring with so many bytes of output.
    struct Kept {
        _dir: tempfile::TempDir,
        path: PathBuf,
        ring: Ring,
    }

    impl Kept {
        fn new() -> Kept {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ring");
            let mut ring = Ring::create(&path).unwrap();
            ring.free().unwrap();
            ring.commit(1000);
            Kept { _dir: dir, path, ring }
        }

        fn save(&self, at: u64, bytes: &[u8]) {
            self.ring.save(Offset(at), bytes).unwrap();
        }

        #[track_caller]
        fn has(&self, at: u64, bytes: &[u8]) {
            let (found, saved) = saved(&self.path).unwrap();
            assert!((found.0, &saved[..]) == (at, bytes), "{found} {}", saved.escape_ascii());
        }

        /// Writes into the file where this text stands.
        fn spoil(&self, text: &[u8]) {
            let all = std::fs::read(&self.path).unwrap();
            let at = all.windows(text.len()).position(|at| at == text).unwrap();
            let file = File::options().write(true).open(&self.path).unwrap();
            file.write_all_at(b"#", (at + text.len() / 2) as u64).unwrap();
        }
    }

    fn saved(path: &Path) -> Option<(Offset, Vec<u8>)> {
        Ring::open(path).unwrap().checkpoint()
    }

    #[test]
    fn the_newest_is_kept() {
        let kept = Kept::new();
        assert_eq!(saved(&kept.path), None);
        for (at, bytes, expected) in [
            (10, "first", (10, "first")),
            (11, "second", (11, "second")),
            (10, "older", (11, "second")),
            (11, "after a resize", (11, "after a resize")),
            (12, "", (11, "after a resize")),
            (1001, "of what never came", (11, "after a resize")),
            (u64::MAX, "of what never came", (11, "after a resize")),
            (1000, "at the end", (1000, "at the end")),
            (0, "much older", (1000, "at the end")),
        ] {
            kept.save(at, bytes.as_bytes());
            kept.has(expected.0, expected.1.as_bytes());
        }
    }

    #[test]
    fn one_is_as_long_as_its_slot_at_most() {
        let kept = Kept::new();
        for (at, byte) in [(1, b'a'), (2, b'b'), (3, b'c')] {
            let longest = vec![byte; Ring::MAX_CHECKPOINT];
            kept.save(at, &longest);
            kept.save(at + 1, &vec![b'x'; Ring::MAX_CHECKPOINT + 1]);
            kept.has(at, &longest);
            // Had it been taken, this one would be older.
            kept.save(at, b"again");
            kept.has(at, b"again");
        }
    }

    #[test]
    fn the_one_before_it_is_there_when_the_newest_is_torn() {
        let kept = Kept::new();
        kept.save(1, b"of once");
        kept.save(2, b"the one before");
        kept.save(3, b"the newest");
        kept.spoil(b"the newest");
        kept.has(2, b"the one before");
        // The next one takes the place of the other, which is all that was whole, only when it is whole itself.
        kept.save(4, b"the next");
        kept.has(4, b"the next");
        kept.spoil(b"the next");
        assert_eq!(saved(&kept.path), None);
    }

    #[test]
    fn nothing_that_a_header_says_is_believed() {
        for (at, bytes) in [
            (104, [255; 8]),
            (120, [9, 0, 0, 0, 0, 0, 0, 0]),
            (120, [0; 8]),
            (136, [255; 8]),
            (136, [0; 8]),
            (128, [1, 0, 0, 0, 0, 0, 0, 0]),
            (144, [1, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            let kept = Kept::new();
            kept.save(7, b"picture");
            kept.has(7, b"picture");
            File::options().write(true).open(&kept.path).unwrap().write_all_at(&bytes, at).unwrap();
            assert_eq!(saved(&kept.path), None, "{at}");
        }
    }

    #[test]
    fn slots_cost_what_is_in_them() {
        let kept = Kept::new();
        let cost = || kept.path.metadata().unwrap().blocks() * 512;
        let before = cost();
        assert!(before <= 64 * 1024, "{before} bytes");
        kept.save(1, &[b'x'; 1000]);
        assert!(cost() - before <= 16 * 1024, "{} bytes", cost() - before);
    }
}
