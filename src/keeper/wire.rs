//! What a broker and a keeper say to each other: frames on a stream, `u32 LE length of what follows | u8 kind
//! | payload`. Additive for ever, since an old keeper serves a new broker: a kind or a field that one side
//! does not know is skipped. Knows nothing of sockets, nor of what is done about a frame.

use serde::{Deserialize, Serialize};

pub use super::decoder::{Decoder, Frame};
use super::typed::Typed;
use crate::id::{Exit, Offset, Size};

/// A variant's fields from JSON, and nothing said about fields it does not have. Those that came later have a default.
macro_rules! from_json {
    ($kind:ident, $payload:ident, $frame:ident :: $variant:ident {
        $($(#[$attribute:meta])* $field:ident : $type:ty),*
    }) => {{
        #[derive(Deserialize)]
        struct Fields { $($(#[$attribute])* $field: $type),* }
        let Fields { $($field),* } =
            serde_json::from_slice($payload).map_err(|source| WireError::Json { kind: $kind, source })?;
        $frame::$variant { $($field),* }
    }};
}

/// What both sides tell in their `Hello`. Raised for information only; nothing may depend on it that a kind
/// can tell.
pub const VERSION: u32 = 2;
/// From this version on a keeper knows `Type`, `Save` and `Answer`. An older one skips them, so whoever needs to know
/// what became of them asks for its version first.
pub const KNOWS_TYPE: u32 = 2;
/// The most that may follow a length, in bytes; whoever sends more is not one of us.
pub const MAX_FRAME: usize = 2 << 20;

/// Broker to keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Request<'a> {
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
    /// One stroke of a delivery for the child's terminal, typed once however often it is sent: a broker that does not
    /// know whether it was accepted sends it again, over whatever connection. The strokes of a delivery are accepted
    /// in their order only, and whoever sent one last is answered. Of version 2.
    ///
    /// The keeper remembers the newest 32 deliveries (see [`Event::Hello`]). One that it does not know, with a number
    /// up to `forgotten`, is refused, since it may have been typed; so number them as they are begun.
    Type {
        /// Comes back in `Written` or `Refused`.
        id: u64,
        /// The delivery's number, from 1.
        delivery: u64,
        /// Which stroke of it, from 0.
        stroke: u32,
        /// Whether it is the last one.
        last: bool,
        /// What to type.
        bytes: &'a [u8],
    },
    /// A checkpoint to be kept in the ring's file instead of an older one, for whoever has to make the screen again.
    /// Not answered. Of version 2.
    Save {
        /// The output before it is in the checkpoint.
        at: Offset,
        /// Whatever it is; one of more than [`Ring::MAX_CHECKPOINT`](super::Ring::MAX_CHECKPOINT) bytes is ignored.
        bytes: &'a [u8],
    },
    /// The terminal's answer to what the child asked by what it had written up to an offset. An answer to an older
    /// question than was answered before is not typed: another broker has read the same output.
    Answer {
        /// Of the output that asked, one past the newest byte.
        at: Offset,
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
pub enum Whom {
    /// The terminal's foreground process group and the child's own.
    Group,
    /// Every process that descends from the keeper, whatever session it has gone to. After a SIGKILL to the
    /// tree, what is started in the meantime is killed as well.
    Tree,
}

/// Keeper to broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Event<'a> {
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
        /// The newest deliveries of which a stroke was accepted, by number. Of version 2.
        typed: Vec<Typed>,
        /// The highest delivery that was dropped from those; 0 if none was. A higher one that is not among them was
        /// never accepted. Of version 2.
        forgotten: u64,
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
pub enum WireError {
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
    pub fn encode(&self, to: &mut Vec<u8>) {
        match *self {
            Request::Input { id, bytes } => binary_frame(to, self.kind(), [id], bytes),
            Request::Type { id, delivery, stroke, last, bytes } => {
                let stroke = u64::from(stroke) << 1 | u64::from(last);
                binary_frame(to, self.kind(), [id, delivery, stroke], bytes);
            }
            Request::Save { at, bytes } | Request::Answer { at, bytes } => {
                binary_frame(to, self.kind(), [at.0], bytes);
            }
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
            Request::Type { .. } => request::TYPE,
            Request::Save { .. } => request::SAVE,
            Request::Answer { .. } => request::ANSWER,
        }
    }
}

impl<'a> Frame<'a> for Request<'a> {
    fn is_known(kind: u8) -> bool {
        (request::HELLO..=request::ANSWER).contains(&kind)
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
            request::PROCESSES => from_json!(kind, payload, Request::Processes { req: u64 }),
            request::TYPE => {
                // The stroke's number stands above a bit that says whether it is the last; what is above those 33 bits
                // is for another time.
                let ([id, delivery, stroke], bytes) = numbers(kind, payload)?;
                Request::Type { id, delivery, stroke: (stroke >> 1) as u32, last: stroke & 1 == 1, bytes }
            }
            request::SAVE => {
                let ([at], bytes) = numbers(kind, payload)?;
                Request::Save { at: Offset(at), bytes }
            }
            _ => {
                let ([at], bytes) = numbers(kind, payload)?;
                Request::Answer { at: Offset(at), bytes }
            }
        })
    }
}

impl Event<'_> {
    /// Appends this frame.
    pub fn encode(&self, to: &mut Vec<u8>) {
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
                exit: Option<Exit>,
                #[serde(default)]
                typed: Vec<Typed>,
                #[serde(default)]
                forgotten: u64
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

/// What stands before the bytes of an `Output`, whose bytes a keeper sends from where they are.
pub(super) fn output_header(from: Offset, len: usize) -> [u8; OUTPUT_HEADER] {
    let mut header = [0; OUTPUT_HEADER];
    header[..4].copy_from_slice(&((1 + 8 + len) as u32).to_le_bytes());
    header[4] = event::OUTPUT;
    header[5..].copy_from_slice(&from.0.to_le_bytes());
    header
}

pub(super) const OUTPUT_HEADER: usize = 13;

mod request {
    pub(super) const HELLO: u8 = 0x01;
    pub(super) const FOLLOW: u8 = 0x02;
    pub(super) const READ: u8 = 0x03;
    pub(super) const INPUT: u8 = 0x04;
    pub(super) const RESIZE: u8 = 0x05;
    pub(super) const SIGNAL: u8 = 0x06;
    pub(super) const TTY: u8 = 0x07;
    pub(super) const PROCESSES: u8 = 0x08;
    pub(super) const TYPE: u8 = 0x09;
    pub(super) const SAVE: u8 = 0x0a;
    pub(super) const ANSWER: u8 = 0x0b;
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

#[cfg(test)]
mod tests;
