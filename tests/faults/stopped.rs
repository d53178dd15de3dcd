//! A process is stopped for a while, as by a debugger or a suspended machine; and two brokers begin at once.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::json;

use crate::{
    company::{Company, lines, signal, until},
    fault::{Fault, Outcome, Run},
    history::{Again, History},
    host::pass,
    leftovers::gone,
};

pub(crate) fn all() -> Vec<Fault> {
    let how = |who: &str| format!("SIGSTOP of {who} for 10 s (short: 2 s), then SIGCONT");
    let goes_on = "everything goes on, nothing is lost; other children are not held up";
    let stop = |who: &'static str| {
        Fault::new(format!("stopped: {who}"), how(who), goes_on, move |run: &mut Run| stopped(run, who))
    };
    vec![
        stop("front"),
        stop("broker"),
        stop("keeper"),
        Fault::new(
            "brokers: two at once",
            "two `compere broker` started together, 100 times (short: 10); the winner is killed or ended in turn",
            "one says listening and serves, one says another; the socket is the winner's",
            two_at_once,
        ),
    ]
}

/// Logs what it is told.
const LOGS: &str = "stty -echo; while IFS= read -r line; do printf '%s\\n' \"$line\" >> \"$LOG\"; done";

fn stopped(run: &mut Run, who: &str) -> Outcome {
    run.tried();
    let time = Duration::from_secs(run.of(10, 2));
    let company = Company::sound();
    let (mut host, mut other, mut history) = (company.host(), company.host(), History::default());
    let (one, _) = host.spawn("one", &LOGS.replace("$LOG", "one"));
    let (two, _) = other.spawn("two", &LOGS.replace("$LOG", "two"));
    host.message(&mut history, &one, "before");
    other.message(&mut history, &two, "before");
    let pid = match who {
        "front" => host.front().ok_or("no front")?,
        "broker" => company.broker().ok_or("no broker")?,
        _ => company.keeper(&one),
    };
    signal(pid, Signal::STOP);
    let asked = json!({"to": one, "message": "meanwhile", "wait_ms": 50_000});
    let began = Instant::now();
    let id = host.ask("send_message_to", &asked).map_err(|()| "the front has ended")?;
    let mut slowest = Duration::ZERO;
    if who == "broker" {
        pass(time);
    } else {
        while began.elapsed() < time {
            let asked = Instant::now();
            other.message(&mut history, &two, &format!("other{}", asked.duration_since(began).as_millis()));
            slowest = slowest.max(asked.elapsed());
            pass(Duration::from_millis(100));
        }
    }
    signal(pid, Signal::CONT);
    let answer = host.answer(id).ok_or("the front has ended")?;
    let status = &answer["result"]["structuredContent"]["status"];
    if status != "typed" || began.elapsed() < time {
        return Err(format!("it was answered after {:?}: {answer}", began.elapsed()));
    }
    history.sent(&one, "meanwhile", crate::history::Told::Taken);
    if slowest > Duration::from_secs(1) {
        return Err(format!("another child's message took {slowest:?}"));
    }
    host.message(&mut history, &one, "after");
    other.message(&mut history, &two, "after");
    until("all was read", || {
        let mut seen = History::default();
        std::mem::swap(&mut seen, &mut history);
        for (child, log) in [(&one, "one"), (&two, "two")] {
            seen.forget_arrived(child);
            for line in lines(&company.work().join(log)) {
                seen.arrived(child, line, Again::New);
            }
        }
        history = seen;
        let deviations = history.deviations();
        if deviations.is_empty() { Ok(()) } else { Err(deviations.join("; ")) }
    })?;
    drop((host, other));
    company.end()?;
    Ok(if who == "broker" {
        String::new()
    } else {
        format!("others' slowest message {} ms", slowest.as_millis())
    })
}

fn two_at_once(run: &mut Run) -> Outcome {
    let company = Company::sound();
    for round in 0..run.of(100, 10) {
        run.tried();
        let start = || {
            let mut command = company.command();
            // Nobody comes, and the winner is to stay.
            command
                .arg("broker")
                .env("COMPERE_LINGER_MS", "60000")
                .stdin(Stdio::null())
                .stdout(Stdio::piped());
            command.stderr(Stdio::null()).spawn().unwrap()
        };
        let mut brokers = [start(), start()];
        let words = brokers.each_mut().map(|broker| {
            let mut word = String::new();
            let _ = BufReader::new(broker.stdout.take().unwrap()).read_line(&mut word);
            word.trim().to_owned()
        });
        let winner = words.iter().position(|word| word == "listening");
        let (Some(winner), true) = (winner, words.iter().any(|word| word == "another")) else {
            brokers.iter_mut().for_each(|broker| drop(broker.kill()));
            return Err(format!("round {round}: they said {words:?}"));
        };
        let pid = brokers[winner].id() as i32;
        let listens = company.broker();
        signal(pid, if round % 2 == 0 { Signal::KILL } else { Signal::TERM });
        for broker in &mut brokers {
            gone(broker.id() as i32);
            let _ = broker.wait();
        }
        if listens != Some(pid) {
            return Err(format!("round {round}: {pid} won, and {listens:?} listens"));
        }
    }
    let mut host = company.host();
    host.children();
    drop(host);
    company.end().map(|()| String::new())
}
