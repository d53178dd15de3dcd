//! `compere report`: how a program inside a child speaks to whoever spawned it.

use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{
    client,
    fail::Fail,
    given::text_or_stdin,
    out::{self, word},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example, in a child that is a shell:
  cargo test && compere report done 'all tests pass' || compere report failed 'see the screen'")]
pub(super) struct Args {
    /// How the task stands.
    status: Status,
    /// What your parent needs to know; several words are one message. `-` reads it from standard input.
    #[arg(required = true)]
    message: Vec<String>,
    /// Anything a program shall read, as JSON.
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// Print the tool's answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    Progress,
    Done,
    /// An answer is needed.
    Blocked,
    Failed,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Status::Progress => "progress",
            Status::Done => "done",
            Status::Blocked => "blocked",
            Status::Failed => "failed",
        }
    }
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let message = text_or_stdin(args.message.join(" "))?;
    let data: Option<Value> = match args.data.as_deref().map(serde_json::from_str).transpose() {
        Ok(data) => data,
        Err(error) => return Err(Fail::Usage(format!("--data is not JSON: {error}"))),
    };
    let wish = json!({"status": args.status.word(), "message": message, "data": data});
    let result = client::once("report_to_parent", wish).await?;
    out::record(&result, args.json, |told| format!("report {} to {}", told["report"], word(told, "to")))?;
    Ok(ExitCode::SUCCESS)
}
