//! Where escape sequences and characters begin and end in a stream of bytes. Knows the states of vte's parser,
//! transition by transition, and none of the meanings.

use std::str;

/// Longest operating system command (OSC) that is parsed whole: a title, a path or a status fits many times. vte
/// keeps all of an OSC in memory until it ends, and one that never ends would take all there is.
pub(super) const OSC_MAX: usize = 8 * 1024;

const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
const ESC: u8 = 0x1b;

/// What comes next in a stream, for who does text himself and has a parser for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Whole characters, controls among them, without any ESC.
    Text(&'a str),
    /// One whole control sequence (CSI), which nothing unfinished came before.
    Control(&'a [u8]),
    /// All else that a parser must have: no sequence begins in it, but at its start.
    Other(&'a [u8]),
    /// The inside of an OSC that is longer than [`OSC_MAX`]: so many bytes that a parser must not have.
    Excess(usize),
}

impl Piece<'_> {
    /// Bytes of it.
    pub(super) fn len(&self) -> usize {
        match self {
            Piece::Text(text) => text.len(),
            Piece::Control(bytes) | Piece::Other(bytes) => bytes.len(),
            Piece::Excess(len) => *len,
        }
    }
}

/// Follows the stream byte by byte.
#[derive(Clone, Debug, Default)]
pub(super) struct Scanner {
    state: State,
    /// Bytes of the unfinished OSC so far.
    len: usize,
    /// The newest bytes of text since the last sequence, as many as can be an unfinished character.
    tail: Vec<u8>,
}

impl Scanner {
    /// The next piece of these bytes, of which there is one at least.
    pub(super) fn next<'a>(&mut self, bytes: &'a [u8]) -> Piece<'a> {
        if self.state != State::Ground || bytes[0] == ESC {
            return self.sequence(bytes);
        }
        let stretch = &bytes[..find_escape(bytes).unwrap_or(bytes.len())];
        if unfinished_char(&self.tail) > 0 {
            // What does not go on with it ends it, and is the parser's to tell.
            let rest = rest_of_char(stretch);
            return self.odd(if rest > 0 { &stretch[..rest] } else { stretch });
        }
        let text = str::from_utf8(stretch)
            .unwrap_or_else(|_| stretch.utf8_chunks().next().map_or("", |chunk| chunk.valid()));
        if text.is_empty() {
            return self.odd(stretch);
        }
        self.tail.clear();
        Piece::Text(text)
    }

    /// Text that is not well formed, or unfinished.
    fn odd<'a>(&mut self, bytes: &'a [u8]) -> Piece<'a> {
        self.tail.extend(&bytes[bytes.len().saturating_sub(3)..]);
        self.tail.drain(..self.tail.len().saturating_sub(3));
        Piece::Other(bytes)
    }

    /// What there is of the sequence that goes on or begins here, up to its end or to the next one's beginning.
    fn sequence<'a>(&mut self, bytes: &'a [u8]) -> Piece<'a> {
        if self.state == State::Osc && self.len >= OSC_MAX && !ends_osc(bytes[0]) {
            return Piece::Excess(bytes.iter().position(|&b| ends_osc(b)).unwrap_or(bytes.len()));
        }
        let alone = self.is_between();
        self.tail.clear();
        if let ([ESC, b'[', inner @ ..], true) = (bytes, alone) {
            let numbers = inner.iter().take_while(|byte| matches!(byte, 0x20..=0x3f)).count();
            if let Some(0x40..=0x7e) = inner.get(numbers) {
                return Piece::Control(&bytes[..numbers + 3]);
            }
        }
        let mut at = 0;
        loop {
            self.step(bytes[at]);
            at += 1;
            if self.state == State::Csi {
                // Most of what is in escapes: numbers.
                at += bytes[at..].iter().take_while(|b| matches!(b, 0x20..=0x3f)).count();
            }
            let over = self.state == State::Ground || self.state == State::Osc && self.len >= OSC_MAX;
            if over || bytes.get(at).is_none_or(|&next| next == ESC) {
                break;
            }
        }
        Piece::Other(&bytes[..at])
    }

    /// Does the next byte begin a character or a sequence?
    pub(super) fn is_between(&self) -> bool {
        self.state == State::Ground && unfinished_char(&self.tail) == 0
    }

    fn step(&mut self, byte: u8) {
        self.state = self.state.after(byte);
        self.len = if self.state == State::Osc { self.len + 1 } else { 0 };
    }
}

