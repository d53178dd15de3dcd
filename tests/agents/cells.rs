//! The cells of the matrix: which texts are sent, when, and what besides their arrival must hold.

use std::time::Duration;

use serde_json::json;

use crate::{
    bench::{ARRIVE, Bench, SETTLE},
    judge::{Sent, Told, Verdict},
    model::Event,
    programs::Program,
    stage::START,
};

/// A try of it: how it ended, or why it could not be tried.
pub(crate) type Try = Result<Verdict, String>;

/// Something that is tried with a program.
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    /// Whether it can be tried with this program.
    pub(crate) fits: fn(Program) -> bool,
    pub(crate) run: fn(&mut Bench) -> Try,
}

const ALL: fn(Program) -> bool = |_| true;

/// The cells of the matrix. What is longest comes last, since programs send their history with each request.
pub(crate) const CELLS: [Cell; 14] = [
    Cell { name: "short", fits: ALL, run: |bench| plain(bench, |mark| format!("Hello {mark}")) },
    Cell { name: "5 lines", fits: ALL, run: |bench| plain(bench, five_lines) },
    Cell { name: "leading !", fits: ALL, run: |bench| harmless(bench, |mark| format!("!touch {mark}.ran")) },
    Cell { name: "leading /word", fits: ALL, run: |bench| plain(bench, |mark| format!("/help {mark}")) },
    Cell { name: "trailing \\", fits: ALL, run: |bench| plain(bench, |mark| format!("in C:\\{mark}\\")) },
    Cell { name: "embedded ESC[201~", fits: ALL, run: |bench| harmless(bench, end_of_paste) },
    Cell { name: "emoji and wide", fits: ALL, run: |bench| plain(bench, wide) },
    Cell { name: "while busy", fits: ALL, run: while_busy },
    Cell { name: "at a permission dialog", fits: |program| program.asks, run: at_a_dialog },
    Cell { name: "two senders at once", fits: ALL, run: two_senders },
    Cell { name: "before ready", fits: ALL, run: before_ready },
    Cell { name: "first message with spawn", fits: ALL, run: first_message },
    Cell { name: "5 kB", fits: ALL, run: |bench| plain(bench, |mark| long(mark, 5_000)) },
    Cell { name: "100 kB", fits: ALL, run: |bench| plain(bench, |mark| long(mark, 100_000)) },
];

fn five_lines(mark: &str) -> String {
    format!("{mark} the first line\nthe second\n\n    {mark} the fourth is indented\n\tand the fifth {mark}")
}

fn end_of_paste(mark: &str) -> String {
    format!("{mark} before\u{1b}[201~!touch {mark}.ran\u{7f} {mark} after")
}

fn wide(mark: &str) -> String {
    format!("{mark} 👩‍👩‍👧‍👦 🇩🇪 ❤️ 日本語の文章 ｗｉｄｅ 한국어 e\u{301} עברית {mark}")
}

/// So many bytes, in lines that are numbered and all have the mark.
fn long(mark: &str, bytes: usize) -> String {
    let mut text = String::new();
    for number in 1.. {
        let line =
            format!("{number:05} {mark} a line among many, neither short nor long, to be told apart\n");
        if text.len() + line.len() > bytes {
            break;
        }
        text += &line;
    }
    text + "00000 " + mark + " the end"
}

/// A message to a program at its prompt.
fn plain(bench: &mut Bench, text: impl Fn(&str) -> String) -> Try {
    let mark = bench.mark();
    let child = bench.child()?;
    let sent = bench.message(&mark, text(&mark));
    let from = bench.stage.model.now();
    let told = bench.send(&child, &sent.text, 30_000);
    let verdict = bench.judge(&sent, &told, from);
    let settled = bench.settle(&child);
    then(verdict, settled)
}

/// The verdict, but that afterwards something else must hold, too.
fn then(verdict: Verdict, settled: Result<(), String>) -> Try {
    if verdict.holds() { settled.map(|()| verdict) } else { Ok(verdict) }
}

/// The same, of which nothing may be run: what it names would leave a file.
fn harmless(bench: &mut Bench, text: impl Fn(&str) -> String) -> Try {
    let verdict = plain(bench, text);
    let mut ran = false;
    for entry in std::fs::read_dir(bench.stage.work()).map_err(|error| error.to_string())?.flatten() {
        if entry.file_name().to_string_lossy().ends_with(".ran") {
            let _ = std::fs::remove_file(entry.path());
            ran = true;
        }
    }
    if ran { Ok(Verdict::Wrong("what the message named was run".into())) } else { verdict }
}

/// A message to a program whose model is answering.
fn while_busy(bench: &mut Bench) -> Try {
    let (first, second, who) = (bench.mark(), bench.mark(), bench.who());
    let child = bench.child()?;
    let from = bench.stage.model.now();
    let busy = bench.message(&first, format!("{first} [[hold {first}]]"));
    let told_first = bench.send(&child, &busy.text, 30_000);
    let model = bench.stage.model;
    let begun = model.first(from, ARRIVE, |event| event.is(&who, "heard") && event.text.contains(&first));
    let (_, answer) = begun.ok_or_else(|| format!("the message before it did not arrive: {told_first:?}"))?;
    is_busy(bench, &child)?;
    let sent = bench.message(&second, format!("Meanwhile {second}"));
    let told = bench.send(&child, &sent.text, 3_000);
    let cut = |event: &Event| event.id == answer.id && event.is(&who, "ended") && event.how == "cut";
    // What would cut it does so at once.
    let cut = bench.stage.model.first(from, Duration::from_millis(500), cut).is_some();
    bench.stage.model.release(&first);
    let verdict = bench.judge(&sent, &told, from).and(bench.judge(&busy, &told_first, from));
    let settled = bench.settle(&child);
    then(if cut { Verdict::Wrong("it cut the running answer off".into()) } else { verdict }, settled)
}

