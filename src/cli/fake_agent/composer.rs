//! The line in which a message is written before it is sent. Knows what it holds and how that is shown; not whose it is.

/// What is pasted is shown by a placeholder from so many lines on, or so many characters: as Claude Code does.
const LONG: (usize, usize) = (4, 900);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Composer {
    pieces: Vec<Piece>,
    pastes: usize,
    /// What is pasted is held and never shown.
    hides_pastes: bool,
}

#[derive(Debug)]
enum Piece {
    Typed(String),
    Pasted { text: String, shown: String },
}

impl Composer {
    /// One in which nothing that is pasted shows.
    pub(super) fn hiding_pastes() -> Self {
        Composer { hides_pastes: true, ..Composer::default() }
    }

    /// Adds what was typed.
    pub(super) fn write(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Typed(before)) => before.push_str(text),
            _ => self.pieces.push(Piece::Typed(text.into())),
        }
    }

    /// Adds what was pasted.
    pub(super) fn paste(&mut self, text: String) {
        let lines = text.matches('\n').count();
        let long = lines + 1 >= LONG.0 || text.chars().count() >= LONG.1;
        if !long && !self.hides_pastes {
            return self.write(&text);
        }
        self.pastes += 1;
        let shown = format!("[Pasted text #{} +{lines} lines]", self.pastes);
        let shown = if self.hides_pastes { String::new() } else { shown };
        self.pieces.push(Piece::Pasted { text, shown });
    }

    /// Takes the last character away, or the last long paste.
    pub(super) fn erase(&mut self) {
        if let Some(Piece::Typed(text)) = self.pieces.last_mut() {
            text.pop();
            if !text.is_empty() {
                return;
            }
        }
        self.pieces.pop();
    }

    pub(super) fn clear(&mut self) {
        self.pieces.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// What would be sent.
    pub(super) fn text(&self) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Typed(text) | Piece::Pasted { text, .. } => text.clone(),
        };
        self.pieces.iter().map(text).collect()
    }

    /// What is seen of it.
    pub(super) fn shown(&self) -> String {
        let shown = |piece: &Piece| match piece {
            Piece::Typed(shown) | Piece::Pasted { shown, .. } => shown.clone(),
        };
        self.pieces.iter().map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_paste_is_shown_by_its_number_and_sent_whole() {
        let mut composer = Composer::default();
        composer.write("see ");
        composer.paste("a\nb\nc".into());
        composer.paste("1\n2\n3\n4".into());
        composer.write("!");
        composer.paste("x".repeat(900));
        assert_eq!(composer.shown(), "see a\nb\nc[Pasted text #1 +3 lines]![Pasted text #2 +0 lines]");
        assert_eq!(composer.text(), format!("see a\nb\nc1\n2\n3\n4!{}", "x".repeat(900)));
        composer.erase();
        composer.erase();
        composer.erase();
        assert_eq!(composer.text(), "see a\nb\nc");
    }

    #[test]
    fn what_is_not_shown_is_there_all_the_same() {
        let mut composer = Composer::hiding_pastes();
        composer.paste("secret".into());
        assert_eq!((composer.shown().as_str(), composer.text().as_str()), ("", "secret"));
        assert!(!composer.is_empty());
        composer.clear();
        assert!(composer.is_empty());
    }
}
