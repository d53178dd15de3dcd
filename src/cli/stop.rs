//! `compere stop`: end children.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{
    client::Client,
    fail::Fail,
    given::Span,
    ls,
    out::{self, word},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The children's ids or names.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    children: Vec<String>,
    /// Everyone.
    #[arg(long)]
    all: bool,
    /// How long one may take to end by itself before it is killed (default 2s, at most 30s).
    #[arg(long, value_name = "SPAN")]
    grace: Option<Span>,
    /// Print the tool's answers as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let client = Client::connect().await?;
    let done = stop(&client, &args).await;
    client.close().await;
    done
}

async fn stop(client: &Client, args: &Args) -> Result<ExitCode, Fail> {
    let children = if args.all { top(client).await? } else { args.children.clone() };
    if children.is_empty() && !args.json {
        out::line("there is nobody to stop")?;
    }
    // All at once: a child that needs its whole grace must not cost the next one's.
    let stops = children
        .iter()
        .map(|child| client.ask("stop", json!({"child": child, "grace_ms": args.grace.map(|span| span.ms)})));
    let mut ended = Vec::new();
    let mut refused = Vec::new();
    for answer in futures::future::join_all(stops).await {
        match answer {
            Ok(result) => ended.push(result.into_record()),
            Err(Fail::Said(why)) => refused.push(why),
            Err(other) => return Err(other),
        }
    }
    if args.json {
        out::json(&Value::from(ended.clone()))?;
    } else {
        for record in &ended {
            out::line(&out::plain(&words(record)))?;
        }
    }
    if !refused.is_empty() {
        return Err(Fail::Said(refused.join("\n")));
    }
    let left = ended.iter().any(|record| left(record) > 0);
    Ok(if left { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Every child that lives and whose parent is not stopped with it.
async fn top(client: &Client) -> Result<Vec<String>, Fail> {
    let list = ls::whole_list(client).await?;
    let live: Vec<&Value> = ls::children(&list).filter(|child| !ls::ended(child)).collect();
    let stopped_by_its_parent = |child: &&&Value| live.iter().any(|other| other["child"] == child["parent"]);
    Ok(live
        .iter()
        .filter(|child| !stopped_by_its_parent(child))
        .map(|child| word(child, "child").into())
        .collect())
}

fn left(record: &Value) -> usize {
    let also = record["also"].as_array().into_iter().flatten();
    also.chain([record]).filter_map(|ended| ended["left"].as_array()).map(Vec::len).sum()
}

pub(super) fn words(record: &Value) -> String {
    let exit = match record["exit"]["code"].as_i64() {
        Some(code) => format!("exit code {code}"),
        None => match &record["exit"] {
            Value::Null => "ended".into(),
            Value::Object(exit) if exit.contains_key("signal") => format!("signal {}", exit["signal"]),
            other => other.to_string(),
        },
    };
    let mut words = format!("{} {}: {exit}", word(record, "child"), word(record, "name"));
    let also: Vec<&str> =
        record["also"].as_array().into_iter().flatten().map(|ended| word(ended, "child")).collect();
    if !also.is_empty() {
        words += &format!(", and {}", also.join(", "));
    }
    if left(record) > 0 {
        words += &format!("; {} processes would not end: {}", left(record), record["left"]);
    }
    words
}
