//! The last mebibyte a child wrote, in a mapped file, by absolute offset. Knows nothing of PTYs, sockets or
//! readers; what is left when the keeper is gone is read by [`Record`](super::Record).

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags};

use super::{
    map::{HEADER, Map},
    typed::Table,
};
use crate::{
    id::{Exit, Offset, Size},
    proc::{Process, boot_id},
};

/// Why a ring could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The file could not be made, opened, locked, mapped or read.
    #[error("use the ring {path:?}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It does not begin as a ring does.
    #[error("read {path:?}: not a ring")]
    NotARing {
        /// Which one.
        path: PathBuf,
    },
    /// A layout that came after this program.
    #[error("read {path:?}: ring version {version}, this program knows {VERSION}")]
    Version {
        /// Which one.
        path: PathBuf,
        /// What it says it is.
        version: u32,
    },
    /// The file is shorter than its header says.
    #[error("read {path:?}: {length} bytes long where {expected} should be")]
    Truncated {
        /// Which one.
        path: PathBuf,
        /// Bytes there are.
        length: u64,
        /// Bytes there should be.
        expected: u64,
    },
    /// A header field that no keeper writes.
    #[error("read {path:?}: {field} cannot be {value}")]
    Corrupt {
        /// Which one.
        path: PathBuf,
        /// The field's name.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
}

impl RingError {
    /// Whether it is of this moment only, for want of descriptors or memory, and says nothing about the ring.
    pub fn passes(&self) -> bool {
        use rustix::io::Errno;
        let RingError::Io { source, .. } = self else { return false };
        let errno = source.raw_os_error().map(Errno::from_raw_os_error);
        matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::INTR))
    }
}

/// The writer's side: one per keeper, which holds an exclusive lock on the file as long as it lives.
#[derive(Debug)]
pub struct Ring {
    file: File,
    map: Map,
    /// Bytes of the data area that the disk has promised us.
    secured: usize,
}

impl Ring {
    /// How much of a child's output is held, in bytes.
    pub const HELD: usize = 1 << 20;
    /// The most that is ever free at once: the kernel gives at most 4,095 bytes of a PTY in one read.
    pub const MOST_FREE: usize = 4096;
    /// The longest checkpoint that is kept, in bytes.
    pub const MAX_CHECKPOINT: usize = 1 << 20;
    /// The most that is kept about a child, in bytes.
    pub(super) const MAX_ABOUT: usize = 64 << 10;

    /// A new file, for our user only. It is an error if anything is already there, even a dangling symlink.
    pub fn create(path: &Path) -> Result<Ring, RingError> {
        Ring::new(path).map_err(|errno| RingError::Io { path: path.to_owned(), source: errno })
    }

    /// Where the next bytes go: read straight into it, then [`commit`](Ring::commit). Never empty, at most a
    /// page.
    ///
    /// An error means that the disk is full: come back later.
    pub fn free(&mut self) -> io::Result<&mut [u8]> {
        let at = slot(self.end());
        let len = Ring::MOST_FREE.min(CAPACITY - at);
        self.secure(at + len)?;
        Ok(self.map.bytes_mut(at..at + len))
    }

    /// The first `n` bytes of [`free`](Ring::free) are now the newest output.
    ///
    /// # Panics
    /// If `n` is more than was free.
    pub fn commit(&mut self, n: usize) {
        let end = self.end();
        assert!(n <= Ring::MOST_FREE.min(CAPACITY - slot(end)), "more bytes than were free");
        // Release: whoever sees this end, in the file of a keeper that was killed as well, sees the bytes
        // before it.
        self.map.header().end.store(end.0 + n as u64, Ordering::Release);
    }

    /// The oldest byte held.
    pub fn start(&self) -> Offset {
        Offset(self.end().0.saturating_sub(Ring::HELD as u64))
    }

    /// One past the newest byte: how much the child has written so far.
    pub fn end(&self) -> Offset {
        Offset(self.map.header().end.load(Ordering::Relaxed))
    }

    /// Up to `max` bytes from `from` or, where those are gone or not there yet, from the nearest that is
    /// held. In two pieces where the ring wraps.
    pub fn slice(&self, from: Offset, max: usize) -> (Offset, &[u8], &[u8]) {
        let from = from.clamp(self.start(), self.end());
        let len = max.min((self.end() - from) as usize);
        let at = slot(from);
        let first = len.min(CAPACITY - at);
        (from, self.map.bytes(at..at + first), self.map.bytes(0..len - first))
    }

    /// Who is kept.
    pub fn record_child(&self, pid: i32) {
        self.map.header().child_pid.store(pid, Ordering::Release);
    }

