//! The thread's eyes: what the child is doing now, and what is shown of it to whoever asks.

use std::time::Instant;

use chrono::Local;

use super::Task;
use crate::child::{Shown, composer, explain::Explained, sight::Sight};

impl Task {
    /// Decides anew what the child is doing, and whether someone's pattern is on the screen.
    pub(super) fn look(&mut self, now: Instant) {
        let clock = Some(Local::now().fixed_offset());
        // A screen that sleeps has not changed since it was looked at, and is not woken by a clock.
        let sight = match &self.seen {
            Some(seen) if self.screen.is_asleep() && !self.queue.watches() => seen.at(clock),
            _ => {
                self.look_for_composer(now);
                Sight::of(&self.screen, clock)
            }
        };
        self.draft(now);
        self.reducer.look(sight.look(), now);
        if self.looked_at != self.screen.version() {
            self.looked_at = self.screen.version();
            self.person_looks(&sight.text);
            self.finders.values_mut().for_each(|finder| finder.screen(&sight.text));
            self.finders.retain(|_, finder| !finder.over());
        }
    }

    pub(super) fn explain(&mut self, now: Instant) -> Explained {
        // What is told is what holds now.
        self.look(now);
        self.publish();
        let mut explained =
            self.reducer.explain(Sight::of(&self.screen, Some(Local::now().fixed_offset())).look(), now);
        let (status, text) = (self.status.borrow(), self.screen.text(0));
        explained.since_ms = status.since.elapsed().map_or(0, |since| since.as_millis() as u64);
        let signs = &mut explained.signs;
        signs.cursor_line = text.lines.get(text.cursor_line).cloned().unwrap_or_default();
        signs.prompt_mark = self.screen.prompt_mark().map(|mark| mark.to_string());
        signs.composer = self.composer.is_described().then(|| match self.composer.sight() {
            composer::Sight::Unknown => "never seen".into(),
            composer::Sight::Away => "not on the screen".into(),
            composer::Sight::Empty => "empty".into(),
            composer::Sight::Holds(text) => format!("holds: {}", composer::excerpt(text)),
        });
        (signs.stale, signs.waiting) = (status.stale, self.queue.len());
        explained
    }

    pub(super) fn visible(&self) -> String {
        self.screen.text(0).lines.join("\n")
    }

    pub(super) fn show(&self, history: usize, known: Option<u64>) -> Shown {
        let unchanged = known == Some(self.screen.version());
        let text = if unchanged { Default::default() } else { self.screen.text(history) };
        let shown = Shown {
            lines: text.lines,
            history: text.history,
            unchanged,
            version: self.screen.version(),
            cursor: self.screen.cursor(),
            size: self.screen.size(),
            alternate: self.screen.alternate(),
            end: self.end,
        };
        if history == 0 && !unchanged {
            self.glance.keep(shown.clone());
        }
        shown
    }
}
