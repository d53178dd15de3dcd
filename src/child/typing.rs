//! What is written to a program's terminal when it is sent a message or keys: text made harmless, framed as a
//! paste, and how long to wait before Enter. Pure; knows no terminal, and nothing of when it is right to type.

use std::{borrow::Cow, time::Duration};

use super::rules::Typing;

mod key;

pub use key::{KeyError, MAX_KEYS, keys, moves};

/// The longest message, in bytes after cleaning. Longer ones belong in a file whose path the message names.
pub const MAX_MESSAGE: usize = 256 * 1024;

/// The longest line, its newline included, that the kernel keeps in canonical mode (`N_TTY_BUF_SIZE` - 1 on Linux):
/// it drops the rest without a word.
pub const MAX_CANONICAL_LINE: usize = 4095;

const ENTER_AFTER_MS: u64 = 300;
const BYTES_PER_MS: u64 = 100;
const MAX_ENTER_DELAY: Duration = Duration::from_secs(10);

/// A message that can be typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleaned {
    /// What to type: lines end in LF, and no other control character than TAB is in it.
    pub text: String,
    /// How many control characters were left out.
    pub dropped: usize,
}

/// Why a message cannot be typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypingError {
    /// Nothing but white space and control characters.
    #[error("the message is empty")]
    Empty,
    /// More than [`MAX_MESSAGE`].
    #[error("the message has {bytes} bytes; at most {MAX_MESSAGE} can be typed")]
    TooLong {
        /// Its length after cleaning.
        bytes: usize,
    },
    /// The terminal is in canonical mode, and the kernel would cut this line.
    #[error("line {line} has {bytes} bytes; this program reads whole lines of at most {MAX_CANONICAL_LINE}")]
    LineTooLong {
        /// Which line, from 1.
        line: usize,
        /// Its length, newline included.
        bytes: usize,
    },
}

/// What of the terminal's modes decides how text is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// The program asked for bracketed paste (DECSET 2004).
    pub bracketed: bool,
    /// The kernel collects lines (ICANON), because no program has asked for single keys.
    pub canonical: bool,
}

/// Takes out of a message what a terminal or a program would take for a command, as `rules` say.
///
/// ESC and U+009B go, so no `ESC[201~` can end the paste early and have the rest of the text act as keys.
pub fn clean(text: &str, rules: &Typing) -> Result<Cleaned, TypingError> {
    let mut kept = String::with_capacity(text.len());
    let mut dropped = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                kept.push('\n');
            }
            '\n' | '\t' => kept.push(c),
            // C0, DEL and C1.
            c if c.is_control() => dropped += 1,
            c => kept.push(c),
        }
    }
    kept.truncate(kept.trim_end_matches('\n').len());
    if kept.trim().is_empty() {
        return Err(TypingError::Empty);
    }
    if rules.shield_commands && kept.starts_with(['!', '/']) {
        kept.insert(0, ' ');
    }
    if rules.shield_backslash && kept.ends_with('\\') {
        kept.push(' ');
    }
    if kept.len() > MAX_MESSAGE {
        return Err(TypingError::TooLong { bytes: kept.len() });
    }
    Ok(Cleaned { text: kept, dropped })
}

/// The bytes that put a [`clean`]ed text before a program, without the Enter that sends it.
pub fn paste(text: &str, mode: Mode) -> Result<Vec<u8>, TypingError> {
    if mode.bracketed {
        // A newline inside is CR, as xterm and tmux send it: it is what the Return key sends, so it is what programs
        // and readline were written against.
        let inside = carriage_returns(text);
        return Ok([b"\x1b[200~", inside.as_bytes(), b"\x1b[201~"].concat());
    }
    if mode.canonical {
        for (index, line) in text.split('\n').enumerate() {
            let bytes = line.len() + 1;
            if bytes > MAX_CANONICAL_LINE {
                return Err(TypingError::LineTooLong { line: index + 1, bytes });
            }
        }
        return Ok(text.as_bytes().to_vec());
    }
    Ok(carriage_returns(text).into_owned().into_bytes())
}

/// How long to wait between a pasted text of `len` bytes and Enter, which programs otherwise take as part of the paste.
pub fn enter_delay(len: usize, rules: &Typing, canonical: bool) -> Duration {
    // The kernel, not the program, makes the line.
    if canonical {
        return Duration::ZERO;
    }
    let base = rules.enter_after_ms.map_or(ENTER_AFTER_MS, u64::from);
    let for_length = len as u64 / BYTES_PER_MS;
    Duration::from_millis(base.saturating_add(for_length)).min(MAX_ENTER_DELAY)
}

