//! What the keys mean in the table.

use super::{Mode, Model, Notice, Wish};
use crate::cli::top::{edit::Edit, keys::Key};

impl Model {
    pub(super) fn browse(&mut self, key: Key) -> Vec<Wish> {
        let page = self.page().max(1) as isize;
        match key {
            Key::Up | Key::Char('k') => self.go(-1),
            Key::Down | Key::Char('j') => self.go(1),
            Key::PageUp | Key::Ctrl('b') => self.go(-page),
            Key::PageDown | Key::Ctrl('f') => self.go(page),
            Key::Home | Key::Char('g') => self.go(isize::MIN),
            Key::End | Key::Char('G') => self.go(isize::MAX),
            Key::Char('q') | Key::Ctrl('c') => return vec![Wish::Quit],
            Key::Char('?' | 'h') => self.mode = Mode::Help,
            Key::Char('/') => {
                let before = self.filter.clone();
                self.mode = Mode::Filter { edit: Edit::of(&before), before };
            }
            Key::Escape if !self.filter.is_empty() => {
                self.filter.clear();
                self.arrange();
            }
            Key::Char('n') => return vec![Wish::ListPresets],
            Key::Char('i') => {
                self.letters.clear();
                self.mode = Mode::Inbox { at: 0, first: 0 };
                return vec![Wish::ReadInbox];
            }
            Key::Enter | Key::Char('w' | 'm' | 's') => return self.with_chosen(key),
            _ => {}
        }
        Vec::new()
    }

    fn with_chosen(&mut self, key: Key) -> Vec<Wish> {
        let Some(child) = self.chosen_child().cloned() else {
            return self.say("there is no child to choose; n starts one");
        };
        match key {
            Key::Enter | Key::Char('w') if !self.can_attach => {
                return self.say("this version cannot attach or watch yet; its screen is shown here");
            }
            Key::Enter => return vec![Wish::Attach(child)],
            Key::Char('w') => return vec![Wish::Watch(child)],
            Key::Char('m') => self.mode = Mode::Message { to: child, edit: Edit::default() },
            Key::Char('s') => self.mode = Mode::Stop { child },
            _ => {}
        }
        Vec::new()
    }

    pub(super) fn say(&mut self, text: &str) -> Vec<Wish> {
        self.notice = Some(Notice { text: text.into(), bad: true });
        Vec::new()
    }

    fn go(&mut self, by: isize) {
        let last = self.places.len().saturating_sub(1);
        let at = self.at().unwrap_or(0).saturating_add_signed(by).min(last);
        self.chosen = self.places.get(at).map(|place| place.id);
    }
}