    /// How it ended.
    pub fn record_exit(&self, exit: Exit) {
        let (state, value) = match exit {
            Exit::Code(code) => (EXIT_CODE, code),
            Exit::Signal(signal) => (EXIT_SIGNAL, signal),
        };
        self.map.header().exit_value.store(value, Ordering::Relaxed);
        self.map.header().exit_state.store(state, Ordering::Release);
    }

    /// Nothing will come after what is here.
    pub fn record_eof(&self) {
        self.map.header().eof.store(1, Ordering::Release);
    }

    /// The terminal's size, for whoever renders the rest.
    pub fn record_size(&self, size: Size) {
        self.map.header().rows.store(size.rows, Ordering::Relaxed);
        self.map.header().cols.store(size.cols, Ordering::Relaxed);
    }

    /// Who the child is, in words that are not ours.
    ///
    /// # Panics
    /// If it is longer than [`MAX_ABOUT`](Ring::MAX_ABOUT).
    pub(super) fn record_about(&self, about: &[u8]) -> io::Result<()> {
        assert!(about.len() <= Ring::MAX_ABOUT, "{} bytes about a child", about.len());
        self.file.write_all_at(about, ABOUT as u64)?;
        self.map.header().about_place.store(ABOUT as u64, Ordering::Relaxed);
        self.map.header().about_len.store(about.len() as u64, Ordering::Release);
        Ok(())
    }

    /// A picture of the screen as it is once the output before `at` is on it. Only the newest is kept; one that is too
    /// long, or of output that never came, is not. An error means that the disk is full, and that an older one stays.
    pub(super) fn save(&self, at: Offset, bytes: &[u8]) -> io::Result<()> {
        if at > self.end() {
            return Ok(());
        }
        self.map.header().slots.save(&self.file, at, bytes)
    }

    /// Notes that the questions up to here are answered; `false` if they were before.
    pub(super) fn answer(&self, at: Offset) -> bool {
        self.map.header().answered.fetch_max(at.0, Ordering::Release) < at.0
    }

    /// Which strokes were typed.
    pub(super) fn typed(&self) -> &Table {
        &self.map.header().typed
    }

    fn new(path: &Path) -> io::Result<Ring> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
        Ring::map(file).inspect_err(|_| {
            // The error that matters is on its way already.
            let _ = std::fs::remove_file(path);
        })
    }

    fn map(file: File) -> io::Result<Ring> {
        // Blocking, since whoever asks `is_kept` holds a shared lock for a moment.
        rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
        rustix::fs::ftruncate(&file, LENGTH as u64)?;
        // Written, not only mapped: on a full disk this is an error, where touching the page would be SIGBUS.
        file.write_all_at(&first_page(), 0)?;
        let map = Map::new(&file, CAPACITY)?;
        let (header, me) = (map.header(), rustix::process::getpid().as_raw_nonzero().get());
        header.keeper_pid.store(me, Ordering::Relaxed);
        header.keeper_started.store(Process::of(me).map_or(0, |process| process.start), Ordering::Relaxed);
        let boot = boot_id().unwrap_or_default();
        for (field, half) in header.boot.iter().zip(boot.as_chunks().0) {
            field.store(u64::from_ne_bytes(*half), Ordering::Relaxed);
        }
        header.slots.place(SLOTS, Ring::MAX_CHECKPOINT);
        Ok(Ring { file, map, secured: 0 })
    }

    /// Asks the disk for what is about to be written for the first time. Only what was touched costs
    /// anything, and a full disk makes the child wait instead of ending the keeper by SIGBUS.
    fn secure(&mut self, upto: usize) -> io::Result<()> {
        while self.secured < upto {
            let len = SECURE_STEP.min(CAPACITY - self.secured);
            secure(&self.file, (HEADER + self.secured) as u64, len as u64)?;
            self.secured += len;
        }
        Ok(())
    }
}

