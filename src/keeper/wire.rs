//! The words between a broker and a keeper, and how they are written. Additive only: an old keeper serves a new
//! broker, so unknown kinds of frames are skipped, unknown fields are ignored, and nothing ever changes its meaning.
//!
//! A frame is `u32 LE length of what follows | u8 kind | payload`. Small payloads are JSON; bytes of the terminal are
//! binary after one `u64 LE`.

use std::{
    borrow::Cow,
    io::{self, Read},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::id::{Exit, Offset, Size};

/// The newest version of these words. Additions that a peer must know of raise it.
pub const VERSION: u32 = 1;
/// A longer frame is not ours.
pub const MAX_FRAME: usize = 2 << 20;
/// What one [`Request::Read`] gives at most.
pub const MAX_READ: usize = 1 << 20;

/// What a broker asks.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// The first word.
    Hello {
        /// The broker's [`VERSION`].
        version: u32,
    },
    /// Send all output from there on, as it comes.
    Follow {
        /// The first byte wanted.
        from: Offset,
    },
    /// Send one piece of output.
    Read {
        /// Repeated in the answer.
        req: u64,
        /// The first byte wanted.
        from: Offset,
        /// How many at most.
        max: u32,
    },
    /// Write this to the terminal.
    Input {
        /// Repeated in the answer.
        id: u64,
        /// What to write.
        bytes: Cow<'a, [u8]>,
    },
    /// Give the terminal another size.
    Resize {
        /// The size.
        size: Size,
    },
    /// Send a signal.
    Signal {
        /// Its number.
        signal: i32,
        /// To whom.
        whom: Whom,
    },
    /// Tell of the terminal's modes.
    Tty {
        /// Repeated in the answer.
        req: u64,
    },
    /// Tell which processes descend from the keeper.
    Processes {
        /// Repeated in the answer.
        req: u64,
    },
}

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// The terminal's foreground process group and the child's own.
    Group,
    /// Every process that descends from the keeper, whatever its session.
    Tree,
}

/// What a keeper tells.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The answer to [`Request::Hello`].
    Hello {
        /// The keeper's [`VERSION`].
        version: u32,
        /// The keeper's process.
        keeper_pid: i32,
        /// The child's process.
        child_pid: i32,
        /// The oldest byte the ring holds.
        start: Offset,
        /// The byte after the newest.
        end: Offset,
        /// The terminal's size.
        size: Size,
        /// How the child ended, if it has.
        exit: Option<Exit>,
    },
    /// Output, in order and without gaps unless the ring was outrun.
    Output {
        /// Where it begins.
        from: Offset,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The answer to [`Request::Read`].
    Data {
        /// Of the request.
        req: u64,
        /// Where the bytes begin: later than asked, if those had left the ring.
        from: Offset,
        /// The byte after the ring's newest.
        end: Offset,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The kernel took all bytes of an input.
    Written {
        /// Of the input.
        id: u64,
    },
    /// An input was not written, or not wholly.
    Refused {
        /// Of the input.
        id: u64,
        /// Why, in words.
        reason: String,
    },
    /// The answer to [`Request::Tty`].
    Tty {
        /// Of the request.
        req: u64,
        /// The kernel edits lines (ICANON).
        canonical: bool,
        /// The kernel echoes (ECHO).
        echo: bool,
        /// The process group in the foreground.
        foreground: Option<i32>,
    },
    /// The answer to [`Request::Processes`].
    Processes {
        /// Of the request.
        req: u64,
        /// The processes, zombies left out.
        pids: Vec<i32>,
    },
    /// The child ended, as wait said.
    Exited {
        /// How.
        exit: Exit,
    },
    /// Nobody holds the terminal any more: this is all its output.
    Eof {
        /// The byte after the last.
        end: Offset,
    },
}

/// A frame that cannot be one of ours.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// It claims to be longer than [`MAX_FRAME`], or has no kind.
    #[error("a frame of {0} bytes")]
    Length(usize),
    /// A known kind with a payload that cannot be read.
    #[error("a frame of kind {kind} that cannot be read")]
    Payload {
        /// Which.
        kind: u8,
    },
}

mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const FOLLOW: u8 = 2;
    pub(super) const READ: u8 = 3;
    pub(super) const INPUT: u8 = 4;
    pub(super) const RESIZE: u8 = 5;
    pub(super) const SIGNAL: u8 = 6;
    pub(super) const TTY: u8 = 7;
    pub(super) const PROCESSES: u8 = 8;

    pub(super) const WELCOME: u8 = 65;
    pub(super) const OUTPUT: u8 = 66;
    pub(super) const DATA: u8 = 67;
    pub(super) const WRITTEN: u8 = 68;
    pub(super) const REFUSED: u8 = 69;
    pub(super) const TTY_IS: u8 = 70;
    pub(super) const PROCESSES_ARE: u8 = 71;
    pub(super) const EXITED: u8 = 72;
    pub(super) const EOF: u8 = 73;
}

#[derive(Serialize, Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct From {
    from: Offset,
}

#[derive(Serialize, Deserialize)]
struct Read_ {
    req: u64,
    from: Offset,
    max: u32,
}

#[derive(Serialize, Deserialize)]
struct Sized_ {
    size: Size,
}

#[derive(Serialize, Deserialize)]
struct Signal {
    signal: i32,
    whom: Whom,
}

#[derive(Serialize, Deserialize)]
struct Req {
    req: u64,
}

#[derive(Serialize, Deserialize)]
struct Welcome {
    version: u32,
    keeper_pid: i32,
    child_pid: i32,
    start: Offset,
    end: Offset,
    size: Size,
    exit: Option<Exit>,
}

#[derive(Serialize, Deserialize)]
struct Id {
    id: u64,
}

#[derive(Serialize, Deserialize)]
struct Refused {
    id: u64,
    reason: String,
}

#[derive(Serialize, Deserialize)]
struct TtyIs {
    req: u64,
    canonical: bool,
    echo: bool,
    foreground: Option<i32>,
}

#[derive(Serialize, Deserialize)]
struct ProcessesAre {
    req: u64,
    pids: Vec<i32>,
}

#[derive(Serialize, Deserialize)]
struct Ended {
    exit: Exit,
}

#[derive(Serialize, Deserialize)]
struct End {
    end: Offset,
}

/// Appends a request's frame.
pub fn encode_request(request: &Request<'_>, out: &mut Vec<u8>) {
    match request {
        Request::Hello { version } => json(kind::HELLO, &Version { version: *version }, out),
        Request::Follow { from } => json(kind::FOLLOW, &From { from: *from }, out),
        Request::Read { req, from, max } => {
            json(kind::READ, &Read_ { req: *req, from: *from, max: *max }, out);
        }
        Request::Input { id, bytes } => bulk(kind::INPUT, &[*id], bytes, out),
        Request::Resize { size } => json(kind::RESIZE, &Sized_ { size: *size }, out),
        Request::Signal { signal, whom } => {
            json(kind::SIGNAL, &Signal { signal: *signal, whom: *whom }, out);
        }
        Request::Tty { req } => json(kind::TTY, &Req { req: *req }, out),
        Request::Processes { req } => json(kind::PROCESSES, &Req { req: *req }, out),
    }
}

/// Appends an event's frame.
pub fn encode_event(event: &Event<'_>, out: &mut Vec<u8>) {
    match event {
        Event::Hello { version, keeper_pid, child_pid, start, end, size, exit } => {
            let welcome = Welcome {
                version: *version,
                keeper_pid: *keeper_pid,
                child_pid: *child_pid,
                start: *start,
                end: *end,
                size: *size,
                exit: *exit,
            };
            json(kind::WELCOME, &welcome, out);
        }
        Event::Output { from, bytes } => bulk(kind::OUTPUT, &[from.0], bytes, out),
        Event::Data { req, from, end, bytes } => bulk(kind::DATA, &[*req, from.0, end.0], bytes, out),
        Event::Written { id } => json(kind::WRITTEN, &Id { id: *id }, out),
        Event::Refused { id, reason } => {
            json(kind::REFUSED, &Refused { id: *id, reason: reason.clone() }, out);
        }
        Event::Tty { req, canonical, echo, foreground } => {
            let tty = TtyIs { req: *req, canonical: *canonical, echo: *echo, foreground: *foreground };
            json(kind::TTY_IS, &tty, out);
        }
        Event::Processes { req, pids } => {
            json(kind::PROCESSES_ARE, &ProcessesAre { req: *req, pids: pids.clone() }, out);
        }
        Event::Exited { exit } => json(kind::EXITED, &Ended { exit: *exit }, out),
        Event::Eof { end } => json(kind::EOF, &End { end: *end }, out),
    }
}

