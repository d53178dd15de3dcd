//! `compere keys`: keys in a child's terminal.

use std::process::ExitCode;

use serde_json::json;

use super::{client, fail::Fail, send};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  compere keys build C-c Up Enter
  compere keys review --prompt 3f9a1c2b7d04 1     only if that is still what it asks")]
pub(super) struct Args {
    /// The child's id or name.
    to: String,
    /// Enter, Escape, Tab, S-Tab, Space, Backspace, Delete, Up, Down, Left, Right, Home, End, PageUp, PageDown, F1 to
    /// F12, C-c (Ctrl), M-x (Alt), or a single character.
    #[arg(required = true)]
    keys: Vec<String>,
    /// Only if it still asks what has this hash (compere ls --json, compere wait).
    #[arg(long, value_name = "HASH")]
    prompt: Option<String>,
    /// Print the receipt as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let result =
        client::once("send_keys", json!({"to": args.to, "keys": args.keys, "prompt": args.prompt})).await?;
    send::receipt(&result, args.json)
}
