//! What a person's terminal sends, taken apart: the prefix key, pastes, the mouse and the focus, and single keys, each
//! with the bytes it came as. A plain value; knows nothing of what any of them does.

/// One thing that the terminal has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// A key, and its bytes.
    Key(Key, Vec<u8>),
    /// The key that gives orders to us.
    Prefix,
    /// A pasted text.
    Paste(String),
    /// The mouse.
    Mouse(Mouse),
    /// The terminal has the focus, or has lost it.
    Focus(bool),
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Escape,
    Backspace,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    /// Another.
    Other,
}

/// The mouse, as ?1006 has it: from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mouse {
    pub(super) code: u16,
    pub(super) col: u16,
    pub(super) row: u16,
    pub(super) pressed: bool,
}

impl Mouse {
    /// Up is negative.
    pub(super) fn wheel(self) -> Option<isize> {
        match (self.code & !0b1_1100, self.pressed) {
            (64, true) => Some(-1),
            (65, true) => Some(1),
            _ => None,
        }
    }

    pub(super) fn moves(self) -> bool {
        self.code & 32 != 0
    }

    /// No button is held, either.
    pub(super) fn hovers(self) -> bool {
        self.code & 0b10_0011 == 35
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: u8,
    /// Begun and not finished.
    held: Vec<u8>,
    paste: Option<Vec<u8>>,
}

const PASTE: &[u8] = b"\x1b[200~";
const PASTED: &[u8] = b"\x1b[201~";
/// Nothing that a key sends is longer.
const LONGEST: usize = 64;
/// Of one paste; more is another.
const PASTE_MAX: usize = 1 << 20;

impl Keys {
    pub(super) fn new(prefix: u8) -> Keys {
        Keys { prefix, held: Vec::new(), paste: None }
    }

    /// Takes what was read.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Vec<Sent> {
        let mut all = std::mem::take(&mut self.held);
        all.extend(bytes);
        let mut rest = &all[..];
        let mut sent = Vec::new();
        while !rest.is_empty() {
            if let Some(paste) = &mut self.paste {
                let end = rest.windows(PASTED.len()).position(|part| part == PASTED);
                let text = end.unwrap_or_else(|| rest.len() - begun(rest, PASTED));
                paste.extend(&rest[..text]);
                if end.is_none() && paste.len() < PASTE_MAX {
                    rest = &rest[text..];
                    break;
                }
                sent.push(Sent::Paste(String::from_utf8_lossy(paste).into_owned()));
                match end {
                    Some(_) => {
                        self.paste = None;
                        rest = &rest[text + PASTED.len()..];
                    }
                    None => {
                        paste.clear();
                        rest = &rest[text..];
                    }
                }
                continue;
            }
            match self.one(rest) {
                Some((one, len)) => {
                    sent.extend(one);
                    rest = &rest[len..];
                }
                None => break,
            }
        }
        self.held = rest.to_vec();
        sent
    }

    /// Whether something is begun that may be a key by itself.
    pub(super) fn waits(&self) -> bool {
        !self.held.is_empty() && self.paste.is_none()
    }

    /// Nothing more has come: what was begun was all.
    pub(super) fn rest(&mut self) -> Vec<Sent> {
        if !self.waits() {
            return Vec::new();
        }
        let held = std::mem::take(&mut self.held);
        let key = if held == b"\x1b" { Key::Escape } else { Key::Other };
        vec![Sent::Key(key, held)]
    }

    /// The first thing in it and how long that is; nothing if there is more to come.
    fn one(&mut self, bytes: &[u8]) -> Option<(Option<Sent>, usize)> {
        let key = |key, len: usize| Some((Some(Sent::Key(key, bytes[..len].to_vec())), len));
        match bytes[0] {
            byte if byte == self.prefix => Some((Some(Sent::Prefix), 1)),
            0x1b => self.escape(bytes),
            b'\r' => key(Key::Enter, 1),
            0x7f | 0x08 => key(Key::Backspace, 1),
            byte @ 0x20..0x7f => key(Key::Char(byte.into()), 1),
            0..0x20 => key(Key::Other, 1),
            first => {
                let len = match first {
                    0xc0..0xe0 => 2,
                    0xe0..0xf0 => 3,
                    0xf0..0xf8 => 4,
                    _ => 1,
                };
                let text = bytes.get(..len)?;
                match std::str::from_utf8(text).ok().and_then(|text| text.chars().next()) {
                    Some(c) => key(Key::Char(c), len),
                    None => key(Key::Other, 1),
                }
            }
        }
    }

