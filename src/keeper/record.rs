//! What a keeper leaves behind: reads a ring's file without mapping it and without trusting it. Knows nothing
//! of how it is written but the places of the header's fields.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, Mode, OFlags};

use serde_json::Value;

use super::{
    checkpoint::Saved,
    map::HEADER,
    ring::{EXIT_CODE, EXIT_SIGNAL, MAGIC, Ring, RingError, VERSION},
    typed::{Table, Typed},
};
use crate::{
    id::{Exit, Offset, Size},
    proc::boot_id,
};

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
    /// When that process was started, in the kernel's clock ticks after boot: with both, a number that is used again
    /// is not taken for it.
    pub keeper_started: Option<u64>,
    /// Which boot of the machine that was, as [`boot_id`] tells.
    pub boot: Option<[u8; 16]>,
    /// The child, 0 if the keeper died before it was started.
    pub child_pid: i32,
    /// The terminal's size at the end.
    pub size: Size,
    /// What the [`Spec`](super::Spec) said about the child.
    pub about: Option<Value>,
    /// Which strokes were typed, of the newest deliveries, by number.
    pub typed: Vec<Typed>,
    /// The highest delivery that is told of no more; 0 if none was left out.
    pub forgotten: u64,
    /// The terminal's questions in the output before here were answered; `None` if the keeper did not count that.
    pub answered: Option<Offset>,
    checkpoints: Vec<Saved>,
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

    /// The newest checkpoint of the screen, and the offset it belongs to. The one before it, if that one is torn.
    pub fn checkpoint(&self) -> Option<(Offset, Vec<u8>)> {
        self.checkpoints.iter().find_map(|saved| saved.read(&self.file))
    }

    /// Whether the machine was started anew since: then no process of that time is left.
    pub fn is_of_another_boot(&self) -> bool {
        self.boot.zip(boot_id()).is_some_and(|(then, now)| then != now)
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
        let (typed, forgotten) = Table::read(page, TYPED);
        Ok(Record {
            start: Offset(end.saturating_sub(held)),
            end: Offset(end),
            exit,
            eof: page.u32(56) != 0,
            keeper_pid: page.i32(40),
            keeper_started: Some(page.u64(64)).filter(|started| *started != 0),
            boot: Some(page.take(72)).filter(|boot| *boot != [0; 16]),
            child_pid: page.i32(44),
            size: Size { rows: page.u16(60), cols: page.u16(62) }.clamped(),
            about: about(&file, page.u64(88), page.u64(96)),
            typed,
            forgotten,
            answered: (page.u64(64) != 0).then(|| Offset(page.u64(ANSWERED))),
            checkpoints: Saved::told(page, SLOTS, Ring::MAX_CHECKPOINT),
            path,
            file,
            data,
            capacity,
        })
    }
}

/// No ring of ours will be larger; a header that says so is broken.
const MOST: u64 = 1 << 30;
/// Where in the header these begin.
const SLOTS: usize = 104;
const TYPED: usize = 176;
const ANSWERED: usize = TYPED + size_of::<Table>();

/// What is said about the child. Nothing, if it cannot be read: the rest of the file can.
fn about(file: &File, place: u64, len: u64) -> Option<Value> {
    if len == 0 || len > Ring::MAX_ABOUT as u64 {
        return None;
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, place).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A header page, in this machine's byte order.
pub(super) struct Fields<'a>(&'a [u8; HEADER]);

