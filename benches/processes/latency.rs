//! How long one waits: for what a child writes, for its screen, for a message to reach it, for a child to begin.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    Run,
    actor::{Actor, SIZE, Stage, eventually},
    clock,
    front::Front,
    peers::Kind,
    table::{Goal, Row, median, middle_and_worst},
};

const WAKES: usize = 400;
const READS: usize = 400;
const MESSAGES: usize = 15;
const SPAWNS: usize = 40;

/// All of that, with few children.
pub(crate) fn measure(run: &mut Run) -> Vec<Row> {
    let mut rows = wakes(run);
    run.still_wanted();
    rows.extend(reads(run));
    run.still_wanted();
    rows.extend(messages(run));
    let company = run.company();
    rows.extend(spawns(run, &mut company.front(), "with no other child"));
    rows
}

/// From a child's write to the answer of a wait that was pending.
fn wakes(run: &Run) -> Vec<Row> {
    let company = run.company();
    let mut front = company.front();
    let stage = Stage::new(run.dir(), "wakes");
    let program = stage.role("ping");
    let mut add = || {
        let spawned = front.call("spawn", json!({"command": program}));
        (spawned["structuredContent"]["child"].as_str().unwrap().to_owned(), stage.actor())
    };
    let mut children = vec![add()];
    let bare = bare(&stage, run);
    let (alone, worst_alone) = middle_and_worst(waits(&mut front, &mut children, 0));
    let mut add = || {
        let spawned = front.call("spawn", json!({"command": program}));
        (spawned["structuredContent"]["child"].as_str().unwrap().to_owned(), stage.actor())
    };
    children.extend((1..100).map(|_| add()));
    let (many, worst_many) = middle_and_worst(waits(&mut front, &mut children, WAKES));
    let how = "the child writes its clock into the line that ends the wait; 400 waits";
    vec![
        Row::new("a child's byte → its pending timer_wait answered, p50", alone, "ms").goal(Goal::Most(1.0)),
        Row::new("the same, p99", worst_alone, "ms"),
        Row::new("the same with 100 children, p50", many, "ms").goal(Goal::Most(1.0)),
        Row::new("the same with 100 children, p99", worst_many, "ms").goal(Goal::Most(5.0)),
    ]
    .into_iter()
    .map(|row| row.beside("a bare read of the PTY, p50,", bare).how(how))
    .collect()
}

fn waits(front: &mut Front, children: &mut [(String, Actor)], from: usize) -> Vec<f64> {
    let count = children.len();
    let one = |n: usize| {
        let (child, actor) = &mut children[n * 37 % count];
        let until = json!([{"child": child, "matches": format!("ping {n} ")}]);
        let id = front.send(
            "tools/call",
            &json!({"name": "timer_wait", "arguments": {"timeout_ms": 5000, "until": until}}),
        );
        // It is to be pending when the child writes.
        clock::pause(3);
        actor.tell(&n.to_string());
        let (at, result) = front.answer(id);
        let line = result["structuredContent"]["line"].as_str().unwrap_or_else(|| panic!("{result}"));
        (at - line.rsplit(' ').next().unwrap().trim().parse::<u64>().unwrap()) as f64 / 1e6
    };
    (from..from + WAKES).map(one).collect()
}

/// The same without anything between: a process that reads the terminal itself.
fn bare(stage: &Stage, run: &Run) -> f64 {
    use portable_pty::{CommandBuilder, PtySize, native_pty_system};
    let pair = native_pty_system().openpty(PtySize::default()).unwrap();
    let mut builder = CommandBuilder::from_argv(stage.role("ping").iter().map(Into::into).collect());
    builder.cwd(run.dir());
    pair.slave.spawn_command(builder).unwrap();
    drop(pair.slave);
    let (mut actor, mut lines) = (stage.actor(), BufReader::new(pair.master.try_clone_reader().unwrap()));
    let one = |n: usize| {
        clock::pause(3);
        actor.tell(&n.to_string());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let at = clock::now();
        (at - line.trim().rsplit(' ').next().unwrap().parse::<u64>().unwrap()) as f64 / 1e6
    };
    median((0..WAKES).map(one).collect())
}