    fn escape(&mut self, bytes: &[u8]) -> Option<(Option<Sent>, usize)> {
        let key = |key, len: usize| Some((Some(Sent::Key(key, bytes[..len].to_vec())), len));
        match bytes.get(1)? {
            b'O' => {
                let last = *bytes.get(2)?;
                key(named(last).unwrap_or(Key::Other), 3)
            }
            b'[' => {
                let end = bytes.iter().skip(2).position(|byte| matches!(byte, b'@'..=b'~'));
                let Some(len) = end.map(|end| end + 3) else {
                    return if bytes.len() > LONGEST { key(Key::Other, bytes.len()) } else { None };
                };
                // The Linux console sends another bracket for function keys.
                if bytes[2] == b'[' {
                    return if bytes.len() > 3 { key(Key::Other, 4) } else { None };
                }
                let sequence = &bytes[..len];
                if sequence == PASTE {
                    self.paste = Some(Vec::new());
                    return Some((None, len));
                }
                if let Some(mouse) = mouse(sequence) {
                    return Some((Some(Sent::Mouse(mouse)), len));
                }
                match &sequence[2..] {
                    b"I" => return Some((Some(Sent::Focus(true)), len)),
                    b"O" => return Some((Some(Sent::Focus(false)), len)),
                    b"5~" | b"5;2~" => return key(Key::PageUp, len),
                    b"6~" | b"6;2~" => return key(Key::PageDown, len),
                    b"1~" | b"7~" => return key(Key::Home, len),
                    b"4~" | b"8~" => return key(Key::End, len),
                    _ => {}
                }
                key(if len == 3 { named(bytes[2]).unwrap_or(Key::Other) } else { Key::Other }, len)
            }
            // Two keys, one of them Escape; or Alt and another. A program tells them apart, if anybody does.
            0x1b => key(Key::Escape, 1),
            first if *first == self.prefix => key(Key::Escape, 1),
            _ => key(Key::Other, 2),
        }
    }
}

fn named(last: u8) -> Option<Key> {
    Some(match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => return None,
    })
}

fn mouse(sequence: &[u8]) -> Option<Mouse> {
    let inside = std::str::from_utf8(sequence).ok()?.strip_prefix("\x1b[<")?;
    let (pressed, numbers) = match inside.strip_suffix('M') {
        Some(numbers) => (true, numbers),
        None => (false, inside.strip_suffix('m')?),
    };
    let mut numbers = numbers.split(';').map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Mouse { code: next()?, col: next()?, row: next()?, pressed })
}

/// How much of a mark may have begun at the end of some bytes.
fn begun(bytes: &[u8], mark: &[u8]) -> usize {
    (1..mark.len()).rev().find(|len| bytes.ends_with(&mark[..*len])).unwrap_or(0)
}

