//! What a child is doing, and how we know: a reducer over its output, its screen, its terminal and its end.
//! A plain value; it is told the time, and tells when it wants to look again.

mod doing;
mod question;
mod rule;
mod until;

use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset};

pub use self::doing::State;
use self::{
    question::Question,
    rule::{Asked, Compiled},
};
use super::{
    explain::{Explained, Signs, Terminal},
    prompt::{Prompt, Shade},
    rules::{Meaning, Rules},
};
use crate::id::Exit;

/// What the kernel says of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tty {
    /// Lines are edited by the kernel (ICANON).
    pub canonical: bool,
    /// The process group in the foreground, if there is one.
    pub foreground: Option<i32>,
}

/// What can be looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look<'a> {
    /// The visible screen.
    pub screen: &'a str,
    /// The backgrounds it is drawn on.
    pub shades: &'a [Shade],
    /// The window title.
    pub title: Option<&'a str>,
    /// The program's own word (OSC 7501): `state`, or `state kind`.
    pub status: Option<&'a str>,
    /// What the program says there for a person: "approve Bash: ls".
    pub msg: Option<&'a str>,
    /// How far it says it is (OSC 9;4): `running 50`.
    pub progress: Option<&'a str>,
    /// The time on the clock of whoever looks, where it is known.
    pub clock: Option<DateTime<FixedOffset>>,
}

/// The state with its reason; see the module.
#[derive(Debug)]
pub struct Reducer {
    rules: Vec<Compiled>,
    foreground_is_idle: bool,
    silence_is_idle: bool,
    quiet: Duration,
    child: i32,
    started: Instant,
    output: Option<Instant>,
    typed: Option<Instant>,
    /// Its first output since then.
    stirred: Option<Instant>,
    /// Seen at work, or asking, since the last message.
    worked: bool,
    /// Which rule has shown it at work since then.
    at_work: Option<String>,
    /// What was typed last was typed into a question.
    asked: bool,
    /// What somebody has left in its composer.
    draft: Option<String>,
    /// The hash of that question.
    answered: Option<String>,
    /// A question that is seen before then may be the old one.
    withdrawn: Option<Instant>,
    tty: Option<Tty>,
    edits: bool,
    looked: Option<Instant>,
    question: Question,
    /// The first rule that holds, and since when it is that.
    first: Option<(usize, Instant)>,
    /// The rule that decided last.
    decided: Option<usize>,
    state: State,
    why: String,
}

impl Reducer {
    /// Looking costs some microseconds; while output flows, this often is enough.
    const LOOK_EVERY: Duration = Duration::from_millis(30);
    /// A shell in the foreground that is silent for this long has printed its prompt.
    const PROMPT_QUIET: Duration = Duration::from_millis(100);
    /// A program that shows nothing this long after Enter took it, or never will.
    const REACTION: Duration = Duration::from_secs(2);
    /// A program that works visibly and has written nothing at all this long after Enter has nothing to do with it. Seen
    /// on a loaded machine: 4 s (qwen).
    const ASLEEP: Duration = Duration::from_secs(10);
    /// How long after a change programs may go on telling the old state; seen: 150 ms (claude, codex).
    const LAG: Duration = Duration::from_millis(300);
    /// A program whose prompt was not recognised by then will not be.
    const STARTING: Duration = Duration::from_secs(60);
    /// A program without rules that prints nothing at all has started by then.
    const SILENT_START: Duration = Duration::from_secs(1);

    /// For the program `child`, spawned at `now`. Patterns that do not compile never match: a preset's are checked when it is read.
    pub fn new(rules: &Rules, child: i32, now: Instant) -> Self {
        let compiled = rules.rules.iter().enumerate().filter_map(|(at, rule)| Compiled::new(at, rule));
        Self {
            rules: compiled.collect(),
            foreground_is_idle: rules.foreground_is_idle,
            silence_is_idle: rules.silence_is_idle,
            quiet: Duration::from_millis(rules.quiet_ms.unwrap_or(Rules::QUIET_MS).into()),
            child,
            started: now,
            output: None,
            typed: None,
            stirred: None,
            worked: false,
            at_work: None,
            asked: false,
            draft: None,
            answered: None,
            withdrawn: None,
            tty: None,
            edits: false,
            looked: None,
            question: Question::default(),
            first: None,
            decided: None,
            state: State::Starting,
            why: "just spawned".into(),
        }
    }

