//! What a terminal sends, as keys and pastes. Knows the bytes, not what any key does.

/// What was pressed, pasted or answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Characters.
    Text(String),
    /// A bracketed paste; its lines end in LF.
    Paste(String),
    Enter,
    /// Ctrl-J: a new line that does not send.
    Newline,
    Backspace,
    /// Ctrl-U.
    Clear,
    Escape,
    Up,
    Down,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D.
    End,
    /// The terminal's answer to OSC 7501: it listens.
    Listens,
}

/// Bytes in, keys out; what is not whole yet waits.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    rest: Vec<u8>,
    pasting: bool,
}

const PASTE_END: &[u8] = b"\x1b[201~";

/// What the beginning of the bytes is.
enum Found {
    /// So many bytes, and what they mean if that is anything to us.
    Whole(usize, Option<Key>),
    /// A paste begins after so many bytes.
    PasteBegins(usize),
    /// More must come.
    Part,
}

impl Decoder {
    /// Takes what was read.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.rest.extend_from_slice(bytes);
        let mut keys = Vec::new();
        while !self.rest.is_empty() {
            let found = if self.pasting { paste(&self.rest) } else { key(&self.rest) };
            match found {
                Found::Part => break,
                Found::PasteBegins(len) => {
                    self.rest.drain(..len);
                    self.pasting = true;
                }
                Found::Whole(len, key) => {
                    self.rest.drain(..len);
                    self.pasting = false;
                    keys.extend(key);
                }
            }
        }
        keys
    }

    /// Whether a lone ESC waits for what may follow it.
    pub(super) fn waits(&self) -> bool {
        !self.pasting && self.rest == b"\x1b"
    }

    /// Nothing followed: it was the key.
    pub(super) fn settle(&mut self) -> Option<Key> {
        let waits = self.waits();
        waits.then(|| {
            self.rest.clear();
            Key::Escape
        })
    }
}

fn paste(bytes: &[u8]) -> Found {
    let Some(end) = find(bytes, PASTE_END) else { return Found::Part };
    let text = String::from_utf8_lossy(&bytes[..end]).replace("\r\n", "\n").replace('\r', "\n");
    Found::Whole(end + PASTE_END.len(), Some(Key::Paste(text)))
}

fn key(bytes: &[u8]) -> Found {
    let one = |key| Found::Whole(1, Some(key));
    match bytes {
        [b'\r', ..] => one(Key::Enter),
        [b'\n', ..] => one(Key::Newline),
        [0x7f | 0x08, ..] => one(Key::Backspace),
        [0x15, ..] => one(Key::Clear),
        [0x03, ..] => one(Key::Interrupt),
        [0x04, ..] => one(Key::End),
        [0x1b] => Found::Part,
        [0x1b, b'[' | b'O', ..] => sequence(bytes),
        [0x1b, b']', ..] => command(bytes),
        [0x1b, ..] => one(Key::Escape),
        [first, ..] if first.is_ascii_control() && *first != b'\t' => Found::Whole(1, None),
        _ => text(bytes),
    }
}

/// CSI and SS3.
fn sequence(bytes: &[u8]) -> Found {
    let Some(end) = bytes[2..].iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
        return Found::Part;
    };
    let len = end + 3;
    match &bytes[2..len] {
        b"200~" => Found::PasteBegins(len),
        b"A" => Found::Whole(len, Some(Key::Up)),
        b"B" => Found::Whole(len, Some(Key::Down)),
        _ => Found::Whole(len, None),
    }
}

/// OSC, ended by ST or BEL.
fn command(bytes: &[u8]) -> Found {
    let st = find(bytes, b"\x1b\\").map(|at| (at, at + 2));
    let bell = find(bytes, b"\x07").map(|at| (at, at + 1));
    let Some((end, len)) = [st, bell].into_iter().flatten().min() else { return Found::Part };
    Found::Whole(len, (&bytes[2..end] == b"7501;?").then_some(Key::Listens))
}

fn text(bytes: &[u8]) -> Found {
    let plain = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    let run = &bytes[..bytes.iter().position(plain).unwrap_or(bytes.len())];
    let len = match str::from_utf8(run) {
        Ok(_) => run.len(),
        // The rest of a character may come with the next read.
        Err(error) if error.error_len().is_none() && run.len() == bytes.len() => error.valid_up_to(),
        Err(_) => run.len(),
    };
    if len == 0 {
        return Found::Part;
    }
    Found::Whole(len, Some(Key::Text(String::from_utf8_lossy(&run[..len]).into_owned())))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Key {
        Key::Text(text.into())
    }

    /// The same keys, however the bytes are cut.
    #[track_caller]
    fn check(bytes: &str, keys: &[Key]) {
        let mut whole = Decoder::default();
        assert_eq!(whole.feed(bytes.as_bytes()), keys, "{bytes:?}");
        let mut cut = Decoder::default();
        let mut found: Vec<Key> = Vec::new();
        for key in bytes.bytes().flat_map(|byte| cut.feed(&[byte])) {
            match (found.last_mut(), key) {
                (Some(Key::Text(before)), Key::Text(more)) => before.push_str(&more),
                (_, key) => found.push(key),
            }
        }
        assert_eq!(found, keys, "{bytes:?}, byte by byte");
    }

    #[test]
    fn keys_and_pastes_are_told_apart() {
        check("hé 漢\r", &[text("hé 漢"), Key::Enter]);
        check("\x1b[200~a\rb\r\nc\x1b[201~\r", &[Key::Paste("a\nb\nc".into()), Key::Enter]);
        check("\x1b[200~\x1b[A\x03\x1b[201~", &[Key::Paste("\x1b[A\x03".into())]);
        check(
            "a\nb\x7f\x15\x03\x04",
            &[text("a"), Key::Newline, text("b"), Key::Backspace, Key::Clear, Key::Interrupt, Key::End],
        );
        check("\x1b[A\x1bOB\x1b[1;5C", &[Key::Up, Key::Down]);
        check("\x1b]7501;?\x1b\\x\x1b]11;rgb:0/0/0\x07", &[Key::Listens, text("x")]);
    }

    #[test]
    fn escape_alone_is_a_key_once_nothing_follows() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"a\x1b"), [text("a")]);
        assert!(decoder.waits());
        assert_eq!(decoder.settle(), Some(Key::Escape));
        assert_eq!(decoder.settle(), None);
        assert_eq!(decoder.feed(b"\x1b[200~\x1b"), []);
        assert!(!decoder.waits(), "within a paste it is none");
    }
}
