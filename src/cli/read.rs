//! `compere read`: a child's screen, or what it wrote.

use std::process::ExitCode;

use serde_json::json;

use super::{client, fail::Fail, out};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  compere read build                              the screen, as a person would see it
  compere read build --lines 200                  with scrollback above it
  compere read build --stream --since -4096       the last 4 KiB it wrote")]
pub(super) struct Args {
    /// The child's id or name.
    child: String,
    /// What it wrote, instead of its screen.
    #[arg(long)]
    stream: bool,
    /// stream: from this offset on; negative counts back from the end.
    #[arg(long, value_name = "OFFSET", allow_negative_numbers = true, requires = "stream")]
    since: Option<i64>,
    /// screen: that many lines of scrollback above it.
    #[arg(long, conflicts_with = "stream")]
    lines: Option<u64>,
    /// How much to answer with, in bytes (default 8192, at most 262144).
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,
    /// stream: as it came, escape sequences and all.
    #[arg(long, requires = "stream")]
    raw: bool,
    /// Print the whole result as JSON, its figures in `_meta`.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let wish = json!({
        "child": args.child,
        "mode": if args.stream { "stream" } else { "screen" },
        "since": args.since,
        "lines": args.lines,
        "max_bytes": args.max_bytes,
        "raw": args.raw.then_some(true),
    });
    let result = client::once("read_output", wish).await?;
    if args.json {
        out::json(result.whole())?;
    } else if args.raw {
        out::line(&result.text())?;
    } else {
        out::line(&out::plain(&result.text()))?;
    }
    Ok(ExitCode::SUCCESS)
}
