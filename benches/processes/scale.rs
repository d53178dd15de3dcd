//! What many children cost: memory and processor time while they are idle, and how quick the tools still are then and
//! while fifty are busy.

use serde_json::{Value, json};

use crate::{
    Run,
    actor::{SIZE, eventually},
    clock,
    company::Company,
    front::Front,
    latency,
    peers::Kind,
    proc,
    table::{Goal, Row, median},
};

const CHILDREN: usize = 500;
/// Of the other programs: what one session costs does not depend on how many there are.
const THEIRS: usize = 100;
const BUSY: usize = 50;
/// By then each has given back what it can (`child/rest`), and the system has got it.
const RESTED_MS: u64 = 6000;
const IDLE_MS: u64 = 5000;
const CALLS: usize = 100;

/// All of that.
pub(crate) fn measure(run: &mut Run) -> Vec<Row> {
    let mut rows = idle(run);
    run.still_wanted();
    rows.extend(scrolled(run));
    run.still_wanted();
    rows.extend(busy(run));
    rows
}

/// Says a line, then waits for ever.
const WAITS: [&str; 3] = ["sh", "-c", "echo up; exec cat"];
/// Says more than a screen holds, then waits.
const SCROLLED: [&str; 3] = ["sh", "-c", "seq 1 3000; exec cat"];

fn start(front: &mut Front, program: &Value, count: usize) -> Vec<i32> {
    let one = |_| {
        let spawned = front.call("spawn", json!({"command": program, "rows": SIZE.rows, "cols": SIZE.cols}));
        proc::parent(spawned["structuredContent"]["pid"].as_i64().unwrap() as i32)
    };
    (0..count).map(one).collect()
}

/// A company in which all rest, and what one of them costs, in MB.
struct Resting {
    company: Company,
    front: Front,
    broker: i32,
    keepers: Vec<i32>,
    /// In its keeper.
    kept: f64,
    /// In the broker.
    shared: f64,
}

impl Resting {
    fn new(run: &Run, program: [&str; 3], count: usize) -> Self {
        let company = run.company();
        let mut front = company.front();
        clock::pause(500);
        let broker = company.broker().unwrap();
        let empty = proc::pss_mb(broker);
        let keepers = start(&mut front, &json!(program), count);
        clock::pause(RESTED_MS);
        let kept = memory(&keepers) / count as f64;
        let shared = (proc::pss_mb(broker) - empty) / count as f64;
        Resting { company, front, broker, keepers, kept, shared }
    }
}

fn idle(run: &mut Run) -> Vec<Row> {
    let Resting { company, mut front, broker, keepers, kept, shared } = Resting::new(run, WAITS, CHILDREN);
    let each = kept + shared;
    let pids = [keepers, vec![broker, front.process.id() as i32]].concat();
    let before = proc::cpu_ms(&pids);
    clock::pause(IDLE_MS);
    let spent = (proc::cpu_ms(&pids) - before) / IDLE_MS as f64 * 100.0;
    let how = format!(
        "PSS of {CHILDREN} keepers and of what the broker has grown by, 6 s after the last spawn; programs that said one line"
    );
    let mut memory = Row::new(format!("memory of an idle child of {CHILDREN}, in all"), each, "MB")
        .goal(Goal::Most(0.6))
        .how(how);
    let parts = format!("of that, {kept:.3} in its keeper and {shared:.3} in the broker");
    let mut rows = Vec::new();
    for (kind, per) in theirs(run, &WAITS) {
        if kind == Kind::Tmux {
            memory = memory.beside("a tmux pane", per);
        } else {
            rows.push(
                Row::new("the same", each, "MB")
                    .beside(&format!("a {} session", kind.name()), per)
                    .how(format!("PSS, {THEIRS} of them")),
            );
        }
    }
    rows.insert(0, memory);
    rows.push(Row::new("the broker's part", shared, "MB").how(parts));
    rows.push(
        Row::new(format!("processor time of {CHILDREN} idle children"), spent, "% of a core")
            .goal(Goal::Most(0.1))
            .how("all keepers, broker and front, over 5 s; the goal is none, and what is below 0.1 is none"),
    );
    rows.extend(quick(run, &company, &mut front, &format!("with {CHILDREN} idle children")));
    rows.extend(latency::spawns(run, &mut front, &format!("with {CHILDREN} others")));
    rows
}

