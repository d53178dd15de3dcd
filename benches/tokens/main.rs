//! What a company costs the model that runs it: `just tokens`, or `cargo bench --bench tokens -- [--compere PROGRAM]
//! [--no-write]`. One job is done with the real tools over stdio, by waiting and by polling, and all that a model is told
//! and says is counted with a public tokenizer. Writes its table into docs/BENCHMARKS.md.

#![allow(clippy::unwrap_used, reason = "what cannot be counted has no figure")]

#[path = "../support/clock.rs"]
mod clock;
#[path = "../support/company.rs"]
mod company;
#[path = "../support/front.rs"]
mod front;
mod job;
mod ledger;
#[path = "../support/table.rs"]
mod table;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use company::Company;
use front::Front;
use job::Job;
use ledger::Ledger;
use serde_json::{Value, json};
use table::{Goal, Row};

/// Both goals are those of the issue tracker's "The model's budget".
const TOOLS: f64 = 2500.0;
const JOB: f64 = 6000.0;

fn main() -> ExitCode {
    let (mut compere, mut write) = (PathBuf::from(env!("CARGO_BIN_EXE_compere")), true);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match &*word {
            "--compere" => compere = words.next().map(PathBuf::from).unwrap_or_default(),
            "--no-write" => write = false,
            // What `cargo bench` adds.
            "--bench" => {}
            _ => {
                let _ = writeln!(std::io::stderr(), "{word} is unknown; there are --compere and --no-write");
                return ExitCode::FAILURE;
            }
        }
    }
    let text = measure(&compere.canonicalize().unwrap());
    let _ = writeln!(std::io::stdout(), "{text}");
    if write {
        table::publish("tokens", &text);
    }
    ExitCode::SUCCESS
}

fn measure(compere: &Path) -> String {
    let ledger = Ledger::new();
    let mut rows = Vec::new();
    let jobs = [Job::waiting(), Job::polling()].map(|job| {
        let company = Company::new(compere);
        company.preset(&stand_in());
        let mut front = company.front();
        let tools = front.ask("tools/list", &json!({}));
        if rows.is_empty() {
            rows = told(&ledger, &front, &tools);
        }
        let told =
            ledger.tools(&tools) + ledger.count(front.welcome["instructions"].as_str().unwrap_or_default());
        job.run(&mut front, &ledger, told)
    });
    let [waited, polled] = &jobs;
    rows.push(
        Row::new("the job: tools, instructions, calls and answers", waited.total() as f64, "tokens")
            .beside("by polling", polled.total() as f64)
            .goal(Goal::Most(JOB))
            .how("each counted once, as it enters the context"),
    );
    rows.push(
        Row::new("of that, calls and answers", waited.said() as f64, "tokens")
            .beside("by polling", polled.said() as f64)
            .how(format!(
                "{} calls; by polling {}, a look at each worker every second of a 10 s task",
                waited.calls(),
                polled.calls()
            )),
    );
    let mut text = format!(
        "{}. Tokenizer: tiktoken's o200k_base. The job: three workers are given a task of 10 s, waited for, \
         their reports read and one's screen; one is asked again; all are stopped.\n\n{}\n",
        table::circumstances(),
        table::HEAD
    );
    rows.iter().for_each(|row| text += &format!("{}\n", row.line()));
    text += &format!("\n{}\n", waited.lines());
    text
}

/// What a host is told before anything is done.
fn told(ledger: &Ledger, front: &Front, tools: &Value) -> Vec<Row> {
    let ours = ledger.tools(tools) as f64;
    let mut all = Row::new("names, descriptions and schemas of all tools", ours, "tokens")
        .goal(Goal::Most(TOOLS))
        .how("as models are given them, compact JSON");
    if let Some(theirs) = orchestrators(ledger) {
        all = all.beside("cli-agent-orchestrator's MCP server", theirs);
    }
    let instructions = ledger.count(front.welcome["instructions"].as_str().unwrap_or_default());
    vec![all, Row::new("instructions", instructions as f64, "tokens")]
}

/// The same of the other's, where `just bench` has installed it.
fn orchestrators(ledger: &Ledger) -> Option<f64> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/orchestrator/bin/cao-mcp-server");
    if !program.exists() {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command.env("HOME", dir.path()).env("CAO_HOME_DIR", dir.path()).stderr(Stdio::null());
    let mut front = Front::start(&mut command);
    Some(ledger.tools(&front.ask("tools/list", &json!({}))) as f64)
}

/// The preset of the stand-in for agents, with a task that takes a while.
fn stand_in() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets/fake-agent.json");
    let mut preset: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    preset["name"] = "worker".into();
    preset["command"] = json!(["${compere}", "fake-agent", "--work", "10000"]);
    preset.as_object_mut().unwrap().remove("$schema");
    preset
}