/// The longest beginning of `bytes`, which start between two characters, that ends between two characters and
/// outside any escape sequence. An escape that is longer than `patience` and still open is not waited for.
pub(super) fn whole(bytes: &[u8], patience: usize) -> usize {
    let mut scanner = Scanner::default();
    let (mut at, mut left_ground, mut came_back) = (0, 0, 0);
    while at < bytes.len() {
        if scanner.state == State::Ground {
            match find_escape(&bytes[at..]) {
                Some(plain) => at += plain,
                None => break,
            }
            left_ground = at;
        }
        scanner.step(bytes[at]);
        at += 1;
        came_back = at;
    }
    if scanner.state == State::Ground {
        bytes.len() - unfinished_char(&bytes[came_back..])
    } else if bytes.len() - left_ground > patience {
        bytes.len()
    } else {
        left_ground
    }
}

/// How many bytes at the start are the rest of a character that began before.
pub(super) fn rest_of_char(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|&&b| b & 0xc0 == 0x80).count()
}

/// Where the next escape begins.
pub(super) fn find_escape(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(ESC, bytes)
}

/// How many bytes at the end begin a character and do not finish it: at most 3.
fn unfinished_char(bytes: &[u8]) -> usize {
    for len in 1..=bytes.len().min(3) {
        let tail = &bytes[bytes.len() - len..];
        match tail[0] {
            0x80..=0xbf => continue,
            0xc0.. if str::from_utf8(tail).is_err_and(|e| e.error_len().is_none()) => return len,
            _ => return 0,
        }
    }
    0
}

fn ends_osc(byte: u8) -> bool {
    matches!(byte, BEL | CAN | SUB | ESC)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    EscapeIntermediate,
    Csi,
    Osc,
    DcsEntry,
    DcsParam,
    DcsIntermediate,
    Dcs,
    /// SOS, PM, APC and a DCS with a head that is no head: all wait for the end and mean nothing.
    Ignored,
}

