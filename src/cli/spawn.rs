//! `compere spawn`: start a child.

use std::{collections::BTreeMap, process::ExitCode};

use serde_json::{Value, json};

use super::{
    client,
    fail::Fail,
    given::{Size, Variable, text_or_stdin},
    out::{self, word},
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints the child's id first, for scripts: child=$(compere spawn shell | cut -d' ' -f1)

Examples:
  compere spawn claude --name review --message 'Review the last commit.'
  compere spawn --name server --cwd web -- npm run dev
  compere spawn --preset claude -- claude --model opus"
)]
pub(super) struct Args {
    /// A program compere knows (`compere presets` lists them).
    #[arg(value_name = "PRESET", conflicts_with = "preset")]
    known: Option<String>,
    /// The same; with a command, that command runs under this preset's rules.
    #[arg(long)]
    preset: Option<String>,
    /// What to call it, instead of by its id.
    #[arg(long)]
    name: Option<String>,
    /// Its working directory; by default, this one.
    #[arg(long)]
    cwd: Option<String>,
    /// A variable to set in its environment; may be given several times.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    env: Vec<Variable>,
    /// The terminal's size, such as 40x120.
    #[arg(long, value_name = "ROWSxCOLS")]
    size: Option<Size>,
    /// Its first message, delivered when the program is ready for it; `-` reads it from standard input.
    #[arg(long)]
    message: Option<String>,
    /// Go on with the session of a child that has ended, in its directory and under its preset.
    #[arg(long, value_name = "CHILD", conflicts_with_all = ["known", "preset", "cwd", "command"])]
    resume: Option<String>,
    /// Print the tool's answer as JSON.
    #[arg(long)]
    json: bool,
    /// A program and its arguments, run as they are.
    #[arg(last = true)]
    command: Vec<String>,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let json = args.json;
    out::record(&spawned(args).await?, json, words)?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// In a terminal of this size, if no other was asked for.
    pub(super) fn sized(self, rows: u16, cols: u16) -> Args {
        Args { size: self.size.or(Some(Size { rows, cols })), ..self }
    }
}

/// The tool's answer.
pub(super) async fn spawned(args: Args) -> Result<client::Answer, Fail> {
    let preset = args.known.or(args.preset);
    if preset.is_none() && args.command.is_empty() && args.resume.is_none() {
        return Err(Fail::Usage(
            "say what to start: a preset (`compere presets` lists them) or, after --, a command".into(),
        ));
    }
    let env: BTreeMap<String, String> =
        args.env.into_iter().map(|variable| (variable.name, variable.value)).collect();
    let wish = json!({
        "preset": preset,
        "command": Some(args.command).filter(|command| !command.is_empty()),
        "name": args.name,
        "cwd": args.cwd,
        "env": Some(env).filter(|env| !env.is_empty()),
        "rows": args.size.map(|size| size.rows),
        "cols": args.size.map(|size| size.cols),
        "message": args.message.map(text_or_stdin).transpose()?,
        "resume": args.resume,
    });
    client::once("spawn", wish).await
}

pub(super) fn words(child: &Value) -> String {
    let (id, name, program, cwd) =
        (word(child, "child"), word(child, "name"), word(child, "program"), word(child, "cwd"));
    format!("{id} {name}: {program}, process {}, in {cwd}", child["pid"])
}
