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
    /// How many of these bytes a parser may have, and how many after those it must not: the inside of an OSC that
    /// is longer than [`OSC_MAX`]. Ask again with what follows.
    pub(super) fn split(&mut self, bytes: &[u8]) -> (usize, usize) {
        let (mut at, mut text) = (0, 0);
        while at < bytes.len() {
            if self.state == State::Ground {
                match find_escape(&bytes[at..]) {
                    Some(plain) => at += plain,
                    None => break,
                }
            }
            self.step(bytes[at]);
            text = at + 1;
            if self.state == State::Csi {
                // Most of what is in escapes: numbers.
                at += 1;
                at += bytes[at..].iter().take_while(|b| matches!(b, 0x20..=0x3f)).count();
                continue;
            }
            if self.state == State::Osc && self.len > OSC_MAX {
                let inside = bytes[at..].iter().position(|&b| ends_osc(b)).unwrap_or(bytes.len() - at);
                return (at, inside);
            }
            at += 1;
        }
        if text > 0 {
            self.tail.clear();
        }
        self.tail.extend(&bytes[text.max(bytes.len().saturating_sub(3))..]);
        self.tail.drain(..self.tail.len().saturating_sub(3));
        (bytes.len(), 0)
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
    // `contains` is vectorised, `position` is not.
    let mut at = 0;
    for chunk in bytes.chunks(64) {
        if chunk.contains(&ESC) {
            return chunk.iter().position(|&b| b == ESC).map(|n| at + n);
        }
        at += chunk.len();
    }
    None
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
                scanner.split(part);
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
            for mut part in long.chunks(step) {
                while !part.is_empty() {
                    let (keep, skip) = scanner.split(part);
                    kept.extend(&part[..keep]);
                    part = &part[keep + skip..];
                }
            }
            assert_eq!(kept.len(), 2 + OSC_MAX + 6, "in steps of {step}");
            assert!(kept.ends_with(b"aaa\x07after"));
        }
        let short = b"\x1b]0;title".repeat(OSC_MAX);
        assert_eq!(Scanner::default().split(&short), (short.len(), 0));
    }
}
