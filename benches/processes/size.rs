//! How big it is: the program's file, its front and its broker, and how soon a host is answered.

use crate::{
    Run, clock, proc,
    table::{Goal, Row, median},
};

const STARTS: usize = 20;

/// All of that.
pub(crate) fn measure(run: &mut Run) -> Vec<Row> {
    let company = run.company();
    let began = company.front();
    let cold = began.ready_ms;
    let mut ready = Vec::new();
    for _ in 0..STARTS {
        ready.push(company.front().ready_ms);
    }
    clock::pause(500);
    let front = proc::rss_mb(began.process.id() as i32);
    let broker = proc::rss_mb(company.broker().unwrap());
    let file = std::fs::metadata(&run.compere).unwrap().len() as f64 / 1e6;
    let mut about = Row::new("the program's file", file, "MB")
        .goal(Goal::Most(8.0))
        .how("cargo build --release --locked");
    let mut host = Row::new("front: from its start to its first answer, p50", median(ready), "ms")
        .goal(Goal::Most(10.0))
        .how("20 starts, a broker runs");
    let mut held = Row::new("front: memory", front, "MB").goal(Goal::Most(4.0)).how("RSS");
    if let Some(orchestrator) = &run.orchestrator {
        about = about.beside("cli-agent-orchestrator as installed", orchestrator.installed_mb());
        host = host.beside("cli-agent-orchestrator's MCP server", orchestrator.front.ready_ms);
        held = held.beside(
            "cli-agent-orchestrator's MCP server",
            proc::rss_mb(orchestrator.front.process.id() as i32),
        );
    }
    let mut kept = Row::new("broker without a child: memory", broker, "MB").goal(Goal::Most(12.0)).how("RSS");
    if let Some(orchestrator) = &run.orchestrator {
        kept = kept.beside("cli-agent-orchestrator's server", proc::rss_mb(orchestrator.server_pid()));
    }
    vec![about, host, Row::new("the same where it starts the broker", cold, "ms").how("once"), held, kept]
}
