//! `compere send`: a message to a child's program.

use std::process::ExitCode;

use rmcp::model::CallToolResult;
use serde_json::{Value, json};

use super::{
    client,
    fail::Fail,
    given::{Span, text_or_stdin},
    out::{self, word},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The child's id or name.
    to: String,
    /// The text; several words are one message, what begins with - goes after --. `-` alone reads it from standard
    /// input.
    #[arg(required = true)]
    message: Vec<String>,
    /// How long to wait until it is typed (default 5s); then it stays queued.
    #[arg(long, value_name = "SPAN")]
    wait: Option<Span>,
    /// Print the receipt as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let message = text_or_stdin(args.message.join(" "))?;
    let wish = json!({"to": args.to, "message": message, "wait_ms": args.wait.map(|span| span.ms)});
    receipt(&client::once("send_message_to", wish).await?, args.json)
}

/// Tells what became of something that was to be typed.
pub(super) fn receipt(result: &CallToolResult, as_json: bool) -> Result<ExitCode, Fail> {
    let record = result.structured_content.as_ref().unwrap_or(&Value::Null);
    if as_json {
        out::json(record)?;
    }
    if matches!(word(record, "status"), "refused" | "unknown") {
        return if as_json { Ok(ExitCode::FAILURE) } else { Err(Fail::Said(words(record))) };
    }
    if !as_json {
        out::line(&words(record))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn words(receipt: &Value) -> String {
    let (status, delivery, to) = (word(receipt, "status"), word(receipt, "delivery"), word(receipt, "to"));
    let told = format!("{status}: {delivery} to {to}, offset {}", receipt["offset"]);
    out::plain(&match word(receipt, "reason") {
        "" => told,
        reason => format!("{told} ({reason})"),
    })
}
