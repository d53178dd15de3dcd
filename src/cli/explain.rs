//! `compere explain`: why a child is in its state, from the broker; or which states a recording goes through, from the
//! file alone.

use std::{fs::File, io::BufReader, path::PathBuf, process::ExitCode};

use chrono::{DateTime, Local};
use serde_json::{Value, json};

use super::{
    ask,
    client::Client,
    fail::Fail,
    out::{self, pad, span, word},
    presets,
};
use crate::{
    child::{
        recording::{Happened, Recording},
        replay::{Change, Replay},
        rules::Rules,
    },
    tools::EXPLAIN,
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A recording is an asciicast, version 2 or 3, such as `asciinema rec` writes. What was typed is heeded where
it is in there: asciinema rec --input.

Examples:
  compere explain review
  compere explain --file session.cast --preset claude"
)]
pub(super) struct Args {
    /// The child's id or name.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    child: Option<String>,
    /// Instead: a recording, replayed without waiting.
    #[arg(long)]
    file: Option<PathBuf>,
    /// The preset whose rules are tried on the recording; without, none are.
    #[arg(long, value_name = "NAME", requires = "file")]
    preset: Option<String>,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Fail> {
    match (&args.file, &args.child) {
        (Some(file), _) => replay(file, args.preset.as_deref(), args.json),
        (None, child) => ask(living(child.clone().unwrap_or_default(), args.json)),
    }
}

async fn living(child: String, as_json: bool) -> Result<ExitCode, Fail> {
    let client = Client::connect().await?;
    let explained = client.request(EXPLAIN, json!({"child": child})).await;
    client.close().await;
    let explained = explained?;
    if as_json {
        out::json(&explained)?;
    } else {
        out::line(&out::plain(&words(&explained)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn replay(file: &PathBuf, preset: Option<&str>, as_json: bool) -> Result<ExitCode, Fail> {
    let rules = match preset {
        Some(name) => presets::load().get(name).map_err(|error| Fail::Said(error.to_string()))?.state.clone(),
        None => Rules::default(),
    };
    let said = |error: &dyn std::fmt::Display| Fail::Said(format!("{}: {error}", file.display()));
    let opened = File::open(file).map_err(|error| said(&error))?;
    let mut recording = Recording::new(BufReader::new(opened)).map_err(|error| said(&error))?;
    let clock = recording.began().map(|began| DateTime::<Local>::from(began).fixed_offset());
    let mut replay = Replay::new(&rules, recording.size(), clock);
    let mut told = Vec::new();
    let mut tell = |changes: Vec<Change>| {
        for change in changes {
            if as_json {
                told.push(record(&change));
            } else {
                out::line(&out::plain(&line(&change)))?;
            }
        }
        Ok::<_, Fail>(())
    };
    let (mut end, mut damage) = (std::time::Duration::ZERO, None);
    loop {
        match recording.moment() {
            Ok(Some(moment)) => {
                end = moment.at;
                tell(replay.play(moment.at, &moment.what))?;
                if matches!(moment.what, Happened::Exited(_)) {
                    break;
                }
            }
            Ok(None) => break,
            // What came before it is told all the same.
            Err(error) => {
                damage = Some(said(&error));
                break;
            }
        }
    }
    tell(replay.end(end))?;
    if as_json {
        out::json(&json!(told))?;
    } else {
        out::line(&format!("{:>9.3}  the recording ends", end.as_secs_f64()))?;
    }
    damage.map_or(Ok(ExitCode::SUCCESS), Err)
}

fn record(change: &Change) -> Value {
    let mut record =
        json!({"at_ms": change.at.as_millis() as u64, "state": change.state.to_string(), "why": change.why});
    if let Some(prompt) = &change.prompt {
        record["prompt"] = json!(prompt);
    }
    record
}

fn line(change: &Change) -> String {
    let state = pad(&change.state.to_string(), 24);
    let mut line = format!("{:>9.3}  {state}  {}", change.at.as_secs_f64(), change.why);
    if let Some(prompt) = &change.prompt {
        for text in prompt.text.lines() {
            line += &format!("\n           | {text}");
        }
        line += &format!("\n           prompt {}{}", prompt.hash, selected(&json!(prompt)));
    }
    line
}

/// Which choice Enter would take, if that is seen.
fn selected(prompt: &Value) -> String {
    let choices: Vec<&Value> = prompt["choices"].as_array().into_iter().flatten().collect();
    match choices.iter().find(|choice| choice["selected"] == true) {
        Some(choice) => format!(", Enter takes {:?}", word(choice, "text")),
        None if choices.is_empty() => ", no choices seen".into(),
        None => ", none of its choices seen as selected".into(),
    }
}

fn words(explained: &Value) -> String {
    let since = span(explained["since_ms"].as_u64().unwrap_or(0) / 1000);
    let preset = explained["preset"].as_str().map_or("no preset".into(), |name| format!("preset {name}"));
    let mut lines = vec![
        format!(
            "{} {} ({}, {preset})",
            word(explained, "child"),
            word(explained, "name"),
            word(explained, "program")
        ),
        format!("{} for {since}: {}", word(explained, "state"), word(explained, "why")),
    ];
    if let Value::Object(_) = &explained["prompt"] {
        let prompt = &explained["prompt"];
        lines.push(format!("\nIt asks (prompt {}{}):", word(prompt, "hash"), selected(prompt)));
        lines.extend(word(prompt, "text").lines().map(|line| format!("  | {line}")));
    }
    lines.push("\nWhat is seen:".into());
    lines.extend(
        signs(&explained["signs"]).into_iter().map(|(name, sign)| format!("  {}  {sign}", pad(name, 10))),
    );
    lines.push("\nRules, of which the first that holds decides:".into());
    let rules: Vec<&Value> = explained["rules"].as_array().into_iter().flatten().collect();
    if rules.is_empty() {
        lines.push("  none: the preset has none, or there is no preset".into());
    }
    lines.extend(rules.into_iter().map(rule));
    lines.join("\n")
}

fn signs(signs: &Value) -> Vec<(&'static str, String)> {
    let text = |field: &str| signs[field].as_str().map_or("-".into(), |text| format!("{text:?}"));
    let ago = |field: &str| {
        signs[field].as_u64().map_or("never".into(), |ms| format!("{:.1} s ago", ms as f64 / 1e3))
    };
    let terminal = &signs["terminal"];
    let terminal = match terminal {
        Value::Object(_) => format!(
            "process group {} in the foreground, the program is {}; lines are edited by {}",
            terminal["foreground"],
            terminal["program"],
            if terminal["canonical"] == true { "the kernel" } else { "the program" },
        ),
        _ => "not asked".into(),
    };
    let mut list = vec![
        ("status", format!("{} {}", text("status"), text("msg"))),
        ("title", text("title")),
        ("progress", text("progress")),
        ("OSC 133", text("prompt_mark")),
        ("terminal", terminal),
        ("output", ago("output_ms")),
        (
            "typed",
            format!(
                "{}{}",
                ago("typed_ms"),
                if signs["worked"] == true { ", seen at work since" } else { "" }
            ),
        ),
        ("settled", if signs["settled"] == true { "yes".into() } else { "no: nothing is typed".into() }),
        ("waiting", format!("{} messages", signs["waiting"])),
        ("cursor", text("cursor_line")),
        ("composer", text("composer")),
    ];
    if signs["stale"] == true {
        list.push(("screen", "put together from part of what was written".into()));
    }
    let bottom = signs["bottom"].as_array().into_iter().flatten().filter_map(Value::as_str);
    list.extend(bottom.map(|line| ("bottom", format!("| {line}"))));
    list
}

fn rule(rule: &Value) -> String {
    let holds = match (rule["first"] == true, rule["holds"] == true) {
        (true, _) => "decides",
        (false, true) => "holds",
        (false, false) => "-",
    };
    let what = rule["what"].as_str().map(|what| format!(" ({what})")).unwrap_or_default();
    let line = format!(
        "  {:>2} {}  {} {}  {}",
        rule["rule"].as_u64().unwrap_or(0),
        pad(holds, 7),
        pad(word(rule, "on"), 8),
        pad(&format!("{}{what}", word(rule, "state")), 24),
        word(rule, "matches"),
    );
    match rule["shows"].as_str() {
        Some(shows) => format!("{line}\n              found {shows:?}"),
        None => line,
    }
}
