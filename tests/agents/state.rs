//! Whether what compere says of a program's state is true, and how late: over scripted turns, while somebody samples the
//! listing as a judge. The times of what is true are the model's own.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use crate::{
    bench::{ARRIVE, Bench, SETTLE},
    cells::{Cell, Try},
    host::Host,
    judge::Verdict,
    model::Event,
};

/// The silence in the middle of an answer, in seconds.
const SILENCE: u32 = 15;
/// How often the listing is looked at.
const SAMPLE: Duration = Duration::from_millis(100);
/// A state may be late by so much before it is wrong.
const LAG_MS: i64 = 1_000;

/// What is tried.
pub(crate) const CELLS: [Cell; 4] = [
    Cell { name: "idle, busy, idle, with 15 s of silence", fits: |_| true, run: turn },
    Cell { name: "busy, needs_input, busy, idle", fits: |program| program.asks, run: question },
    Cell { name: "an error of the model's, idle", fits: |_| true, run: error },
    Cell { name: "killed, exited", fits: |_| true, run: exit },
];

/// Somebody who samples a child's state.
struct Sampler {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<(i64, String)>>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    fn start(host: Host, child: &str) -> Sampler {
        let (over, seen) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<(i64, String)>>>::default());
        let (stop, filled, child) = (over.clone(), seen.clone(), child.to_owned());
        let thread = std::thread::spawn(move || {
            loop {
                // One more is seen after somebody has asked for the end.
                let last = stop.load(Ordering::Relaxed);
                let Ok(list) = host.call("list_children", &json!({})) else { return };
                let at = now();
                let rows = list["children"].as_array().cloned().unwrap_or_default();
                if let Some(row) = rows.iter().find(|row| row["child"] == child.as_str()) {
                    let state = row["state"].as_str().unwrap_or_default().to_owned();
                    filled.lock().unwrap().push((at, state));
                }
                if last {
                    return;
                }
                std::thread::park_timeout(SAMPLE);
            }
        });
        Sampler { over, seen, thread: Some(thread) }
    }

    /// All it saw: when, and which state.
    fn end(mut self) -> Vec<(i64, String)> {
        self.stop();
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    fn stop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Somebody who waits for what a child writes.
struct Writing(JoinHandle<Result<i64, String>>);

impl Writing {
    fn of(host: Host, child: &str, words: &str, since: &Value) -> Writing {
        let until = json!([{"child": child, "matches": words, "since": since}]);
        Writing(std::thread::spawn(move || {
            let woke = host.call("timer_wait", &json!({"timeout_ms": 40_000, "until": until}))?;
            if woke["woke"] == "match" { Ok(now()) } else { Err(format!("it never wrote it: {woke}")) }
        }))
    }

    /// When it was written.
    fn at(self) -> Result<i64, String> {
        self.0.join().map_err(|_| "nobody waits".to_owned())?
    }
}

/// Milliseconds after 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

/// The changes among samples.
fn changes(samples: &[(i64, String)]) -> Vec<(i64, String)> {
    let mut changes: Vec<(i64, String)> = Vec::new();
    for sample in samples {
        if changes.last().is_none_or(|last| last.1 != sample.1) {
            changes.push(sample.clone());
        }
    }
    changes
}

/// When it was first seen so, from then on.
fn first(samples: &[(i64, String)], from: i64, word: &str) -> Option<i64> {
    samples.iter().find(|(at, state)| *at >= from && state.starts_with(word)).map(|(at, _)| *at)
}

/// What was seen within a time in which only one word was true.
fn others(samples: &[(i64, String)], from: i64, to: i64, word: &str) -> Vec<String> {
    let other = samples.iter().filter(|(at, state)| *at >= from && *at < to && !state.starts_with(word));
    let mut others: Vec<String> = other.map(|(_, state)| state.clone()).collect();
    others.dedup();
    others
}

/// Sends a script and waits until the model has heard it; answers from which event on to look, and its request.
fn begin(bench: &mut Bench, child: &str, script: &str) -> Result<(usize, Event), String> {
    let (mark, who) = (bench.mark(), bench.who());
    let from = bench.stage.model.now();
    let told = bench.send(child, &format!("{mark} [[{script}]]"), 30_000);
    let like = |event: &Event| event.is(&who, "heard") && event.text.contains(&mark);
    let heard = bench.stage.model.first(from, ARRIVE, like);
    let (_, heard) = heard.ok_or_else(|| format!("the script did not arrive: {told:?}"))?;
    Ok((from, heard))
}

/// Waits for the end of that answer.
fn ended(bench: &Bench, from: usize, request: u64, within: Duration) -> Result<Event, String> {
    let who = bench.who();
    let like = |event: &Event| event.is(&who, "ended") && event.id == request;
    let ended = bench.stage.model.first(from, within, like);
    ended.map(|(_, event)| event).ok_or_else(|| format!("the answer has not ended within {within:?}"))
}

fn wrong(problems: Vec<String>) -> Verdict {
    if problems.is_empty() { Verdict::Arrived } else { Verdict::Wrong(problems.join("; ")) }
}

/// A turn in whose middle the model is silent. Somebody waits for its end meanwhile.
fn turn(bench: &mut Bench) -> Try {
    let child = bench.child()?;
    let sampler = Sampler::start(bench.stage.another_host()?, &child);
    let script = format!("say it begins ;; gap {SILENCE} ;; say it ends");
    let (from, heard) = begin(bench, &child, &script)?;
    // It is at work, so this must not end before its answer has.
    let woke = bench.stage.becomes(&child, "idle", SETTLE + Duration::from_secs(SILENCE.into()));
    let woken = now();
    let end = ended(bench, from, heard.id, SETTLE)?;
    bench.stage.model.quiet(&bench.who(), SETTLE);
    bench.settle(&child)?;
    let samples = sampler.end();
    bench.note(format!("request {} to {}, then woken at {woken}; {:?}", heard.at, end.at, changes(&samples)));
    woke?;
    let mut problems = Vec::new();
    if woken < end.at {
        problems.push(format!("waiting for idle ended {} ms before the answer did", end.at - woken));
    }
    let others = others(&samples, heard.at + LAG_MS, end.at, "busy");
    if !others.is_empty() {
        problems.push(format!("said to be {} while it was at work", others.join(", ")));
    }
    bench.measure(
        "busy after the request",
        first(&samples, heard.at - 5_000, "busy").map_or(-1, |at| (at - heard.at).max(0)),
    );
    let idle = first(&samples, end.at, "idle").ok_or("never seen to be idle")?;
    bench.measure("idle after the answer", idle - end.at);
    bench.measure("wait for idle after the answer", woken - end.at);
    Ok(wrong(problems))
}

/// A turn that asks for permission, gets it, and goes on.
fn question(bench: &mut Bench) -> Try {
    let child = bench.child()?;
    let sampler = Sampler::start(bench.stage.another_host()?, &child);
    let who = bench.who();
    let row = bench.stage.row(&child)?;
    let written = Writing::of(bench.stage.another_host()?, &child, bench.program.dialog, &row["offset"]);
    let (from, heard) = begin(bench, &child, "say may I ;; shell touch asked ;; gap 3 ;; say thanks")?;
    let call = ended(bench, from, heard.id, ARRIVE)?;
    bench.stage.becomes(&child, "needs_input", ARRIVE)?;
    let asks = written.at()?;
    // It goes on asking.
    std::thread::park_timeout(Duration::from_secs(3));
    let answered = now();
    let keys = bench.stage.call("send_keys", &json!({"to": child, "keys": bench.program.yes}));
    bench.note(format!("keys: {keys:?}"));
    let result = bench.stage.model.first(from, ARRIVE, |event| event.is(&who, "result"));
    let (_, result) = result.ok_or("the question was not answered by send_keys")?;
    let end = ended(bench, from, result.id, ARRIVE)?;
    bench.settle(&child)?;
    let samples = sampler.end();
    let _ = std::fs::remove_file(bench.stage.work().join("asked"));
    bench.note(format!(
        "called at {}, asked at {asks}, answered at {answered}, went on from {} to {}; {:?}",
        call.at,
        result.at,
        end.at,
        changes(&samples)
    ));
    let mut problems = Vec::new();
    for (words, from, to, state) in [
        ("while it asked", asks + LAG_MS, answered, "needs_input"),
        ("while it was at work again", result.at + LAG_MS, end.at, "busy"),
    ] {
        let others = others(&samples, from, to, state);
        if !others.is_empty() {
            problems.push(format!("said to be {} {words}", others.join(", ")));
        }
    }
    let asked = first(&samples, call.at, "needs_input").ok_or("never seen to ask")?;
    bench.measure("the question after the model's call", asks - call.at);
    bench.measure("needs_input after the question", (asked - asks).max(0));
    if let Some(busy) = first(&samples, answered, "busy") {
        bench.measure("busy after the yes", busy - answered);
    }
    let idle = first(&samples, end.at, "idle").ok_or("never seen to be idle")?;
    bench.measure("idle after the answer to a tool", idle - end.at);
    Ok(wrong(problems))
}

/// The model answers with an error, and the program stops there.
fn error(bench: &mut Bench) -> Try {
    let child = bench.child()?;
    let sampler = Sampler::start(bench.stage.another_host()?, &child);
    let (from, heard) = begin(bench, &child, "error 400")?;
    ended(bench, from, heard.id, ARRIVE)?;
    // Some ask again before they give up.
    let settled = bench.settle(&child);
    let who = bench.who();
    let ends = bench.stage.model.all(from, |event| event.is(&who, "ended"));
    let samples = sampler.end();
    let end = ends.last().map_or(heard.at, |event| event.at);
    bench.note(format!("{} answers, the last at {end}; {:?}", ends.len(), changes(&samples)));
    settled?;
    let idle = first(&samples, end, "idle").ok_or("never seen to be idle")?;
    bench.measure("idle after an error", idle - end);
    Ok(Verdict::Arrived)
}

/// The program is killed by somebody else.
fn exit(bench: &mut Bench) -> Try {
    let child = bench.child()?;
    let sampler = Sampler::start(bench.stage.another_host()?, &child);
    let row = bench.stage.row(&child)?;
    let pid = row["pid"].as_i64().and_then(|pid| rustix::process::Pid::from_raw(pid as i32));
    let killed = now();
    rustix::process::kill_process(pid.ok_or("it has no process")?, rustix::process::Signal::KILL)
        .map_err(|error| error.to_string())?;
    bench.stage.becomes(&child, "exited", SETTLE)?;
    let woken = now();
    bench.measure("wait for exited after the kill", woken - killed);
    let row = bench.stage.row(&child)?;
    let samples = sampler.end();
    bench.note(format!("killed at {killed}, woken at {woken}; {row}; {:?}", changes(&samples)));
    bench.renew()?;
    let told = row["state"].as_str().unwrap_or_default().contains("signal 9") || row["exit"]["signal"] == 9;
    Ok(if told { Verdict::Arrived } else { Verdict::Wrong(format!("it was killed, and said to be {row}")) })
}
