//! The newest mebibyte of a child's output, by absolute offset, in a mapped file that outlives its keeper. The file
//! also records how the child ended: it is all that has to be left of it.

#![allow(unsafe_code, reason = "the file is mapped, so that a killed keeper loses nothing it has read")]

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::FlockOperation,
    mm::{MapFlags, ProtFlags},
};

use crate::id::{Exit, Offset, Size};

/// What a child may have written and nobody read before the oldest of it is lost.
pub const CAPACITY: usize = 1 << 20;

/// The first page. Fields are only ever added, where zeros are.
#[repr(C)]
struct Head {
    magic: [u8; 8],
    version: u32,
    capacity: u32,
    /// Written last of all, after the bytes it counts.
    end: AtomicU64,
    keeper: i32,
    child: i32,
    rows: u16,
    cols: u16,
    eof: u32,
    /// 0 while the child runs, 1 for a code, 2 for a signal; `value` is written before it.
    exit: AtomicU64,
    value: i64,
}

const MAGIC: [u8; 8] = *b"compere\n";
const VERSION: u32 = 1;
const PAGE: usize = 4096;
const LENGTH: usize = PAGE + CAPACITY;

/// The keeper's side: the only writer.
#[derive(Debug)]
pub struct Ring {
    map: NonNull<u8>,
    /// Locked for as long as the keeper lives.
    _file: File,
}

impl Ring {
    /// Makes the file, which must not exist, and locks it.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(path)?;
        file.set_len(LENGTH as u64)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        // SAFETY: a fresh shared mapping of a file of this length, at an address the kernel chooses.
        let map = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                LENGTH,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &file,
                0,
            )?
        };
        let map = NonNull::new(map.cast::<u8>()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        let mut ring = Ring { map, _file: file };
        let head = ring.head_mut();
        head.version = VERSION;
        head.capacity = CAPACITY as u32;
        head.keeper = std::process::id() as i32;
        head.magic = MAGIC;
        Ok(ring)
    }

    /// Whether a keeper still holds the file.
    pub fn is_kept(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| {
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared)
                == Err(rustix::io::Errno::WOULDBLOCK)
        })
    }

    /// The oldest byte held.
    pub fn start(&self) -> Offset {
        Offset(self.end().0.saturating_sub(CAPACITY as u64))
    }

    /// The byte after the newest.
    pub fn end(&self) -> Offset {
        Offset(self.head().end.load(Ordering::Relaxed))
    }

    /// Where the next bytes go: up to the wrap, so that the kernel can write them there itself.
    pub fn room(&mut self) -> &mut [u8] {
        let at = self.end().0 as usize % CAPACITY;
        &mut self.bytes_mut()[at..]
    }

    /// The first `count` bytes of [`Ring::room`] are output now.
    pub fn commit(&mut self, count: usize) {
        let end = self.end() + count;
        // Whoever reads the file after a kill in between sees the old end, and bytes before it unharmed but for the
        // oldest, which this end would have given up.
        self.head().end.store(end.0, Ordering::Release);
    }

    /// Up to `max` bytes from `from` on, or from the oldest held: where they begin, and the two pieces they lie in.
    pub fn read(&self, from: Offset, max: usize) -> (Offset, &[u8], &[u8]) {
        let from = from.clamp(self.start(), self.end());
        let count = ((self.end() - from) as usize).min(max);
        let at = from.0 as usize % CAPACITY;
        let first = count.min(CAPACITY - at);
        let bytes = self.bytes();
        (from, &bytes[at..at + first], &bytes[..count - first])
    }

    /// Records whose output this is.
    pub fn set_child(&mut self, pid: i32, size: Size) {
        let head = self.head_mut();
        head.child = pid;
        (head.rows, head.cols) = (size.rows, size.cols);
    }

    /// Records how the child ended.
    pub fn set_exit(&mut self, exit: Exit) {
        let (how, value) = match exit {
            Exit::Code(code) => (1, code),
            Exit::Signal(signal) => (2, signal),
        };
        self.head_mut().value = value.into();
        self.head().exit.store(how, Ordering::Release);
    }

    /// Records that there will be no more output.
    pub fn set_eof(&mut self) {
        self.head_mut().eof = 1;
    }

    /// Opens a ring for reading, whether its keeper lives or not.
    pub fn open(path: &Path) -> Result<Record, RecordError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        if length < LENGTH as u64 {
            return Err(RecordError::Length(length));
        }
        let mut head = [0; std::mem::size_of::<Head>()];
        file.read_exact_at(&mut head, 0)?;
        let number = |at: usize, len: usize| {
            let mut bytes = [0; 8];
            bytes[..len].copy_from_slice(&head[at..at + len]);
            u64::from_le_bytes(bytes)
        };
        let field = |at: usize| number(at, 4) as u32;
        if head[..8] != MAGIC {
            return Err(RecordError::NotARing);
        }
        let (version, capacity) = (field(8), field(12));
        if version != VERSION || capacity as usize != CAPACITY {
            return Err(RecordError::Version { version, capacity });
        }
        let value = number(std::mem::offset_of!(Head, value), 8) as i32;
        let exit = match number(std::mem::offset_of!(Head, exit), 8) {
            1 => Some(Exit::Code(value)),
            2 => Some(Exit::Signal(value)),
            _ => None,
        };
        let child = field(std::mem::offset_of!(Head, child)) as i32;
        let keeper = field(std::mem::offset_of!(Head, keeper)) as i32;
        let end = Offset(number(std::mem::offset_of!(Head, end), 8));
        Ok(Record { file, end, exit, child, keeper })
    }

    fn head(&self) -> &Head {
        // SAFETY: the mapping is at least a page, aligned to one, and any bytes are a valid Head.
        unsafe { self.map.cast::<Head>().as_ref() }
    }

    fn head_mut(&mut self) -> &mut Head {
        // SAFETY: as above, and `&mut self` makes this the only reference in this process; others only read the file.
        unsafe { self.map.cast::<Head>().as_mut() }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping has CAPACITY bytes after its first page.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(PAGE), CAPACITY) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.map.as_ptr().add(PAGE), CAPACITY) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this length, and no reference outlives `self`.
        // Unmapping a mapping of ours cannot fail.
        let _ = unsafe { rustix::mm::munmap(self.map.as_ptr().cast(), LENGTH) };
    }
}