/// What the rest pays when each has a history.
fn scrolled(run: &mut Run) -> Vec<Row> {
    let resting = Resting::new(run, SCROLLED, THEIRS);
    let each = resting.kept + resting.shared;
    let how = format!("the same, of {THEIRS} that wrote 3,000 short lines");
    let mut row =
        Row::new("memory of an idle child that has scrolled", each, "MB").goal(Goal::Most(0.6)).how(how);
    for (kind, per) in theirs(run, &SCROLLED) {
        if kind == Kind::Tmux {
            row = row.beside("a tmux pane", per);
        }
    }
    vec![row]
}

fn memory(pids: &[i32]) -> f64 {
    pids.iter().map(|pid| proc::pss_mb(*pid)).sum()
}

/// What a session of the others costs, with the same program in it.
fn theirs(run: &mut Run, program: &[&str]) -> Vec<(Kind, f64)> {
    let program: Vec<String> = program.iter().map(|word| (*word).to_owned()).collect();
    let mut found = Vec::new();
    for peer in &mut run.peers {
        let one = |n: usize| peer.start(&format!("idle{n}"), &program);
        one(0);
        clock::pause(300);
        let first = memory(&peer.keepers());
        (1..=THEIRS).for_each(one);
        clock::pause(1000);
        // tmux has one server, whose own memory is nobody's session.
        let all = memory(&peer.keepers());
        found.push((
            peer.kind,
            if peer.kind == Kind::Tmux { (all - first) / THEIRS as f64 } else { all / (THEIRS + 1) as f64 },
        ));
        peer.end();
    }
    found
}

/// The tools that look at everyone.
fn quick(run: &Run, company: &Company, front: &mut Front, with: &str) -> Vec<Row> {
    let page = median((0..CALLS).map(|_| front.timed("list_children", json!({})).0).collect());
    let read = median((0..CALLS).map(|_| front.timed("read_output", json!({"child": "c1"})).0).collect());
    let all = || {
        let (began, mut after, mut seen) = (clock::now(), json!({}), 0);
        loop {
            let answer = front.call("list_children", after.clone());
            let rows = answer["structuredContent"]["children"].as_array().unwrap();
            seen += rows.len();
            after = json!({"after": rows.last().map(|row| row["child"].clone())});
            if answer["structuredContent"].get("cut").is_none() {
                return ((clock::now() - began) as f64 / 1e6, seen);
            }
        }
    };
    let (mut all, times) = (all, 10);
    let (all, seen): (Vec<f64>, Vec<usize>) = (0..times).map(|_| all()).unzip();
    let board = || {
        let began = clock::now();
        let output = company.command().args(["top", "--once"]).output().unwrap();
        assert!(output.status.success(), "top: {}", String::from_utf8_lossy(&output.stderr));
        (clock::now() - began) as f64 / 1e6
    };
    let board = median((0..times).map(|_| board()).collect());
    let _ = run;
    vec![
        Row::new(format!("list_children, its first page, {with}, p50"), page, "ms")
            .how("over stdio; a page has 8 KiB"),
        Row::new(format!("list_children, all {} of them", seen[0]), median(all), "ms").how("page by page"),
        Row::new(format!("read_output, {with}, p50"), read, "ms").goal(Goal::Most(0.5)).how("over stdio"),
        Row::new(format!("compere top --once, {with}"), board, "ms")
            .how("a process of its own, from its start to its end"),
    ]
}

fn busy(run: &mut Run) -> Vec<Row> {
    let company = run.company();
    let mut front = company.front();
    let exe = std::env::current_exe().unwrap();
    let keepers = start(&mut front, &json!([exe, "role", "busy"]), BUSY);
    eventually("the output of a busy child", || {
        front.call("read_output", json!({"child": format!("c{BUSY}")})).to_string().contains("Compiling")
    });
    let pids = [keepers, vec![company.broker().unwrap()]].concat();
    let before = proc::cpu_ms(&pids);
    clock::pause(3000);
    let spent = (proc::cpu_ms(&pids) - before) / 3000.0 * 100.0;
    let mut rows = vec![
        Row::new(format!("processor time of {BUSY} busy children"), spent, "% of a core")
            .how("keepers and broker, over 3 s; each child writes 50 KB/s of a build log"),
    ];
    rows.extend(quick(run, &company, &mut front, &format!("with {BUSY} busy children")));
    rows
}
