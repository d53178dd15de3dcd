//! What the stand-in does with a key and as time goes by. A plain value: it is told the time, and says what is to be
//! printed, logged and reported; it knows no terminal.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Ways, WhileBusy, composer::Composer, dialog::Dialog, keys::Key};

/// See the module.
#[derive(Debug)]
pub(super) struct Agent {
    ways: Ways,
    composer: Composer,
    phase: Phase,
    /// Messages that were sent while it worked.
    queued: VecDeque<String>,
    /// How many messages it has got.
    taken: u32,
    /// How often Enter was pressed at the composer to send something.
    entered: u32,
    effects: Vec<Effect>,
}

/// What it is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before its prompt.
    Starting { until: Instant },
    /// At its prompt; `turns` says whether it has answered anything yet.
    Idle { turns: bool },
    /// Asking; about this message, if it is about one.
    Asking { dialog: Dialog, about: Option<String> },
    /// At work on a message.
    Working { text: String, since: Instant, until: Instant, allowed: bool },
    /// Over, with this exit code.
    Gone(u8),
}

/// What is to be done for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Lines for those above the composer.
    Print(String),
    /// A line for the log.
    Log(Value),
    /// A report to the parent.
    Report { status: String, text: String },
}

impl Agent {
    pub(super) fn new(ways: Ways, now: Instant) -> Self {
        let composer = if ways.hide_paste { Composer::hiding_pastes() } else { Composer::default() };
        let phase = Phase::Starting { until: now + Duration::from_millis(ways.start) };
        Agent { ways, composer, phase, queued: VecDeque::new(), taken: 0, entered: 0, effects: Vec::new() }
    }

    pub(super) fn phase(&self) -> &Phase {
        &self.phase
    }

    pub(super) fn composer(&self) -> &Composer {
        &self.composer
    }

