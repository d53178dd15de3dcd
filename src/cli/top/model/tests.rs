//! What follows from what happened, without a terminal.

use super::*;
use crate::{
    cli::top::row::tests::{child, report},
    tools::{BoardReport, BoardRow},
};

fn board(rows: Vec<BoardRow>) -> Event {
    Event::Board(Board { whole: true, rows, gone: Vec::new(), unread: 0 })
}

fn more(rows: Vec<BoardRow>) -> Event {
    Event::Board(Board { rows, ..Board::default() })
}

/// Three of r1's, in a terminal of 80 by 24.
fn model() -> Model {
    let mut model = Model { can_attach: true, ..Model::default() };
    model.reduce(Event::Size(80, 24));
    let rows = vec![child(1, "r1", "idle"), child(2, "c1", "idle"), child(3, "r1", "idle")];
    assert_eq!(model.reduce(board(rows)), [Wish::Look(Some("c1".into()))], "the first is chosen");
    model
}

fn press(model: &mut Model, keys: &str) -> Vec<Wish> {
    keys.chars().flat_map(|c| model.reduce(Event::Key(key(c)))).collect()
}

fn key(c: char) -> Key {
    match c {
        '\n' => Key::Enter,
        '\x1b' => Key::Escape,
        '\x03' => Key::Ctrl('c'),
        '↓' => Key::Down,
        '↑' => Key::Up,
        c => Key::Char(c),
    }
}

fn chosen(model: &Model) -> &str {
    model.chosen_child().map_or("", String::as_str)
}

#[track_caller]
fn check(keys: &str, wishes: &[Wish]) {
    assert_eq!(press(&mut model(), keys), wishes, "{keys:?}");
}

#[test]
fn a_key_is_a_wish() {
    let c1 = || "c1".to_owned();
    check("q", &[Wish::Quit]);
    check("\x03", &[Wish::Quit]);
    check("\n", &[Wish::Attach(c1())]);
    check("w", &[Wish::Watch(c1())]);
    check("mhi q\n", &[Wish::Send { to: c1(), text: "hi q".into() }]);
    check("mhi\x1b", &[]);
    check("m  \n", &[]);
    check("sy", &[Wish::Stop(c1())]);
    check("sn", &[]);
    check("s\n", &[]);
    check("n", &[Wish::ListPresets]);
    check("i", &[Wish::ReadInbox]);
    check("?q", &[]);
    check("?\x03", &[Wish::Quit]);
    check("j", &[Wish::Look(Some("c2".into()))]);
    check("↓↓↓↓", &[Wish::Look(Some("c2".into())), Wish::Look(Some("c3".into()))]);
    check("k", &[]);
    check("Gsy", &[Wish::Look(Some("c3".into())), Wish::Stop("c3".into())]);
}

#[test]
fn without_attach_it_is_said() {
    let mut model = model();
    model.can_attach = false;
    assert_eq!(press(&mut model, "\nw"), []);
    assert!(model.notice.as_ref().is_some_and(|notice| notice.bad));
}

#[test]
fn a_preset_is_started_under_a_name_or_none() {
    let mut model = model();
    let presets = || Event::Presets(vec!["claude".into(), "shell".into()]);
    model.reduce(presets());
    let spawn =
        |name: Option<&str>| vec![Wish::Spawn { preset: "shell".into(), name: name.map(str::to_owned) }];
    assert_eq!(press(&mut model, "↓↓\n build \n"), spawn(Some("build")));
    model.reduce(presets());
    assert_eq!(press(&mut model, "↓\n\n"), spawn(None));
    model.reduce(presets());
    assert_eq!(press(&mut model, "\x1b"), []);
    assert_eq!(model.mode, Mode::Browse);
    model.reduce(Event::Presets(Vec::new()));
    assert_eq!(model.mode, Mode::Browse);
}

#[test]
fn the_choice_stays_on_its_child_however_the_rows_move() {
    let mut model = model();
    press(&mut model, "j");
    model.reduce(more(vec![child(3, "r1", "needs_input")]));
    assert_eq!((chosen(&model), model.at()), ("c2", Some(2)));
    let gone = Board { gone: vec!["c2".into()], ..Board::default() };
    assert_eq!(model.reduce(Event::Board(gone)), [Wish::Look(Some("c1".into()))]);
    model.reduce(Event::Board(Board { gone: vec!["c1".into(), "c3".into()], ..Board::default() }));
    assert_eq!(model.chosen, None);
    assert_eq!(press(&mut model, "\nms↓"), [], "there is nobody");
}

#[test]
fn the_chosen_one_is_in_sight() {
    let mut model = Model::default();
    model.reduce(board((1..=100).map(|n| child(n, "r1", "idle")).collect()));
    model.reduce(Event::Size(80, 24));
    let page = model.page();
    for (key, at) in
        [(Key::End, 99), (Key::Up, 98), (Key::PageUp, 98 - page), (Key::Home, 0), (Key::PageDown, page)]
    {
        model.reduce(Event::Key(key));
        let (is, first) = (model.at().unwrap(), model.first);
        assert_eq!(is, at, "{key:?}");
        assert!(first <= is && is < first + page, "{key:?}: {is} is not in {first} and {page} more");
    }
    model.reduce(Event::Size(80, 400));
    assert_eq!(model.first, 0, "where all are seen, nothing is scrolled away");
}

