//! What a keeper leaves behind: reads a ring's file without mapping it and without trusting it. Knows nothing
//! of how it is written but the places of the header's fields.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::{
    map::HEADER,
    ring::{EXIT_CODE, EXIT_SIGNAL, MAGIC, Ring, RingError, VERSION},
};
use crate::id::{Exit, Offset, Size};

/// A ring's file as it was when it was opened; for one whose keeper is gone, as it will always be.
#[derive(Debug)]
pub struct Record {
    /// The oldest byte held.
    pub start: Offset,
    /// One past the newest.
    pub end: Offset,
    /// How the child ended; `None` if its keeper did not see it.
    pub exit: Option<Exit>,
    /// Whether everything the child's terminal was given is here.
    pub eof: bool,
    /// Who kept it.
    pub keeper_pid: i32,
    /// The child, 0 if the keeper died before it was started.
    pub child_pid: i32,
    /// The terminal's size at the end.
    pub size: Size,
    path: PathBuf,
    file: File,
    data: u64,
    capacity: u64,
}

impl Ring {
    /// Reads what is there, whether its keeper lives or not.
    pub fn open(path: &Path) -> Result<Record, RingError> {
        let io = |source| RingError::Io { path: path.to_owned(), source };
        let file = open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        if length < HEADER as u64 {
            return Err(RingError::Truncated { path: path.to_owned(), length, expected: HEADER as u64 });
        }
        let mut page = [0; HEADER];
        file.read_exact_at(&mut page, 0).map_err(io)?;
        Record::parse(path, file, length, &Fields(&page))
    }

    /// Whether its keeper lives. A ring that is not there is not kept.
    pub fn is_kept(path: &Path) -> Result<bool, RingError> {
        let kept = match open(path) {
            Ok(file) => match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
                Ok(()) => Ok(false),
                Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
                Err(errno) => Err(errno.into()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        };
        kept.map_err(|source| RingError::Io { path: path.to_owned(), source })
    }
}

impl Record {
    /// Up to `max` bytes from `from` or, where those are gone or never came, from the nearest that is held.
    pub fn read(&self, from: Offset, max: usize) -> Result<(Offset, Vec<u8>), RingError> {
        let from = from.clamp(self.start, self.end);
        let mut bytes = vec![0; max.min((self.end - from) as usize)];
        let at = from.0 % self.capacity;
        let first = bytes.len().min((self.capacity - at) as usize);
        let (before, after) = bytes.split_at_mut(first);
        self.file
            .read_exact_at(before, self.data + at)
            .and_then(|()| self.file.read_exact_at(after, self.data))
            .map_err(|source| RingError::Io { path: self.path.clone(), source })?;
        Ok((from, bytes))
    }

    fn parse(path: &Path, file: File, length: u64, page: &Fields<'_>) -> Result<Record, RingError> {
        let path = path.to_owned();
        if page.u64(0) != MAGIC {
            return Err(RingError::NotARing { path });
        }
        let version = page.u32(8);
        if version != VERSION {
            return Err(RingError::Version { path, version });
        }
        // The sizes are the file's own: a keeper of another version may hold more or less.
        let (data, capacity, held) = (u64::from(page.u32(12)), page.u64(16), page.u64(24));
        if capacity == 0 || capacity > MOST {
            return Err(RingError::Corrupt { path, field: "capacity", value: capacity });
        }
        if held > capacity {
            return Err(RingError::Corrupt { path, field: "held", value: held });
        }
        let expected = data + capacity;
        if length < expected {
            return Err(RingError::Truncated { path, length, expected });
        }
        let end = page.u64(32);
        let exit = match (page.u32(48), page.i32(52)) {
            (0, _) => None,
            (EXIT_CODE, code) => Some(Exit::Code(code)),
            (EXIT_SIGNAL, signal) => Some(Exit::Signal(signal)),
            (state, _) => {
                return Err(RingError::Corrupt { path, field: "exit state", value: u64::from(state) });
            }
        };
        Ok(Record {
            start: Offset(end.saturating_sub(held)),
            end: Offset(end),
            exit,
            eof: page.u32(56) != 0,
            keeper_pid: page.i32(40),
            child_pid: page.i32(44),
            size: Size { rows: page.u16(60), cols: page.u16(62) }.clamped(),
            path,
            file,
            data,
            capacity,
        })
    }
}

/// No ring of ours will be larger; a header that says so is broken.
const MOST: u64 = 1 << 30;

/// A header page, in this machine's byte order.
struct Fields<'a>(&'a [u8; HEADER]);

