//! What is done without the parser, text and the plain control sequences, is what the parser does.

use proptest::{prelude::*, sample::select};

use super::*;

/// What programs write, whole and broken, without what is allowed by how much was written before it.
const PARTS: [&[u8]; 60] = [
    b"hello",
    b"a b",
    b"\r\n",
    b"\n",
    b"\t",
    b"\x08",
    b"\x0b",
    b"\x0e",
    b"\x0f",
    b"\x07",
    b"\x7f",
    b"\x1a",
    b"0123456789012345678901234567890123456789",
    "漢".as_bytes(),
    "漢字x".as_bytes(),
    "éè".as_bytes(),
    "───────────────────────────".as_bytes(),
    "e\u{301}".as_bytes(),
    "\u{85}\u{9b}".as_bytes(),
    "👩\u{200d}💻".as_bytes(),
    b"\x1b[m",
    b"\x1b[0m",
    b"\x1b[1;31m",
    b"\x1b[22;39;49m",
    b"\x1b[;4m",
    b"\x1b[4:3m",
    b"\x1b[38;5;12m",
    b"\x1b[38;5;300m",
    b"\x1b[48;2;1;2;3;97m",
    b"\x1b[38;2;1;2m",
    b"\x1b[58;5;3;7m",
    b"\x1b[1;2;3;4;5;6;7;8;9;21;22;23;24;25;27;28;29m",
    b"\x1b[90;107m",
    b"\x1b[999999m",
    b"\x1b[4h",
    b"\x1b[4l",
    b"\x1b(0",
    b"\x1b(B",
    b"\x1b)0",
    b"\x1b[?7l",
    b"\x1b[?7h",
    b"\x1b[?6h",
    b"\x1b[2;4r",
    b"\x1b[r",
    b"\x1b[H",
    b"\x1b[3;9H",
    b"\x1b[70000;5H",
    b"\x1b[0;7H",
    b"\x1b[;7H",
    b"\x1b[A",
    b"\x1b[2B",
    b"\x1b[3C",
    b"\x1b[D",
    b"\x1b[5G",
    b"\x1b[K",
    b"\x1b[1K",
    b"\x1b[2K",
    b"\x1b[3\n1m",
    b"\x1b]8;;http://x\x07",
    b"\x1b]8;;\x07",
];

/// Bytes that are not well formed, or end what was begun.
const BROKEN: [&[u8]; 10] =
    [b"\xff", b"\xe6", b"\xbc", b"\x1b", b"\x1b[", b"\x1b[3", b"\x18", b"\x1bP$q", b"\x1b\\", b"\x1b]0;"];

impl Screen {
    /// As `feed` without a shorter way.
    fn parse(&mut self, bytes: &[u8]) {
        self.extra.new_bytes();
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = self.scanner.next(rest).len();
            self.extra.pay(len);
            self.emulator.take(Piece::Other(&rest[..len]), &mut self.extra, &mut self.side);
            rest = &rest[len..];
        }
        self.version +=
            u64::from(std::mem::take(&mut self.extra.touched) | std::mem::take(&mut self.side.news));
    }
}

fn bytes() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let part = prop_oneof![12 => select(&PARTS[..]), 1 => select(&BROKEN[..])];
    let piece = proptest::collection::vec(part, 1..12).prop_map(|parts| parts.concat());
    proptest::collection::vec(piece, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_shorter_way_leads_where_the_parser_leads(pieces in bytes(), cols in 2u16..40) {
        let size = Size { rows: 5, cols };
        let (mut quick, mut parsed, now) = (Screen::new(size), Screen::new(size), Instant::now());
        for piece in &pieces {
            let fed = quick.feed(piece, now);
            prop_assert!(!fed.reset);
            parsed.parse(piece);
            prop_assert_eq!(fed.answers.escape_ascii().to_string(), parsed.extra.answers.escape_ascii().to_string());
            parsed.extra.answers.clear();
            prop_assert_eq!(quick.version, parsed.version);
            prop_assert_eq!(quick.text(99), parsed.text(99));
        }
        // All of it: cells with their colours, modes, margins.
        for screen in [&mut quick, &mut parsed] {
            let _ = screen.feed(b"\x18", now);
        }
        let picture = |screen: &mut Screen| screen.write(usize::MAX).map(|bytes| bytes.escape_ascii().to_string());
        prop_assert_eq!(picture(&mut quick), picture(&mut parsed));
    }
}
