//! A line that is being edited. A plain value; what may be several lines was pasted, and stays so.

use super::keys::Key;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    text: String,
    /// Where the cursor is, in bytes.
    at: usize,
}

impl Edit {
    /// Bytes that are taken; more cannot be sent anyway.
    const MOST: usize = 256 * 1024;

    /// One that begins with this text.
    pub(super) fn of(text: &str) -> Self {
        Edit { text: text.to_owned(), at: text.len() }
    }

    /// All of it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor and after it.
    pub(super) fn halves(&self) -> (&str, &str) {
        self.text.split_at(self.at)
    }

    /// Puts a text in at the cursor: without what a terminal would act on.
    pub(super) fn insert(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let clean: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        if self.text.len() + clean.len() <= Self::MOST {
            self.text.insert_str(self.at, &clean);
            self.at += clean.len();
        }
    }

    /// Does what the key means here; answers whether it means anything.
    pub(super) fn key(&mut self, key: Key) -> bool {
        let (before, after) = self.halves();
        let left = before.char_indices().next_back().map_or(0, |(at, _)| at);
        let right = self.at + after.chars().next().map_or(0, char::len_utf8);
        match key {
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Ctrl('j') => self.insert("\n"),
            Key::Backspace | Key::Ctrl('h') => self.cut(left, self.at),
            Key::Delete | Key::Ctrl('d') => self.cut(self.at, right),
            Key::Left | Key::Ctrl('b') => self.at = left,
            Key::Right | Key::Ctrl('f') => self.at = right,
            Key::Home | Key::Ctrl('a') => self.at = 0,
            Key::End | Key::Ctrl('e') => self.at = self.text.len(),
            Key::Ctrl('u') => self.cut(0, self.at),
            Key::Ctrl('k') => self.cut(self.at, self.text.len()),
            Key::Ctrl('w') => {
                let word = before.trim_end_matches(char::is_whitespace);
                let from = word.rfind(char::is_whitespace).map_or(0, |at| at + 1);
                let from = word.ceil_char_boundary(from);
                self.cut(from, self.at);
            }
            _ => return false,
        }
        true
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.at = from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(begin: &str, keys: &[Key], end: &str) {
        let mut edit = Edit::of(begin);
        for key in keys {
            assert!(edit.key(*key), "{key:?}");
        }
        let (before, after) = edit.halves();
        assert_eq!(format!("{before}|{after}"), end, "{begin:?} {keys:?}");
    }

    #[test]
    fn a_line_is_edited_as_shells_do() {
        check("ab", &[Key::Left, Key::Char('é'), Key::Char('x')], "aéx|b");
        check("aé", &[Key::Backspace], "a|");
        check("", &[Key::Backspace, Key::Delete, Key::Left, Key::Right], "|");
        check("aéb", &[Key::Home, Key::Right, Key::Delete], "a|b");
        check("one two  ", &[Key::Ctrl('w')], "one |");
        check("日 本", &[Key::Ctrl('w'), Key::Ctrl('w')], "|");
        check("a\u{3000}b", &[Key::Ctrl('w')], "a\u{3000}|");
        check("one two", &[Key::Ctrl('b'), Key::Ctrl('k'), Key::Home], "|one tw");
        check("one", &[Key::Left, Key::Ctrl('u'), Key::End], "e|");
        check("a", &[Key::Ctrl('j'), Key::Char('b')], "a\nb|");
    }

    #[test]
    fn what_is_pasted_stays_text() {
        let mut edit = Edit::of("<>");
        edit.key(Key::Left);
        edit.insert("a\r\nb\rc\x1b[201~\td\u{9b}");
        assert_eq!(edit.text(), "<a\nb\nc[201~\td>");
        assert!(!Edit::default().key(Key::Enter) && !Edit::default().key(Key::Escape));
        edit.insert(&"x".repeat(Edit::MOST));
        assert_eq!(edit.text().len(), 14, "too long, and not half of it");
    }
}
