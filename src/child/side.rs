//! A second, small parser that runs in step with the emulator's and hears what that one drops: queries that it does
//! not answer, and what a program says of itself. Does not see the screen, so it hands queries on as [`Ask`]s.

use alacritty_terminal::vte::{Params, Perform};

use super::status::{Heard, Told};

/// What the end of a sequence wants done, now that the emulator is exactly there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// XTVERSION: who are you.
    Version,
    /// DA3: your serial number.
    UnitId,
    /// DECXCPR: where is the cursor.
    CursorPosition,
    /// Dark or light.
    ColorScheme,
    /// `CSI 16 t`: pixels of a cell.
    CellPixels,
    /// `CSI 19 t`: cells of the whole display.
    DisplayCells,
    /// `CSI 20 t`, `CSI 21 t`: the title; the letter opens the answer.
    Label(char),
    /// DECRQSS: how is this set.
    Setting(Vec<u8>),
    /// XTGETTCAP: what is this terminfo capability. Which one is not kept, since none is told.
    Capability,
    /// OSC 7501;?: is there anybody who listens. `bell`: how the question ended.
    StatusProtocol {
        /// Ended by BEL and not by ST.
        bell: bool,
    },
    /// DECSTR.
    SoftReset,
    /// REP: the last character so many times more.
    Repeat(u16),
    /// What follows up to `CSI ? 2026 l` is to be shown at once.
    BeginSync,
}

/// Give it to vte's `advance_until_terminated`, which stops right after each sequence that leaves an `ask`.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// To be done before going on.
    pub(super) ask: Option<Ask>,
    /// What has been said so far.
    pub(super) told: Told,
    /// `told` has changed.
    pub(super) news: bool,
    device: Device,
    string: Vec<u8>,
}

impl Side {
    /// Whether a whole control sequence could be one that is heard here, by its last byte.
    pub(super) fn hears(sequence: &[u8]) -> bool {
        matches!(sequence.last(), Some(b'q' | b'c' | b'n' | b't' | b'p' | b'b' | b'h'))
    }
}

/// The device control string (DCS) that is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Device {
    #[default]
    None,
    Setting,
    Capability,
}

/// Longest query in a DCS. xterm's names of capabilities are a few bytes each.
const QUERY_MAX: usize = 256;

impl Perform for Side {
    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if ignore {
            return;
        }
        let first = params.iter().next().map_or(0, |param| param[0]);
        let ask = match (action, intermediates, first) {
            ('q', b">", 0) => Ask::Version,
            ('c', b"=", 0) => Ask::UnitId,
            ('n', b"?", 6) => Ask::CursorPosition,
            ('n', b"?", 996) => Ask::ColorScheme,
            ('t', b"", 16) => Ask::CellPixels,
            ('t', b"", 19) => Ask::DisplayCells,
            ('t', b"", 20) => Ask::Label('L'),
            ('t', b"", 21) => Ask::Label('l'),
            ('p', b"!", _) => Ask::SoftReset,
            ('b', b"", count) => Ask::Repeat(count.max(1)),
            ('h', b"?", _) if params.iter().any(|param| param[0] == 2026) => Ask::BeginSync,
            _ => return,
        };
        self.ask = Some(ask);
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], bell: bool) {
        match self.told.osc(params) {
            Heard::Nothing => {}
            Heard::News => self.news = true,
            Heard::StatusQuery => self.ask = Some(Ask::StatusProtocol { bell }),
        }
    }

    fn hook(&mut self, _: &Params, intermediates: &[u8], ignore: bool, action: char) {
        self.string.clear();
        self.device = match (intermediates, action) {
            (b"$", 'q') if !ignore => Device::Setting,
            (b"+", 'q') if !ignore => Device::Capability,
            _ => Device::None,
        };
    }

    fn put(&mut self, byte: u8) {
        // One byte more than allowed is kept, to tell.
        if self.device == Device::Setting && self.string.len() <= QUERY_MAX {
            self.string.push(byte);
        }
    }

    fn unhook(&mut self) {
        if self.string.len() > QUERY_MAX {
            self.string.clear();
        }
        let string = std::mem::take(&mut self.string);
        self.ask = match std::mem::take(&mut self.device) {
            Device::None => None,
            Device::Setting => Some(Ask::Setting(string)),
            Device::Capability => Some(Ask::Capability),
        };
    }

    fn terminated(&self) -> bool {
        self.ask.is_some()
    }
}

#[cfg(test)]
mod tests {
    use alacritty_terminal::vte::Parser;

    use super::*;

    /// All asks in these bytes, and where each stopped the parser.
    fn asks(bytes: &[u8]) -> Vec<(usize, Ask)> {
        let (mut side, mut parser, mut at, mut asks) = (Side::default(), Parser::new(), 0, Vec::new());
        while at < bytes.len() {
            at += parser.advance_until_terminated(&mut side, &bytes[at..]);
            asks.extend(side.ask.take().map(|ask| (at, ask)));
        }
        asks
    }

    #[track_caller]
    fn check(bytes: &[u8], ask: Ask) {
        assert_eq!(asks(bytes), [(bytes.len(), ask)], "{bytes:?}");
    }

    #[test]
    fn each_query_is_heard_where_it_ends() {
        check(b"\x1b[>q", Ask::Version);
        check(b"\x1b[>0q", Ask::Version);
        check(b"\x1b[=c", Ask::UnitId);
        check(b"\x1b[?6n", Ask::CursorPosition);
        check(b"\x1b[?996n", Ask::ColorScheme);
        check(b"\x1b[16t", Ask::CellPixels);
        check(b"\x1b[19t", Ask::DisplayCells);
        check(b"\x1b[20t", Ask::Label('L'));
        check(b"\x1b[21t", Ask::Label('l'));
        check(b"\x1b[!p", Ask::SoftReset);
        check(b"x\x1b[b", Ask::Repeat(1));
        check(b"x\x1b[70000b", Ask::Repeat(65535));
        check(b"\x1b[?25;2026h", Ask::BeginSync);
        check(b"\x1b]7501;?\x07", Ask::StatusProtocol { bell: true });
        assert_eq!(asks(b"\x1b]7501;?\x1b\\"), [(9, Ask::StatusProtocol { bell: false })]);
        assert_eq!(asks(b"\x1bP$qr\x1b\\"), [(6, Ask::Setting(b"r".to_vec()))]);
        assert_eq!(asks(b"\x1bP+q544e\x1b\\"), [(9, Ask::Capability)]);
        assert_eq!(asks(b"\x1b[c\x1b[6n\x1b[5n\x1b[14t\x1b[18t\x1b[?2026l\x1bPq#0\x1b\\"), []);
    }

    #[test]
    fn a_query_that_never_ends_is_not_kept() {
        let mut bytes = b"\x1bP$q".to_vec();
        bytes.resize(10_000, b'4');
        let (mut side, mut parser) = (Side::default(), Parser::new());
        let _ = parser.advance_until_terminated(&mut side, &bytes);
        assert!(side.string.capacity() < 1024);
        let _ = parser.advance_until_terminated(&mut side, b"\x1b\\");
        assert_eq!(side.ask, Some(Ask::Setting(Vec::new())));
    }
}
