//! `compere call`: any tool, as an MCP host would call it.

use std::process::ExitCode;

use serde_json::Value;

use super::{client::Client, fail::Fail, given::text_or_stdin, out};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  compere call list_children
  compere call spawn '{\"preset\": \"shell\", \"name\": \"build\"}'
  echo '{\"timeout_ms\": 60000}' | compere call timer_wait -")]
pub(super) struct Args {
    /// The tool's name: spawn, send_message_to, send_keys, read_output, timer_wait, report_to_parent, read_reports,
    /// list_children or stop.
    tool: String,
    /// Its arguments, as a JSON object; `-` reads them from standard input.
    #[arg(default_value = "{}", hide_default_value = true)]
    json: String,
    /// Print the whole result as JSON, instead of its text.
    #[arg(long = "json")]
    whole: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let text = text_or_stdin(args.json)?;
    let arguments = match serde_json::from_str(&text) {
        Ok(Value::Object(arguments)) => arguments,
        Ok(_) => {
            return Err(Fail::Usage(
                "a tool's arguments are a JSON object, such as {\"child\": \"c1\"}".into(),
            ));
        }
        Err(error) => return Err(Fail::Usage(format!("the arguments are not JSON: {error}"))),
    };
    let client = Client::connect().await?;
    let result = client.call(&args.tool, arguments).await;
    client.close().await;
    let result = result?;
    if args.whole {
        out::json(result.whole())?;
    } else if !result.is_error() {
        out::line(&result.text())?;
    }
    match result.is_error() {
        true if args.whole => Ok(ExitCode::FAILURE),
        true => Err(Fail::Said(result.text())),
        false => Ok(ExitCode::SUCCESS),
    }
}
