//! Keys by the names tmux gives them, as the bytes xterm sends for them. Knows no terminal and no program: what a key
//! does is the program's affair.

/// The most keys in one call: enough for any menu, too few to type a text with.
pub const MAX_KEYS: usize = 100;

/// Why a list of keys cannot be pressed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The list is empty.
    #[error("there is no key in the list")]
    None,
    /// More than [`MAX_KEYS`].
    #[error("{count} keys are more than {MAX_KEYS} at once; send text with send_message_to")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// No key has this name, or not with these modifiers.
    #[error(
        "keys[{index}] is {key:?}, which is no key; there are Enter, Escape, Tab, S-Tab, Space, Backspace, Delete, \
         Insert, Up, Down, Left, Right, Home, End, PageUp, PageDown, F1 to F12 (arrows and these also with C-, M- and \
         S-, as C-Left), C-a to C-z, C-Space, C-[, C-\\, C-], C-^, C-_, M-x for any x, and single characters; send \
         text with send_message_to"
    )]
    Unknown {
        /// Its place in the list, from 0.
        index: usize,
        /// The name, cut to forty characters.
        key: String,
    },
}

/// The bytes of each key, in order. `app_cursor` is DECCKM, which changes what unmodified arrows, Home and End send.
pub fn keys(names: &[String], app_cursor: bool) -> Result<Vec<Vec<u8>>, KeyError> {
    if names.is_empty() {
        return Err(KeyError::None);
    }
    if names.len() > MAX_KEYS {
        return Err(KeyError::TooMany { count: names.len() });
    }
    let key = |(index, name): (usize, &String)| {
        bytes(name, app_cursor)
            .ok_or_else(|| KeyError::Unknown { index, key: name.chars().take(40).collect() })
    };
    names.iter().enumerate().map(key).collect()
}

/// Whether these are the bytes of a key that moves about, such as an arrow or Tab, and so decides nothing.
pub fn moves(bytes: &[u8]) -> bool {
    matches!(bytes, b"\t" | [b'\x1b', b'[' | b'O', _, ..])
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Modifiers {
    shift: bool,
    meta: bool,
    control: bool,
}

impl Modifiers {
    /// xterm's parameter: 1 and a bit for each.
    fn xterm(self) -> u8 {
        1 + u8::from(self.shift) + 2 * u8::from(self.meta) + 4 * u8::from(self.control)
    }
}

/// A key whose bytes depend on more than its modifiers' prefix.
enum Named {
    /// One byte, with Meta as an ESC before it.
    Plain(u8),
    /// `CSI letter`, or `SS3 letter` in application mode; `CSI 1;m letter` with modifiers.
    Cursor(char),
    /// `SS3 letter`; `CSI 1;m letter` with modifiers.
    Function(char),
    /// `CSI number ~`; `CSI number;m ~` with modifiers.
    Tilde(u8),
    /// `CSI Z`.
    BackTab,
}

fn bytes(name: &str, app_cursor: bool) -> Option<Vec<u8>> {
    let (modifiers, rest) = modifiers(name);
    let mut chars = rest.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        return character(c, modifiers);
    }
    named(rest).and_then(|named| encode(named, modifiers, app_cursor))
}

/// Splits the prefixes off. The last character never belongs to one, so that `C-` stays a bad name and `M--` is Meta and `-`.
fn modifiers(name: &str) -> (Modifiers, &str) {
    let mut found = Modifiers::default();
    let mut rest = name;
    while let [letter, b'-', _, ..] = rest.as_bytes() {
        let flag = match letter.to_ascii_uppercase() {
            b'C' => &mut found.control,
            b'M' | b'A' => &mut found.meta,
            b'S' => &mut found.shift,
            _ => break,
        };
        *flag = true;
        rest = &rest[2..];
    }
    (found, rest)
}

fn character(c: char, modifiers: Modifiers) -> Option<Vec<u8>> {
    // Control characters have names; a raw one is more likely a mistake in quoting than a wish.
    if c.is_control() || modifiers.shift {
        return None;
    }
    let mut text = c.to_string().into_bytes();
    if modifiers.control {
        text = vec![control(c)?];
    }
    Some(with_meta(text, modifiers))
}