    /// What is to be done now, in order.
    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// When something happens by itself.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Starting { until } | Phase::Working { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Time has gone by.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.deadline().is_none_or(|at| at > now) {
            return;
        }
        match std::mem::replace(&mut self.phase, Phase::Idle { turns: true }) {
            Phase::Starting { .. } => {
                if let Some(draft) = self.ways.draft.clone() {
                    self.composer.write(&draft);
                }
                self.phase = match self.ways.trust {
                    true => Phase::Asking { dialog: Dialog::trust(), about: None },
                    false => Phase::Idle { turns: false },
                };
            }
            Phase::Working { text, allowed: false, .. } => {
                self.phase = Phase::Asking { dialog: Dialog::permission(&text), about: Some(text) };
            }
            Phase::Working { text, .. } => {
                self.answer(&text);
                self.next(now);
            }
            other => self.phase = other,
        }
    }

    /// A key was pressed.
    pub(super) fn key(&mut self, key: Key, now: Instant) {
        match &mut self.phase {
            // Lost, as in programs that do not read yet.
            Phase::Starting { .. } | Phase::Gone(_) => {}
            Phase::Asking { dialog, .. } => {
                if let Some(choice) = dialog.key(&key) {
                    self.answered(choice, now);
                }
            }
            Phase::Idle { .. } | Phase::Working { .. } => self.edit(key, now),
        }
    }

    fn edit(&mut self, key: Key, now: Instant) {
        match key {
            Key::Text(text) => self.composer.write(&text),
            Key::Paste(text) => self.composer.paste(text),
            Key::Newline => self.composer.write("\n"),
            Key::Backspace => self.composer.erase(),
            Key::Clear => self.composer.clear(),
            Key::Interrupt if !self.composer.is_empty() => self.composer.clear(),
            Key::End if !self.composer.is_empty() => {}
            Key::Interrupt | Key::Escape if self.works() => self.interrupt(now),
            Key::Interrupt | Key::End => self.phase = Phase::Gone(0),
            Key::Enter => self.enter(now),
            Key::Escape | Key::Up | Key::Down | Key::Listens => {}
        }
    }

    fn works(&self) -> bool {
        matches!(self.phase, Phase::Working { .. })
    }

    fn enter(&mut self, now: Instant) {
        let text = self.composer.text();
        if text.trim().is_empty() {
            return;
        }
        self.entered += 1;
        if self.entered <= self.ways.eat_enter {
            return;
        }
        if self.ways.commands && text.ends_with('\\') {
            self.composer.erase();
            return self.composer.write("\n");
        }
        let shown = self.composer.shown();
        self.composer.clear();
        self.print(&quoted(&shown, "> "));
        if self.ways.commands && text.starts_with(['/', '!']) {
            self.log(json!({"command": text}));
            return self.print("  a command; nobody was sent this");
        }
        self.log(json!({"message": text}));
        self.taken += 1;
        if Some(self.taken) == self.ways.die {
            self.phase = Phase::Gone(self.ways.code);
        } else if !self.works() {
            self.work(text, now);
        } else if self.ways.while_busy == WhileBusy::Interrupt {
            self.queued.push_back(text);
            self.interrupt(now);
        } else {
            self.queued.push_back(text);
        }
    }

    fn work(&mut self, text: String, now: Instant) {
        let until = now + Duration::from_millis(self.ways.work);
        self.phase = Phase::Working { text, since: now, until, allowed: !self.ways.ask };
    }

    /// After a message: the next one that waits, or the prompt.
    fn next(&mut self, now: Instant) {
        match self.queued.pop_front() {
            Some(text) => self.work(text, now),
            None => self.phase = Phase::Idle { turns: true },
        }
    }

    fn interrupt(&mut self, now: Instant) {
        if let Phase::Working { text, .. } = &self.phase {
            let interrupted = json!({"interrupted": text});
            self.log(interrupted);
            self.print("  interrupted");
            self.next(now);
        }
    }

    fn answered(&mut self, choice: usize, now: Instant) {
        let before = std::mem::replace(&mut self.phase, Phase::Idle { turns: true });
        let Phase::Asking { dialog, about } = before else { return };
        let said = dialog.choices[choice];
        self.log(json!({"asked": dialog.what, "answer": said}));
        self.print(&format!("{}: {said}", dialog.what));
        match (about, choice) {
            (Some(text), 0) => {
                let until = now + Duration::from_millis(self.ways.work);
                self.phase = Phase::Working { text, since: now, until, allowed: true };
            }
            (Some(_), _) => {
                self.print("● not done");
                self.next(now);
            }
            (None, 0) => self.phase = Phase::Idle { turns: false },
            (None, _) => self.phase = Phase::Gone(1),
        }
    }

    fn answer(&mut self, text: &str) {
        if self.ways.report
            && let Some((status, text)) = report(text)
        {
            let (status, text) = (status.into(), text.into());
            return self.effects.push(Effect::Report { status, text });
        }
        let answer = self.ways.answer.clone().unwrap_or_else(|| bounded(text));
        self.print(&quoted(&answer, "● "));
    }

    fn print(&mut self, text: &str) {
        self.effects.push(Effect::Print(text.into()));
    }

    fn log(&mut self, line: Value) {
        self.effects.push(Effect::Log(line));
    }
}

/// `report: text`, or `report blocked: text`.
fn report(message: &str) -> Option<(&str, &str)> {
    let (head, text) = message.split_once(':')?;
    let status = head.strip_prefix("report")?.trim();
    let status = if status.is_empty() { "done" } else { status };
    (!status.contains(char::is_whitespace)).then_some((status, text.trim()))
}

/// The first line after this mark, the others below it.
fn quoted(text: &str, mark: &str) -> String {
    format!("{mark}{}", text.replace('\n', "\n  "))
}

/// A long text is answered with its beginning and its length.
fn bounded(text: &str) -> String {
    const MOST: usize = 2000;
    if text.chars().count() <= MOST {
        return text.into();
    }
    let begins: String = text.chars().take(200).collect();
    format!("{begins}…\n{} bytes, {} lines in all", text.len(), text.lines().count())
}

#[cfg(test)]
mod tests;
