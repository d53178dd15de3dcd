//! What a child is said to be doing, told step by step.

use super::{rule::bottom, *};
use crate::child::rules::{Rule, Sign};

const CHILD: i32 = 100;

struct Told {
    reducer: Reducer,
    start: Instant,
    screen: String,
    title: Option<String>,
    status: Option<String>,
    msg: Option<String>,
    progress: Option<String>,
    clock: Option<DateTime<FixedOffset>>,
}

impl Told {
    fn new(rules: Rules) -> Self {
        let start = Instant::now();
        let reducer = Reducer::new(&rules, CHILD, start);
        Told {
            reducer,
            start,
            screen: String::new(),
            title: None,
            status: None,
            msg: None,
            progress: None,
            clock: None,
        }
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
        let look = Look {
            screen: &self.screen,
            title: self.title.as_deref(),
            status: self.status.as_deref(),
            msg: self.msg.as_deref(),
            progress: self.progress.as_deref(),
            shades: &[],
            clock: self.clock,
        };
        self.reducer.look(look, self.start + Duration::from_millis(ms));
        assert_eq!(self.reducer.state().to_string(), state, "at {ms} ms: {}", self.reducer.why());
        self
    }
}

fn rule(on: Sign, matches: &str, state: Meaning) -> Rule {
    Rule { on, matches: matches.into(), state, what: None, for_ms: None }
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
    told.is(40, "busy").is(3039, "busy").is(3040, "needs_input (permission)");
    assert_eq!(told.reducer.why(), "its own status (OSC 7501) shows \"blocked permission\" (rule 1)");
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
        let look = Look { screen: "x", ..Look::default() };
        told.reducer.look(look, due);
        looks += 1;
        assert!(looks < 20, "it never rests");
    }
    assert_eq!(told.reducer.state(), &State::Idle);
}

#[test]
fn the_bottom_is_twelve_lines_that_are_not_blank() {
    let screen = (1..=20).map(|n| format!("{n}\n\n")).collect::<String>();
    let lines: Vec<&str> = screen[bottom(&screen)..].lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.first(), Some(&"9"));
    assert_eq!(lines.last(), Some(&"20"));
    assert_eq!((bottom("one\ntwo"), bottom(""), bottom("\n\n")), (0, 0, 0));
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
    quick.prints(10, "$").types(100).prints(101, "$ hi").is(2100, "busy").is(2101, "idle");
    let mut slow = Told::new(rules());
    slow.status = Some("idle".into());
    slow.prints(10, "$").types(100).is(2100, "busy").is(9000, "busy").prints(9010, "$ hi").is(9020, "busy");
    slow.is(11_010, "idle").types(20_000).is(29_999, "busy").is(30_000, "idle");
}

#[test]
fn a_question_that_was_answered_is_not_told_again_before_the_program_had_time_to_withdraw_it() {
    let asks = rule(Sign::Status, "^blocked", Meaning::NeedsInput);
    let rules =
        Rules { rules: vec![asks, rule(Sign::Status, "^working", Meaning::Busy)], ..Rules::default() };
    let mut told = Told::new(rules);
    told.status = Some("blocked".into());
    told.prints(10, "1. Yes").is(20, "starting").is(3020, "needs_input (input)");
    told.types(4000).is(4010, "busy").is(5999, "busy").is(6000, "busy");
    assert!(!told.reducer.settled(told.at(6000)), "it asks again");
    told.is(9000, "needs_input (input)");
    told.types(10_000);
    told.status = Some("working".into());
    told.is(10_050, "busy");
    told.status = Some("blocked".into());
    told.prints(10_100, "2. No").is(10_301, "busy").is(13_301, "needs_input (input)");
}

