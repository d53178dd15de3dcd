//! The thread's side of typing: what the queue is told of the child, and what is done of what it wants.

use std::time::{Duration, Instant};

use super::Task;
use crate::{
    child::{
        Told,
        composer::last_words,
        delivery::{DeliveryId, Do, Scene, Stroke, What},
        owner::Owner,
        state::Tty,
        typing,
    },
    fault,
    keeper::wire::Request,
};

/// Lines of a screen that tell what it is about.
const BOTTOM: usize = 12;

impl Task {
    /// Types what can be typed now.
    pub(super) fn type_on(&mut self, now: Instant) {
        if !self.queue.is_empty() && self.bottom.0 != self.screen.version() {
            let lines = self.screen.text(0).lines;
            let last = lines.len().saturating_sub(BOTTOM);
            self.bottom = (self.screen.version(), last_words(&lines[last..].join("\n")));
        }
        // Before the keeper has said what an earlier broker typed, nothing may be.
        while self.unsettled.is_empty() {
            let status = self.status.borrow();
            let mut queue = std::mem::take(&mut self.queue);
            let next = queue.advance(self.scene(&status.owner, now), now);
            drop(status);
            self.queue = queue;
            if next.is_none() {
                break;
            }
            self.act(next, now);
        }
    }

    /// What the queue is to know.
    pub(super) fn scene<'a>(&'a self, owner: &'a Owner, now: Instant) -> Scene<'a> {
        Scene {
            owner,
            state: self.reducer.state(),
            why: self.reducer.why(),
            settled: self.reducer.settled(now),
            worked: self.reducer.at_work(),
            shows_work: self.reducer.shows_work(),
            end: self.end,
            composer: &self.composer,
            screen: self.reducer.prompt().map_or(&self.bottom.1, |prompt| &prompt.text),
            asks: self.reducer.asks().map(|prompt| prompt.hash.as_str()),
        }
    }

    /// Whether what is in the composer has become somebody's draft, and that is not known yet.
    pub(super) fn drafted(&self, now: Instant) -> bool {
        !self.queue.is_typing() && self.composer.draft(now).is_some() != self.reducer.is_drafted()
    }

    pub(super) fn act(&mut self, what: Option<Do>, now: Instant) {
        match what {
            None => {}
            Some(Do::AskTty) => self.ask_tty(),
            Some(Do::Plan(what, tty)) => {
                let strokes = self.plan(&what, tty);
                let over = self.queue.strokes(strokes);
                self.act(over, now);
            }
            Some(Do::Write { bytes, last, stroke }) => {
                // Moving about in a dialog answers nothing.
                if last && !typing::moves(&bytes) {
                    self.reducer.typed(now);
                }
                let id = self.next();
                match stroke.filter(|_| self.knows_strokes()) {
                    Some((DeliveryId(delivery), stroke)) => {
                        self.send(Request::Type { id, delivery, stroke, last, bytes: &bytes });
                    }
                    None => self.send(Request::Input { id, bytes: &bytes }),
                }
            }
            Some(Do::Note(id, mark)) => self.tell(Told::Noted(id, mark)),
            Some(Do::Finish(id, fate)) => {
                fault::point!("send.finished");
                self.tell(Told::Settled(id, fate.clone()));
                if let Some(done) = self.waiting.remove(&id) {
                    let _ = done.send(fate);
                }
            }
        }
    }

    fn plan(&self, what: &What, tty: Tty) -> Result<Vec<Stroke>, String> {
        match what {
            What::Message(text) => {
                let mode =
                    typing::Mode { bracketed: self.screen.bracketed_paste(), canonical: tty.canonical };
                let body = typing::paste(text, mode).map_err(|error| error.to_string())?;
                let pause = typing::enter_delay(body.len(), &self.typing, tty.canonical);
                Ok(vec![Stroke { bytes: body, pause }, Stroke { bytes: b"\r".into(), pause: Duration::ZERO }])
            }
            What::Keys(names) => {
                let keys =
                    typing::keys(names, self.screen.app_cursor()).map_err(|error| error.to_string())?;
                // A program takes ESC and the next byte for one key if they come together.
                let pause = |bytes: &[u8]| Duration::from_millis(if bytes == b"\x1b" { 100 } else { 10 });
                Ok(keys.into_iter().map(|bytes| Stroke { pause: pause(&bytes), bytes }).collect())
            }
        }
    }

    /// What is in the program's input box, where somebody wants to know it.
    pub(super) fn look_for_composer(&mut self, now: Instant) {
        if self.composer.is_described() || self.queue.watches() {
            self.composer.look(&self.screen.marked(), now);
        }
    }

    /// What is in it by now is somebody's draft, or is not.
    pub(super) fn draft(&mut self, now: Instant) {
        let draft = self.composer.draft(now).filter(|_| !self.queue.is_typing());
        self.reducer.draft(draft);
    }
}