/// The head of an [`Event::Output`] frame whose `len` bytes are sent from where they lie.
pub fn output_head(from: Offset, len: usize) -> [u8; 13] {
    let mut head = [0; 13];
    head[..4].copy_from_slice(&(9 + len as u32).to_le_bytes());
    head[4] = kind::OUTPUT;
    head[5..].copy_from_slice(&from.0.to_le_bytes());
    head
}

fn json(kind: u8, payload: &impl Serialize, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend([0, 0, 0, 0, kind]);
    serde_json::to_writer(&mut *out, payload).expect("a struct of numbers and strings can be written");
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

fn bulk(kind: u8, numbers: &[u64], bytes: &[u8], out: &mut Vec<u8>) {
    let len = 1 + 8 * numbers.len() + bytes.len();
    out.extend((len as u32).to_le_bytes());
    out.push(kind);
    for number in numbers {
        out.extend(number.to_le_bytes());
    }
    out.extend(bytes);
}

/// Frames out of a stream of bytes. Bulk payloads are lent, not copied.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    used: usize,
}

impl Decoder {
    const PIECE: usize = 64 * 1024;

    /// Takes in what `from` has now, up to a piece. Answers whether there may be more one day; an error is the read's.
    pub fn read_from(&mut self, from: &mut impl Read) -> io::Result<bool> {
        self.bytes.drain(..self.used);
        self.used = 0;
        let held = self.bytes.len();
        self.bytes.resize(held + Self::PIECE, 0);
        let read = loop {
            match from.read(&mut self.bytes[held..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.bytes.truncate(held + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    /// The next event, if it is whole.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, WireError> {
        // Twice over the same bytes, since a frame that is skipped must not stay lent.
        while let Some((kind, from, to)) = self.frame()? {
            if (kind::WELCOME..=kind::EOF).contains(&kind) {
                return event(kind, &self.bytes[from..to]).ok_or(WireError::Payload { kind }).map(Some);
            }
        }
        Ok(None)
    }

    /// The next request, if it is whole.
    pub fn next_request(&mut self) -> Result<Option<Request<'_>>, WireError> {
        while let Some((kind, from, to)) = self.frame()? {
            if (kind::HELLO..=kind::PROCESSES).contains(&kind) {
                return request(kind, &self.bytes[from..to]).ok_or(WireError::Payload { kind }).map(Some);
            }
        }
        Ok(None)
    }

    /// The next whole frame: its kind, and where its payload is.
    fn frame(&mut self) -> Result<Option<(u8, usize, usize)>, WireError> {
        let Some((head, rest)) = self.bytes[self.used..].split_first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_le_bytes(*head) as usize;
        if len == 0 || len > MAX_FRAME {
            return Err(WireError::Length(len));
        }
        if rest.len() < len {
            return Ok(None);
        }
        let (kind, from) = (rest[0], self.used + 5);
        self.used += 4 + len;
        Ok(Some((kind, from, self.used)))
    }
}

fn request(kind: u8, payload: &[u8]) -> Option<Request<'_>> {
    Some(match kind {
        kind::HELLO => Request::Hello { version: parse::<Version>(payload)?.version },
        kind::FOLLOW => Request::Follow { from: parse::<From>(payload)?.from },
        kind::READ => {
            let Read_ { req, from, max } = parse(payload)?;
            Request::Read { req, from, max }
        }
        kind::INPUT => {
            let (id, bytes) = number(payload)?;
            Request::Input { id, bytes: bytes.into() }
        }
        kind::RESIZE => Request::Resize { size: parse::<Sized_>(payload)?.size },
        kind::SIGNAL => {
            let Signal { signal, whom } = parse(payload)?;
            Request::Signal { signal, whom }
        }
        kind::TTY => Request::Tty { req: parse::<Req>(payload)?.req },
        kind::PROCESSES => Request::Processes { req: parse::<Req>(payload)?.req },
        _ => return None,
    })
}

fn event(kind: u8, payload: &[u8]) -> Option<Event<'_>> {
    Some(match kind {
        kind::WELCOME => {
            let Welcome { version, keeper_pid, child_pid, start, end, size, exit } = parse(payload)?;
            Event::Hello { version, keeper_pid, child_pid, start, end, size, exit }
        }
        kind::OUTPUT => {
            let (from, bytes) = number(payload)?;
            Event::Output { from: Offset(from), bytes }
        }
        kind::DATA => {
            let (req, rest) = number(payload)?;
            let (from, rest) = number(rest)?;
            let (end, bytes) = number(rest)?;
            Event::Data { req, from: Offset(from), end: Offset(end), bytes }
        }
        kind::WRITTEN => Event::Written { id: parse::<Id>(payload)?.id },
        kind::REFUSED => {
            let Refused { id, reason } = parse(payload)?;
            Event::Refused { id, reason }
        }
        kind::TTY_IS => {
            let TtyIs { req, canonical, echo, foreground } = parse(payload)?;
            Event::Tty { req, canonical, echo, foreground }
        }
        kind::PROCESSES_ARE => {
            let ProcessesAre { req, pids } = parse(payload)?;
            Event::Processes { req, pids }
        }
        kind::EXITED => Event::Exited { exit: parse::<Ended>(payload)?.exit },
        kind::EOF => Event::Eof { end: parse::<End>(payload)?.end },
        _ => return None,
    })
}

fn parse<T: DeserializeOwned>(payload: &[u8]) -> Option<T> {
    serde_json::from_slice(payload).ok()
}

fn number(payload: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = payload.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { rows: 40, cols: 120 };

    fn requests() -> Vec<Request<'static>> {
        vec![
            Request::Hello { version: 1 },
            Request::Follow { from: Offset(7) },
            Request::Read { req: 1, from: Offset(2), max: 3 },
            Request::Input { id: 4, bytes: b"ls\r".into() },
            Request::Resize { size: SIZE },
            Request::Signal { signal: 15, whom: Whom::Tree },
            Request::Tty { req: 5 },
            Request::Processes { req: 6 },
        ]
    }

