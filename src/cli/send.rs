//! `compere send`: a message to a child's program.

use std::process::ExitCode;

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
    #[arg(required_unless_present = "delivery")]
    to: Option<String>,
    /// The text; several words are one message, what begins with - goes after --. `-` alone reads it from standard
    /// input.
    #[arg(required_unless_present = "delivery")]
    message: Vec<String>,
    /// Do not wait for a busy program: type at once, or interrupt it first, as its preset has it.
    #[arg(long)]
    now: bool,
    /// Send nothing, and tell how this delivery went.
    #[arg(long, value_name = "ID", conflicts_with_all = ["to", "message", "now"])]
    delivery: Option<String>,
    /// How long to wait to see what becomes of it (default 5s); it goes its way anyhow.
    #[arg(long, value_name = "SPAN")]
    wait: Option<Span>,
    /// Print the receipt as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let wait_ms = args.wait.map(|span| span.ms);
    let wish = match (args.to, args.delivery) {
        (Some(to), _) => {
            let message = text_or_stdin(args.message.join(" "))?;
            json!({"to": to, "message": message, "now": args.now, "wait_ms": wait_ms})
        }
        (None, delivery) => json!({"delivery": delivery, "wait_ms": wait_ms}),
    };
    receipt(&client::once("send_message_to", wish).await?, args.json)
}

/// Tells what became of something that was to be typed.
pub(super) fn receipt(result: &client::Answer, as_json: bool) -> Result<ExitCode, Fail> {
    let record = result.record();
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
    let mut told = format!("{status}: {delivery} to {to}, offset {}", receipt["offset"]);
    match word(receipt, "reason") {
        "" => {}
        reason => told += &format!(" ({reason})"),
    }
    for mark in receipt["evidence"].as_array().into_iter().flatten() {
        told += &format!("\n  {:>6} ms  {}: {}", mark["ms"], word(mark, "phase"), word(mark, "why"));
    }
    out::plain(&told)
}
