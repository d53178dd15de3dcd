//! The job, done in two ways: by waiting for reports, and by looking again and again. What is said is counted as it is.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Value, json};

use crate::{clock, front::Front, ledger::Ledger};

/// How it is done.
pub(crate) enum Job {
    Waiting,
    Polling,
}

/// What it has cost.
pub(crate) struct Bill {
    told: usize,
    /// Of each tool: how often, what the calls took, and what the answers took.
    by_tool: BTreeMap<&'static str, (usize, usize, usize)>,
}

/// What the workers find out, as they would report it.
const FOUND: &str = "The parser accepts a trailing comma in argument lists but not in generic parameter lists; the check is in \
                     src/parse/list.rs at line 214, and two tests in tests/lists.rs assert the old behaviour. I changed the \
                     check, updated both tests, and the suite passes: 412 passed, 0 failed. Nothing else depends on it.";

impl Job {
    pub(crate) fn waiting() -> Job {
        Job::Waiting
    }

    pub(crate) fn polling() -> Job {
        Job::Polling
    }

    /// Does it.
    pub(crate) fn run(&self, front: &mut Front, ledger: &Ledger, told: usize) -> Bill {
        let mut host = Host { front, ledger, bill: Bill { told, by_tool: BTreeMap::new() } };
        let tasks = ["parser", "printer", "checker"];
        for name in tasks {
            let message = self.task(&format!("look into the {name}. {FOUND}"));
            host.call("spawn", json!({"preset": "worker", "name": name, "message": message}));
        }
        self.done(&mut host, &tasks);
        host.call("read_output", json!({"child": "parser"}));
        let again = self.task(&format!("one question more: is that in the changelog? {FOUND}"));
        host.call("send_message_to", json!({"to": "parser", "message": again}));
        self.done(&mut host, &tasks[..1]);
        for name in tasks {
            host.call("stop", json!({"child": name}));
        }
        host.bill
    }

    /// A worker that is polled has nobody to report to.
    fn task(&self, text: &str) -> String {
        match self {
            Job::Waiting => format!("report: {text}"),
            Job::Polling => text.to_owned(),
        }
    }

    fn done(&self, host: &mut Host<'_>, who: &[&str]) {
        match self {
            Job::Waiting => {
                let mut reports = 0;
                while reports < who.len() {
                    let answer = host.call("timer_wait", json!({"timeout_ms": 60_000}));
                    assert_eq!(answer["woke"], "report", "{answer}");
                    reports += answer["reports"].as_array().map_or(0, Vec::len);
                }
            }
            Job::Polling => {
                // Long enough that all have begun.
                let mut busy = who.to_vec();
                clock::pause(1000);
                while !busy.is_empty() {
                    let list = host.call("list_children", json!({}));
                    let rows = list["children"].as_array().unwrap();
                    for name in who {
                        if busy.contains(name) {
                            host.call("read_output", json!({"child": name}));
                        }
                    }
                    busy.retain(|name| rows.iter().any(|row| row["name"] == *name && row["state"] != "idle"));
                    clock::pause(1000);
                }
            }
        }
    }
}

struct Host<'a> {
    front: &'a mut Front,
    ledger: &'a Ledger,
    bill: Bill,
}

impl Host<'_> {
    fn call(&mut self, tool: &'static str, arguments: Value) -> Value {
        let entry = self.bill.by_tool.entry(tool).or_default();
        entry.0 += 1;
        entry.1 += self.ledger.count(&json!({"name": tool, "arguments": arguments}).to_string());
        let result = self.front.call(tool, arguments);
        entry.2 += self.ledger.answer(&result);
        result["structuredContent"].clone()
    }
}

impl Bill {
    /// All of it.
    pub(crate) fn total(&self) -> usize {
        self.told + self.said()
    }

    /// What was said while it was done.
    pub(crate) fn said(&self) -> usize {
        self.by_tool.values().map(|(_, calls, answers)| calls + answers).sum()
    }

    /// How often something was asked.
    pub(crate) fn calls(&self) -> usize {
        self.by_tool.values().map(|(times, ..)| times).sum()
    }

    /// Tool by tool.
    pub(crate) fn lines(&self) -> String {
        let mut out = String::from(
            "| by waiting | calls | tokens of the calls | of the answers |\n|---|---:|---:|---:|",
        );
        for (tool, (times, calls, answers)) in &self.by_tool {
            let _ = write!(out, "\n| `{tool}` | {times} | {calls} | {answers} |");
        }
        out
    }
}
