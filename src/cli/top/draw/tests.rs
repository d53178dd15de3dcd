//! What is drawn, as pictures: narrow, wide, without colours, of nobody, and of a thousand.

use ratatui::{Terminal, backend::TestBackend, style::Color};

use super::*;
use crate::{
    cli::top::{
        keys::Key,
        model::{Event, Letter, Preview},
        row::tests::{child, report},
        usage::Usage,
    },
    tools::{Board, BoardRow},
};

fn company() -> Model {
    let asks = BoardRow {
        what: Some("permission".into()),
        title: Some("claude: review".into()),
        ..child(3, "c1", "needs_input")
    };
    let blocked = BoardRow {
        report: Some(report("blocked", "which branch?\nmain or dev")),
        held: 2,
        owner: "ada".into(),
        person: true,
        owner_since_ms: 1_000_000,
        ..child(4, "c1", "idle")
    };
    let rows = vec![
        BoardRow { name: "orchestrator-of-all".into(), unread: 3, ..child(1, "r1", "busy") },
        BoardRow { name: "日本語".into(), ..child(2, "c1", "idle") },
        asks,
        blocked,
        BoardRow { what: Some("exit code 0".into()), ..child(5, "person", "exited") },
        BoardRow { hostless: true, queued: 1, ..child(6, "r2", "unknown") },
    ];
    let mut model = Model::default();
    model.reduce(Event::Size(80, 24));
    model.reduce(Event::Time(1_065_000));
    model.reduce(Event::Board(Board { whole: true, rows, gone: Vec::new(), unread: 2 }));
    model.reduce(Event::Usage([(1, Usage { cpu: 103.4, memory: 700 << 20 })].into()));
    let lines =
        (1..=30).map(|n| format!("line {n}")).chain(["> do you\ttrust this?\x1b[31m".into(), "".into()]);
    let preview = Preview { child: "c3".into(), lines: lines.collect(), rows: 40, cols: 120 };
    model.reduce(Event::Screen(preview));
    model
}

fn drawn(model: &mut Model, cols: u16, rows: u16, palette: Palette) -> Terminal<TestBackend> {
    model.reduce(Event::Size(cols, rows));
    let mut terminal = Terminal::new(TestBackend::new(cols, rows)).unwrap();
    terminal.draw(|frame| frame.render_widget(View { model, palette }, frame.area())).unwrap();
    terminal
}

#[track_caller]
fn picture(model: &mut Model, cols: u16, rows: u16) -> String {
    drawn(model, cols, rows, Palette::Colours).backend().to_string()
}

#[test]
fn a_narrow_terminal_has_what_matters() {
    insta::assert_snapshot!("narrow", picture(&mut company(), 40, 12));
}

#[test]
fn an_ordinary_terminal_has_the_screen_below() {
    insta::assert_snapshot!("ordinary", picture(&mut company(), 80, 24));
}

#[test]
fn a_wide_terminal_has_the_screen_beside() {
    insta::assert_snapshot!("wide", picture(&mut company(), 160, 50));
}

#[test]
fn nobody_is_said_so() {
    let mut model = Model::default();
    insta::assert_snapshot!("looking", picture(&mut model, 60, 8));
    model.reduce(Event::Board(Board { whole: true, ..Board::default() }));
    model.reduce(Event::Lost("the connection to the broker was lost: x\ny".into()));
    insta::assert_snapshot!("nobody", picture(&mut model, 80, 8));
}

#[test]
fn what_is_asked_and_typed_is_in_the_last_line() {
    let mut model = company();
    let last = |model: &mut Model, cols| {
        let picture = picture(model, cols, 10);
        picture.lines().last().and_then(|line| line.split('"').nth(1)).unwrap().trim_end().to_owned()
    };
    model.reduce(Event::Key(Key::Char('m')));
    model.reduce(Event::Paste("one\ntwo 日本".into()));
    assert_eq!(last(&mut model, 60), "to c3 n3> one↵two 日本");
    model.reduce(Event::Paste("x".repeat(100)));
    assert_eq!(last(&mut model, 30), format!("to c3 n3> {}", "x".repeat(19)));
    model.reduce(Event::Key(Key::Escape));
    assert_eq!(last(&mut model, 60), "not sent");
    model.reduce(Event::Key(Key::Char('s')));
    assert_eq!(last(&mut model, 60), "stop c3 n3 and all it started? y/n");
    model.reduce(Event::Key(Key::Char('n')));
    model.reduce(Event::Key(Key::Char('/')));
    model.reduce(Event::Key(Key::Char('i')));
    assert_eq!(last(&mut model, 60), "filter> i");
}

