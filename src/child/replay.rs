//! The states that a recording goes through: the same screen and the same reducer as a living child's, with the
//! recording's own clock. Starts nothing and waits for nothing.

use std::time::{Duration, Instant};

use super::{
    prompt::Prompt,
    recording::Happened,
    rules::Rules,
    screen::Screen,
    sight::Sight,
    state::{Reducer, State},
};
use crate::id::{Exit, Size};

/// A state that began.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When, since the beginning.
    pub at: Duration,
    /// What.
    pub state: State,
    /// Which rule said so.
    pub why: String,
    /// What is asked then.
    pub prompt: Option<Prompt>,
}

/// See the module.
pub struct Replay {
    screen: Screen,
    reducer: Reducer,
    began: Instant,
    /// What was told last.
    last: Option<(State, Option<String>)>,
    changes: Vec<Change>,
}

impl Replay {
    /// Of a program with these rules, in a terminal of this size.
    pub fn new(rules: &Rules, size: Size) -> Self {
        let began = Instant::now();
        let mut replay = Replay {
            screen: Screen::new(size),
            // There is no process, and so nothing of the terminal's foreground.
            reducer: Reducer::new(rules, 0, began),
            began,
            last: None,
            changes: Vec::new(),
        };
        replay.look(Duration::ZERO);
        replay
    }

    /// Goes on to a moment, and past it. Answers what changed on the way.
    pub fn play(&mut self, at: Duration, what: &Happened) -> Vec<Change> {
        self.pass(at);
        let now = self.began + at;
        match what {
            Happened::Output(text) => {
                // What the terminal answers was answered when it was recorded.
                let _ = self.screen.feed(text.as_bytes(), now);
                self.reducer.output(now);
            }
            Happened::Input(text) if presses(text) => self.reducer.typed(now),
            Happened::Resized(size) => self.screen.resize(*size),
            Happened::Exited(code) => self.reducer.exited(Exit::Code(*code)),
            Happened::Input(_) | Happened::Other => {}
        }
        // Output that comes at the same moment is looked at once.
        if !matches!(what, Happened::Output(_)) {
            self.note(at);
        }
        std::mem::take(&mut self.changes)
    }

    /// Goes on to the end of the recording.
    pub fn end(&mut self, at: Duration) -> Vec<Change> {
        self.pass(at);
        self.look(at);
        std::mem::take(&mut self.changes)
    }

    /// All that falls due before then.
    fn pass(&mut self, to: Duration) {
        let to = self.began + to;
        loop {
            let due = [self.reducer.deadline(), self.screen.sync_deadline()].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due < to) else { return };
            if self.screen.sync_deadline().is_some_and(|at| at <= due) {
                let _ = self.screen.end_sync(due);
            }
            self.look(due - self.began);
        }
    }

    fn look(&mut self, at: Duration) {
        self.reducer.look(Sight::of(&self.screen).look(), self.began + at);
        self.note(at);
    }

    fn note(&mut self, at: Duration) {
        let (state, prompt) = (self.reducer.state(), self.reducer.prompt());
        let now = Some((state.clone(), prompt.map(|prompt| prompt.hash.clone())));
        if self.last == now {
            return;
        }
        let (state, why) = (state.clone(), self.reducer.why().to_owned());
        self.changes.push(Change { at, state, why, prompt: prompt.cloned() });
        self.last = now;
    }
}

/// Whether something was pressed that a program answers to: Enter, or a key of its own. Terminals' answers, pastes and
/// arrows are none.
fn presses(input: &str) -> bool {
    input == "\x1b" || !(input.is_empty() || input.contains('\x1b') || input == "\t")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::rules::{Meaning, Rule, Sign};

    fn replay(rules: Rules, moments: &[(u64, Happened)]) -> Vec<String> {
        let mut replay = Replay::new(&rules, Size { rows: 10, cols: 40 });
        let mut changes = Vec::new();
        for (ms, what) in moments {
            changes.extend(replay.play(Duration::from_millis(*ms), what));
        }
        let end = moments.last().map_or(0, |(ms, _)| *ms);
        changes.extend(replay.end(Duration::from_millis(end)));
        changes.iter().map(|change| format!("{} {}", change.at.as_millis(), change.state)).collect()
    }

    fn output(text: &str) -> Happened {
        Happened::Output(text.into())
    }

    #[test]
    fn a_recording_goes_through_the_states_with_its_own_clock() {
        let rules = Rules { silence_is_idle: true, quiet_ms: Some(500), ..Rules::default() };
        let moments = [
            (100, output("a")),
            (3_600_000, output("b")),
            (3_601_000, Happened::Input("x\r".into())),
            (3_601_100, Happened::Input("\x1b[A".into())),
            (3_609_000, Happened::Exited(2)),
        ];
        let expected = [
            "0 starting",
            "130 busy",
            "600 idle",
            "3600030 busy",
            "3600500 idle",
            "3601000 busy",
            "3603000 idle",
            "3609000 exited (exit code 2)",
        ];
        assert_eq!(replay(rules, &moments), expected);
    }

    #[test]
    fn what_was_typed_is_told_from_what_the_terminal_answered() {
        for (input, pressed) in [
            ("\r", true),
            ("1", true),
            ("\x1b", true),
            ("", false),
            ("\t", false),
            ("\x1b[B", false),
            ("\x1b[200~hello\x1b[201~", false),
            ("rgb:0000\x07\x1b]11;rgb", false),
        ] {
            assert_eq!(presses(input), pressed, "{input:?}");
        }
    }

    #[test]
    fn an_update_that_never_ends_is_shown_when_its_time_is_up() {
        let rule = Rule {
            on: Sign::Bottom,
            matches: "ready".into(),
            state: Meaning::Idle,
            what: None,
            for_ms: None,
        };
        let rules = Rules { rules: vec![rule], ..Rules::default() };
        let moments = [(10, output("\x1b[?2026hready")), (1000, Happened::Other)];
        assert_eq!(replay(rules, &moments), ["0 starting", "160 idle"]);
    }
}
