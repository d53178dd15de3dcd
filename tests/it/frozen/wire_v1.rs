//! What version 1 of the wire was, as the program had it that spoke it: `wire.rs` and `decoder.rs` of then, without
//! their tests. Never to be edited: keepers and brokers of that time are running.
#![allow(dead_code, reason = "a whole language, of which a test says a part")]

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

/// How many bytes a child had written when something was so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Offset(pub(crate) u64);

/// A terminal's size in character cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) rows: u16,
    pub(crate) cols: u16,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

/// A variant's fields from JSON, and nothing said about fields it does not have.
macro_rules! from_json {
    ($kind:ident, $payload:ident, $frame:ident :: $variant:ident { $($field:ident : $type:ty),* }) => {{
        #[derive(Deserialize)]
        struct Fields { $($field: $type),* }
        let Fields { $($field),* } =
            serde_json::from_slice($payload).map_err(|source| WireError::Json { kind: $kind, source })?;
        $frame::$variant { $($field),* }
    }};
}

/// What both sides tell in their `Hello`. Raised for information only; nothing may depend on it that a kind
/// can tell.
pub(crate) const VERSION: u32 = 1;
/// The most that may follow a length, in bytes; whoever sends more is not one of us.
pub(crate) const MAX_FRAME: usize = 2 << 20;

/// Broker to keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Request<'a> {
    /// Asks who is there.
    Hello {
        /// The broker's [`VERSION`].
        version: u32,
    },
    /// Asks for all output from here on, as it comes.
    Follow {
        /// The first byte wanted; where that is gone, the oldest there is comes instead.
        from: Offset,
    },
    /// Asks for some output once.
    Read {
        /// Comes back in the answer.
        req: u64,
        /// The first byte wanted.
        from: Offset,
        /// How many at most; more than a mebibyte is never sent.
        max: u32,
    },
    /// Bytes for the child's terminal, as typed.
    Input {
        /// Comes back in `Written` or `Refused`.
        id: u64,
        /// What to type.
        bytes: &'a [u8],
    },
    /// Asks for another size.
    Resize {
        /// Clamped to what the emulator bears.
        size: Size,
    },
    /// Sends a signal.
    Signal {
        /// Its number.
        signal: i32,
        /// To whom.
        whom: Whom,
    },
    /// Asks how the terminal is set.
    Tty {
        /// Comes back in the answer.
        req: u64,
    },
    /// Asks which processes there are.
    Processes {
        /// Comes back in the answer.
        req: u64,
    },
}

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whom {
    /// The terminal's foreground process group and the child's own.
    Group,
    /// Every process that descends from the keeper, whatever session it has gone to. After a SIGKILL to the
    /// tree, what is started in the meantime is killed as well.
    Tree,
}

/// Keeper to broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Event<'a> {
    /// The answer to `Hello`.
    Hello {
        /// The keeper's [`VERSION`].
        version: u32,
        /// Who answers.
        keeper_pid: i32,
        /// Who is kept.
        child_pid: i32,
        /// The oldest byte held.
        start: Offset,
        /// One past the newest.
        end: Offset,
        /// The terminal's size.
        size: Size,
        /// How the child ended, if it has.
        exit: Option<Exit>,
    },
    /// Output, for who follows: the next bytes after those sent before.
    Output {
        /// The offset of the first.
        from: Offset,
        /// At most 64 KiB.
        bytes: &'a [u8],
    },
    /// The answer to `Read`.
    Data {
        /// Which one.
        req: u64,
        /// The offset of the first byte.
        from: Offset,
        /// The oldest byte held.
        start: Offset,
        /// One past the newest.
        end: Offset,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The terminal has accepted an input to its last byte.
    Written {
        /// Which one.
        id: u64,
    },
    /// Not a byte, or not the last byte, of an input has been accepted.
    Refused {
        /// Which one.
        id: u64,
        /// Why, for a reader.
        reason: String,
    },
    /// The answer to `Tty`.
    Tty {
        /// Which one.
        req: u64,
        /// Whether input is edited by the kernel, line by line: then a line over 4,095 bytes is cut.
        canonical: bool,
        /// Whether the kernel echoes what is typed.
        echo: bool,
        /// The foreground process group, if there is one.
        foreground: Option<i32>,
    },
    /// The answer to `Processes`.
    Processes {
        /// Which one.
        req: u64,
        /// All descendants of the keeper that have not ended, the child among them.
        pids: Vec<i32>,
    },
    /// The child has ended. Who follows gets it after the output before it; who connects later gets it after
    /// `Follow`.
    Exited {
        /// How.
        exit: Exit,
    },
    /// No output will come any more.
    Eof {
        /// How much there was.
        end: Offset,
    },
}

