//! Every named point at which a process can be killed, under one and the same scenario: children, messages, reports, a
//! wait that is continued, an upgrade, an exit, a stop.

use serde_json::{Value, json};

use crate::{
    company::{Company, lines, lives, output, until},
    fault::{Fault, Outcome},
    history::{History, Told},
    host::{Failed, Host, note},
    leftovers::{alive, gone},
};

/// A point, and at which of its passes in the long form; the short form takes the first of them.
const PASSES: &[(&str, &[u64])] = &[
    ("call.begun", &[2, 1, 3, 4, 5, 6, 7, 8]),
    ("call.ended", &[4, 1, 2, 3, 5, 6, 7, 8]),
    ("journal.begun", &[3, 1, 2, 4, 5, 6, 8]),
    ("journal.committed", &[3, 1, 2, 4, 5, 6, 8]),
    ("spawn.reserved", &[2, 1]),
    ("spawn.journaled", &[2, 1]),
    ("spawn.launched", &[2, 1]),
    ("spawn.kept", &[2, 1]),
    ("send.journaled", &[2, 1]),
    ("send.queued", &[2, 1]),
    ("send.written", &[3, 1, 2, 4]),
    ("send.finished", &[2, 1]),
    ("send.settled", &[2, 1]),
    ("report.numbered", &[1]),
    ("report.committed", &[1]),
    ("report.filed", &[1]),
    ("reports.read", &[1]),
    ("reports.given", &[1]),
    ("reports.heard", &[1]),
    ("wait.kept", &[1]),
    ("wait.over", &[1]),
    ("stop.begun", &[1]),
    ("stop.done", &[1]),
    ("exit.heard", &[1]),
    ("exit.noted", &[1]),
    ("broker.locked", &[1]),
    ("broker.bound", &[1]),
    ("broker.recovering", &[1, 2]),
    ("broker.recovered", &[1]),
    ("broker.ending", &[1]),
    ("broker.unlinked", &[1]),
    ("keeper.bound", &[1]),
    ("keeper.ringed", &[1]),
    ("keeper.born", &[1]),
    ("keeper.answered", &[1]),
    ("keeper.met", &[1, 2]),
    ("keeper.read", &[1]),
    ("keeper.accepted", &[3, 1, 2, 4]),
    ("keeper.typed", &[3, 1, 2, 4]),
    ("keeper.noted", &[3, 1, 2, 4]),
    ("keeper.reaped", &[1]),
    ("keeper.exited", &[1]),
    ("keeper.leaving", &[1]),
    ("keeper.left", &[1]),
    ("front.joined", &[1, 2]),
    ("front.passing", &[5, 1, 2, 3, 4, 6, 7, 8, 9]),
    ("front.passed", &[5, 1, 2, 3, 4, 6, 7, 8, 9]),
    ("front.answering", &[5, 1, 2, 3, 4, 6, 7, 8, 9]),
    ("front.answered", &[5, 1, 2, 3, 4, 6, 7, 8, 9]),
    ("front.lost", &[1]),
];

/// Of a killed keeper's child more is lost than of any other process's.
const BROKERS: &str = "no child dies; every exit status; each taken message typed once in order, each answered report \
     read once; nothing left";
const KEEPERS: &str = "only its own child is lost, its parent told once, its ring readable; the others as if nothing \
     had been; nothing left";

pub(crate) fn all() -> Vec<Fault> {
    let mut faults = Vec::new();
    for (point, passes) in PASSES {
        let expected = if point.starts_with("keeper.") { KEEPERS } else { BROKERS };
        let how = format!("kill -9 at {point}, first of its passes {passes:?}");
        faults.push(Fault::new(format!("points: {point}"), how, expected, move |run| {
            let passes = run.of(*passes, &passes[..1]);
            for pass in passes {
                run.tried();
                scenario(point, *pass).map_err(|why| format!("at pass {pass}: {why}"))?;
            }
            Ok(String::new())
        }));
    }
    faults
}