#[test]
fn what_is_over_the_rest_is_read() {
    let mut model = company();
    model.reduce(Event::Key(Key::Char('?')));
    insta::assert_snapshot!("help", picture(&mut model, 80, 24));
    model.reduce(Event::Key(Key::Char(' ')));
    model.reduce(Event::Presets(vec!["claude".into(), "codex".into(), "shell".into()]));
    model.reduce(Event::Key(Key::Down));
    insta::assert_snapshot!("presets", picture(&mut model, 40, 12));
    model.reduce(Event::Key(Key::Escape));
    model.reduce(Event::Key(Key::Char('i')));
    let letter = Letter {
        from: "c5".into(),
        name: "n5".into(),
        status: "done".into(),
        message: "all tests pass\nand more".into(),
        at_ms: 1_060_000,
        unread: true,
        ..Letter::default()
    };
    model.reduce(Event::Letters(vec![letter]));
    model.reduce(Event::Key(Key::Down));
    insta::assert_snapshot!("inbox", picture(&mut model, 80, 16));
}

#[test]
fn without_colours_there_is_none() {
    for cols in [40, 80, 160] {
        let mut model = company();
        let plain = drawn(&mut model, cols, 24, Palette::Plain);
        let colours = drawn(&mut model, cols, 24, Palette::Colours);
        let coloured = |terminal: &Terminal<TestBackend>| {
            let cells = terminal.backend().buffer().content().iter();
            cells.filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset).count()
        };
        assert_eq!(coloured(&plain), 0);
        assert!(coloured(&colours) > 0);
        assert_eq!(plain.backend().to_string(), colours.backend().to_string(), "the same words");
    }
}

#[test]
fn any_size_can_be_drawn() {
    for (cols, rows) in [(0, 0), (1, 1), (2, 3), (10, 2), (39, 5), (140, 1), (141, 3), (500, 200)] {
        for keys in ["", "?", "n", "i", "m", "/"] {
            let mut model = company();
            for key in keys.chars() {
                model.reduce(Event::Key(Key::Char(key)));
            }
            drawn(&mut model, cols, rows, Palette::Colours);
        }
    }
}

fn thousand() -> Model {
    let row = |n: u32| {
        let parent = if n < 4 { "r1".to_owned() } else { format!("c{}", n / 4) };
        let state = ["idle", "busy", "idle", "exited", "needs_input"][n as usize % 5];
        BoardRow { title: Some(format!("title {n}")), ..child(n, &parent, state) }
    };
    let rows = (1..=1000).map(row).collect();
    let mut model = Model::default();
    model.reduce(Event::Size(160, 50));
    model.reduce(Event::Time(1_065_000));
    model.reduce(Event::Board(Board { whole: true, rows, ..Board::default() }));
    model
}

#[test]
fn a_thousand_are_gone_through() {
    let mut model = thousand();
    model.reduce(Event::Key(Key::End));
    model.reduce(Event::Key(Key::PageUp));
    model.reduce(Event::Key(Key::Up));
    insta::assert_snapshot!("thousand", picture(&mut model, 100, 20));
    model.reduce(Event::Key(Key::Home));
    assert_eq!(model.chosen_child().map(String::as_str), Some("c4"));
}

/// Not a bound: how long it takes is told with `cargo test --release top_with_a_thousand -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn top_with_a_thousand_children_is_measured() {
    let mut model = thousand();
    let mut terminal = Terminal::new(TestBackend::new(160, 50)).unwrap();
    let mut times = Vec::new();
    for n in 0..1000u32 {
        let began = std::time::Instant::now();
        let row = BoardRow { offset: n.into(), since_ms: n.into(), ..child(1 + n % 1000, "r1", "busy") };
        model.reduce(Event::Board(Board { rows: vec![row], ..Board::default() }));
        model.reduce(Event::Key(Key::Down));
        let view = View { model: &model, palette: Palette::Colours };
        terminal.draw(|frame| frame.render_widget(view, frame.area())).unwrap();
        times.push(began.elapsed());
    }
    times.sort();
    eprintln!("reduce and draw, 1,000 rows: median {:?}, longest {:?}", times[500], times[999]);
}