    /// The state as of the last look.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Which rule said so.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// What it asks, while it needs input: as it was when it had been drawn.
    pub fn prompt(&self) -> Option<&Prompt> {
        self.question.told().filter(|_| matches!(self.state, State::NeedsInput { .. }))
    }

    /// What it asked at the last look, drawn or not.
    pub fn asks(&self) -> Option<&Prompt> {
        self.question.now()
    }

    /// What it goes by, and each rule as it is tried on what is seen.
    pub fn explain(&self, look: Look<'_>, now: Instant) -> Explained {
        let age = |at: Instant| now.saturating_duration_since(at).as_millis() as u64;
        let first = self.rules.iter().position(|rule| rule.holds(look));
        let tried = |(at, rule): (usize, &Compiled)| rule.tried(look, first == Some(at));
        Explained {
            state: self.state.to_string(),
            why: self.why.clone(),
            since_ms: 0,
            prompt: self.prompt().cloned(),
            signs: Signs {
                status: look.status.map(str::to_owned),
                msg: look.msg.map(str::to_owned),
                title: look.title.map(str::to_owned),
                progress: look.progress.map(str::to_owned),
                bottom: rule::bottom_lines(look.screen),
                terminal: self.tty.map(|tty| Terminal {
                    canonical: tty.canonical,
                    foreground: tty.foreground,
                    program: self.child,
                }),
                output_ms: self.output.map(age),
                typed_ms: self.typed.map(age),
                worked: self.worked,
                settled: self.settled(now),
                silence_is_idle: self.silence_is_idle,
                foreground_is_idle: self.foreground_is_idle,
                ..Signs::default()
            },
            rules: self.rules.iter().enumerate().map(tried).collect(),
        }
    }

    /// Whether anything could ever show that this program is idle.
    pub fn can_be_idle(&self) -> bool {
        self.foreground_is_idle
            || self.silence_is_idle
            || self.rules.iter().any(|rule| rule.meaning == Meaning::Idle)
    }

    /// Whether looking needs the terminal's foreground group; ask for it before [`Reducer::look`].
    pub fn wants_tty(&self) -> bool {
        self.foreground_is_idle
    }

    /// The child wrote something.
    pub fn output(&mut self, now: Instant) {
        self.output = Some(now);
        self.stirred = self.stirred.or(self.typed.map(|_| now));
    }

    /// Enter was pressed after a message: busy until something shows otherwise.
    pub fn typed(&mut self, now: Instant) {
        if !self.state.ended() {
            self.typed = Some(now);
            self.stirred = None;
            self.worked = false;
            self.at_work = None;
            self.asked = matches!(&self.state, State::NeedsInput { what } if what != State::DRAFT);
            // Whatever was answered before is over: the same question is a new one.
            self.answered = None;
            if self.asked {
                self.answered = self.question.now().map(|prompt| prompt.hash.clone());
                self.withdrawn = Some(now + Self::LAG);
                self.question.none();
            }
            self.conclude(State::Busy, "a message was typed".into());
        }
    }

    /// What somebody has left in its composer, if anything: who waits for idleness must hear of that.
    pub fn draft(&mut self, draft: Option<String>) {
        self.draft = draft;
    }

    /// Whether that is known.
    pub fn is_drafted(&self) -> bool {
        self.draft.is_some()
    }

    /// Which rule has shown it at work since the last Enter.
    pub fn at_work(&self) -> Option<&str> {
        self.at_work.as_deref()
    }

    /// Whether a rule could.
    pub fn shows_work(&self) -> bool {
        self.rules.iter().any(|rule| rule.meaning == Meaning::Busy)
    }

    /// Not so for a moment after a question was answered, since programs say that they ask for some time longer; nor
    /// from when one begins to ask to when its question is drawn.
    pub fn settled(&self, now: Instant) -> bool {
        self.withdrawn(now) && !self.question.pending()
    }

    /// An answered question has had the time to disappear.
    fn withdrawn(&self, now: Instant) -> bool {
        self.withdrawn.is_none_or(|at| now >= at)
    }

