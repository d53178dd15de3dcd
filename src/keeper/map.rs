//! A ring's file in memory: one page of header, then bytes. All that is unsafe about rings; what the bytes
//! mean is known in [`ring`](super::ring).
#![allow(unsafe_code, reason = "mapped memory is reached by pointer")]

use std::{
    fs::File,
    io,
    ops::Range,
    ptr::NonNull,
    sync::atomic::{AtomicI32, AtomicU16, AtomicU32, AtomicU64},
};

use rustix::mm::{MapFlags, ProtFlags};

use super::{checkpoint::Slots, typed::Table};

/// Where the bytes begin: a page, so that they are aligned and the header can grow.
pub(super) const HEADER: usize = 4096;

/// What changes in the header, after what never does. Additive: [`Record`](super::Record) reads these places
/// by number.
#[repr(C)]
pub(super) struct Header {
    _identity: [u64; 4],
    pub(super) end: AtomicU64,
    pub(super) keeper_pid: AtomicI32,
    pub(super) child_pid: AtomicI32,
    pub(super) exit_state: AtomicU32,
    pub(super) exit_value: AtomicI32,
    pub(super) eof: AtomicU32,
    pub(super) rows: AtomicU16,
    pub(super) cols: AtomicU16,
    // Of here on nothing is in a file of the first keepers; there it is all zero.
    pub(super) keeper_started: AtomicU64,
    pub(super) boot: [AtomicU64; 2],
    pub(super) about_place: AtomicU64,
    pub(super) about_len: AtomicU64,
    pub(super) slots: Slots,
    pub(super) typed: Table,
    pub(super) answered: AtomicU64,
}

const _: () = assert!(size_of::<Header>() <= HEADER);

/// The whole file, for reading and writing. Other processes only read it.
#[derive(Debug)]
pub(super) struct Map {
    map: NonNull<u8>,
    len: usize,
}

impl Map {
    /// Maps a header page and so many bytes. The file must be that long and stay so, or reaching for it is
    /// SIGBUS.
    pub(super) fn new(file: &File, bytes: usize) -> io::Result<Map> {
        let len = HEADER + bytes;
        // SAFETY: a new mapping, at a place the kernel chooses.
        let map = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                file,
                0,
            )?
        };
        Ok(Map { map: NonNull::new(map.cast()).ok_or(io::ErrorKind::OutOfMemory)?, len })
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: the mapping begins with a page, aligned to a page, that is longer than the header; it lives
        // as long as `self`; what is written while this reference lives is atomic.
        unsafe { self.map.cast::<Header>().as_ref() }
    }

    /// # Panics
    /// If the range is not within the bytes.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        let (at, len) = self.within(range);
        // SAFETY: within the mapping, which lives as long as `self`; it is written through `&mut self` only.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(at), len) }
    }

    /// # Panics
    /// If the range is not within the bytes.
    pub(super) fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        let (at, len) = self.within(range);
        // SAFETY: within the mapping, which lives as long as `self`; `&mut self` makes this the only
        // reference into it.
        unsafe { std::slice::from_raw_parts_mut(self.map.as_ptr().add(at), len) }
    }

    fn within(&self, range: Range<usize>) -> (usize, usize) {
        assert!(range.start <= range.end && range.end <= self.len - HEADER, "{range:?} is outside the ring");
        (HEADER + range.start, range.len())
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: our mapping, in its whole length, and no reference into it outlives `self`. Should it fail,
        // it stays mapped, which harms nobody.
        let _ = unsafe { rustix::mm::munmap(self.map.as_ptr().cast(), self.len) };
    }
}