fn carriage_returns(text: &str) -> Cow<'_, str> {
    if text.contains('\n') { text.replace('\n', "\r").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRACKETED: Mode = Mode { bracketed: true, canonical: false };
    const CANONICAL: Mode = Mode { bracketed: false, canonical: true };
    const RAW: Mode = Mode { bracketed: false, canonical: false };

    fn shields() -> Typing {
        Typing { enter_after_ms: None, shield_commands: true, shield_backslash: true }
    }

    #[test]
    fn control_characters_never_reach_the_program() {
        for (text, kept, dropped) in [
            ("plain", "plain", 0),
            ("tab\tand\nline", "tab\tand\nline", 0),
            ("a\r\nb\rc\n\r\n\r", "a\nb\nc", 0),
            ("x\x1b[201~\rrm -rf .\r", "x[201~\nrm -rf .", 1),
            ("x\u{9b}201~y", "x201~y", 1),
            ("a\0b\x07c\x7fd\u{85}e\x03", "abcde", 5),
            ("é 漢 🙂", "é 漢 🙂", 0),
            ("a\x1b\r\x1b\nb", "a\n\nb", 2),
        ] {
            let cleaned = clean(text, &Typing::default()).unwrap();
            assert_eq!((cleaned.text.as_str(), cleaned.dropped), (kept, dropped), "{text:?}");
        }
    }

    #[test]
    fn no_paste_is_ended_by_its_own_text() {
        for hostile in ["\x1b[201~", "\x1b\x1b[201~[201~", "\u{9b}201~", "\x1b[2\x0001~", "\x1b\r[201~"] {
            let cleaned = clean(&format!("a{hostile}b"), &Typing::default()).unwrap();
            let bytes = paste(&cleaned.text, BRACKETED).unwrap();
            let escapes = bytes.iter().filter(|byte| **byte == 0x1b).count();
            assert_eq!(escapes, 2, "{hostile:?}");
            assert!(bytes.ends_with(b"\x1b[201~"), "{hostile:?}");
            assert!(!String::from_utf8(bytes).unwrap().contains('\u{9b}'), "{hostile:?}");
        }
    }

    #[test]
    fn commands_and_a_last_backslash_are_shielded_when_the_program_needs_it() {
        for (text, shielded) in [
            ("!ls", " !ls"),
            ("/clear", " /clear"),
            ("\x1b!ls", " !ls"),
            ("a !ls", "a !ls"),
            ("path\\", "path\\ "),
            ("path\\\n", "path\\ "),
            ("/\\", " /\\ "),
        ] {
            assert_eq!(clean(text, &shields()).unwrap().text, shielded);
        }
        assert_eq!(clean("!ls \\", &Typing::default()).unwrap().text, "!ls \\");
    }

    #[test]
    fn an_empty_message_and_a_huge_one_are_refused() {
        for empty in ["", "\n\r\n", "\x1b\0", " \t "] {
            assert_eq!(clean(empty, &shields()), Err(TypingError::Empty), "{empty:?}");
        }
        assert!(clean(&"a".repeat(MAX_MESSAGE), &shields()).is_ok());
        let error = clean(&"a".repeat(MAX_MESSAGE + 1), &shields());
        assert_eq!(error, Err(TypingError::TooLong { bytes: MAX_MESSAGE + 1 }));
    }

    #[test]
    fn lines_end_as_the_mode_wants_them() {
        for (mode, bytes) in [
            (BRACKETED, "\x1b[200~a\rb\x1b[201~"),
            (Mode { bracketed: true, canonical: true }, "\x1b[200~a\rb\x1b[201~"),
            (CANONICAL, "a\nb"),
            (RAW, "a\rb"),
        ] {
            assert_eq!(paste("a\nb", mode).unwrap(), bytes.as_bytes(), "{mode:?}");
        }
    }

    #[test]
    fn a_line_the_kernel_would_cut_is_named() {
        let fits = "a".repeat(MAX_CANONICAL_LINE - 1);
        let too_long = "b".repeat(MAX_CANONICAL_LINE);
        assert!(paste(&format!("{fits}\n{fits}"), CANONICAL).is_ok());
        let error = paste(&format!("x\n{too_long}\ny"), CANONICAL).unwrap_err();
        assert_eq!(error, TypingError::LineTooLong { line: 2, bytes: 4096 });
        assert!(paste(&too_long, RAW).is_ok());
        assert!(paste(&too_long, BRACKETED).is_ok());
    }

    #[test]
    fn enter_waits_longer_after_longer_texts() {
        let with = |ms| Typing { enter_after_ms: ms, ..Typing::default() };
        for (len, ms, canonical, expected) in [
            (0, None, false, 300),
            (99, None, false, 300),
            (5000, None, false, 350),
            (5000, Some(1000), false, 1050),
            (MAX_MESSAGE, Some(9000), false, 10_000),
            (usize::MAX, Some(u32::MAX), false, 10_000),
            (5000, Some(1000), true, 0),
        ] {
            assert_eq!(enter_delay(len, &with(ms), canonical).as_millis(), expected);
        }
    }
}
