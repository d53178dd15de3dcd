//! `compere reports`: what was reported to whoever asks.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{
    client,
    fail::Fail,
    out::{self, span, word},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Those after this report's number, read before or not; by default, the unread ones.
    #[arg(long, value_name = "N")]
    after: Option<u64>,
    /// How much to answer with, in bytes (default 8192, at most 262144).
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,
    /// Print the tool's answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let wish = json!({"after": args.after, "max_bytes": args.max_bytes});
    let result = client::once("read_reports", wish).await?;
    out::record(&result, args.json, |read| {
        let mut lines: Vec<String> = read["reports"].as_array().into_iter().flatten().map(words).collect();
        if let Some(more) = read["more"].as_u64() {
            lines.push(format!("{more} more: compere reports --after {}", read["next"]));
        }
        if lines.is_empty() { "no unread reports".into() } else { lines.join("\n") }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// One report in words.
pub(super) fn words(report: &Value) -> String {
    let age = span(report["age_s"].as_u64().unwrap_or(0));
    let (from, name, status) = (word(report, "from"), word(report, "name"), word(report, "status"));
    let mut words = format!("#{} {from} {name} {status}, {age} ago", report["report"]);
    for line in word(report, "message").lines() {
        words += &format!("\n    {line}");
    }
    if let Some(data) = report.get("data") {
        words += &format!("\n    data: {data}");
    }
    if let Some(cut) = report["cut"].as_str() {
        words += &format!("\n    [cut: {cut}]");
    }
    words
}