    /// What a rule says is asked: nothing, while it may still be the question that was answered. One that looks as that
    /// one did is given longer, for an answer to it would be an answer to the next.
    fn asked(&mut self, rule: usize, look: Look<'_>, now: Instant) -> Option<Asked> {
        let asked = rule::question(&self.rules, &self.rules[rule], look);
        if self.answered.as_ref() == Some(&asked.prompt.hash) {
            self.withdrawn = self.typed.map(|typed| typed + Self::REACTION);
        }
        self.withdrawn(now).then_some(asked)
    }

    /// What the kernel says of the terminal, now.
    pub fn tty(&mut self, tty: Tty) {
        self.edits |= tty.foreground == Some(self.child) && !tty.canonical;
        self.tty = Some(tty);
    }

    /// The child ended.
    pub fn exited(&mut self, exit: Exit) {
        self.conclude(State::Exited(exit), "its parent was told so by wait".into());
    }

    /// The keeper is gone without an exit status.
    pub fn lost(&mut self, why: &str) {
        self.conclude(State::Lost, why.into());
    }

    /// Decides anew from what is seen. Says whether the state changed.
    pub fn look(&mut self, look: Look<'_>, now: Instant) -> bool {
        self.looked = Some(now);
        if self.state.ended() {
            return false;
        }
        let asking = |rule: &Compiled| rule.meaning == Meaning::NeedsInput;
        let rule = self.rules.iter().position(|rule| rule.holds(look));
        let asks = rule.filter(|at| asking(&self.rules[*at])).map(|at| self.asked(at, look, now));
        let rule = rule.filter(|_| !matches!(asks, Some(None)));
        let withdrawn = self.withdrawn(now);
        self.first = rule.map(|at| match self.first {
            Some((first, since)) if first == at => (at, since),
            _ => (at, now),
        });
        let lasts = |rule: &Compiled| self.first.is_some_and(|(_, since)| now - since >= rule.lasts);
        match asks.flatten() {
            Some(asked) => self.question.sees(asked, now),
            None => self.question.none(),
        }
        self.worked |= rule.is_some_and(|at| self.rules[at].meaning != Meaning::Idle);
        if let Some(at) = rule.filter(|at| self.rules[*at].meaning == Meaning::Busy && self.at_work.is_none())
        {
            self.at_work = Some(self.rules[at].why(look));
        }
        let not_yet = if self.state == State::Starting { State::Starting } else { State::Busy };
        let (state, why) = match rule.map(|at| &self.rules[at]) {
            Some(rule) if !lasts(rule) => {
                (not_yet, format!("{}, and has only just begun to", rule.why(look)))
            }
            None if !withdrawn => (State::Busy, "its question was answered just now".into()),
            Some(rule) if asking(rule) && self.question.told().is_none() => {
                (not_yet, "it begins to ask something, and has not drawn it yet".into())
            }
            Some(rule) if rule.meaning != Meaning::Idle || self.answered(now) => {
                let state = match rule.meaning {
                    Meaning::Limited => self.limited(rule, look),
                    _ => rule.says(self.question.what()),
                };
                // What else the same sign shows, such as how long it has been at work, is no other reason.
                let same = self.decided == Some(rule.number) && state == self.state;
                (state, if same { self.why.clone() } else { rule.why(look) })
            }
            Some(_) => {
                (State::Busy, "a message was typed, and it has not shown yet that it works on it".into())
            }
            None => self.judge(now),
        };
        self.decided = rule.map(|at| self.rules[at].number);
        match (state, &self.draft) {
            (State::Idle | State::Unknown, Some(draft)) => {
                let why = format!("its composer holds: {draft}");
                self.conclude(State::NeedsInput { what: State::DRAFT.into() }, why)
            }
            (state, _) => self.conclude(state, why),
        }
    }