#[test]
fn a_filter_is_seen_while_it_is_typed_and_can_be_given_up() {
    let mut model = model();
    assert_eq!(press(&mut model, "/n3"), [Wish::Look(Some("c3".into()))]);
    assert_eq!(model.places.len(), 1);
    press(&mut model, "\x1b");
    assert_eq!((model.places.len(), model.filter.as_str()), (3, ""));
    press(&mut model, "/n2\n");
    assert_eq!((model.places.len(), &model.mode), (1, &Mode::Browse));
    press(&mut model, "/\x1b");
    assert_eq!(model.filter, "n2", "the one before");
    press(&mut model, "\x1b");
    assert_eq!(model.places.len(), 3);
    model.reduce(Event::Key(Key::Char('/')));
    model.reduce(Event::Paste("n1\nc1".into()));
    assert_eq!(model.places.len(), 1);
}

#[test]
fn a_child_that_begins_to_need_a_person_is_told_once() {
    let mut model = model();
    let asks = |since_ms| BoardRow { since_ms, ..child(2, "c1", "needs_input") };
    let alert = |words: &str| vec![Wish::Alert(words.into())];
    assert_eq!(model.reduce(more(vec![asks(5)])), alert("c2 n2: needs_input"));
    assert_eq!(model.reduce(more(vec![BoardRow { offset: 9, ..asks(5) }])), []);
    assert_eq!(model.reduce(more(vec![asks(6)])), alert("c2 n2: needs_input"), "another question");
    let blocked = |number, answered| {
        let report = BoardReport { number, answered, ..report("blocked", "which?") };
        BoardRow { report: Some(report), ..child(3, "r1", "idle") }
    };
    assert_eq!(model.reduce(more(vec![blocked(1, false)])), alert("c3 n3: blocked: which?"));
    assert_eq!(model.reduce(more(vec![BoardRow { since_ms: 7, ..blocked(1, false) }])), []);
    assert_eq!(model.reduce(more(vec![blocked(1, true)])), []);
    assert_eq!(model.reduce(more(vec![blocked(2, false)])), alert("c3 n3: blocked: which?"));
    // Another broker tells all again: nobody begins to need anything by that.
    let all = vec![child(1, "r1", "idle"), asks(6), blocked(2, false)];
    assert_eq!(model.reduce(board(all)), []);
    let first = Model::default().reduce(board(vec![asks(1)]));
    assert_eq!(first, [Wish::Look(Some("c2".into()))], "it began before we looked");
}

#[test]
fn reports_are_read_and_answered() {
    let mut model = model();
    let blocked = BoardRow {
        report: Some(BoardReport { to: "r1".into(), ..report("blocked", "which?") }),
        ..child(3, "r1", "idle")
    };
    model.reduce(more(vec![blocked]));
    press(&mut model, "i");
    let mine = Letter { from: "c1".into(), status: "done".into(), at_ms: 9_000_000, ..Letter::default() };
    model.reduce(Event::Letters(vec![mine]));
    let from: Vec<&str> = model.letters.iter().map(|letter| letter.from.as_str()).collect();
    assert_eq!(from, ["c1", "c3"], "the newest first, and what an agent was asked");
    let wishes = press(&mut model, "↓\nmain\n");
    assert_eq!(wishes.last(), Some(&Wish::Send { to: "c3".into(), text: "main".into() }));
    assert_eq!(chosen(&model), "c3");
    press(&mut model, "i↓↓↓\n\x1b");
    assert_eq!(model.mode, Mode::Browse, "an empty inbox answers nobody");
}

#[test]
fn what_was_said_stays_until_the_next_key() {
    let mut model = model();
    model.reduce(Event::Said(Err("refused\nbecause\x1b[2J".into())));
    assert_eq!(model.notice, Some(Notice { text: "refused …".into(), bad: true }));
    model.reduce(Event::Time(5));
    assert!(model.notice.is_some());
    press(&mut model, "j");
    assert!(model.notice.is_none());
}

#[test]
fn a_screen_is_shown_while_its_child_is_chosen() {
    let mut model = model();
    let screen = |child: &str| Preview { child: child.into(), lines: vec!["x".into()], ..Preview::default() };
    model.reduce(Event::Screen(screen("c3")));
    assert_eq!(model.preview, None, "it came too late");
    model.reduce(Event::Screen(screen("c1")));
    assert!(model.preview.is_some());
    press(&mut model, "j");
    assert_eq!(model.preview, None);
}

#[test]
fn without_a_broker_what_was_known_stays() {
    let mut model = model();
    model.reduce(Event::Lost("gone".into()));
    assert_eq!((model.lost.as_deref(), model.rows.len()), (Some("gone"), 3));
    model.reduce(Event::Linked);
    assert_eq!(model.lost, None);
}
