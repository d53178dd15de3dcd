//! What the keys mean elsewhere than in the table: in a line that is typed, a question, a list.

use super::{Mode, Model, Wish};
use crate::cli::top::{edit::Edit, keys::Key};

impl Model {
    pub(super) fn key(&mut self, key: Key) -> Vec<Wish> {
        // Seen, or not of use any more.
        self.notice = None;
        match std::mem::take(&mut self.mode) {
            Mode::Browse => self.browse(key),
            Mode::Filter { edit, before } => self.filtering(key, edit, before),
            Mode::Message { to, edit } => self.writing(key, to, edit),
            Mode::Stop { child } => match key {
                Key::Char('y' | 'Y') => vec![Wish::Stop(child)],
                _ => self.say("not stopped"),
            },
            Mode::Presets { names, at } => self.choosing(key, names, at),
            Mode::Name { preset, edit } => self.naming(key, preset, edit),
            Mode::Inbox { at, first } => self.reading(key, at, first),
            Mode::Help => match key {
                Key::Ctrl('c') => vec![Wish::Quit],
                _ => Vec::new(),
            },
        }
    }

    pub(super) fn paste(&mut self, text: &str) -> Vec<Wish> {
        match &mut self.mode {
            Mode::Message { edit, .. } => edit.insert(text),
            Mode::Filter { edit, .. } | Mode::Name { edit, .. } => edit.insert(&text.replace('\n', " ")),
            _ => {}
        }
        if let Mode::Filter { edit, .. } = &self.mode {
            self.filter = edit.text().to_owned();
            self.arrange();
        }
        Vec::new()
    }

    fn filtering(&mut self, key: Key, mut edit: Edit, before: String) -> Vec<Wish> {
        match key {
            Key::Enter => return Vec::new(),
            Key::Escape | Key::Ctrl('c') => self.filter = before,
            // The table is looked through with these, too.
            Key::Up | Key::Down | Key::PageUp | Key::PageDown => {
                let wishes = self.browse(key);
                self.mode = Mode::Filter { edit, before };
                return wishes;
            }
            key => {
                edit.key(key);
                self.filter = edit.text().to_owned();
                self.mode = Mode::Filter { edit, before };
            }
        }
        self.arrange();
        Vec::new()
    }

    fn writing(&mut self, key: Key, to: String, mut edit: Edit) -> Vec<Wish> {
        match key {
            Key::Escape | Key::Ctrl('c') => return self.say("not sent"),
            Key::Enter if edit.text().trim().is_empty() => {
                return self.say("nothing was written, nothing sent");
            }
            Key::Enter => return vec![Wish::Send { to, text: edit.text().to_owned() }],
            key => {
                edit.key(key);
                self.mode = Mode::Message { to, edit };
            }
        }
        Vec::new()
    }

    fn choosing(&mut self, key: Key, names: Vec<String>, mut at: usize) -> Vec<Wish> {
        let last = names.len().saturating_sub(1);
        match key {
            Key::Up | Key::Char('k') => at = at.saturating_sub(1),
            Key::Down | Key::Char('j') => at = (at + 1).min(last),
            Key::Home | Key::PageUp => at = 0,
            Key::End | Key::PageDown => at = last,
            Key::Enter => {
                let preset = names.get(at).cloned().unwrap_or_default();
                self.mode = Mode::Name { preset, edit: Edit::default() };
                return Vec::new();
            }
            Key::Escape | Key::Char('q') | Key::Ctrl('c') => return self.say("nothing started"),
            _ => {}
        }
        self.mode = Mode::Presets { names, at };
        Vec::new()
    }

    fn naming(&mut self, key: Key, preset: String, mut edit: Edit) -> Vec<Wish> {
        match key {
            Key::Escape | Key::Ctrl('c') => return self.say("nothing started"),
            Key::Enter => {
                let name = Some(edit.text().trim().to_owned()).filter(|name| !name.is_empty());
                return vec![Wish::Spawn { preset, name }];
            }
            key => {
                edit.key(key);
                self.mode = Mode::Name { preset, edit };
            }
        }
        Vec::new()
    }

    fn reading(&mut self, key: Key, mut at: usize, mut first: usize) -> Vec<Wish> {
        let last = self.letters.len().saturating_sub(1);
        match key {
            Key::Up | Key::Char('k') => at = at.saturating_sub(1),
            Key::Down | Key::Char('j') => at = (at + 1).min(last),
            Key::PageUp => at = at.saturating_sub(10),
            Key::PageDown => at = (at + 10).min(last),
            Key::Home => at = 0,
            Key::End => at = last,
            Key::Char('q' | 'i') | Key::Escape => return Vec::new(),
            Key::Ctrl('c') => return vec![Wish::Quit],
            Key::Enter | Key::Char('m') => {
                if let Some(letter) = self.letters.get(at) {
                    let to = letter.from.clone();
                    // So that its screen is seen while it is answered.
                    self.chosen = super::row::number(&to)
                        .filter(|id| self.places.iter().any(|place| place.id == *id))
                        .or(self.chosen);
                    self.mode = Mode::Message { to, edit: Edit::default() };
                    return Vec::new();
                }
            }
            _ => {}
        }
        let page = super::layout::inbox_page(self.size);
        first = first.clamp((at + 1).saturating_sub(page), at);
        self.mode = Mode::Inbox { at, first };
        Vec::new()
    }
}