    fn events() -> Vec<Event<'static>> {
        let exit = Exit::Signal(9);
        vec![
            Event::Hello {
                version: 1,
                keeper_pid: 2,
                child_pid: 3,
                start: Offset(4),
                end: Offset(5),
                size: SIZE,
                exit: Some(Exit::Code(0)),
            },
            Event::Output { from: Offset(8), bytes: b"hi\n" },
            Event::Data { req: 1, from: Offset(2), end: Offset(9), bytes: b"x" },
            Event::Written { id: 4 },
            Event::Refused { id: 4, reason: "gone".into() },
            Event::Tty { req: 5, canonical: true, echo: false, foreground: Some(77) },
            Event::Processes { req: 6, pids: vec![1, 2] },
            Event::Exited { exit },
            Event::Eof { end: Offset(11) },
        ]
    }

    #[test]
    fn what_is_written_is_read_back_however_it_is_cut() {
        let mut bytes = Vec::new();
        requests().iter().for_each(|request| encode_request(request, &mut bytes));
        for piece in [1, 3, 7, 1000] {
            let (mut decoder, mut read) = (Decoder::default(), 0);
            for mut cut in bytes.chunks(piece) {
                decoder.read_from(&mut cut).unwrap();
                while let Some(request) = decoder.next_request().unwrap() {
                    assert_eq!(request, requests()[read]);
                    read += 1;
                }
            }
            assert_eq!(read, requests().len());
        }
        let mut bytes = Vec::new();
        events().iter().for_each(|event| encode_event(event, &mut bytes));
        let mut decoder = Decoder::default();
        decoder.read_from(&mut &*bytes).unwrap();
        for event in events() {
            assert_eq!(decoder.next_event().unwrap(), Some(event));
        }
        assert_eq!(decoder.next_event().unwrap(), None);
    }

    /// A keeper may be two versions older than its broker: these bytes are for ever.
    #[test]
    fn the_format_does_not_change() {
        let frames = |encode: &dyn Fn(usize, &mut Vec<u8>), count: usize| {
            let frame = |at| {
                let mut bytes = Vec::new();
                encode(at, &mut bytes);
                bytes.escape_ascii().to_string()
            };
            (0..count).map(frame).collect::<Vec<_>>()
        };
        assert_eq!(
            frames(&|at, out| encode_request(&requests()[at], out), requests().len()),
            [
                r#"\x0e\x00\x00\x00\x01{\"version\":1}"#,
                r#"\x0b\x00\x00\x00\x02{\"from\":7}"#,
                r#"\x1b\x00\x00\x00\x03{\"req\":1,\"from\":2,\"max\":3}"#,
                r"\x0c\x00\x00\x00\x04\x04\x00\x00\x00\x00\x00\x00\x00ls\r",
                r#" \x00\x00\x00\x05{\"size\":{\"rows\":40,\"cols\":120}}"#,
                r#"\x1c\x00\x00\x00\x06{\"signal\":15,\"whom\":\"tree\"}"#,
                r#"\n\x00\x00\x00\x07{\"req\":5}"#,
                r#"\n\x00\x00\x00\x08{\"req\":6}"#,
            ]
        );
        assert_eq!(
            frames(&|at, out| encode_event(&events()[at], out), events().len()),
            [
                r#"m\x00\x00\x00A{\"version\":1,\"keeper_pid\":2,\"child_pid\":3,\"start\":4,\"end\":5,\"size\":{\"rows\":40,\"cols\":120},\"exit\":{\"code\":0}}"#,
                r"\x0c\x00\x00\x00B\x08\x00\x00\x00\x00\x00\x00\x00hi\n",
                r"\x1a\x00\x00\x00C\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\t\x00\x00\x00\x00\x00\x00\x00x",
                r#"\t\x00\x00\x00D{\"id\":4}"#,
                r#"\x19\x00\x00\x00E{\"id\":4,\"reason\":\"gone\"}"#,
                r#"8\x00\x00\x00F{\"req\":5,\"canonical\":true,\"echo\":false,\"foreground\":77}"#,
                r#"\x17\x00\x00\x00G{\"req\":6,\"pids\":[1,2]}"#,
                r#"\x16\x00\x00\x00H{\"exit\":{\"signal\":9}}"#,
                r#"\x0b\x00\x00\x00I{\"end\":11}"#,
            ]
        );
    }

    #[test]
    fn the_head_of_output_is_the_one_of_its_frame() {
        let mut frame = Vec::new();
        encode_event(&Event::Output { from: Offset(300), bytes: b"hello" }, &mut frame);
        assert_eq!(frame[..13], output_head(Offset(300), 5));
    }

    #[test]
    fn a_newer_peer_is_understood_as_far_as_it_goes() {
        let mut bytes = Vec::new();
        bulk(50, &[1], b"a request of tomorrow", &mut bytes);
        bulk(200, &[], b"an event of tomorrow", &mut bytes);
        json(kind::HELLO, &serde_json::json!({"version": 9, "more": [1]}), &mut bytes);
        let mut decoder = Decoder::default();
        decoder.read_from(&mut &*bytes).unwrap();
        assert_eq!(decoder.next_request().unwrap(), Some(Request::Hello { version: 9 }));
    }

    #[test]
    fn garbage_is_an_error() {
        for bytes in [&b"\0\0\0\0"[..], b"\xff\xff\xff\xff\x01", b"\x03\0\0\0\x01{}", b"\x02\0\0\0\x04x"] {
            let mut decoder = Decoder::default();
            decoder.read_from(&mut &*bytes).unwrap();
            assert!(decoder.next_request().is_err(), "{bytes:?}");
        }
    }
}