/// Waits until the child is seen to be busy.
fn is_busy(bench: &Bench, child: &str) -> Result<(), String> {
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    loop {
        let state = bench.stage.state(child)?;
        if state.starts_with("busy") {
            return Ok(());
        }
        if std::time::Instant::now() > deadline {
            return Err(format!("it is at work, and said to be {state}"));
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// A message to a program that asks whether it may run something: that must not be answered by it.
fn at_a_dialog(bench: &mut Bench) -> Try {
    let (first, second, who) = (bench.mark(), bench.mark(), bench.who());
    let child = bench.child()?;
    let from = bench.stage.model.now();
    let file = bench.stage.work().join(format!("{first}.asked"));
    let asking = format!("{first} [[shell touch {first}.asked ;; say done]]");
    let told = bench.send(&child, &asking, 30_000);
    let asks = bench.stage.becomes(&child, "needs_input", ARRIVE);
    asks.map_err(|why| format!("it did not ask: {why}; {told:?}"))?;
    let sent = bench.message(&second, format!("Do it {second}"));
    let told = bench.send(&child, &sent.text, 3_000);
    // What would answer it does so at once.
    let result = |event: &Event| event.is(&who, "result");
    let answered =
        bench.stage.model.first(from, Duration::from_millis(1500), result).is_some() || file.exists();
    let state = bench.stage.state(&child)?;
    if answered {
        return Ok(Verdict::Wrong(format!("it answered the dialog; the receipt: {told:?}")));
    }
    if !state.starts_with("needs_input") {
        return Ok(Verdict::Wrong(format!("the dialog is gone, and nothing was run: {state}; {told:?}")));
    }
    let keys = bench.stage.call("send_keys", &json!({"to": child, "keys": bench.program.yes}));
    bench.note(format!("keys: {keys:?}"));
    bench.stage.model.first(from, ARRIVE, result).ok_or("the dialog was not answered by send_keys")?;
    let verdict = bench.judge(&sent, &told, from);
    let settled = bench.settle(&child);
    let _ = std::fs::remove_file(file);
    then(verdict, settled)
}

/// Two messages at the same moment, by two servers.
fn two_senders(bench: &mut Bench) -> Try {
    let child = bench.child()?;
    let from = bench.stage.model.now();
    let sent = [(); 2].map(|()| {
        let mark = bench.mark();
        bench.message(&mark, long(&mark, 1_000))
    });
    bench.start_other()?;
    let ask = |sent: &Sent| json!({"to": child, "message": sent.text, "wait_ms": 30_000});
    let (left, right) = {
        let other = bench.other()?;
        let stage = &bench.stage;
        std::thread::scope(|scope| {
            let left = scope.spawn(|| other.call("send_message_to", &ask(&sent[0])));
            let right = stage.call("send_message_to", &ask(&sent[1]));
            (left.join().unwrap(), right)
        })
    };
    bench.note(format!("receipts: {left:?} {right:?}"));
    let verdicts =
        [(0, left), (1, right)].map(|(at, receipt)| bench.judge(&sent[at], &Told::of(&receipt), from));
    let settled = bench.settle(&child);
    let [first, second] = verdicts;
    then(first.and(second), settled)
}

/// A message to a program that has only just been started.
fn before_ready(bench: &mut Bench) -> Try {
    let mark = bench.mark();
    let sent = bench.message(&mark, format!("Early {mark}"));
    let from = bench.stage.model.now();
    let child = bench.spawn(&json!({}))?;
    let told = bench.send(&child, &sent.text, 50_000);
    let verdict = bench.judge(&sent, &told, from);
    ends(bench, &child, verdict)
}

/// A message that is given with the spawn.
fn first_message(bench: &mut Bench) -> Try {
    let mark = bench.mark();
    let sent = bench.message(&mark, format!("First {mark}"));
    let from = bench.stage.model.now();
    let child = bench.spawn(&json!({"message": sent.text}))?;
    let who = bench.who();
    let like = |event: &Event| event.is(&who, "heard") && event.text.contains(&mark);
    bench.stage.model.first(from, START, like);
    let verdict = bench.judge(&sent, &Told::Waits("it was spawned with it".into()), from);
    ends(bench, &child, verdict)
}

/// The end of a child of its own.
fn ends(bench: &mut Bench, child: &str, verdict: Verdict) -> Try {
    if !verdict.holds() {
        let screen = bench.stage.screen(child);
        bench.note(format!("its screen:\n{screen}"));
    }
    let settled = bench.stage.becomes(child, "idle", SETTLE);
    bench.stage.stop(child)?;
    then(verdict, settled)
}
