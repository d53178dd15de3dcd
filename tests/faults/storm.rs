//! Everything at once: output, messages and reports, while fronts and brokers are killed at random moments.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::json;

use crate::{
    company::{Company, lines, signal, until},
    fault::{Fault, Outcome, Run},
    history::{Again, History, Told},
    host::{Host, note, pass},
    leftovers::gone,
};

pub(crate) fn all() -> Vec<Fault> {
    let expected = "no gap and no double in the lines by offset; messages and reports as the history demands; both \
         exit statuses";
    let how = "kill -9 of fronts and brokers at random moments (long: 50 and 10, over 60,000 lines, 500 messages, 200 \
         reports; short: 5 and 2, over 6,000, 50, 20)";
    vec![Fault::new("storm: fronts and brokers", how, expected, storm)]
}

/// How much of everything.
struct Size {
    lines: usize,
    messages: usize,
    reports: usize,
    fronts: usize,
    brokers: usize,
}

fn storm(run: &mut Run) -> Outcome {
    run.tried();
    let long = Size { lines: 60_000, messages: 500, reports: 200, fronts: 50, brokers: 10 };
    let size = run.of(long, Size { lines: 6_000, messages: 50, reports: 20, fronts: 5, brokers: 2 });
    let kills = kills(run, &size);
    let company = Company::sound();
    let mut host = company.host();
    let printer = host.spawn("printer", &printer(&size));
    let worker = host.spawn("worker", &worker(&size));
    let over = AtomicBool::new(false);
    let acks = company.work().join("acks");
    let (read, messages, reports, killed) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| numbers(company.host(), &printer.0));
        let sender = scope.spawn(|| {
            let (mut host, mut history) = (company.host(), History::default());
            for nth in 0..size.messages {
                host.message(&mut history, &worker.0, &format!("m{nth}"));
            }
            (history, std::mem::take(&mut host.refusals))
        });
        let listener = scope.spawn(|| {
            let (mut host, mut history) = (company.host(), History::default());
            while !lines(&acks).iter().any(|line| line == "done") {
                if let Ok(woke) = host.call("timer_wait", &json!({"timeout_ms": 500})) {
                    note(&mut history, &woke["reports"]);
                }
            }
            host.reports(&mut history);
            host.reports(&mut history);
            history
        });
        let killer = scope.spawn(|| {
            let killed = kill(&company, &kills);
            over.store(true, Ordering::Relaxed);
            killed
        });
        // There is always a front to be killed.
        scope.spawn(|| {
            let mut host = company.host();
            while !over.load(Ordering::Relaxed) {
                let _ = host.call("list_children", &json!({}));
                pass(Duration::from_millis(20));
            }
        });
        (reader.join(), sender.join(), listener.join(), killer.join())
    });
    let (read, (mut history, refusals)) =
        (read.map_err(|_| "the reader panicked")??, messages.map_err(|_| "the sender panicked")?);
    let arrived = reports.map_err(|_| "the listener panicked")?;
    let killed = killed.map_err(|_| "the killer panicked")?;
    if read != size.lines {
        return Err(format!("{read} lines of {}", size.lines));
    }
    host.message(&mut history, &worker.0, "quit");
    for (child, code) in [(&worker.0, 7), (&printer.0, 3)] {
        until("it has ended", || {
            let exit = host.row(child).ok_or("it is not in the listing")?["exit"].clone();
            if exit == json!({"code": code}) { Ok(()) } else { Err(format!("{child}: {exit}")) }
        })?;
    }
    for line in lines(&company.work().join("log")) {
        history.arrived(&worker.0, line, Again::New);
    }
    let mut reported = arrived;
    let told = lines(&acks);
    let told = told.iter().filter_map(|line| line.split_once(' '));
    told.for_each(|(word, id)| {
        reported.sent("parent", id, if word == "taken" { Told::Taken } else { Told::Unknown });
    });
    let deviations = [history.deviations(), reported.deviations()].concat();
    if !deviations.is_empty() {
        let first = deviations[..deviations.len().min(5)].join("; ");
        return Err(format!("{} deviations: {first}; refused: {refusals:?}", deviations.len()));
    }
    drop(host);
    company.end()?;
    let ((taken, typed), (answered, read_once)) = (history.figures(), reported.figures());
    Ok(format!(
        "{} fronts and {} brokers killed; {read} lines; {taken} messages taken, {typed} typed; {answered} reports \
         answered, {read_once} read",
        killed.0, killed.1
    ))
}