/// A prefix as a person writes it: `C-]`, `C-a`, `C-Space`.
pub fn prefix(text: &str) -> Option<u8> {
    let key = text.strip_prefix("C-").or_else(|| text.strip_prefix('^'))?;
    match key.as_bytes() {
        b"Space" | b"@" => Some(0),
        [key @ (b'a'..=b'z' | b'A'..=b'Z' | b'\\' | b']' | b'^' | b'_')] => {
            // Escape, Enter, Tab and Ctrl-C are needed for themselves.
            Some(key.to_ascii_uppercase() & 0x1f)
                .filter(|byte| !matches!(byte, 0x1b | b'\r' | b'\n' | b'\t' | 3))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: u8 = 0x1d;

    fn key(key: Key, bytes: &[u8]) -> Sent {
        Sent::Key(key, bytes.to_vec())
    }

    /// The same, wherever the bytes are cut.
    #[track_caller]
    fn check(bytes: &[u8], sent: &[Sent]) {
        for cut in 0..=bytes.len() {
            let mut keys = Keys::new(PREFIX);
            let mut got = keys.read(&bytes[..cut]);
            got.extend(keys.read(&bytes[cut..]));
            got.extend(keys.rest());
            assert_eq!(got, sent, "cut at {cut}");
        }
    }

    #[test]
    fn keys_are_told_apart_and_lose_no_byte() {
        check(
            "aé漢".as_bytes(),
            &[
                key(Key::Char('a'), b"a"),
                key(Key::Char('é'), "é".as_bytes()),
                key(Key::Char('漢'), "漢".as_bytes()),
            ],
        );
        check(
            b"\r\x7f\x03",
            &[key(Key::Enter, b"\r"), key(Key::Backspace, b"\x7f"), key(Key::Other, b"\x03")],
        );
        check(
            b"\x1b[A\x1bOB\x1b[5~\x1b[6;2~",
            &[
                key(Key::Up, b"\x1b[A"),
                key(Key::Down, b"\x1bOB"),
                key(Key::PageUp, b"\x1b[5~"),
                key(Key::PageDown, b"\x1b[6;2~"),
            ],
        );
        check(
            b"\x1b[1;5Cx\x1bx",
            &[key(Key::Other, b"\x1b[1;5C"), key(Key::Char('x'), b"x"), key(Key::Other, b"\x1bx")],
        );
        check(b"\x1b", &[key(Key::Escape, b"\x1b")]);
        check(b"\x1b\x1b[A", &[key(Key::Escape, b"\x1b"), key(Key::Up, b"\x1b[A")]);
        check(b"\x1b[[A", &[key(Key::Other, b"\x1b[[A")]);
        check(b"\xffa", &[key(Key::Other, b"\xff"), key(Key::Char('a'), b"a")]);
    }

    #[test]
    fn the_prefix_is_found_and_not_in_a_paste() {
        check(b"a\x1db", &[key(Key::Char('a'), b"a"), Sent::Prefix, key(Key::Char('b'), b"b")]);
        check(b"\x1b\x1d", &[key(Key::Escape, b"\x1b"), Sent::Prefix]);
        check(
            b"\x1b[200~a\x1d\r\x1b[A\x1b[201~x",
            &[Sent::Paste("a\x1d\r\x1b[A".into()), key(Key::Char('x'), b"x")],
        );
        check(b"\x1b[200~\x1b[201~", &[Sent::Paste(String::new())]);
    }

    #[test]
    fn the_mouse_and_the_focus() {
        let mouse = |code, pressed| Mouse { code, col: 3, row: 4, pressed };
        check(
            b"\x1b[<0;3;4M\x1b[<0;3;4m\x1b[<64;3;4M\x1b[I\x1b[O",
            &[
                Sent::Mouse(mouse(0, true)),
                Sent::Mouse(mouse(0, false)),
                Sent::Mouse(mouse(64, true)),
                Sent::Focus(true),
                Sent::Focus(false),
            ],
        );
        assert_eq!(
            [64, 65, 68, 0].map(|code| mouse(code, true).wheel()),
            [Some(-1), Some(1), Some(-1), None]
        );
        assert!(mouse(35, true).hovers() && mouse(32, true).moves() && !mouse(32, true).hovers());
    }

    #[test]
    fn a_long_paste_comes_in_parts() {
        let mut keys = Keys::new(PREFIX);
        let mut sent = keys.read(PASTE);
        for _ in 0..300 {
            sent.extend(keys.read(&[b'x'; 10_000]));
        }
        sent.extend(keys.read(PASTED));
        let texts = sent.iter().map(|sent| if let Sent::Paste(text) = sent { text.len() } else { 0 });
        assert_eq!((texts.sum::<usize>(), sent.len()), (3_000_000, 3));
    }

    #[test]
    fn prefixes() {
        for (text, byte) in [
            ("C-]", Some(0x1d)),
            ("C-a", Some(1)),
            ("^B", Some(2)),
            ("C-Space", Some(0)),
            ("C-\\", Some(0x1c)),
            ("C-c", None),
            ("C-m", None),
            ("C-[", None),
            ("a", None),
            ("C-", None),
        ] {
            assert_eq!(prefix(text), byte, "{text}");
        }
    }
}