/// Why a stream cannot be understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// A length of 0, which leaves no room for a kind.
    #[error("understand a frame: the frame is empty")]
    Empty,
    /// A length beyond [`MAX_FRAME`].
    #[error("understand a frame: {len} bytes are more than {MAX_FRAME}")]
    TooLong {
        /// What it said.
        len: usize,
    },
    /// A binary payload without its numbers.
    #[error("understand a frame of kind {kind:#04x}: it ends too early")]
    TooShort {
        /// Of which kind.
        kind: u8,
    },
    /// A payload that is not JSON, or lacks a field.
    #[error("understand a frame of kind {kind:#04x}: {source}")]
    Json {
        /// Of which kind.
        kind: u8,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl Request<'_> {
    /// Appends this frame. The bytes of an input must leave room within [`MAX_FRAME`], or the keeper hangs
    /// up; it refuses more than it can queue anyway.
    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        match *self {
            Request::Input { id, bytes } => binary_frame(to, self.kind(), [id], bytes),
            _ => json_frame(to, self.kind(), self),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Request::Hello { .. } => request::HELLO,
            Request::Follow { .. } => request::FOLLOW,
            Request::Read { .. } => request::READ,
            Request::Input { .. } => request::INPUT,
            Request::Resize { .. } => request::RESIZE,
            Request::Signal { .. } => request::SIGNAL,
            Request::Tty { .. } => request::TTY,
            Request::Processes { .. } => request::PROCESSES,
        }
    }
}

impl<'a> Frame<'a> for Request<'a> {
    fn is_known(kind: u8) -> bool {
        (request::HELLO..=request::PROCESSES).contains(&kind)
    }

    fn parse(kind: u8, payload: &'a [u8]) -> Result<Self, WireError> {
        Ok(match kind {
            request::HELLO => from_json!(kind, payload, Request::Hello { version: u32 }),
            request::FOLLOW => from_json!(kind, payload, Request::Follow { from: Offset }),
            request::READ => from_json!(kind, payload, Request::Read { req: u64, from: Offset, max: u32 }),
            request::INPUT => {
                let ([id], bytes) = numbers(kind, payload)?;
                Request::Input { id, bytes }
            }
            request::RESIZE => from_json!(kind, payload, Request::Resize { size: Size }),
            request::SIGNAL => from_json!(kind, payload, Request::Signal { signal: i32, whom: Whom }),
            request::TTY => from_json!(kind, payload, Request::Tty { req: u64 }),
            _ => from_json!(kind, payload, Request::Processes { req: u64 }),
        })
    }
}

impl Event<'_> {
    /// Appends this frame.
    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        match *self {
            Event::Output { from, bytes } => binary_frame(to, self.kind(), [from.0], bytes),
            Event::Data { req, from, start, end, bytes } => {
                binary_frame(to, self.kind(), [req, from.0, start.0, end.0], bytes);
            }
            _ => json_frame(to, self.kind(), self),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Event::Hello { .. } => event::HELLO,
            Event::Output { .. } => event::OUTPUT,
            Event::Data { .. } => event::DATA,
            Event::Written { .. } => event::WRITTEN,
            Event::Refused { .. } => event::REFUSED,
            Event::Tty { .. } => event::TTY,
            Event::Processes { .. } => event::PROCESSES,
            Event::Exited { .. } => event::EXITED,
            Event::Eof { .. } => event::EOF,
        }
    }
}

impl<'a> Frame<'a> for Event<'a> {
    fn is_known(kind: u8) -> bool {
        (event::HELLO..=event::EOF).contains(&kind)
    }

    fn parse(kind: u8, payload: &'a [u8]) -> Result<Self, WireError> {
        Ok(match kind {
            event::HELLO => from_json!(kind, payload, Event::Hello {
                version: u32,
                keeper_pid: i32,
                child_pid: i32,
                start: Offset,
                end: Offset,
                size: Size,
                exit: Option<Exit>
            }),
            event::OUTPUT => {
                let ([from], bytes) = numbers(kind, payload)?;
                Event::Output { from: Offset(from), bytes }
            }
            event::DATA => {
                let ([req, from, start, end], bytes) = numbers(kind, payload)?;
                Event::Data { req, from: Offset(from), start: Offset(start), end: Offset(end), bytes }
            }
            event::WRITTEN => from_json!(kind, payload, Event::Written { id: u64 }),
            event::REFUSED => from_json!(kind, payload, Event::Refused { id: u64, reason: String }),
            event::TTY => from_json!(kind, payload, Event::Tty {
                req: u64,
                canonical: bool,
                echo: bool,
                foreground: Option<i32>
            }),
            event::PROCESSES => from_json!(kind, payload, Event::Processes { req: u64, pids: Vec<i32> }),
            event::EXITED => from_json!(kind, payload, Event::Exited { exit: Exit }),
            _ => from_json!(kind, payload, Event::Eof { end: Offset }),
        })
    }
}