impl State {
    fn after(self, byte: u8) -> State {
        match (self, byte) {
            (State::Ground, ESC) => State::Escape,
            (State::Ground, _) => State::Ground,
            (_, ESC) => State::Escape,
            (_, CAN | SUB) => State::Ground,

            (State::Escape, 0x20..=0x2f) => State::EscapeIntermediate,
            (State::Escape, b'[') => State::Csi,
            (State::Escape, b']') => State::Osc,
            (State::Escape, b'P') => State::DcsEntry,
            (State::Escape, b'X' | b'^' | b'_') => State::Ignored,
            (State::Escape | State::EscapeIntermediate, 0x30..=0x7e) => State::Ground,

            (State::Csi, 0x40..=0x7e) => State::Ground,
            (State::Osc, BEL) => State::Ground,

            (State::DcsEntry | State::DcsParam | State::DcsIntermediate, 0x40..=0x7e) => State::Dcs,
            (State::DcsEntry | State::DcsParam, 0x20..=0x2f) => State::DcsIntermediate,
            (State::DcsEntry, 0x30..=0x3f) | (State::DcsParam, 0x30..=0x3b) => State::DcsParam,
            (State::DcsParam, 0x3c..=0x3f) | (State::DcsIntermediate, 0x30..=0x3f) => State::Ignored,
            (State::Dcs, 0x9c) => State::Ground,

            (state, _) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces<'a>(scanner: &mut Scanner, mut bytes: &'a [u8]) -> Vec<(Piece<'a>, &'a [u8])> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let piece = scanner.next(bytes);
            let (now, later) = bytes.split_at(piece.len());
            pieces.push((piece, now));
            bytes = later;
        }
        pieces
    }

    #[test]
    fn a_cut_falls_between_characters_and_sequences() {
        for (bytes, used) in [
            (&b""[..], 0),
            (b"abc", 3),
            (b"abc\x1b", 3),
            (b"abc\x1b[31", 3),
            (b"abc\x1b[31m", 8),
            (b"\x1b]0;title", 0),
            (b"\x1b]0;title\x1b", 0),
            (b"\x1b]0;title\x1b\\", 11),
            (b"\x1b]0;title\x07x", 11),
            (b"\x1b]0;ti\x18x", 8),
            (b"\x1bPq#0\x9c\xe6", 6),
            (b"\x1bP1<q\x9c", 0),
            (b"\x1b(", 0),
            (b"\x1b(0", 3),
            (b"\x1b\n7", 3),
            ("aé".as_bytes(), 3),
            (b"a\xc3", 1),
            (b"a\xe6\xbc", 1),
            (b"a\xf0\x9f\x91", 1),
            (b"a\xff", 2),
            (b"a\xe6A\xbc", 4),
            (b"\x80\x80\x80", 3),
        ] {
            assert_eq!(whole(bytes, 99), used, "{bytes:?}");
        }
        assert_eq!(whole(b"ab\x1b]0;never ends", 8), 16);
    }

    #[test]
    fn what_is_unfinished_stays_so_until_its_last_byte() {
        let stream = "aé漢\x1b[1m👩\x1b]0;é\x07\x1bPq\u{9c}".as_bytes();
        for step in [1, 2, 3, 5] {
            let (mut scanner, mut seen) = (Scanner::default(), 0);
            for part in stream.chunks(step) {
                pieces(&mut scanner, part);
                seen += part.len();
                assert_eq!(
                    scanner.is_between(),
                    whole(&stream[..seen], 99) == seen,
                    "{seen} in steps of {step}"
                );
            }
        }
    }

    #[test]
    fn an_osc_is_cut_inside_and_its_end_is_kept() {
        let mut long = b"x\x1b]0;".to_vec();
        long.resize(3 * OSC_MAX, b'a');
        long.extend(b"\x07after");
        for step in [1, 7, 4096, long.len()] {
            let mut scanner = Scanner::default();
            let mut kept = Vec::new();
            for part in long.chunks(step) {
                for (piece, bytes) in pieces(&mut scanner, part) {
                    if !matches!(piece, Piece::Excess(_)) {
                        kept.extend(bytes);
                    }
                }
            }
            assert_eq!(kept.len(), 2 + OSC_MAX + 6, "in steps of {step}");
            assert!(kept.ends_with(b"aaa\x07after"));
        }
        let short = b"\x1b]0;title".repeat(OSC_MAX);
        assert!(
            !pieces(&mut Scanner::default(), &short)
                .iter()
                .any(|(piece, _)| matches!(piece, Piece::Excess(_)))
        );
    }

    #[test]
    fn text_and_whole_control_sequences_need_no_parser() {
        let mut scanner = Scanner::default();
        let stream = "a\né\x1b[1m漢\x1b[\x1b[31m\x1b]0;t\x07\x1b[2".as_bytes();
        let bytes = [stream, b"J\xe6"].concat();
        let mut seen = Vec::new();
        for (piece, bytes) in pieces(&mut scanner, &bytes) {
            seen.push(match piece {
                Piece::Text(_) => format!("text {}", bytes.escape_ascii()),
                Piece::Control(_) => format!("control {}", bytes.escape_ascii()),
                Piece::Other(_) => format!("other {}", bytes.escape_ascii()),
                Piece::Excess(_) => "excess".into(),
            });
        }
        let expected = [
            r"text a\n\xc3\xa9",
            r"control \x1b[1m",
            r"text \xe6\xbc\xa2",
            r"other \x1b[",
            // Not out of nothing: a parser has something unfinished.
            r"other \x1b[31m",
            r"other \x1b]0;t\x07",
            r"control \x1b[2J",
            r"other \xe6",
        ];
        assert_eq!(seen, expected);
        assert!(matches!(scanner.next(b"\xbc\xa2x"), Piece::Other(b"\xbc\xa2")));
        assert!(matches!(scanner.next(b"x\xff"), Piece::Text("x")));
        assert!(matches!(scanner.next(b"\xffx\x1b"), Piece::Other(b"\xffx")));
    }
}