impl Fields<'_> {
    fn take<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|i| self.0[at + i])
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.take(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.take(at))
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_ne_bytes(self.take(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.take(at))
    }
}

fn open(path: &Path) -> io::Result<File> {
    // NONBLOCK: a FIFO put in the ring's place must not hold us up.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(dir: &tempfile::TempDir) -> PathBuf {
        let path = dir.path().join("ring");
        let mut ring = Ring::create(&path).unwrap();
        for i in 0..400u32 {
            let free = ring.free().unwrap();
            free.fill(i as u8);
            let n = free.len();
            ring.commit(n);
        }
        ring.record_child(4711);
        ring.record_size(Size { rows: 50, cols: 132 });
        ring.record_exit(Exit::Code(3));
        ring.record_eof();
        path
    }

    #[test]
    fn everything_a_keeper_wrote_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let record = Ring::open(&written(&dir)).unwrap();
        let end = 400 * 4096;
        assert_eq!((record.start, record.end), (Offset(end - (1 << 20)), Offset(end)));
        assert_eq!((record.exit, record.eof, record.child_pid), (Some(Exit::Code(3)), true, 4711));
        assert_eq!(record.keeper_pid as u32, std::process::id());
        assert_eq!(record.size, Size { rows: 50, cols: 132 });

        let (from, bytes) = record.read(Offset(0), usize::MAX).unwrap();
        assert_eq!((from, bytes.len()), (record.start, 1 << 20));
        for (i, byte) in bytes.iter().enumerate() {
            assert_eq!(*byte, ((from.0 as usize + i) / 4096) as u8);
        }
        assert_eq!(record.read(Offset(u64::MAX), 10).unwrap(), (record.end, vec![]));
        assert_eq!(record.read(Offset(end - 2), 10).unwrap(), (Offset(end - 2), vec![143, 143]));
    }

    #[test]
    fn it_is_kept_as_long_as_its_writer_lives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ring");
        assert!(!Ring::is_kept(&path).unwrap());
        let ring = Ring::create(&path).unwrap();
        assert!(Ring::is_kept(&path).unwrap());
        assert_eq!(Ring::open(&path).unwrap().exit, None);
        drop(ring);
        assert!(!Ring::is_kept(&path).unwrap());
    }

    #[track_caller]
    fn check(spoil: impl FnOnce(&File), expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        let path = written(&dir);
        spoil(&File::options().write(true).open(&path).unwrap());
        let error = Ring::open(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_broken_file_is_an_error_with_a_name() {
        let put = |at: u64, bytes: &'static [u8]| move |file: &File| file.write_all_at(bytes, at).unwrap();
        check(|file| file.set_len(0).unwrap(), "0 bytes long where 4096 should be");
        check(|file| file.set_len(4095).unwrap(), "4095 bytes long");
        check(|file| file.set_len(5000).unwrap(), "5000 bytes long where 1056768 should be");
        check(put(0, b"X"), "not a ring");
        check(put(8, &[9]), "ring version 9");
        check(put(12, &[255; 4]), "should be");
        check(put(16, &[0; 8]), "capacity cannot be 0");
        check(put(16, &[255; 8]), "capacity cannot be");
        check(put(24, &[255; 8]), "held cannot be");
        check(put(48, &[7]), "exit state cannot be 7");
    }

    #[test]
    fn even_a_wild_end_panics_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(&dir);
        File::options().write(true).open(&path).unwrap().write_all_at(&[255; 8], 32).unwrap();
        let record = Ring::open(&path).unwrap();
        let (from, bytes) = record.read(Offset(0), usize::MAX).unwrap();
        assert_eq!((from, bytes.len()), (record.start, 1 << 20));
    }

    #[test]
    fn what_is_no_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Ring::open(dir.path()), Err(RingError::Io { .. })));
        assert!(matches!(Ring::open(&dir.path().join("none")), Err(RingError::Io { .. })));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(written(&dir), &link).unwrap();
        assert!(matches!(Ring::open(&link), Err(RingError::Io { .. })));
    }
}