mod request {
    pub(super) const HELLO: u8 = 0x01;
    pub(super) const FOLLOW: u8 = 0x02;
    pub(super) const READ: u8 = 0x03;
    pub(super) const INPUT: u8 = 0x04;
    pub(super) const RESIZE: u8 = 0x05;
    pub(super) const SIGNAL: u8 = 0x06;
    pub(super) const TTY: u8 = 0x07;
    pub(super) const PROCESSES: u8 = 0x08;
}

mod event {
    pub(super) const HELLO: u8 = 0x81;
    pub(super) const OUTPUT: u8 = 0x82;
    pub(super) const DATA: u8 = 0x83;
    pub(super) const WRITTEN: u8 = 0x84;
    pub(super) const REFUSED: u8 = 0x85;
    pub(super) const TTY: u8 = 0x86;
    pub(super) const PROCESSES: u8 = 0x87;
    pub(super) const EXITED: u8 = 0x88;
    pub(super) const EOF: u8 = 0x89;
}

/// Control: a variant's fields as an object.
fn json_frame(to: &mut Vec<u8>, kind: u8, fields: &impl Serialize) {
    frame(to, kind, |to| serde_json::to_writer(to, fields).expect("numbers and texts are always JSON"));
}

/// Bulk: numbers, then bytes to the end.
fn binary_frame<const N: usize>(to: &mut Vec<u8>, kind: u8, numbers: [u64; N], bytes: &[u8]) {
    frame(to, kind, |to| {
        for number in numbers {
            to.extend(number.to_le_bytes());
        }
        to.extend(bytes);
    });
}

fn frame(to: &mut Vec<u8>, kind: u8, payload: impl FnOnce(&mut Vec<u8>)) {
    let at = to.len();
    to.extend([0; 4]);
    to.push(kind);
    payload(to);
    let len = (to.len() - at - 4) as u32;
    to[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

fn numbers<const N: usize>(kind: u8, payload: &[u8]) -> Result<([u64; N], &[u8]), WireError> {
    let (numbers, bytes) = payload.split_at_checked(8 * N).ok_or(WireError::TooShort { kind })?;
    let (numbers, _) = numbers.as_chunks();
    Ok((std::array::from_fn(|i| u64::from_le_bytes(numbers[i])), bytes))
}

/// What one side may receive: `Request` or `Event`.
pub(crate) trait Frame<'a>: Sized {
    /// Whether this program is old enough not to know such a frame; those are skipped.
    fn is_known(kind: u8) -> bool;
    /// A frame of a known kind.
    fn parse(kind: u8, payload: &'a [u8]) -> Result<Self, WireError>;
}

/// Gathers bytes until they are frames. After an error the stream is useless: close it.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// As long as it ever was needed; only `start..end` has been received and not yet been handed out.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Decoder {
    /// One read. `Ok(0)` is the end of the stream.
    pub(crate) fn read_from(&mut self, source: &mut impl Read) -> io::Result<usize> {
        self.make_room(ONE_READ);
        let n = source.read(&mut self.buffer[self.end..])?;
        self.end += n;
        Ok(n)
    }

    /// Bytes that were read elsewhere.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.buffer[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// The next frame, if all of it is here. Call until `None` before reading again.
    pub(crate) fn next<'a, F: Frame<'a>>(&'a mut self) -> Result<Option<F>, WireError> {
        loop {
            let Some(len) = self.frame_len()? else { return Ok(None) };
            let (kind, payload) = (self.buffer[self.start + 4], self.start + 5..self.start + 4 + len);
            self.start = payload.end;
            if F::is_known(kind) {
                return F::parse(kind, &self.buffer[payload]).map(Some);
            }
        }
    }

    /// Whether [`next`](Decoder::next) would have something to say, if only an error.
    pub(crate) fn has_frame(&self) -> bool {
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

    fn make_room(&mut self, wanted: usize) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            // One large frame must not cost its size for ever.
            if self.buffer.len() > 4 * ONE_READ {
                self.buffer = Vec::new();
            }
        }
        if self.buffer.len() - self.end < wanted {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.buffer.len() < self.end + wanted {
                self.buffer.resize(self.end + wanted, 0);
            }
        }
    }
}

/// As much as a frame of output holds; the kernel's default socket buffer is about three of these.
const ONE_READ: usize = 64 * 1024;