impl Fields<'_> {
    fn take<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|i| self.0[at + i])
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.take(at))
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.take(at))
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_ne_bytes(self.take(at))
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
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
    use serde_json::json;

    use super::*;
    use crate::{keeper::typed::Stroke, proc::Process};

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
    fn who_kept_it_and_what_is_said_about_the_child_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ring");
        let ring = Ring::create(&path).unwrap();
        let record = Ring::open(&path).unwrap();
        let me = Process::of(std::process::id() as i32).unwrap();
        assert_eq!(record.keeper_started, Some(me.start));
        assert_eq!((record.boot, record.is_of_another_boot()), (boot_id(), false));
        assert_eq!((record.about, record.typed, record.forgotten), (None, vec![], 0));

        let about = json!({"id": "c1", "name": "ä"});
        ring.record_about(about.to_string().as_bytes()).unwrap();
        let strokes = [(1, 0, false), (1, 1, true), (2, 0, false)];
        for (delivery, number, last) in strokes {
            assert!(ring.typed().accept(Stroke { delivery, number, last }));
        }
        ring.typed().write(Stroke { delivery: 1, number: 0, last: false });
        let typed = vec![
            Typed { delivery: 1, accepted: 2, written: 1, complete: true },
            Typed { delivery: 2, accepted: 1, written: 0, complete: false },
        ];
        let record = Ring::open(&path).unwrap();
        assert_eq!((record.about, record.typed, record.forgotten), (Some(about), typed, 0));

        ring.typed().write(Stroke { delivery: 2, number: 0, last: false });
        for delivery in 3..=Table::LEN as u64 + 1 {
            assert!(ring.typed().accept(Stroke { delivery, number: 0, last: true }));
        }
        let record = Ring::open(&path).unwrap();
        assert_eq!((record.typed, record.forgotten), ring.typed().all());
        assert_eq!((record.forgotten, record.answered), (2, Some(Offset(0))));
        assert!(ring.answer(Offset(7)) && !ring.answer(Offset(7)) && !ring.answer(Offset(3)), "each once");
        assert_eq!(Ring::open(&path).unwrap().answered, Some(Offset(7)));
    }

    #[test]
    fn nothing_in_the_file_stands_on_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ring");
        let mut ring = Ring::create(&path).unwrap();
        let about = Value::String("a".repeat(Ring::MAX_ABOUT - 2));
        let checkpoint = |byte: u8| vec![byte; Ring::MAX_CHECKPOINT];
        let output = |ring: &mut Ring| {
            for _ in 0..257 {
                let free = ring.free().unwrap();
                free.fill(b'o');
                let n = free.len();
                ring.commit(n);
            }
        };
        let check = |file: &File, slot: &[u8]| {
            let record = Ring::open(&path).unwrap();
            let (_, bytes) = record.read(Offset(0), usize::MAX).unwrap();
            assert!(bytes.len() == 1 << 20 && bytes.iter().all(|byte| *byte == b'o'));
            assert!(record.about.as_ref() == Some(&about));
            assert!(record.checkpoint() == Some((Offset(1), slot.to_vec())));
            assert_eq!(file.metadata().unwrap().len(), 4096 + (1 << 20) + 4096 + (2 << 20) + (64 << 10));
        };
        output(&mut ring);
        ring.record_about(about.to_string().as_bytes()).unwrap();
        ring.save(Offset(1), &checkpoint(b'x')).unwrap();
        ring.save(Offset(1), &checkpoint(b'y')).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        check(&file, &checkpoint(b'y'));
        output(&mut ring);
        check(&file, &checkpoint(b'y'));
        // The other slot is whole as well.
        file.write_all_at(&[1], 120).unwrap();
        check(&file, &checkpoint(b'x'));
    }

    #[test]
    fn what_is_said_about_the_child_may_be_unreadable_and_the_rest_is_not() {
        let put = |at: u64, bytes: &'static [u8]| move |file: &File| file.write_all_at(bytes, at).unwrap();
        #[track_caller]
        fn check(spoil: impl FnOnce(&File)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ring");
            Ring::create(&path).unwrap().record_about(br#"{"id":"c1"}"#).unwrap();
            assert!(Ring::open(&path).unwrap().about.is_some());
            spoil(&File::options().write(true).open(&path).unwrap());
            assert_eq!(Ring::open(&path).unwrap().about, None);
        }
        check(put(88, &[255; 8]));
        check(put(88, &[0; 8]));
        check(put(96, &[255; 8]));
        check(put(96, &[0; 8]));
        check(put(96, &[10]));
        check(|file| file.set_len(HEADER as u64 + (1 << 20) + 4096).unwrap());
    }

    #[test]
    fn a_file_of_another_boot_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(&dir);
        File::options().write(true).open(&path).unwrap().write_all_at(&[1; 16], 72).unwrap();
        let record = Ring::open(&path).unwrap();
        assert_eq!((record.boot, record.is_of_another_boot()), (Some([1; 16]), true));
    }

    #[test]
    fn a_file_of_the_first_keepers_tells_what_it_always_did() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(&dir);
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[0; HEADER - 64], 64).unwrap();
        file.set_len(HEADER as u64 + (1 << 20) + 4096).unwrap();
        let record = Ring::open(&path).unwrap();
        assert_eq!((record.end, record.exit, record.eof), (Offset(400 * 4096), Some(Exit::Code(3)), true));
        assert_eq!(record.read(Offset(400 * 4096 - 1), 9).unwrap().1, [143]);
        assert_eq!((record.keeper_started, record.boot, record.is_of_another_boot()), (None, None, false));
        assert_eq!((&record.about, &record.typed[..], record.forgotten), (&None, &[][..], 0));
        assert_eq!(record.checkpoint(), None);
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