/// A full screen of text, read.
fn reads(run: &mut Run) -> Vec<Row> {
    let company = run.company();
    let mut front = company.front();
    let page = page();
    let script = format!("printf '%s\\n' '{page}'; exec cat");
    let program = ["sh", "-c", &script].map(str::to_owned);
    front.call("spawn", json!({"command": program, "rows": SIZE.rows, "cols": SIZE.cols}));
    wait_for(&mut front, "c1", "line 20");
    let screen = json!({"child": "c1"});
    let (ours, worst) =
        middle_and_worst((0..READS).map(|_| front.timed("read_output", screen.clone()).0).collect());
    let how = "the answer's line is there; a full screen of 24x80";
    let mut row = Row::new("read_output, screen, over stdio, p50", ours, "ms").how(how);
    let mut rows = Vec::new();
    if let Some(orchestrator) = &mut run.orchestrator {
        let theirs = median((0..READS / 4).map(|_| orchestrator.read()).collect());
        row =
            row.beside("cli-agent-orchestrator's get_terminal_output", theirs).goal(Goal::Times(1.0 / 50.0));
        rows.push(Row::new("the same", ours, "ms").goal(Goal::Most(0.5)).how(how));
    } else {
        row = row.goal(Goal::Most(0.5));
    }
    rows.insert(0, row);
    rows.insert(1, Row::new("the same, p99", worst, "ms").how(how));
    if let Some(tmux) = run.peer(Kind::Tmux) {
        tmux.start("page", &program);
        let capture = || {
            let began = clock::now();
            let output = crate::peers::quiet(tmux.command().args(["capture-pane", "-p", "-t", "page"]));
            ((clock::now() - began) as f64 / 1e6, String::from_utf8_lossy(&output.stdout).contains("line 20"))
        };
        eventually("tmux's page", || capture().1);
        let theirs = median((0..READS / 4).map(|_| capture().0).collect());
        rows.push(Row::new("the same", ours, "ms").beside("tmux capture-pane", theirs).how(how));
    }
    rows
}

fn page() -> String {
    (1..=23)
        .map(|n| format!("line {n} {}", "of a page that fills the screen ".repeat(2).trim()))
        .collect::<Vec<_>>()
        .join("\n")
}

fn wait_for(front: &mut Front, child: &str, pattern: &str) -> Value {
    let until = json!([{"child": child, "matches": pattern, "since": 0}]);
    let answer = front.call("timer_wait", json!({"timeout_ms": 20_000, "until": until}));
    assert_eq!(answer["structuredContent"]["woke"], "match", "{answer}");
    answer
}

/// From a call to the first byte at the child, of which nothing else is known.
fn messages(run: &mut Run) -> Vec<Row> {
    let company = run.company();
    let mut front = company.front();
    let stage = Stage::new(run.dir(), "messages");
    front.call("spawn", json!({"command": stage.role("hear")}));
    let mut actor = stage.actor();
    wait_for(&mut front, "c1", "ready");
    let mut times = Vec::new();
    for n in 0..MESSAGES {
        let began = clock::now();
        let arguments = json!({"to": "c1", "message": format!("message {n}")});
        let id = front.send("tools/call", &json!({"name": "send_message_to", "arguments": arguments}));
        times.push((actor.number() - began) as f64 / 1e6);
        front.answer(id);
        clock::pause(20);
    }
    let (ours, worst) = middle_and_worst(times);
    let how = "the child says when its first byte came; 15 messages to a program without rules";
    let mut row =
        Row::new("send_message_to → first byte at the child, p50", ours, "ms").goal(Goal::Most(2.0)).how(how);
    if let Some(tmux) = run.peer(Kind::Tmux) {
        tmux.start("hear", &stage.role("hear"));
        let mut actor = stage.actor();
        clock::pause(100);
        let one = |_| {
            let began = clock::now();
            crate::peers::quiet(tmux.command().args(["send-keys", "-t", "hear", "message", "Enter"]));
            let first = actor.number();
            clock::pause(20);
            (first - began) as f64 / 1e6
        };
        row = row.beside("tmux send-keys", median((0..MESSAGES).map(one).collect()));
    }
    vec![row, Row::new("the same, the worst", worst, "ms").how(how)]
}

/// From the wish to the first output of a program, for whoever wished it.
pub(crate) fn spawns(run: &Run, front: &mut Front, with: &str) -> Vec<Row> {
    let stage = Stage::new(run.dir(), &format!("spawns-{}", with.len()));
    let program = stage.role("hello");
    let (mut told, mut written, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..SPAWNS {
        let began = clock::now();
        let spawned = front.call("spawn", json!({"command": program}));
        let child = spawned["structuredContent"]["child"].as_str().unwrap().to_owned();
        let answer = wait_for(front, &child, "up");
        told.push((clock::now() - began) as f64 / 1e6);
        let line = answer["structuredContent"]["line"].as_str().unwrap().trim();
        written.push((line.rsplit(' ').next().unwrap().parse::<u64>().unwrap() - began) as f64 / 1e6);
        bare.push(posix_spawn(&program));
    }
    let bare = median(bare);
    let row = |what: &str, times: Vec<f64>, how: &str| {
        Row::new(format!("{what}, {with}, p50"), median(times), "ms")
            .beside("posix_spawn and a pipe", bare)
            .how(how)
    };
    vec![
        row(
            "spawn → first output",
            written,
            "by the program's own clock; the same program both times, 40 each, interleaved",
        )
        .goal(Goal::Beyond(3.0)),
        row("spawn → first output known to the host", told, "two calls, spawn and timer_wait")
            .goal(Goal::Beyond(3.0)),
    ]
}

/// The standard library uses posix_spawn where it can, as here.
fn posix_spawn(program: &[String]) -> f64 {
    let began = clock::now();
    let mut child = Command::new(&program[0])
        .args(&program[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let took = (clock::now() - began) as f64 / 1e6;
    child.wait().unwrap();
    took
}
