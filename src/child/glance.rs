//! The screen as it was last shown, for whoever asks again before anything has changed: the child's thread is not woken
//! for that. Knows no emulator.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Shown;

/// The thread writes it, its handles read it.
#[derive(Clone, Debug, Default)]
pub(super) struct Glance(Arc<Mutex<Option<Shown>>>);

impl Glance {
    /// The whole screen, as long as it stays so; told to who knows that version already in a word.
    pub(super) fn look(&self, known: Option<u64>) -> Option<Shown> {
        let kept = self.kept();
        let shown = kept.as_ref()?;
        if known != Some(shown.version) {
            return Some(shown.clone());
        }
        Some(Shown { lines: Vec::new(), history: 0, unchanged: true, ..*shown })
    }

    /// This is what is to be seen, without history.
    pub(super) fn keep(&self, shown: Shown) {
        *self.kept() = Some(shown);
    }

    /// Something is about to change, and nobody has been told of that yet.
    pub(super) fn clear(&self) {
        *self.kept() = None;
    }

    fn kept(&self) -> MutexGuard<'_, Option<Shown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        child::screen::Cursor,
        id::{Offset, Size},
    };

    #[test]
    fn what_was_shown_is_shown_again_until_it_changes() {
        let (glance, thread) = {
            let glance = Glance::default();
            (glance.clone(), glance)
        };
        assert_eq!(glance.look(None), None);
        let shown = Shown {
            lines: vec!["a".into()],
            history: 0,
            unchanged: false,
            version: 7,
            cursor: Cursor { row: 0, col: 0, visible: true },
            size: Size::DEFAULT,
            alternate: false,
            end: Offset(9),
        };
        thread.keep(shown.clone());
        let short = Shown { lines: Vec::new(), unchanged: true, ..shown.clone() };
        for (known, told) in [(None, &shown), (Some(6), &shown), (Some(7), &short)] {
            assert_eq!(glance.look(known).as_ref(), Some(told), "{known:?}");
        }
        thread.clear();
        assert_eq!(glance.look(Some(7)), None);
    }
}