fn control(c: char) -> Option<u8> {
    match c.to_ascii_uppercase() {
        c @ ('@'..='_') => Some(c as u8 - b'@'),
        ' ' => Some(0),
        _ => None,
    }
}

fn named(name: &str) -> Option<Named> {
    Some(match name.to_ascii_lowercase().as_str() {
        "enter" => Named::Plain(b'\r'),
        "escape" | "esc" => Named::Plain(0x1b),
        "tab" => Named::Plain(b'\t'),
        "btab" => Named::BackTab,
        "space" => Named::Plain(b' '),
        "backspace" | "bspace" => Named::Plain(0x7f),
        "up" => Named::Cursor('A'),
        "down" => Named::Cursor('B'),
        "right" => Named::Cursor('C'),
        "left" => Named::Cursor('D'),
        "end" => Named::Cursor('F'),
        "home" => Named::Cursor('H'),
        "insert" | "ic" => Named::Tilde(2),
        "delete" | "dc" => Named::Tilde(3),
        "pageup" | "ppage" => Named::Tilde(5),
        "pagedown" | "npage" => Named::Tilde(6),
        "f1" => Named::Function('P'),
        "f2" => Named::Function('Q'),
        "f3" => Named::Function('R'),
        "f4" => Named::Function('S'),
        "f5" => Named::Tilde(15),
        "f6" => Named::Tilde(17),
        "f7" => Named::Tilde(18),
        "f8" => Named::Tilde(19),
        "f9" => Named::Tilde(20),
        "f10" => Named::Tilde(21),
        "f11" => Named::Tilde(23),
        "f12" => Named::Tilde(24),
        _ => return None,
    })
}

fn encode(key: Named, modifiers: Modifiers, app_cursor: bool) -> Option<Vec<u8>> {
    let modified = modifiers != Modifiers::default();
    let m = modifiers.xterm();
    Some(match key {
        Named::Plain(b' ') if modifiers.control && !modifiers.shift => with_meta(vec![0], modifiers),
        Named::Plain(b'\t') if modifiers.shift && !modifiers.control => {
            with_meta(b"\x1b[Z".to_vec(), modifiers)
        }
        // A terminal sends the same byte with and without Shift or Control here: better refused than pressed in vain.
        Named::Plain(_) | Named::BackTab if modifiers.shift || modifiers.control => return None,
        Named::Plain(byte) => with_meta(vec![byte], modifiers),
        Named::BackTab => with_meta(b"\x1b[Z".to_vec(), modifiers),
        Named::Cursor(letter) | Named::Function(letter) if modified => {
            format!("\x1b[1;{m}{letter}").into_bytes()
        }
        Named::Cursor(letter) if !app_cursor => format!("\x1b[{letter}").into_bytes(),
        Named::Cursor(letter) | Named::Function(letter) => format!("\x1bO{letter}").into_bytes(),
        Named::Tilde(number) if modified => format!("\x1b[{number};{m}~").into_bytes(),
        Named::Tilde(number) => format!("\x1b[{number}~").into_bytes(),
    })
}