/// Prints its lines in a hundred gusts.
fn printer(size: &Size) -> String {
    format!(
        "stty -echo; i=0; while [ $i -lt {} ]; do echo $i; i=$((i+1)); [ $((i % {})) = 0 ] && sleep 0.1; done; exit 3",
        size.lines,
        size.lines / 100
    )
}

/// As the points' worker, but that it reports from the beginning, and more.
fn worker(size: &Size) -> String {
    format!(
        r#"stty -echo
report() {{
    a=1
    until "$COMPERE" call report_to_parent "{{\"status\": \"progress\", \"message\": \"$1.$a\"}}" > /dev/null 2>&1; do
        echo "unknown $1.$a" >> acks; a=$((a+1)); [ $a -gt 30 ] && return
    done
    echo "taken $1.$a" >> acks
}}
( i=0; while [ $i -lt {} ]; do report r$i; i=$((i+1)); done; echo done >> acks ) &
while IFS= read -r line; do
    printf '%s\n' "$line" >> log
    case "$line" in quit*) break;; esac
done
wait; exit 7"#,
        size.reports
    )
}

/// Reads numbered lines by an offset of its own, whichever front answers; answers how many came in order.
fn numbers(mut host: Host<'_>, child: &str) -> Result<usize, String> {
    let (mut next, mut since, mut rest) = (0, 0, String::new());
    loop {
        // Looked at first: what it wrote before its end is there when the end is.
        let over = !host.row(child).ok_or("no printer")?["exit"].is_null();
        let ask = json!({"child": child, "mode": "stream", "since": since, "max_bytes": 65_536, "raw": true});
        let read = host.insist("read_output", &ask);
        let meta = &read["meta"];
        if meta["compere/dropped"].as_u64().unwrap_or(0) > 0 || meta["compere/from"] != since {
            return Err(format!("a gap at offset {since}: {meta}"));
        }
        let at = meta["compere/next"].as_u64().ok_or_else(|| format!("no next in {meta}"))?;
        let text = read["text"].as_str().unwrap_or_default();
        let body = text.split_once('\n').map_or("", |(_, body)| body);
        if at > since {
            rest.push_str(body);
        }
        since = at;
        while let Some((line, left)) = rest.split_once("\r\n") {
            if line != next.to_string() {
                return Err(format!("line {next} is {line:?}"));
            }
            next += 1;
            rest = left.to_owned();
        }
        if over && at == meta["compere/end"].as_u64().unwrap_or(at) && body.is_empty() {
            return Ok(next);
        }
    }
}

/// Whom to kill, and after what a pause.
fn kills(run: &mut Run, size: &Size) -> Vec<(bool, Duration)> {
    let mut brokers = size.brokers;
    let mut left = size.fronts + size.brokers;
    let mut kills = Vec::new();
    while left > 0 {
        let broker = run.below(left as u64) < brokers as u64;
        brokers -= usize::from(broker);
        left -= 1;
        kills.push((broker, Duration::from_millis(run.below(500))));
    }
    kills
}

fn kill(company: &Company, kills: &[(bool, Duration)]) -> (usize, usize) {
    let mut killed = (0, 0);
    for (nth, (broker, pause)) in kills.iter().enumerate() {
        pass(*pause);
        let found = until("there is one to kill", || {
            if *broker {
                return company.kill_broker().then_some(()).ok_or_else(|| "no broker".to_owned());
            }
            let fronts = company.fronts();
            let front = *fronts.get(nth % fronts.len().max(1)).ok_or("no front")?;
            signal(front, Signal::KILL);
            gone(front);
            Ok(())
        });
        if found.is_ok() {
            if *broker { killed.1 += 1 } else { killed.0 += 1 }
        }
    }
    killed
}
