//! A question with numbered choices, of which one is marked: Enter answers that. Knows nothing of what follows.

use super::keys::Key;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dialog {
    /// In one word: `trust`, `permission`.
    pub(super) what: &'static str,
    pub(super) question: String,
    pub(super) choices: [&'static str; 2],
    pub(super) marked: usize,
}

impl Dialog {
    /// The first choice lets the program begin, the second ends it.
    pub(super) fn trust() -> Self {
        Dialog {
            what: "trust",
            question: "Do you trust the files in this folder?".into(),
            choices: ["Yes, I trust this folder", "No, leave"],
            marked: 0,
        }
    }

    /// The first choice lets it go on with this message.
    pub(super) fn permission(text: &str) -> Self {
        let begins: String = text.lines().next().unwrap_or_default().chars().take(40).collect();
        Dialog {
            what: "permission",
            question: format!("Allow this? {begins}"),
            choices: ["Yes", "No, and tell it what to do instead"],
            marked: 0,
        }
    }

    /// Takes a key; answers which choice it made. A paste makes none, and what else is typed is lost, as in real ones.
    pub(super) fn key(&mut self, key: &Key) -> Option<usize> {
        match key {
            Key::Up => self.marked = 0,
            Key::Down => self.marked = 1,
            Key::Enter => return Some(self.marked),
            Key::Escape => return Some(1),
            Key::Text(text) if text == "1" => return Some(0),
            Key::Text(text) if text == "2" => return Some(1),
            _ => {}
        }
        None
    }

    /// Its last line, by which a rule knows it.
    pub(super) const FOOT: &str = "enter answers, esc says no";

    /// As it is drawn.
    pub(super) fn lines(&self) -> Vec<String> {
        let choice = |(at, choice): (usize, &&str)| {
            let mark = if at == self.marked { '❯' } else { ' ' };
            format!("{mark} {}. {choice}", at + 1)
        };
        let choices = self.choices.iter().enumerate().map(choice);
        [self.question.clone()].into_iter().chain(choices).chain([format!("  {}", Self::FOOT)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enter_answers_what_is_marked() {
        for (keys, answer) in [
            (vec![Key::Enter], Some(0)),
            (vec![Key::Down, Key::Enter], Some(1)),
            (vec![Key::Down, Key::Up, Key::Enter], Some(0)),
            (vec![Key::Text("2".into())], Some(1)),
            (vec![Key::Escape], Some(1)),
            (vec![Key::Text("yes".into()), Key::Paste("1".into())], None),
        ] {
            let mut dialog = Dialog::trust();
            let made = keys.iter().find_map(|key| dialog.key(key));
            assert_eq!(made, answer, "{keys:?}");
        }
        let mut dialog = Dialog::permission("rm -r build\nand more");
        dialog.key(&Key::Down);
        assert_eq!(
            dialog.lines(),
            [
                "Allow this? rm -r build",
                "  1. Yes",
                "❯ 2. No, and tell it what to do instead",
                "  enter answers, esc says no"
            ]
        );
    }
}