/// Makes the disk promise these bytes of a file.
pub(super) fn secure(file: &File, from: u64, len: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), from, len) {
            // A file system without fallocate gives no promises; then there is nothing to wait for.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The file's first bytes: "compere" and a byte that no text has, in this machine's byte order.
pub(super) const MAGIC: u64 = u64::from_ne_bytes(*b"compere\xff");
/// Raised only when a reader of the old layout would be wrong; new fields go behind the old ones.
pub(super) const VERSION: u32 = 1;
pub(super) const EXIT_CODE: u32 = 1;
pub(super) const EXIT_SIGNAL: u32 = 2;

/// There is room beyond what is held, so that a keeper killed between reading and committing has overwritten nothing
/// that its header still promises.
const CAPACITY: usize = Ring::HELD + Ring::MOST_FREE;
/// Behind the output, which all that was there once: two slots for checkpoints, then what is said about the child.
const SLOTS: usize = HEADER + CAPACITY;
const ABOUT: usize = SLOTS + 2 * Ring::MAX_CHECKPOINT;
const LENGTH: usize = ABOUT + Ring::MAX_ABOUT;
/// Finer costs calls, coarser costs memory per quiet child.
const SECURE_STEP: usize = 32 * 1024;

fn slot(offset: Offset) -> usize {
    (offset.0 % CAPACITY as u64) as usize
}

fn first_page() -> [u8; HEADER] {
    let mut page = [0; HEADER];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        page[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&MAGIC.to_ne_bytes());
    put(&VERSION.to_ne_bytes());
    put(&(HEADER as u32).to_ne_bytes());
    put(&(CAPACITY as u64).to_ne_bytes());
    put(&(Ring::HELD as u64).to_ne_bytes());
    page
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, os::unix::fs::PermissionsExt};

    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    fn ring() -> (tempfile::TempDir, Ring) {
        let dir = tempfile::tempdir().unwrap();
        let ring = Ring::create(&dir.path().join("ring")).unwrap();
        (dir, ring)
    }

    fn write(ring: &mut Ring, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let free = ring.free().unwrap();
            let n = free.len().min(bytes.len());
            free[..n].copy_from_slice(&bytes[..n]);
            ring.commit(n);
            bytes = &bytes[n..];
        }
    }

    fn read(ring: &Ring, from: u64, max: usize) -> (u64, Vec<u8>) {
        let (from, first, second) = ring.slice(Offset(from), max);
        (from.0, [first, second].concat())
    }

    #[test]
    fn what_is_asked_for_is_moved_to_what_is_held() {
        const HELD: u64 = Ring::HELD as u64;
        let (_dir, mut ring) = ring();
        for (write_first, from, max, expected_from, expected_len) in [
            (0, 0, 10, 0, 0),
            (0, 7, 10, 0, 0),
            (10, 0, 100, 0, 10),
            (0, 4, 3, 4, 3),
            (0, 10, 3, 10, 0),
            (0, u64::MAX, 3, 10, 0),
            (Ring::HELD - 10, 0, usize::MAX, 0, Ring::HELD),
            (1, 0, 1, 1, 1),
            (CAPACITY, HELD, usize::MAX, HELD + 1 + Ring::MOST_FREE as u64, Ring::HELD),
        ] {
            write(&mut ring, &vec![b'x'; write_first]);
            let (got, bytes) = read(&ring, from, max);
            assert_eq!((got, bytes.len()), (expected_from, expected_len), "{from} {max}");
        }
    }

    #[test]
    fn a_slice_across_the_wrap_is_whole() {
        let (_dir, mut ring) = ring();
        let all: Vec<u8> = (0..CAPACITY + 5000).map(|i| (i % 251) as u8).collect();
        write(&mut ring, &all);
        let from = CAPACITY - 100;
        let (_, first, second) = ring.slice(Offset(from as u64), 300);
        assert_eq!((first.len(), second.len()), (100, 200));
        assert_eq!([first, second].concat(), all[from..from + 300]);
    }

    #[test]
    fn it_holds_what_a_simple_queue_would() {
        let (_dir, mut ring) = ring();
        let mut rng = StdRng::seed_from_u64(7);
        let (mut model, mut end) = (VecDeque::new(), 0u64);
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..rng.random_range(0..6000)).map(|_| rng.random()).collect();
            write(&mut ring, &bytes);
            end += bytes.len() as u64;
            model.extend(bytes);
            model.drain(..model.len().saturating_sub(Ring::HELD));
            let start = end - model.len() as u64;
            assert_eq!((ring.start().0, ring.end().0), (start, end));

            let (from, max) = (rng.random_range(0..end + 10), rng.random_range(0..20_000));
            let (got, read) = read(&ring, from, max);
            assert_eq!(got, from.clamp(start, end));
            assert!(read.iter().eq(model.iter().skip((got - start) as usize).take(max)), "{from} {max}");
        }
    }

    #[test]
    fn what_is_being_written_harms_nothing_that_is_held() {
        let (_dir, mut ring) = ring();
        let all: Vec<u8> = (0..3 * CAPACITY + 17).map(|i| (i % 251) as u8).collect();
        write(&mut ring, &all);
        ring.free().unwrap().fill(255);
        let (from, bytes) = read(&ring, 0, usize::MAX);
        assert_eq!(bytes, all[from as usize..]);
    }

    #[test]
    fn the_file_is_new_ours_alone_and_sparse() {
        use std::os::unix::fs::MetadataExt;
        let (dir, ring) = ring();
        let path = dir.path().join("ring");
        let meta = path.metadata().unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        assert!(meta.blocks() * 512 <= 64 * 1024, "{} blocks", meta.blocks());
        assert!(matches!(Ring::create(&path), Err(RingError::Io { .. })));
        drop(ring);
        assert!(path.exists());

        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).unwrap();
        assert!(matches!(Ring::create(&link), Err(RingError::Io { .. })));
        assert!(!dir.path().join("elsewhere").exists());
    }
}
