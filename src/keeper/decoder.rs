//! Bytes from a stream into whole frames, without copying what is in them. Knows a frame's outside only.

use std::io::{self, Read};

use super::wire::{MAX_FRAME, WireError};

/// What one side may receive: `Request` or `Event`.
pub trait Frame<'a>: Sized {
    /// Whether this program is old enough not to know such a frame; those are skipped.
    fn is_known(kind: u8) -> bool;
    /// A frame of a known kind.
    fn parse(kind: u8, payload: &'a [u8]) -> Result<Self, WireError>;
}

/// Gathers bytes until they are frames. After an error the stream is useless: close it.
#[derive(Debug, Default)]
pub struct Decoder {
    /// As long as it ever was needed; only `start..end` has been received and not yet been handed out.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How much is asked for at once: more where more comes, for most connections carry little.
    room: usize,
}

impl Decoder {
    /// One read. `Ok(0)` is the end of the stream.
    pub fn read_from(&mut self, source: &mut impl Read) -> io::Result<usize> {
        self.make_room(self.room.max(FIRST_READ));
        let room = self.buffer.len() - self.end;
        let n = source.read(&mut self.buffer[self.end..])?;
        self.end += n;
        if n == room {
            self.room = (2 * room).min(ONE_READ);
        }
        Ok(n)
    }

    /// Nothing is expected soon: gives back what it holds for what might come.
    pub fn rest(&mut self) {
        if self.start == self.end {
            *self = Decoder::default();
        }
    }

    /// Bytes that were read elsewhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.buffer[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// The next frame, if all of it is here. Call until `None` before reading again.
    pub fn next<'a, F: Frame<'a>>(&'a mut self) -> Result<Option<F>, WireError> {
        loop {
            let Some(len) = self.frame_len()? else {
                self.let_go();
                return Ok(None);
            };
            let (kind, payload) = (self.buffer[self.start + 4], self.start + 5..self.start + 4 + len);
            self.start = payload.end;
            if F::is_known(kind) {
                return F::parse(kind, &self.buffer[payload]).map(Some);
            }
        }
    }

    /// Whether [`next`](Decoder::next) would have something to say, if only an error.
    pub fn has_frame(&self) -> bool {
        !matches!(self.frame_len(), Ok(None))
    }

    /// What follows the four bytes of length, if all of it is here.
    fn frame_len(&self) -> Result<Option<usize>, WireError> {
        let Some(len) = self.buffer[self.start..self.end].first_chunk() else { return Ok(None) };
        let len = u32::from_le_bytes(*len) as usize;
        match len {
            0 => Err(WireError::Empty),
            _ if len > MAX_FRAME => Err(WireError::TooLong { len }),
            _ if self.end - self.start < 4 + len => Ok(None),
            _ => Ok(Some(len)),
        }
    }

    /// One large frame must not cost its size until the next one, which may be for ever.
    fn let_go(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > 4 * ONE_READ {
                self.buffer = Vec::new();
            }
        }
    }

    fn make_room(&mut self, wanted: usize) {
        self.let_go();
        if self.buffer.len() - self.end < wanted {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.buffer.len() < self.end + wanted {
                self.buffer.resize(self.end + wanted, 0);
            }
        }
    }
}

/// What comes without output fits in.
const FIRST_READ: usize = 2 * 1024;
/// As much as a frame of output holds; the kernel's default socket buffer is about three of these.
const ONE_READ: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::Offset,
        keeper::wire::{Event, Request},
    };

    #[test]
    fn frames_come_out_whole_however_they_came_in() {
        let mut bytes = Vec::new();
        for i in 0..50u64 {
            Request::Input { id: i, bytes: &vec![i as u8; (i * 700) as usize] }.encode(&mut bytes);
            Request::Tty { req: i }.encode(&mut bytes);
        }
        for piece in [1, 3, 4096, 65536, usize::MAX] {
            let (mut decoder, mut seen) = (Decoder::default(), 0);
            for chunk in bytes.chunks(piece.min(bytes.len())) {
                decoder.feed(chunk);
                while let Some(request) = decoder.next().unwrap() {
                    match request {
                        Request::Input { id, bytes } => {
                            assert_eq!((id * 2, bytes.len() as u64), (seen, id * 700));
                            assert!(bytes.iter().all(|byte| u64::from(*byte) == id));
                        }
                        Request::Tty { req } => assert_eq!(req * 2 + 1, seen),
                        other => panic!("{other:?}"),
                    }
                    seen += 1;
                }
                assert!(!decoder.has_frame());
            }
            assert_eq!(seen, 100);
        }
    }

    #[test]
    fn kinds_of_another_time_are_skipped() {
        let mut decoder = Decoder::default();
        decoder.feed(&[3, 0, 0, 0, 0x7f, 1, 2]);
        decoder.feed(&[1, 0, 0, 0, 0xff]);
        let mut bytes = Vec::new();
        Event::Eof { end: Offset(5) }.encode(&mut bytes);
        decoder.feed(&bytes);
        assert_eq!(decoder.next().unwrap(), Some(Event::Eof { end: Offset(5) }));
        assert_eq!(decoder.next::<Event<'_>>().unwrap(), None);
    }

    #[test]
    fn a_length_that_cannot_be_is_an_error_before_it_costs_memory() {
        for (length, expected) in [
            (0u32, "frame is empty"),
            (MAX_FRAME as u32 + 1, "2097153 bytes"),
            (u32::MAX, "4294967295 bytes"),
        ] {
            let mut decoder = Decoder::default();
            decoder.feed(&length.to_le_bytes());
            assert!(decoder.has_frame());
            let error = decoder.next::<Request<'_>>().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn who_says_little_is_held_little_room_for() {
        let mut word = Vec::new();
        Request::Tty { req: 1 }.encode(&mut word);
        let mut decoder = Decoder::default();
        for _ in 0..100 {
            decoder.read_from(&mut &word[..]).unwrap();
            assert!(decoder.next::<Request<'_>>().unwrap().is_some());
            assert!(decoder.next::<Request<'_>>().unwrap().is_none());
        }
        assert_eq!(decoder.buffer.len(), FIRST_READ);
        let flood = word.repeat(100_000);
        let (mut rest, mut reads) = (&flood[..], 0);
        while !rest.is_empty() {
            decoder.read_from(&mut rest).unwrap();
            while decoder.next::<Request<'_>>().unwrap().is_some() {}
            reads += 1;
        }
        assert!(reads <= 6 + flood.len() / ONE_READ, "{reads} reads of {}", flood.len());
        decoder.feed(&word[..3]);
        decoder.rest();
        decoder.feed(&word[3..]);
        assert!(decoder.next::<Request<'_>>().unwrap().is_some(), "what is unfinished stays");
        decoder.rest();
        assert_eq!(decoder.buffer.capacity(), 0);
    }

    #[test]
    fn a_large_frame_costs_its_size_no_longer_than_it_is_looked_at() {
        let mut bytes = Vec::new();
        Request::Save { at: Offset(1), bytes: &[0; 1 << 20] }.encode(&mut bytes);
        let mut decoder = Decoder::default();
        decoder.feed(&bytes);
        assert!(decoder.next::<Request<'_>>().unwrap().is_some());
        assert!(decoder.next::<Request<'_>>().unwrap().is_none());
        assert_eq!(decoder.buffer.capacity(), 0);
    }
}
