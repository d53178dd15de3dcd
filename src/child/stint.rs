//! What a person did while they held a child's input, for whoever had it before: since when, and the lines they typed.
//! A line is told if its program, or the kernel, showed it: a password is counted and nothing more. A plain value.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// What is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Who it was; several, if it passed from one to another.
    pub who: Vec<String>,
    /// When they took the input.
    pub took: SystemTime,
    /// When they gave it back.
    pub gave: SystemTime,
    /// How many lines they ended with Enter.
    pub typed: usize,
    /// Those that were shown, as typed, up to a limit.
    pub lines: Vec<String>,
}

/// What is remembered of it while it lasts.
#[derive(Debug)]
pub struct Stint {
    who: Vec<String>,
    took: SystemTime,
    typed: usize,
    lines: Vec<String>,
    bytes: usize,
    line: Line,
    /// The line ended last, as long as it is not known whether it was shown.
    open: Option<Open>,
}

/// What is being typed.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    /// The screen before its first character.
    before: Option<String>,
    escape: Escape,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    No,
    Begun,
    Csi,
    One,
}

#[derive(Debug)]
struct Open {
    text: String,
    before: String,
    /// What the kernel does with what is typed, once it has said so.
    echo: Option<Echo>,
}

/// What the kernel does with what is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// Shows it.
    On,
    /// Makes lines of it and does not show it: so passwords are asked for.
    Secret,
    /// Leaves it to the program, which may show it or not.
    Program,
}

impl Echo {
    /// What these two settings of a terminal come to.
    pub fn of(canonical: bool, echo: bool) -> Echo {
        match (canonical, echo) {
            (_, true) => Echo::On,
            (true, false) => Echo::Secret,
            (false, false) => Echo::Program,
        }
    }
}

impl Stint {
    /// Lines that are told; more are counted.
    const MAX_LINES: usize = 50;
    /// Bytes of all of them.
    const MAX_BYTES: usize = 4096;
    /// Characters of one.
    const MAX_LINE: usize = 400;
    /// Characters of a line by which it is known again on the screen: a composer may wrap what is longer.
    const KNOWN_BY: usize = 24;

    /// From now on.
    pub fn new(who: String, took: SystemTime) -> Stint {
        let (lines, line) = (Vec::new(), Line::default());
        Stint { who: vec![who], took, typed: 0, lines, bytes: 0, line, open: None }
    }

    /// Somebody else has it now.
    pub fn passed(&mut self, who: &str) {
        if !self.who.iter().any(|known| known == who) && self.who.len() < 16 {
            self.who.push(who.to_owned());
        }
    }

    /// Something was typed. Whether a line was ended by it: then [`Stint::echo`] is to be told.
    pub fn typed(&mut self, bytes: &[u8], screen: impl Fn() -> String) -> bool {
        let mut ended = false;
        for &byte in bytes {
            if self.line.escapes(byte) {
                continue;
            }
            match byte {
                b'\r' => {
                    self.end_line();
                    ended = true;
                }
                // Ctrl-C and Ctrl-U take back what was typed, Ctrl-W a word, Backspace a character.
                0x03 | 0x15 => self.line.bytes.clear(),
                0x17 => self.line.pop_word(),
                0x08 | 0x7f => self.line.pop(),
                b'\n' => self.line.push(b' ', &screen),
                0..0x20 => {}
                byte => {
                    if self.line.bytes.is_empty() {
                        // Whatever was shown of the line before has been shown by now.
                        self.open = None;
                    }
                    self.line.push(byte, &screen);
                }
            }
        }
        ended
    }

    /// The kernel's word on the terminal, as it was before the last line ended.
    pub fn echo(&mut self, echo: Echo, screen: &str) {
        if let Some(open) = &mut self.open {
            open.echo = Some(echo);
        }
        self.look(screen);
    }

    /// The screen, whenever it may have changed: perhaps it shows what was typed.
    pub fn look(&mut self, screen: &str) {
        let shown = self.open.as_ref().is_some_and(|open| match open.echo {
            Some(Echo::On) => true,
            Some(Echo::Program) => open.is_shown(screen),
            Some(Echo::Secret) | None => false,
        });
        if let Some(open) = self.open.take_if(|open| shown || open.echo == Some(Echo::Secret))
            && shown
        {
            self.bytes += open.text.len();
            if self.lines.len() < Self::MAX_LINES && self.bytes <= Self::MAX_BYTES {
                self.lines.push(open.text);
            }
        }
    }

    /// It is over.
    pub fn over(self, gave: SystemTime) -> Told {
        Told { who: self.who, took: self.took, gave, typed: self.typed, lines: self.lines }
    }