fn asks() -> Rules {
    let dialog = Rule {
        what: Some("permission".into()),
        ..rule(Sign::Bottom, r"(?s)(?<prompt>Run .*Esc cancels)\z", Meaning::NeedsInput)
    };
    let says = Rule { what: Some("an answer".into()), ..rule(Sign::Status, "^blocked", Meaning::NeedsInput) };
    let rules = vec![says, dialog, rule(Sign::Status, "^working", Meaning::Busy)];
    Rules { rules, ..Rules::default() }
}

const DIALOG: &str = "model: 1. a list\nRun ls?\n❯ 1. Yes\n  2. No\nEsc cancels";

#[test]
fn a_question_is_told_when_it_is_drawn() {
    let mut told = Told::new(asks());
    told.status = Some("working".into());
    told.prints(10, "working").is(20, "busy");
    told.status = Some("blocked".into());
    told.is(30, "busy");
    assert!(!told.reducer.settled(told.at(30)), "and nothing is typed meanwhile");
    told.prints(80, "Run ls?\n❯ 1. Yes\nEsc cancels").is(90, "busy").is(150, "busy");
    told.prints(160, DIALOG).is(170, "busy").is(269, "busy").is(270, "needs_input (permission)");
    let prompt = told.reducer.prompt().unwrap().clone();
    assert_eq!(prompt.text, "Run ls?\n❯ 1. Yes\n  2. No\nEsc cancels");
    assert_eq!((prompt.choices.len(), prompt.choices[0].selected), (2, true));
    // The selection moves.
    told.prints(300, &DIALOG.replace("❯ 1.", "  1.").replace("  2.", "❯ 2."))
        .is(310, "needs_input (permission)");
    assert_ne!(told.reducer.asks().unwrap().hash, prompt.hash, "what Enter would do is known at once");
    assert_eq!(told.reducer.prompt(), Some(&prompt));
    told.is(410, "needs_input (permission)");
    assert_eq!(told.reducer.prompt(), told.reducer.asks());
    told.status = Some("working".into());
    told.prints(500, "working").is(510, "busy");
    assert_eq!((told.reducer.prompt(), told.reducer.asks()), (None, None));
}

#[test]
fn a_question_that_still_stands_there_after_its_answer_is_given_time_to_go() {
    let mut told = Told::new(asks());
    told.prints(10, DIALOG).is(20, "starting").is(120, "needs_input (permission)").types(1000);
    told.is(1010, "busy").prints(1400, DIALOG).is(1500, "busy").is(2999, "busy");
    assert!(
        !told.reducer.settled(told.at(2999)) && told.reducer.asks().is_none(),
        "an answer would be the next one's"
    );
    // Another one is told as soon as it is drawn.
    let other = DIALOG.replace("Run ls", "Run rm");
    told.is(3000, "busy").is(3100, "needs_input (permission)").types(4000).prints(4100, &other);
    told.is(4300, "busy").is(4400, "needs_input (permission)");
}

#[test]
fn the_same_question_in_another_turn_is_another_one() {
    let mut told = Told::new(asks());
    told.prints(10, "model: ready");
    for turn in 1..=4 {
        let at = turn * 10_000;
        told.types(at).prints(at + 100, "working").is(at + 101, "busy");
        told.prints(at + 500, DIALOG).is(at + 510, "busy").is(at + 610, "needs_input (permission)");
        // The answer; it stands there for a moment.
        told.types(at + 2000).is(at + 2050, "busy").prints(at + 2100, "done").is(at + 4500, "unknown");
    }
}

#[test]
fn what_the_program_says_that_it_asks_belongs_to_the_question() {
    let mut told = Told::new(asks());
    (told.status, told.msg) = (Some("blocked".into()), Some("approve Bash: ls".into()));
    told.prints(10, DIALOG).is(20, "starting").is(120, "needs_input (permission)");
    assert!(told.reducer.prompt().unwrap().text.starts_with("approve Bash: ls\n\nRun ls?\n"));
}

