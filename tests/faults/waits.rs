//! Hosts that ask much and listen little: a thousand waits at once, and a host that does not read its answers.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    company::{Company, resident},
    fault::{Fault, Outcome, Run},
    host::pass,
};

pub(crate) fn all() -> Vec<Fault> {
    vec![
        Fault::new(
            "hosts: many waits",
            "1,000 timer_wait at once on one connection (short: 200), every second one cancelled",
            "each that was not cancelled is answered once, with the exit it waits for",
            many_waits,
        ),
        Fault::new(
            "hosts: a slow reader",
            "200 answers of up to 256 KB wait while the host reads nothing for 10 s (short: 2 s)",
            "others are served within 1 s meanwhile (long form); then every answer is there, once; the broker holds less than 100 MB more",
            slow_reader,
        )
        .alone(),
    ]
}

fn many_waits(run: &mut Run) -> Outcome {
    run.tried();
    let waits: usize = run.of(1000, 200);
    let company = Company::sound();
    let mut host = company.host();
    let (child, _) = host.spawn("waited-for", "read -r line; exit 4");
    let until = json!([{"child": child, "is": "exited"}]);
    let ask = json!({"timeout_ms": 40_000, "until": until});
    let mut open = Vec::new();
    for nth in 0..waits {
        let id = host.ask("timer_wait", &ask).map_err(|()| "the front has ended")?;
        if nth % 2 == 0 {
            open.push(id);
        } else {
            let params = json!({"requestId": id, "reason": "of no interest"});
            let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
            host.say(&cancel).map_err(|()| "the front has ended")?;
        }
    }
    // Another connection is no slower for it.
    let mut other = company.host();
    let began = Instant::now();
    let keys = other.insist("send_keys", &json!({"to": child, "keys": ["Enter"]}));
    let took = began.elapsed();
    if keys["status"] != "typed" {
        return Err(format!("{keys}"));
    }
    for answer in host.answers(&open)? {
        let woke = &answer["result"]["structuredContent"]["woke"];
        if woke != "exited" {
            return Err(format!("{answer}"));
        }
    }
    let more = host.call("list_children", &json!({})).map_err(|failed| failed.to_string())?;
    if more["children"].as_array().is_none_or(Vec::is_empty) {
        return Err(format!("{more}"));
    }
    drop((host, other));
    company.end()?;
    Ok(format!("{} answered; another's call meanwhile {} ms", open.len(), took.as_millis()))
}

fn slow_reader(run: &mut Run) -> Outcome {
    const ANSWERS: u64 = 200;
    run.tried();
    let company = Company::sound();
    let mut host = company.host();
    let script = "stty -echo; yes 0123456789 | head -c 400000; echo; echo over; read -r line";
    let (child, _) = host.spawn("wordy", script);
    let matches = json!([{"child": child, "matches": "^over", "since": 0}]);
    host.insist("timer_wait", &json!({"timeout_ms": 20_000, "until": matches}));
    let broker = company.broker().ok_or("no broker")?;
    let before = resident(broker);

    let mut front =
        company.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut stdin, stdout) = (front.stdin.take().unwrap(), front.stdout.take().unwrap());
    let client = json!({"name": "slow", "version": "0"});
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    let mut lines = vec![json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})];
    lines.push(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let arguments = json!({"child": child, "mode": "stream", "since": 0, "max_bytes": 262_144});
    lines.extend((1..=ANSWERS).map(|id| {
        let params = json!({"name": "read_output", "arguments": arguments});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    }));
    // It blocks when nobody takes any more.
    let writer = std::thread::spawn(move || {
        lines.iter().try_for_each(|line| writeln!(stdin, "{line}")).map(|()| stdin)
    });
    let (time, began, mut slowest) = (Duration::from_secs(run.of(10, 2)), Instant::now(), Duration::ZERO);
    let mut most = 0;
    while began.elapsed() < time {
        let asked = Instant::now();
        host.insist("read_output", &json!({"child": child}));
        slowest = slowest.max(asked.elapsed());
        most = most.max(resident(broker));
        pass(Duration::from_millis(20));
    }
    let mut ids = Vec::new();
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["result"]["content"][0]["text"].as_str().is_some_and(|text| text.len() > 200_000) {
            ids.extend(line["id"].as_u64());
        }
        if ids.len() as u64 == ANSWERS {
            break;
        }
    }
    ids.sort_unstable();
    let _ = writer.join();
    let _ = front.kill();
    let _ = front.wait();
    if ids != (1..=ANSWERS).collect::<Vec<_>>() {
        return Err(format!("{} answers came", ids.len()));
    }
    drop(host);
    company.end()?;
    let grown = most.saturating_sub(before) / 1024;
    let figures = format!("others' slowest read {} ms; broker {grown} MB more", slowest.as_millis());
    // The short form runs without optimisation on whatever machine there is: its times say little.
    let quick = run.of(slowest < Duration::from_secs(1), true);
    if quick && grown < 100 { Ok(figures) } else { Err(figures) }
}