/// A ring as a reader of its file sees it: as it was when it was opened.
#[derive(Debug)]
pub struct Record {
    file: File,
    end: Offset,
    exit: Option<Exit>,
    child: i32,
    keeper: i32,
}

/// A file that cannot be read as a ring.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system's answer.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Too short.
    #[error("a ring of {0} bytes")]
    Length(u64),
    /// Something else.
    #[error("not a ring")]
    NotARing,
    /// Of another version of compere.
    #[error("a ring of version {version} and {capacity} bytes")]
    Version {
        /// Its version.
        version: u32,
        /// Its capacity.
        capacity: u32,
    },
}

impl Record {
    /// The byte after the newest.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// How the child ended, if it had.
    pub fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// The child's process.
    pub fn child(&self) -> i32 {
        self.child
    }

    /// The keeper's process.
    pub fn keeper(&self) -> i32 {
        self.keeper
    }

    /// Up to `max` bytes from `from` on, or from the oldest held, and where they begin. What cannot be read is left out.
    pub fn read(&self, from: Offset, max: usize) -> (Offset, Vec<u8>) {
        let start = Offset(self.end.0.saturating_sub(CAPACITY as u64));
        let from = from.clamp(start, self.end);
        let mut bytes = vec![0; ((self.end - from) as usize).min(max)];
        let at = from.0 as usize % CAPACITY;
        let first = bytes.len().min(CAPACITY - at);
        let (head, tail) = bytes.split_at_mut(first);
        let read = self
            .file
            .read_exact_at(head, (PAGE + at) as u64)
            .and_then(|()| self.file.read_exact_at(tail, PAGE as u64));
        if read.is_err() {
            bytes.clear();
        }
        (from, bytes)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    struct Made {
        dir: tempfile::TempDir,
        ring: Ring,
    }

    impl Made {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let ring = Ring::create(&dir.path().join("r")).unwrap();
            Made { dir, ring }
        }

        fn path(&self) -> std::path::PathBuf {
            self.dir.path().join("r")
        }

        fn append(&mut self, mut bytes: &[u8]) {
            while !bytes.is_empty() {
                let room = self.ring.room();
                let count = room.len().min(bytes.len());
                room[..count].copy_from_slice(&bytes[..count]);
                self.ring.commit(count);
                bytes = &bytes[count..];
            }
        }
    }

    #[test]
    fn whatever_is_appended_the_last_mebibyte_is_read_back_by_offset() {
        let mut made = Made::new();
        let mut all = Vec::new();
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        while all.len() < 3 * CAPACITY {
            let piece: Vec<u8> = (0..rng.random_range(1..200_000)).map(|_| rng.random()).collect();
            made.append(&piece);
            all.extend(piece);
            assert_eq!(made.ring.end().0 as usize, all.len());
            assert_eq!(made.ring.start().0 as usize, all.len().saturating_sub(CAPACITY));
            let (asked, max) = (rng.random_range(0..all.len() + 10), rng.random_range(0..CAPACITY));
            let (from, first, second) = made.ring.read(Offset(asked as u64), max);
            let expected = asked.clamp(all.len().saturating_sub(CAPACITY), all.len());
            assert_eq!(from.0 as usize, expected);
            let to = all.len().min(expected + max);
            assert!([first, second].concat() == all[expected..to]);
            let record = Ring::open(&made.path()).unwrap();
            assert!(record.read(Offset(asked as u64), max) == (from, [first, second].concat()));
        }
    }

    #[test]
    fn the_record_outlives_the_keeper() {
        let mut made = Made::new();
        made.append(b"last words");
        made.ring.set_child(42, Size::DEFAULT);
        assert!(Ring::is_kept(&made.path()));
        assert_eq!(Ring::open(&made.path()).unwrap().exit(), None);
        made.ring.set_exit(Exit::Signal(9));
        let Made { dir, ring } = made;
        drop(ring);
        let path = dir.path().join("r");
        assert!(!Ring::is_kept(&path));
        let record = Ring::open(&path).unwrap();
        assert_eq!((record.exit(), record.child(), record.end()), (Some(Exit::Signal(9)), 42, Offset(10)));
        assert_eq!(record.read(Offset(5), 100), (Offset(5), b"words".to_vec()));
    }

    #[test]
    fn what_is_not_a_ring_is_named() {
        let made = Made::new();
        let path = made.path();
        assert!(Ring::create(&path).is_err(), "never over another file");
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&9u32.to_le_bytes(), 8).unwrap();
        assert_eq!(Ring::open(&path).unwrap_err().to_string(), "a ring of version 9 and 1048576 bytes");
        file.write_all_at(b"x", 0).unwrap();
        assert_eq!(Ring::open(&path).unwrap_err().to_string(), "not a ring");
        file.set_len(10).unwrap();
        assert_eq!(Ring::open(&path).unwrap_err().to_string(), "a ring of 10 bytes");
        assert!(Ring::open(&made.dir.path().join("none")).is_err());
        let link = made.dir.path().join("link");
        std::os::unix::fs::symlink(made.dir.path().join("elsewhere"), &link).unwrap();
        assert!(Ring::create(&link).is_err(), "never through a link");
    }
}
