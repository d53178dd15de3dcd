//! The path of output: how long a program waits until its terminal has dealt with all that it wrote, and what processor
//! time that costs whoever keeps the terminal. One program for each of those, which all write the same.

use std::fmt::Write;

use serde_json::json;

use crate::{
    Run,
    actor::{Actor, SIZE, Stage},
    payload,
    peers::{Kind, Pump},
    proc,
    table::{Goal, Row, median, number},
};

const ROUNDS: usize = 5;
/// What follows the answer, such as a look at the screen, is part of the cost.
const SETTLE_MS: u64 = 40;

/// Who keeps a terminal, with the program in it.
struct Reader {
    name: &'static str,
    actor: Actor,
    pids: Vec<i32>,
}

/// Milliseconds of one payload: on the clock, and of the processor.
#[derive(Clone, Copy, Default)]
struct Cost {
    wall: f64,
    cpu: f64,
}

/// The table of payloads, and the rows that the goals are about.
pub(crate) fn measure(run: &mut Run) -> (String, Vec<Row>) {
    let stage = Stage::new(run.dir(), "output");
    let (bare, parsing) = (Pump::start("discard", &stage.role("write")), stage.actor());
    let mut readers = vec![Reader { name: "bare reader", pids: vec![bare.pid()], actor: parsing }];
    let parse = Pump::start("parse", &stage.role("write"));
    readers.push(Reader { name: "read and parse", pids: vec![parse.pid()], actor: stage.actor() });
    let company = run.company();
    let mut front = company.front();
    front.call("spawn", json!({"command": stage.role("write"), "rows": SIZE.rows, "cols": SIZE.cols}));
    let actor = stage.actor();
    let pids = vec![actor.parent, company.broker().unwrap()];
    readers.push(Reader { name: "compere", actor, pids });
    for peer in &mut run.peers {
        let (actor, pids) = peer.start_read(&stage, "write");
        readers.push(Reader { name: peer.name(), actor, pids });
    }
    let files: Vec<(String, usize)> = payload::ALL
        .iter()
        .map(|payload| {
            let path = run.dir().join(payload.name.replace(' ', "-"));
            let bytes = payload.make(payload.bytes);
            std::fs::write(&path, &bytes).unwrap();
            (path.to_str().unwrap().to_owned(), bytes.len())
        })
        .collect();
    // [payload][reader][round]
    let mut costs = vec![vec![Vec::new(); readers.len()]; files.len()];
    for round in 0..=ROUNDS {
        for (payload, (file, _)) in files.iter().enumerate() {
            for (at, reader) in readers.iter_mut().enumerate() {
                let cost = once(reader, file);
                // The first fills caches and histories.
                if round > 0 {
                    costs[payload][at].push(cost);
                }
            }
        }
        run.still_wanted();
    }
    for peer in &mut run.peers {
        peer.end();
    }
    let costs: Vec<Vec<Cost>> = costs.into_iter().map(|row| row.into_iter().map(middle).collect()).collect();
    (table(&readers, &files, &costs), rows(&readers, &costs))
}

fn once(reader: &mut Reader, file: &str) -> Cost {
    let before = proc::cpu_ms(&reader.pids);
    reader.actor.tell(file);
    let wall = reader.actor.number() as f64 / 1e6;
    crate::clock::pause(SETTLE_MS);
    Cost { wall, cpu: proc::cpu_ms(&reader.pids) - before }
}

fn middle(costs: Vec<Cost>) -> Cost {
    let by = |of: fn(&Cost) -> f64| median(costs.iter().map(of).collect());
    Cost { wall: by(|cost| cost.wall), cpu: by(|cost| cost.cpu) }
}

fn table(readers: &[Reader], files: &[(String, usize)], costs: &[Vec<Cost>]) -> String {
    let mut out = String::from("| ms on the clock / of processor | MB |");
    readers.iter().for_each(|reader| out += &format!(" {} |", reader.name));
    out += "\n|---|---:|";
    out += &"---:|".repeat(readers.len());
    for ((payload, (_, bytes)), row) in payload::ALL.iter().zip(files).zip(costs) {
        let _ = write!(out, "\n| {} | {} |", payload.name, number(*bytes as f64 / 1e6));
        for cost in row {
            let _ = write!(out, " {:.0} / {:.0} |", cost.wall, cost.cpu);
        }
    }
    out
}

/// Ours and one other's, payload by payload.
struct Pair<'a> {
    costs: &'a [Vec<Cost>],
    other: usize,
}

const OURS: usize = 2;

impl Pair<'_> {
    /// Geometric means.
    fn means(&self, of: fn(&Cost) -> f64) -> (f64, f64) {
        let mean = |who: usize| {
            let logs = self.costs.iter().map(|row| of(&row[who]).ln());
            (logs.sum::<f64>() / self.costs.len() as f64).exp()
        };
        (mean(OURS), mean(self.other))
    }

    /// The payload at which ours is worst beside theirs, with both.
    fn worst(&self, of: fn(&Cost) -> f64) -> (&'static str, f64, f64) {
        let ratio = |at: &usize| of(&self.costs[*at][OURS]) / of(&self.costs[*at][self.other]);
        let worst = (0..self.costs.len()).max_by(|one, two| ratio(one).total_cmp(&ratio(two))).unwrap_or(0);
        let row = &self.costs[worst];
        (payload::ALL[worst].name, of(&row[OURS]), of(&row[self.other]))
    }
}

fn rows(readers: &[Reader], costs: &[Vec<Cost>]) -> Vec<Row> {
    let wall = |cost: &Cost| cost.wall;
    let cpu = |cost: &Cost| cost.cpu;
    let mut rows = Vec::new();
    let mut add = |other: &str, what: &str, of: fn(&Cost) -> f64, mean: Option<f64>, each: Option<f64>| {
        let Some(other_at) = readers.iter().position(|reader| reader.name == other) else { return };
        let pair = Pair { costs, other: other_at };
        let (ours, theirs) = pair.means(of);
        let row = Row::new(format!("output, {what}: geometric mean of the payloads"), ours, "ms");
        rows.push(wished(row.beside(other, theirs), mean));
        let (payload, ours, theirs) = pair.worst(of);
        let row = Row::new(format!("output, {what}: the worst, {payload}"), ours, "ms").beside(other, theirs);
        rows.push(wished(row, each));
    };
    add("read and parse", "processor", cpu, Some(1.5), Some(1.5));
    add("read and parse", "wall", wall, Some(1.5), Some(1.5));
    add("bare reader", "wall", wall, Some(1.5), Some(1.5));
    add(Kind::Tmux.name(), "wall", wall, Some(1.0 / 3.0), Some(1.0));
    add(Kind::Tmux.name(), "processor", cpu, Some(1.0 / 3.0), None);
    add(Kind::Screen.name(), "wall", wall, None, None);
    rows
}

fn wished(row: Row, times: Option<f64>) -> Row {
    let row = row.how(METHOD);
    times.into_iter().fold(row, |row, times| row.goal(Goal::Times(times)))
}

const METHOD: &str =
    "a program writes it all and asks where the cursor is, to the answer; median of 5, interleaved";