    fn end_line(&mut self) {
        self.typed += 1;
        let line = std::mem::take(&mut self.line);
        let text =
            String::from_utf8_lossy(&line.bytes).trim().chars().take(Self::MAX_LINE).collect::<String>();
        let open = Open { text, before: line.before.unwrap_or_default(), echo: None };
        self.open = Some(open).filter(|open| !open.text.is_empty());
    }
}

impl Line {
    /// Whether the byte belongs to an escape sequence: a key that is no character.
    fn escapes(&mut self, byte: u8) -> bool {
        let (next, part) = match (&self.escape, byte) {
            (Escape::No, 0x1b) => (Escape::Begun, true),
            (Escape::No, _) => (Escape::No, false),
            (Escape::Begun, b'[') => (Escape::Csi, true),
            (Escape::Begun, b'O') => (Escape::One, true),
            (Escape::Begun | Escape::One, _) => (Escape::No, true),
            (Escape::Csi, b'@'..=b'~') => (Escape::No, true),
            (Escape::Csi, _) => (Escape::Csi, true),
        };
        self.escape = next;
        part
    }

    fn push(&mut self, byte: u8, screen: &impl Fn() -> String) {
        if self.before.is_none() {
            self.before = Some(screen());
        }
        if self.bytes.len() < 4 * Stint::MAX_LINE {
            self.bytes.push(byte);
        }
    }

    fn pop(&mut self) {
        while let Some(byte) = self.bytes.pop() {
            if byte & 0xc0 != 0x80 {
                break;
            }
        }
    }

    fn pop_word(&mut self) {
        while self.bytes.pop_if(|byte| *byte == b' ').is_some() {}
        while self.bytes.pop_if(|byte| *byte != b' ').is_some() {}
    }
}

impl Open {
    /// There more often than before it was typed.
    fn is_shown(&self, screen: &str) -> bool {
        let known: String = self.text.chars().take(Stint::KNOWN_BY).collect();
        screen.matches(known.trim_end()).count() > self.before.matches(known.trim_end()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stint() -> Stint {
        Stint::new("ada".into(), SystemTime::UNIX_EPOCH)
    }

    /// Typed in one piece, with the screen before and after.
    #[track_caller]
    fn check(typed: &str, before: &str, after: &str, echo: Echo, lines: &[&str]) {
        let mut stint = stint();
        let ended = stint.typed(typed.as_bytes(), || before.to_owned());
        assert!(ended);
        stint.echo(echo, before);
        stint.look(after);
        let told = stint.over(SystemTime::UNIX_EPOCH);
        assert_eq!(
            (told.typed, told.lines.iter().map(String::as_str).collect::<Vec<_>>()),
            (1, lines.to_vec())
        );
    }

    #[test]
    fn a_line_is_told_if_it_was_shown() {
        check("ls -l\r", "$ ", "$ ls -l", Echo::Program, &["ls -l"]);
        check("ls -l\r", "$ ", "$ ", Echo::On, &["ls -l"]);
        check("secret\r", "Password: ", "Password: \nWelcome", Echo::Program, &[]);
        check("secret\r", "Password: ", "a secret was given", Echo::Secret, &[]);
        check("no\r", "no such thing", "no such thing", Echo::Program, &[]);
        check("no\r", "no such thing", "no such thing\n> no", Echo::Program, &["no"]);
    }

    #[test]
    fn a_line_is_what_is_left_of_what_was_typed() {
        check("lx\x7fs  -a\x17-l\r", "", "", Echo::On, &["ls  -l"]);
        check("rm x\x15echo\r", "", "", Echo::On, &["echo"]);
        check("a\x1b[D\x1bOAb\x1bxc\r", "", "", Echo::On, &["abc"]);
        check("né\x7fo\r", "", "", Echo::On, &["no"]);
        check("one\ntwo\r", "", "", Echo::On, &["one two"]);
    }

    #[test]
    fn what_is_not_known_to_be_shown_is_counted_and_not_told() {
        let mut stint = stint();
        stint.typed(b"hidden\r", String::new);
        stint.look("hidden");
        stint.typed(b"next\r", || "hidden".into());
        stint.echo(Echo::On, "");
        stint.typed(b"\r\r", String::new);
        stint.passed("ben");
        stint.passed("ben");
        let told = stint.over(SystemTime::UNIX_EPOCH);
        assert_eq!(
            (told.typed, told.lines, told.who),
            (4, vec!["next".to_owned()], vec!["ada".into(), "ben".into()])
        );
    }

    #[test]
    fn much_is_counted_and_not_kept() {
        let mut stint = stint();
        for _ in 0..1000 {
            stint.typed(&[&[b'x'; 5000][..], b"\r"].concat(), String::new);
            stint.echo(Echo::On, "");
        }
        let told = stint.over(SystemTime::UNIX_EPOCH);
        assert_eq!(told.typed, 1000);
        assert!(told.lines.len() <= 50 && told.lines.concat().len() <= 4096);
    }
}
