//! Where escape sequences begin and end, byte by byte, in exact step with `vte::Parser`, which keeps its state to
//! itself. Knows nothing of what a sequence means.

/// Between which bytes of the stream we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scan {
    /// Outside any sequence.
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate.
    Intermediate,
    /// Inside CSI.
    Csi,
    /// Inside OSC.
    Osc,
    /// Inside DCS, before its data.
    DcsEntry,
    /// Inside the data of a DCS.
    Dcs,
    /// Inside SOS, PM or APC.
    Ignored,
}

impl Scan {
    /// The state after one more byte.
    #[inline]
    pub(super) fn step(self, byte: u8) -> Scan {
        match (self, byte) {
            (_, 0x1B) => Scan::Escape,
            (Scan::Ground, _) | (_, 0x18 | 0x1A) => Scan::Ground,
            (Scan::Escape, 0x20..=0x2F) => Scan::Intermediate,
            (Scan::Escape, b'P') => Scan::DcsEntry,
            (Scan::Escape, b'[') => Scan::Csi,
            (Scan::Escape, b']') => Scan::Osc,
            (Scan::Escape, b'X' | b'^' | b'_') => Scan::Ignored,
            (Scan::Escape | Scan::Intermediate, 0x30..=0x7E) => Scan::Ground,
            (Scan::Csi, 0x40..=0x7E) => Scan::Ground,
            (Scan::Osc, 0x07) | (Scan::Dcs, 0x9C) => Scan::Ground,
            (Scan::DcsEntry, 0x40..=0x7E) => Scan::Dcs,
            (state, _) => state,
        }
    }

    /// Inside something only a terminator ends.
    #[inline]
    pub(super) fn in_string(self) -> bool {
        matches!(self, Scan::Osc | Scan::DcsEntry | Scan::Dcs | Scan::Ignored)
    }

    /// The state after all of `bytes`.
    pub(super) fn over(mut self, mut bytes: &[u8]) -> Scan {
        while let [first, rest @ ..] = bytes {
            if self == Scan::Ground {
                let Some(escape) = bytes.iter().position(|byte| *byte == 0x1B) else { return self };
                bytes = &bytes[escape + 1..];
                self = Scan::Escape;
            } else {
                self = self.step(*first);
                bytes = rest;
            }
        }
        self
    }
}

/// How many bytes at the end of `bytes`, which begin outside any sequence, belong to a sequence or a character that
/// is not complete.
pub(super) fn unfinished(bytes: &[u8]) -> usize {
    let mut state = Scan::Ground;
    let mut since = 0;
    let mut at = 0;
    while at < bytes.len() {
        if state == Scan::Ground {
            let Some(escape) = bytes[at..].iter().position(|byte| *byte == 0x1B) else { break };
            since = at + escape;
            at = since;
        }
        state = state.step(bytes[at]);
        at += 1;
    }
    if state == Scan::Ground { unfinished_char(bytes) } else { bytes.len() - since }
}

fn unfinished_char(bytes: &[u8]) -> usize {
    let last = bytes.len().saturating_sub(3);
    for (back, byte) in bytes[last..].iter().rev().enumerate() {
        if *byte >= 0xC0 {
            let tail = &bytes[bytes.len() - back - 1..];
            let cut =
                std::str::from_utf8(tail).is_err_and(|e| e.error_len().is_none() && e.valid_up_to() == 0);
            return if cut { tail.len() } else { 0 };
        }
        if *byte < 0x80 {
            break;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_incomplete_at_the_end_is_held_back() {
        for (bytes, held) in [
            (&b""[..], 0),
            (b"abc", 0),
            (b"abc\x1b", 1),
            (b"abc\x1b[1;3", 5),
            (b"abc\x1b[1;3m", 0),
            (b"\x1b]0;title", 9),
            (b"\x1b]0;t\x1b", 6),
            (b"\x1b]0;t\x1b\\", 0),
            (b"\x1b]0;t\x07", 0),
            (b"\x1bP$qm", 5),
            (b"\x1bP$qm\x18", 0),
            (b"\x1b(", 2),
            (b"\x1b(B", 0),
            (b"a\xe2\x82", 2),
            (b"a\xe2\x82\xac", 0),
            (b"\xf0\x9f\x98", 3),
            (b"\xff", 0),
            (b"\x82\x82\x82", 0),
            (b"\xe2(", 0),
        ] {
            assert_eq!(unfinished(bytes), held, "{bytes:?}");
        }
    }
}
