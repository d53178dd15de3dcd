//! Children that behave badly: they end in the middle of a word, do not listen, will not go, leave others behind, or
//! write without end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    company::{Company, resident, until},
    fault::{Fault, Outcome, Run},
    history::History,
    leftovers::mentioning,
};

pub(crate) fn all() -> Vec<Fault> {
    let nothing_left = "`stop` ends it and all it started, and says so";
    let stubborn = |name: &str, how: &str, script: &'static str| {
        Fault::new(format!("children: {name}"), how, nothing_left, move |run: &mut Run| stopped(run, script))
    };
    vec![
        Fault::new(
            "children: last words",
            "0, 1, 4095, 4096, 65535, 65536 and 65537 bytes just before exit (long: 5 times each, short: twice)",
            "all of it is read, then the exit status",
            last_words,
        ),
        stubborn(
            "deaf",
            "never reads its input, of which 300 KB wait",
            "stty raw -echo; while :; do sleep 1; done",
        ),
        stubborn("unwilling", "ignores HUP, TERM and INT", "trap '' HUP TERM INT; while :; do sleep 1; done"),
        stubborn(
            "leaving others",
            "a grandchild in a session of its own that ignores HUP and TERM",
            "setsid sh -c 'trap \"\" HUP TERM; while :; do sleep 1; done' & while :; do sleep 1; done",
        ),
        Fault::new(
            "children: a flood",
            "8 children write 1 GB each (short: 8 MB each)",
            "another child's screen is read within 100 ms (p99, long form); the broker's memory stays flat",
            flood,
        )
        .alone(),
    ]
}

fn last_words(run: &mut Run) -> Outcome {
    let company = Company::sound();
    let mut host = company.host();
    for size in [0, 1, 4095, 4096, 65_535, 65_536, 65_537] {
        for round in 0..run.of(5, 2) {
            run.tried();
            let script = format!("stty -opost; head -c {size} /dev/zero | tr '\\0' x; exit 5");
            let spawned = host.insist("spawn", &json!({"command": ["sh", "-c", script]}));
            let child = &spawned["child"];
            let until = json!([{"child": child, "is": "exited"}]);
            let woke = host.insist("timer_wait", &json!({"timeout_ms": 20_000, "until": until}));
            let ask =
                json!({"child": child, "mode": "stream", "since": 0, "max_bytes": 262_144, "raw": true});
            let read = host.insist("read_output", &ask);
            let text = read["text"].as_str().unwrap_or_default();
            let bytes = text.lines().skip(1).map(|line| line.matches('x').count()).sum::<usize>();
            if woke["state"] != "exited (exit code 5)" || bytes != size {
                return Err(format!("{size} bytes, round {round}: {bytes} came, {woke}"));
            }
            pace(run);
        }
    }
    drop(host);
    company.end().map(|()| String::new())
}

/// A host may spawn 30 a minute.
fn pace(run: &Run) {
    if run.of(true, false) {
        crate::host::pass(Duration::from_millis(2000));
    }
}

fn stopped(run: &mut Run, script: &str) -> Outcome {
    run.tried();
    let company = Company::sound();
    let mut host = company.host();
    let (child, pid) = host.spawn("stubborn", script);
    let (other, _) = host.spawn("other", "while read -r line; do :; done");
    until("it has begun", || {
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        if children.is_empty() { Err("it has no child yet".to_owned()) } else { Ok(()) }
    })?;
    if script.contains("raw") {
        let message = "x".repeat(100_000);
        for _ in 0..3 {
            let ask = json!({"to": child, "message": message, "wait_ms": 0});
            let receipt = host.insist("send_message_to", &ask);
            if receipt["status"] != "queued" {
                return Err(format!("{receipt}"));
            }
        }
    }
    let mut history = History::default();
    host.message(&mut history, &other, "heard").ok_or("the other is over")?;
    let before: Vec<i32> = mentioning(company.dir());
    let began = Instant::now();
    let stopped = host.insist("stop", &json!({"child": child, "grace_ms": 300}));
    let took = began.elapsed();
    let other_is = host.row(&other).unwrap_or_default();
    if stopped["left"] != json!([]) || stopped["exit"] == Value::Null || other_is["state"] == "exited" {
        return Err(format!("{stopped}; the other: {other_is}"));
    }
    host.insist("stop", &json!({"child": other, "grace_ms": 0}));
    let expected: Vec<i32> = company.broker().into_iter().chain(host.front()).collect();
    until("its processes are gone", || {
        let mut left = mentioning(company.dir());
        left.retain(|pid| !expected.contains(pid));
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} of {before:?}")) }
    })?;
    drop(host);
    company.end()?;
    Ok(format!("stopped within {} ms", took.as_millis()))
}

fn flood(run: &mut Run) -> Outcome {
    const CHILDREN: usize = 8;
    run.tried();
    let megabytes: u64 = run.of(1000, 8);
    let company = Company::sound();
    let mut host = company.host();
    let (quiet, _) = host.spawn("quiet", "echo here; while read -r line; do :; done");
    let broker = company.broker().ok_or("no broker")?;
    let script = format!("yes 0123456789012345678901234567890123456789 | head -c {megabytes}000000; exit 6");
    let floods: Vec<String> =
        (0..CHILDREN).map(|nth| host.spawn(&format!("flood{nth}"), &script).0).collect();
    let (mut times, mut resident_at) = (Vec::new(), Vec::new());
    let began = Instant::now();
    let limit = Duration::from_secs(run.of(900, 120));
    loop {
        for _ in 0..20 {
            let asked = Instant::now();
            host.insist("read_output", &json!({"child": quiet}));
            times.push(asked.elapsed());
        }
        resident_at.push(resident(broker));
        let rows = host.children();
        let running = rows
            .iter()
            .filter(|row| floods.iter().any(|child| row["child"] == **child) && row["exit"].is_null());
        if running.count() == 0 {
            let wrong = rows.iter().find(|row| row["child"] != *quiet && row["exit"] != json!({"code": 6}));
            if let Some(row) = wrong {
                return Err(format!("{row}"));
            }
            break;
        }
        if began.elapsed() > limit {
            return Err(format!("they still write after {limit:?}"));
        }
    }
    times.sort();
    let p99 = times[times.len() * 99 / 100];
    // From a third on, every screen and buffer is there.
    let third = resident_at[resident_at.len() / 3];
    let most = resident_at.iter().max().copied().unwrap_or_default();
    drop(host);
    company.end()?;
    let figures = format!(
        "{} reads, p99 {} ms, most {} ms; broker {} MB at a third, {} MB at most; {} MB/s in all",
        times.len(),
        p99.as_millis(),
        times.last().copied().unwrap_or_default().as_millis(),
        third / 1024,
        most / 1024,
        megabytes * CHILDREN as u64 * 1000 / (began.elapsed().as_millis() as u64).max(1)
    );
    let flat = most < third + 32 * 1024;
    let quick = run.of(p99 < Duration::from_millis(100), true);
    if flat && quick { Ok(figures) } else { Err(figures) }
}
