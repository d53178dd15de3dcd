//! `compere wait`: until something matters, or the time is up.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{
    client,
    fail::Fail,
    given::Span,
    out::{self, word},
    reports,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "The first that happens ends the wait; without any, the first report to you does.
Exit code 1: the time was up first.

Examples:
  compere wait --idle build --timeout 10m
  compere wait --matches server 'listening on .*:\\d+' --exited server
  compere wait --report --needs-input review")]
pub(super) struct Args {
    /// How long to wait at most: 60s, 500ms, 10m, 2h, or milliseconds.
    #[arg(long, value_name = "SPAN", default_value = "60s")]
    timeout: Span,
    /// Until this child has done what it was given, or asks something.
    #[arg(long, value_name = "CHILD")]
    idle: Vec<String>,
    /// Until this child asks something.
    #[arg(long, value_name = "CHILD")]
    needs_input: Vec<String>,
    /// Until this child has ended.
    #[arg(long, value_name = "CHILD")]
    exited: Vec<String>,
    /// Until a line of this child's output matches a regular expression.
    #[arg(long, num_args = 2, allow_hyphen_values = true, value_names = ["CHILD", "REGEX"])]
    matches: Vec<String>,
    /// Until a report is there for you.
    #[arg(long)]
    report: bool,
    /// Inside a child: return at once; what ends the wait is typed into this terminal once it is idle.
    #[arg(long)]
    wake: bool,
    /// Go on with a wait that answered `still_waiting`.
    #[arg(long, value_name = "WAIT_ID", conflicts_with_all = ["wake", "timeout", "idle", "needs_input", "exited", "matches", "report"])]
    resume: Option<String>,
    /// Print the tool's answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    fn until(&self) -> Vec<Value> {
        let mut until = Vec::new();
        for (children, is) in
            [(&self.idle, "idle"), (&self.needs_input, "needs_input"), (&self.exited, "exited")]
        {
            until.extend(children.iter().map(|child| json!({"child": child, "is": is})));
        }
        let pairs = self.matches.as_chunks::<2>().0.iter();
        until.extend(pairs.map(|[child, pattern]| json!({"child": child, "matches": pattern})));
        until.extend(self.report.then(|| json!({"report": true})));
        until
    }
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let wish = match &args.resume {
        Some(id) => json!({"wait_id": id}),
        None => {
            let until = Some(args.until()).filter(|until| !until.is_empty());
            json!({"timeout_ms": args.timeout.ms, "until": until, "wake": args.wake.then_some("typed")})
        }
    };
    let result = client::once("timer_wait", wish).await?;
    out::record(&result, args.json, words)?;
    Ok(if word(result.record(), "woke") == "timer" { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn words(woke: &Value) -> String {
    let after = format!("after {} ms", woke["waited_ms"]);
    let who = format!("{} {}", word(woke, "child"), word(woke, "name"));
    match word(woke, "woke") {
        "timer" => format!("timer: nothing happened {after}"),
        "report" => {
            let reports: Vec<String> =
                woke["reports"].as_array().into_iter().flatten().map(reports::words).collect();
            format!("report {after}\n{}", reports.join("\n"))
        }
        "match" => format!("match: {who} {after}: {}", word(woke, "line")),
        "later" => format!("later: {} is told here when it is over", word(woke, "wait_id")),
        "still_waiting" => format!("still_waiting: compere wait --resume {}", word(woke, "wait_id")),
        other => {
            let told = format!("{other}: {who} {after}: {} ({})", word(woke, "state"), word(woke, "why"));
            match &woke["prompt"] {
                Value::Null => told,
                prompt => format!("{told}\n{}", asked(prompt)),
            }
        }
    }
}

/// A question, indented, and what to do about it.
fn asked(prompt: &Value) -> String {
    let lines: Vec<String> = word(prompt, "text").lines().map(|line| format!("  {line}")).collect();
    let text = lines.join("\n");
    format!("{text}\nanswer with: compere keys --prompt {} CHILD KEY…", word(prompt, "hash"))
}