fn with_meta(mut bytes: Vec<u8>, modifiers: Modifiers) -> Vec<u8> {
    if modifiers.meta {
        bytes.insert(0, 0x1b);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(name: &str, app_cursor: bool) -> Result<String, KeyError> {
        let pressed = keys(&[name.to_string()], app_cursor)?;
        Ok(String::from_utf8(pressed.concat()).unwrap())
    }

    #[test]
    fn keys_send_what_xterm_sends() {
        for (name, bytes) in [
            ("Enter", "\r"),
            ("enter", "\r"),
            ("M-Enter", "\x1b\r"),
            ("Escape", "\x1b"),
            ("ESC", "\x1b"),
            ("Tab", "\t"),
            ("S-Tab", "\x1b[Z"),
            ("BTab", "\x1b[Z"),
            ("Space", " "),
            ("C-Space", "\0"),
            ("Backspace", "\x7f"),
            ("BSpace", "\x7f"),
            ("Delete", "\x1b[3~"),
            ("DC", "\x1b[3~"),
            ("Insert", "\x1b[2~"),
            ("IC", "\x1b[2~"),
            ("PageUp", "\x1b[5~"),
            ("PPage", "\x1b[5~"),
            ("PageDown", "\x1b[6~"),
            ("NPage", "\x1b[6~"),
            ("Up", "\x1b[A"),
            ("Down", "\x1b[B"),
            ("Right", "\x1b[C"),
            ("Left", "\x1b[D"),
            ("Home", "\x1b[H"),
            ("End", "\x1b[F"),
            ("C-Up", "\x1b[1;5A"),
            ("S-Left", "\x1b[1;2D"),
            ("A-Right", "\x1b[1;3C"),
            ("C-M-S-Down", "\x1b[1;8B"),
            ("C-PageUp", "\x1b[5;5~"),
            ("F1", "\x1bOP"),
            ("f4", "\x1bOS"),
            ("S-F1", "\x1b[1;2P"),
            ("F5", "\x1b[15~"),
            ("F12", "\x1b[24~"),
            ("C-F12", "\x1b[24;5~"),
            ("C-c", "\x03"),
            ("C-C", "\x03"),
            ("c-z", "\x1a"),
            ("C-[", "\x1b"),
            ("C-\\", "\x1c"),
            ("C-]", "\x1d"),
            ("C-^", "\x1e"),
            ("C-_", "\x1f"),
            ("M-x", "\x1bx"),
            ("M-X", "\x1bX"),
            ("A-.", "\x1b."),
            ("M--", "\x1b-"),
            ("C-M-a", "\x1b\x01"),
            ("y", "y"),
            ("Y", "Y"),
            ("-", "-"),
            ("é", "é"),
            ("🙂", "🙂"),
        ] {
            assert_eq!(press(name, false).as_deref(), Ok(bytes), "{name}");
        }
    }

    #[test]
    fn application_mode_changes_only_unmodified_cursor_keys() {
        for (name, bytes) in [
            ("Up", "\x1bOA"),
            ("Home", "\x1bOH"),
            ("C-Up", "\x1b[1;5A"),
            ("F1", "\x1bOP"),
            ("PageUp", "\x1b[5~"),
        ] {
            assert_eq!(press(name, true).as_deref(), Ok(bytes), "{name}");
        }
    }

    #[test]
    fn what_is_no_key_is_named_with_its_place() {
        for bad in [
            "",
            "yes",
            "F0",
            "F13",
            "C-",
            "C-1",
            "C-é",
            "S-a",
            "S-Enter",
            "C-Enter",
            "Ctrl-C",
            "^C",
            "\r",
            "\x1b",
            "\u{9b}",
            "\x1b[201~",
            "X-a",
            "é-a",
            "C-Foo",
        ] {
            let error = keys(&["Enter".to_string(), bad.to_string()], false).unwrap_err();
            assert_eq!(error, KeyError::Unknown { index: 1, key: bad.to_string() });
            assert!(error.to_string().contains("send_message_to"));
        }
    }

    #[test]
    fn keys_that_move_about_are_told_from_those_that_answer() {
        for (name, moving) in [
            ("Up", true),
            ("C-Left", true),
            ("Tab", true),
            ("S-Tab", true),
            ("PageDown", true),
            ("Enter", false),
            ("Escape", false),
            ("Space", false),
            ("1", false),
            ("M-[", false),
            ("C-c", false),
        ] {
            assert_eq!(moves(&keys(&[name.into()], false).unwrap()[0]), moving, "{name}");
        }
    }

    #[test]
    fn none_and_too_many_are_refused() {
        let many = |count| vec!["a".to_string(); count];
        assert_eq!(keys(&[], false), Err(KeyError::None));
        assert_eq!(keys(&many(MAX_KEYS), false).unwrap().len(), MAX_KEYS);
        assert_eq!(keys(&many(MAX_KEYS + 1), false), Err(KeyError::TooMany { count: 101 }));
    }
}