    /// When to look again, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        if self.state.ended() {
            return None;
        }
        let looked = self.looked?;
        let due = [
            self.output
                .map(|at| at.max(looked.checked_sub(Self::LOOK_EVERY).unwrap_or(at)) + Self::LOOK_EVERY),
            self.output.map(|at| at + Self::PROMPT_QUIET),
            self.output.map(|at| at + self.quiet),
            self.withdrawn,
            self.typed.map(|at| at + Self::REACTION),
            self.typed.map(|at| at + Self::ASLEEP),
            self.stirred.map(|at| at + Self::REACTION),
            Some(self.started + Self::SILENT_START),
            Some(self.started + Self::STARTING),
        ];
        // A shell's foreground job may end without a word.
        let job = (self.tty.is_some() && self.foreground_is_idle && self.state == State::Busy)
            .then_some(looked + Duration::from_millis(250));
        let lasting = self.first.map(|(at, since)| since + self.rules[at].lasts);
        let due = due.into_iter().chain(self.question.deadlines()).chain([lasting]);
        due.flatten().filter(|at| *at > looked).chain(job).min()
    }

    fn conclude(&mut self, state: State, why: String) -> bool {
        let changed = self.state != state;
        self.state = state;
        self.why = why;
        changed
    }

    /// Limited as a rule says. One that counts down tells the same end each time, but for some seconds.
    fn limited(&self, rule: &Compiled, look: Look<'_>) -> State {
        const SAME: Duration = Duration::from_secs(5);
        let until = rule.group("until", look).zip(look.clock);
        let until = until.and_then(|(words, clock)| until::until(words, clock));
        if let (State::Limited { until: Some(before) }, Some(now)) = (&self.state, until)
            && *before <= now + SAME
            && now <= *before + SAME
        {
            return self.state.clone();
        }
        State::Limited { until }
    }

    /// Without a rule that holds: from the terminal, and from when it wrote.
    fn judge(&self, now: Instant) -> (State, String) {
        let silent = self.output.map_or(now - self.started, |at| now.saturating_duration_since(at));
        if !self.reacted(now) {
            return (State::Busy, "a message was typed, and nothing was written since".into());
        }
        if self.foreground_is_idle
            && let Some(Tty { foreground: Some(group), canonical }) = self.tty
        {
            if group != self.child {
                return (State::Busy, format!("process group {group} is in the foreground"));
            }
            // A shell that edits its own lines gives the terminal back to the kernel while a command runs.
            if self.edits && canonical {
                return (State::Busy, "the shell is not reading a line".into());
            }
            if silent >= Self::PROMPT_QUIET && (self.output.is_some() || silent >= Self::SILENT_START) {
                return (State::Idle, "the shell itself is in the foreground and silent".into());
            }
        }
        let starting = self.state == State::Starting && now - self.started < self.patience();
        if starting {
            return (State::Starting, "its prompt was not seen yet".into());
        }
        if self.output.is_some() && silent < self.quiet {
            return (State::Busy, "it is writing".into());
        }
        if self.silence_is_idle {
            return (State::Idle, format!("silent for {} ms", self.quiet.as_millis()));
        }
        (State::Unknown, "silent, and no rule says what that means".into())
    }

    /// Signs of idleness count only once the program has answered to Enter: before, they are the old ones. One whose
    /// rules know how it looks at work must have been seen so, since it redraws its prompt before it begins.
    fn answered(&self, now: Instant) -> bool {
        let (Some(typed), true) = (self.typed, self.shows_work()) else { return self.reacted(now) };
        let shown = self.stirred.is_some_and(|at| self.worked || now >= at + Self::REACTION);
        shown || (self.worked && self.reacted(now)) || now >= typed + Self::ASLEEP
    }

    /// It wrote something since Enter, or had the time to.
    fn reacted(&self, now: Instant) -> bool {
        self.typed.is_none_or(|typed| {
            self.output.is_some_and(|at| at > typed) || now.saturating_duration_since(typed) >= Self::REACTION
        })
    }

    /// How long a program may be starting: as long as its prompt may still be recognised.
    fn patience(&self) -> Duration {
        if self.rules.iter().any(|rule| rule.meaning == Meaning::Idle) {
            Self::STARTING
        } else if self.output.is_none() {
            Self::SILENT_START
        } else {
            Duration::ZERO
        }
    }
}

impl Compiled {
    fn says(&self, what: Option<&str>) -> State {
        match self.meaning {
            Meaning::Idle => State::Idle,
            Meaning::Starting => State::Starting,
            Meaning::Busy => State::Busy,
            Meaning::NeedsInput => State::NeedsInput { what: what.unwrap_or(&self.what).to_owned() },
            Meaning::Limited => State::Limited { until: None },
        }
    }
}

#[cfg(test)]
mod tests;