#[test]
fn a_question_that_never_stands_still_is_told_all_the_same() {
    let mut told = Told::new(asks());
    let mut seen = Vec::new();
    for tick in 0..60 {
        let at = 100 + tick * 50;
        told.prints(at, &DIALOG.replace("Run ls", &format!("Run ls {tick}")));
        told.reducer.look(Look { screen: &told.screen, ..Look::default() }, told.at(at));
        seen.extend(told.reducer.prompt().map(|prompt| prompt.hash.clone()));
    }
    seen.dedup();
    assert_eq!(seen.len(), 2, "once a second");
}

#[test]
fn progress_is_a_sign() {
    let rules = vec![rule(Sign::Progress, "^(?:running|indeterminate)", Meaning::Busy)];
    let mut told = Told::new(Rules { rules, silence_is_idle: true, ..Rules::default() });
    told.prints(10, "x").is(2000, "idle");
    told.progress = Some("running 50".into());
    told.is(2010, "busy").is(60_000, "busy");
    assert_eq!(told.reducer.why(), "its progress (OSC 9;4) shows \"running 50\" (rule 1)");
    told.progress = None;
    told.is(60_010, "idle");
}

#[test]
fn a_reason_is_told_once_and_not_at_every_tick_of_a_clock() {
    let rules = vec![rule(Sign::Bottom, r"\(\d+s · esc to interrupt\)", Meaning::Busy)];
    let mut told = Told::new(Rules { rules, ..Rules::default() });
    told.prints(10, "Working (1s · esc to interrupt)").is(20, "busy");
    let why = told.reducer.why().to_owned();
    assert_eq!(why, "its screen shows \"Working (1s · esc to interrupt)\" (rule 1)");
    told.prints(1010, "Working (2s · esc to interrupt)").is(1020, "busy");
    assert_eq!(told.reducer.why(), why);
}

#[test]
fn what_a_program_shows_in_passing_counts_once_it_lasts() {
    let rules = vec![
        rule(Sign::Bottom, "esc interrupt", Meaning::Busy),
        Rule { for_ms: Some(500), ..rule(Sign::Bottom, "ctrl\\+p cmd", Meaning::Idle) },
    ];
    let mut told = Told::new(Rules { rules, ..Rules::default() });
    told.prints(10, "ctrl+p cmd").is(20, "starting").is(519, "starting").is(520, "idle").types(1000);
    told.prints(1001, "esc interrupt  ctrl+p cmd").is(1010, "busy").is(8000, "busy");
    // It has held all the time, and was not the first.
    told.prints(9000, "ctrl+p cmd").is(9010, "busy");
    assert_eq!(told.reducer.why(), "its screen shows \"ctrl+p cmd\" (rule 2), and has only just begun to");
    told.prints(9100, "esc interrupt  ctrl+p cmd").is(9110, "busy");
    told.prints(9200, "ctrl+p cmd").is(9210, "busy").is(9700, "busy");
    assert_eq!(told.reducer.deadline(), Some(told.at(9710)));
    told.is(9710, "idle");
}

#[test]
fn a_limit_has_an_end_that_a_countdown_does_not_move() {
    let rules = vec![rule(Sign::Bottom, r"retrying in (?<until>[^·]+?) ·", Meaning::Limited)];
    let mut told = Told::new(Rules { rules, ..Rules::default() });
    let clock = |at: &str| Some(DateTime::parse_from_rfc3339(at).unwrap());
    told.clock = clock("2026-11-25T12:00:00Z");
    told.prints(10, "429 · retrying in 18s · attempt 6").is(20, "limited (until 2026-11-25T12:00:18Z)");
    told.clock = clock("2026-11-25T12:00:09.900Z");
    told.prints(9910, "429 · retrying in 9s · attempt 6").is(9920, "limited (until 2026-11-25T12:00:18Z)");
    told.prints(9930, "429 · retrying in 37s · attempt 7").is(9940, "limited (until 2026-11-25T12:00:46Z)");
    told.prints(9950, "429 · retrying in a while · attempt 7").is(9960, "limited");
    assert_eq!(told.reducer.state(), &State::Limited { until: None });
}
