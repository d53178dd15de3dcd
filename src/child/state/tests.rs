//! What a child is said to be doing, told step by step.

use super::*;
use crate::child::rules::Rule;

const CHILD: i32 = 100;

struct Told {
    reducer: Reducer,
    start: Instant,
    screen: String,
    title: Option<String>,
    status: Option<String>,
}

impl Told {
    fn new(rules: Rules) -> Self {
        let start = Instant::now();
        let reducer = Reducer::new(&rules, CHILD, start);
        Told { reducer, start, screen: String::new(), title: None, status: None }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn prints(&mut self, ms: u64, screen: &str) -> &mut Self {
        self.screen = screen.into();
        self.reducer.output(self.at(ms));
        self
    }

    fn foreground(&mut self, group: i32) -> &mut Self {
        self.reducer.tty(Tty { canonical: true, foreground: Some(group) });
        self
    }

    fn edits_its_line(&mut self) -> &mut Self {
        self.reducer.tty(Tty { canonical: false, foreground: Some(CHILD) });
        self
    }

    fn types(&mut self, ms: u64) -> &mut Self {
        self.reducer.typed(self.at(ms));
        self
    }

    #[track_caller]
    fn is(&mut self, ms: u64, state: &str) -> &mut Self {
        let look =
            Look { screen: &self.screen, title: self.title.as_deref(), status: self.status.as_deref() };
        self.reducer.look(look, self.start + Duration::from_millis(ms));
        assert_eq!(self.reducer.state().to_string(), state, "at {ms} ms: {}", self.reducer.why());
        self
    }
}

fn rule(on: Sign, matches: &str, state: Meaning) -> Rule {
    Rule { on, matches: matches.into(), state, what: None }
}

fn shell() -> Rules {
    Rules { foreground_is_idle: true, ..Rules::default() }
}

#[test]
fn a_shell_is_idle_when_it_is_in_the_foreground_and_silent() {
    Told::new(shell())
        .foreground(CHILD)
        .prints(10, "$ ")
        .is(20, "busy")
        .is(120, "idle")
        .types(200)
        .is(210, "busy")
        .prints(211, "$ sleep 9")
        .foreground(200)
        .is(5000, "busy")
        .foreground(CHILD)
        .is(5001, "idle");
}

#[test]
fn a_shell_that_edits_lines_is_busy_while_it_does_not() {
    Told::new(shell())
        .edits_its_line()
        .prints(10, "$ ")
        .is(120, "idle")
        .types(200)
        .prints(201, "$ builtin")
        .foreground(CHILD)
        .is(5000, "busy")
        .edits_its_line()
        .is(5001, "idle");
}

#[test]
fn an_old_prompt_is_not_an_answer_to_a_new_message() {
    let rules = Rules { rules: vec![rule(Sign::Bottom, ">>>$", Meaning::Idle)], ..Rules::default() };
    Told::new(rules)
        .is(500, "starting")
        .prints(600, ">>>")
        .is(601, "idle")
        .types(1000)
        .is(1100, "busy")
        .prints(1200, ">>> 1+1\n2\n>>>")
        .is(1201, "idle")
        .types(2000)
        .is(3999, "busy")
        .is(4000, "idle");
}

#[test]
fn silence_of_a_program_nobody_described_is_not_idleness() {
    Told::new(Rules::default())
        .is(500, "starting")
        .is(1100, "unknown")
        .is(2000, "unknown")
        .prints(2100, "x")
        .is(2200, "busy")
        .is(9000, "unknown");
    let quiet = Rules { silence_is_idle: true, quiet_ms: Some(300), ..Rules::default() };
    Told::new(quiet).prints(10, "x").is(20, "busy").is(400, "idle");
    assert!(!Reducer::new(&Rules::default(), CHILD, Instant::now()).can_be_idle());
}

#[test]
fn the_first_rule_that_holds_decides() {
    let rules = Rules {
        rules: vec![
            Rule { what: Some("permission".into()), ..rule(Sign::Status, "^blocked", Meaning::NeedsInput) },
            rule(Sign::Title, "Working", Meaning::Busy),
            rule(Sign::Screen, "ready", Meaning::Idle),
        ],
        ..Rules::default()
    };
    let mut told = Told::new(rules);
    told.prints(10, "ready").is(20, "idle");
    told.title = Some("✦ Working…".into());
    told.is(30, "busy");
    told.status = Some("blocked permission".into());
    told.is(40, "needs_input (permission)");
}

#[test]
fn an_end_is_final() {
    let mut told = Told::new(shell());
    told.reducer.exited(Exit::Code(3));
    told.prints(10, "late").is(20, "exited (exit code 3)").types(30).is(40, "exited (exit code 3)");
    assert_eq!(told.reducer.deadline(), None);
}

#[test]
fn it_asks_to_look_again_until_nothing_can_change_by_waiting() {
    let mut told = Told::new(Rules { silence_is_idle: true, quiet_ms: Some(300), ..Rules::default() });
    told.prints(10, "x").is(10, "busy");
    let mut looks = 0;
    while let Some(due) = told.reducer.deadline() {
        let ms = (due - told.start).as_millis() as u64;
        assert!(ms > 10, "time moves on");
        let look = Look { screen: "x", title: None, status: None };
        told.reducer.look(look, due);
        looks += 1;
        assert!(looks < 20, "it never rests");
    }
    assert_eq!(told.reducer.state(), &State::Idle);
}

#[test]
fn the_bottom_is_twelve_lines_that_are_not_blank() {
    let screen = (1..=20).map(|n| format!("{n}\n\n")).collect::<String>();
    let lines: Vec<&str> = bottom(&screen).lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.first(), Some(&"9"));
    assert_eq!(lines.last(), Some(&"20"));
    assert_eq!(bottom("one\ntwo"), "one\ntwo");
}

#[test]
fn a_program_that_shows_its_work_is_idle_again_once_it_was_seen_at_it() {
    let rules = || Rules {
        rules: vec![
            rule(Sign::Status, "^working", Meaning::Busy),
            rule(Sign::Status, "^idle", Meaning::Idle),
        ],
        ..Rules::default()
    };
    let mut told = Told::new(rules());
    told.status = Some("idle".into());
    // Its status lags behind its screen, which shows the message at once.
    told.prints(10, "$").is(20, "idle").types(100).prints(101, "$ hello").is(150, "busy");
    told.status = Some("working".into());
    told.is(250, "busy");
    told.status = Some("idle".into());
    told.is(300, "idle");
    let mut quick = Told::new(rules());
    quick.status = Some("idle".into());
    quick.prints(10, "$").types(100).prints(101, "$ hi").is(2099, "busy").is(2100, "idle");
}

#[test]
fn a_question_that_was_answered_is_not_told_again_before_the_program_had_time_to_withdraw_it() {
    let asks = rule(Sign::Status, "^blocked", Meaning::NeedsInput);
    let rules =
        Rules { rules: vec![asks, rule(Sign::Status, "^working", Meaning::Busy)], ..Rules::default() };
    let mut told = Told::new(rules);
    told.status = Some("blocked".into());
    told.prints(10, "1. Yes").is(20, "needs_input (input)").types(100).is(110, "busy").is(399, "busy");
    told.is(400, "needs_input (input)");
    told.types(500);
    told.status = Some("working".into());
    told.is(550, "busy");
    told.status = Some("blocked".into());
    told.is(801, "needs_input (input)");
}
