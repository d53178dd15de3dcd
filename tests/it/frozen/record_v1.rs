//! How a ring's file was read when it ended with the output: `record.rs` of then, without its errors. Never to be
//! edited: brokers of that time read what keepers of today leave.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use super::wire_v1::{Exit, Offset, Size};

pub(crate) struct Record {
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    pub(crate) exit: Option<Exit>,
    pub(crate) eof: bool,
    pub(crate) keeper_pid: i32,
    pub(crate) child_pid: i32,
    pub(crate) size: Size,
    file: File,
    data: u64,
    capacity: u64,
}

impl Record {
    pub(crate) fn open(path: &Path) -> Record {
        let file = File::open(path).unwrap();
        let length = file.metadata().unwrap().len();
        assert!(length >= HEADER as u64);
        let mut page = [0; HEADER];
        file.read_exact_at(&mut page, 0).unwrap();
        Record::parse(file, length, &Fields(&page))
    }

    pub(crate) fn read(&self, from: Offset, max: usize) -> (Offset, Vec<u8>) {
        let from = from.clamp(self.start, self.end);
        let mut bytes = vec![0; max.min((self.end.0 - from.0) as usize)];
        let at = from.0 % self.capacity;
        let first = bytes.len().min((self.capacity - at) as usize);
        let (before, after) = bytes.split_at_mut(first);
        self.file
            .read_exact_at(before, self.data + at)
            .and_then(|()| self.file.read_exact_at(after, self.data))
            .unwrap();
        (from, bytes)
    }

    fn parse(file: File, length: u64, page: &Fields<'_>) -> Record {
        assert_eq!(page.u64(0), MAGIC);
        assert_eq!(page.u32(8), VERSION);
        let (data, capacity, held) = (u64::from(page.u32(12)), page.u64(16), page.u64(24));
        assert!(capacity != 0 && capacity <= MOST);
        assert!(held <= capacity);
        assert!(length >= data + capacity);
        let end = page.u64(32);
        let exit = match (page.u32(48), page.i32(52)) {
            (0, _) => None,
            (EXIT_CODE, code) => Some(Exit::Code(code)),
            (EXIT_SIGNAL, signal) => Some(Exit::Signal(signal)),
            (state, _) => panic!("exit state {state}"),
        };
        Record {
            start: Offset(end.saturating_sub(held)),
            end: Offset(end),
            exit,
            eof: page.u32(56) != 0,
            keeper_pid: page.i32(40),
            child_pid: page.i32(44),
            size: Size { rows: page.u16(60), cols: page.u16(62) },
            file,
            data,
            capacity,
        }
    }
}

const HEADER: usize = 4096;
const MAGIC: u64 = u64::from_ne_bytes(*b"compere\xff");
const VERSION: u32 = 1;
const EXIT_CODE: u32 = 1;
const EXIT_SIGNAL: u32 = 2;
const MOST: u64 = 1 << 30;

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