/// Writes what it is told into `log`, reports twice when there is a file `go`, and ends with 7 at `quit`. It notes in
/// `acks` which reports it was told are taken.
const WORKER: &str = r#"stty -echo; echo ready
report() {
    a=1; echo "begun $1.$a" >> acks
    until "$COMPERE" call report_to_parent "{\"status\": \"progress\", \"message\": \"$1.$a\"}" >> said 2>&1; do
        a=$((a+1)); [ $a -gt 30 ] && return
        echo "begun $1.$a" >> acks
    done
    echo "taken $1.$a" >> acks
}
( while [ ! -e go ]; do sleep 0.02; done; report r1; report r2; echo done >> acks ) &
while IFS= read -r line; do
    printf '%s\n' "$line" >> log
    case "$line" in quit*) break;; esac
done
wait; exit 7"#;

/// What is known of the three children.
struct Cast {
    worker: (String, i32),
    bystander: (String, i32),
    /// Whom a keeper's death has cost.
    lost: Option<String>,
}

fn scenario(point: &str, pass: u64) -> Outcome {
    let company = Company::new(&format!("{point}=kill@{pass},wait.patience=error"));
    let mut host = company.host();
    let mut history = History::default();
    let worker = host.spawn("worker", WORKER);
    let bystander = host.spawn("bystander", "while read -r line; do :; done");
    let mut cast = Cast { worker, bystander, lost: None };
    let mut synthetic: Vec<Value> = Vec::new();
    let (id, _) = cast.worker.clone();

    host.message(&mut history, &id, "m1");
    let wait = host.call("timer_wait", &json!({"timeout_ms": 25_000}));
    std::fs::write(company.work().join("go"), "").unwrap();
    host.message(&mut history, &id, "m2");
    let upgraded = output(company.command().arg("upgrade"));
    host.message(&mut history, &id, "m3");
    synthetic.extend(read(&mut host, &mut history, wait));

    let acks = company.work().join("acks");
    let told = until("the reports are done", || {
        let told = lines(&acks);
        let worker_lives = alive(cast.worker.1);
        let done = told.iter().any(|line| line == "done") || !worker_lives;
        if done { Ok(told) } else { Err(format!("{told:?}")) }
    })?;
    for text in told.iter().filter_map(|line| line.strip_prefix("begun ")) {
        // Whoever was killed before it could note the answer has not had one.
        let taken = told.contains(&format!("taken {text}"));
        history.sent("parent", text, if taken { Told::Taken } else { Told::Unknown });
    }
    host.message(&mut history, &id, "quit");
    let exit = until("the worker has ended", || {
        let row = host.row(&id).ok_or("the worker is not in the listing")?;
        match (&row["exit"], row["state"].as_str().unwrap_or_default()) {
            (Value::Null, state) if state.starts_with("lost") => Ok(Value::Null),
            (Value::Null, state) => Err(format!("it is {state}")),
            (exit, _) => Ok(exit.clone()),
        }
    })?;
    if exit.is_null() {
        cast.lost = Some(id.clone());
        history.died(&id);
    } else if exit != json!({"code": 7}) {
        return Err(format!("the worker ended with {exit}"));
    }
    let stays = host.row(&cast.bystander.0).ok_or("the bystander is not in the listing")?;
    if stays["state"].as_str().unwrap_or_default().starts_with("lost") {
        if cast.lost.is_some() {
            return Err("both children are lost".into());
        }
        cast.lost = Some(cast.bystander.0.clone());
    } else if !lives(&stays, cast.bystander.1) {
        return Err(format!("the bystander does not live: {stays}"));
    }
    // What came after the last wait, and then once more, since an answer may be lost.
    synthetic.extend(host.reports(&mut history));
    synthetic.extend(host.reports(&mut history));
    if cast.lost.is_some() {
        // That it is lost is seen a moment before its parent is told, which is written down first.
        let _ = until("its parent is told", || {
            synthetic.extend(host.reports(&mut history));
            if synthetic.is_empty() { Err(String::new()) } else { Ok(()) }
        });
    }
    ring_is_readable(&mut host, &cast)?;
    told_of_the_lost(&cast, &synthetic, point)?;
    lines(&company.work().join("log")).into_iter().for_each(|line| {
        history.arrived(&id, line, crate::history::Again::New);
    });

    let stopped = host.insist("stop", &json!({"child": cast.bystander.0, "grace_ms": 500}));
    if stopped["left"] != json!([]) {
        return Err(format!("stop left something: {stopped}"));
    }
    gone(cast.bystander.1);
    let deviations = history.deviations();
    if !deviations.is_empty() {
        return Err(format!("{}; {history:?}", deviations.join("; ")));
    }
    if company.fired(point).is_none() {
        return Err("the point was not passed so often".into());
    }
    // One that met the broker's death says so; then the next one does it.
    if !upgraded.0 {
        let again = output(company.command().arg("upgrade"));
        if !again.0 {
            return Err(format!("upgrade failed twice: {}; {}", upgraded.1, again.1));
        }
    }
    drop(host);
    company.end().map(|()| String::new())
}

/// Reads reports by waiting for them, going on with the wait that was cut short, until both have come or the worker is
/// no more.
fn read(host: &mut Host<'_>, history: &mut History, wait: Result<Value, Failed>) -> Vec<Value> {
    let mut synthetic = Vec::new();
    let mut next = match wait {
        Ok(answer) if answer["woke"] == "still_waiting" => json!({"wait_id": answer["wait_id"]}),
        Ok(answer) => {
            synthetic.extend(note(history, &answer["reports"]));
            json!({"timeout_ms": 2000})
        }
        _ => json!({"timeout_ms": 2000}),
    };
    for _ in 0..20 {
        let woke = host.call("timer_wait", &next);
        match woke {
            Ok(answer) if answer["woke"] == "report" => {
                synthetic.extend(note(history, &answer["reports"]));
                next = json!({"timeout_ms": 2000});
            }
            Ok(answer) if answer["woke"] == "timer" => return synthetic,
            Ok(answer) if answer["woke"] == "still_waiting" => next = json!({"wait_id": answer["wait_id"]}),
            // As its text says: the wait goes on, or it is over and there is another.
            Err(Failed::Unknown(_)) => {}
            Ok(_) | Err(Failed::Refused(_)) => next = json!({"timeout_ms": 2000}),
        }
        let told = lines(&host.company().work().join("acks"));
        if told.iter().any(|line| line == "done") && history.figures().1 >= 2 {
            return synthetic;
        }
    }
    synthetic
}

/// A child that was lost, like one that has ended, tells what it wrote.
fn ring_is_readable(host: &mut Host<'_>, cast: &Cast) -> Result<(), String> {
    let Some(lost) = &cast.lost else { return Ok(()) };
    let read = host.insist("read_output", &json!({"child": lost, "mode": "stream"}));
    let text = read["text"].as_str().unwrap_or_default();
    if *lost == cast.worker.0 && !text.contains("ready") && read["meta"]["compere/next"] != 0 {
        return Err(format!("of the lost child there is only {read}"));
    }
    Ok(())
}

/// The parent of a lost child is told of that, once; of one that was not lost, never.
fn told_of_the_lost(cast: &Cast, synthetic: &[Value], point: &str) -> Result<(), String> {
    if cast.lost.is_some() && !point.starts_with("keeper.") {
        return Err(format!("{:?} is lost", cast.lost));
    }
    let new = synthetic.iter().filter(|row| row["again"] != true);
    let told: Vec<&str> = new.filter_map(|row| row["from"].as_str()).collect();
    let expected: Vec<&str> = cast.lost.iter().map(String::as_str).collect();
    if told == expected { Ok(()) } else { Err(format!("lost is {expected:?}, and told was {synthetic:?}")) }
}
