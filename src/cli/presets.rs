//! `compere presets`: the programs compere knows. Asks no broker: these are files.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{fail::Fail, out};
use crate::preset::{Listed, PresetDirs, Presets, Source};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Your own presets are *.json files in compere/presets below your configuration directory \
(~/.config); one there
replaces ours of the same name. Begin with: compere presets claude > ~/.config/compere/presets/mine.json

Those of a workspace (.compere/presets/) run once you trust them (`compere trust FILE`), and never in place of one of
ours or yours: those win."
)]
pub(super) struct Args {
    /// Print this preset.
    name: Option<String>,
    /// Print the JSON schema of a preset file.
    #[arg(long, conflicts_with = "name")]
    schema: bool,
    /// Print the list as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Fail> {
    if args.schema {
        out::json(&crate::preset::schema())?;
        return Ok(ExitCode::SUCCESS);
    }
    let presets = load();
    if let Some(name) = &args.name {
        let preset = presets.get(name).map_err(|error| Fail::Said(error.to_string()))?;
        out::json(&serde_json::to_value(preset).map_err(std::io::Error::from)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let list = presets.list();
    if args.json {
        out::json(&list.iter().map(record).collect())?;
    } else {
        out::line(&table(&list))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Those that a spawn from here could use.
pub(super) fn load() -> Presets {
    let user = crate::broker::config_dir().map(|dir| dir.join("presets"));
    let workspace = Some(crate::front::whereabouts().0);
    Presets::load(PresetDirs { user, workspace, trust: crate::broker::state_dir() })
}

fn source(source: &Source) -> String {
    match source {
        Source::Embedded => "built in".into(),
        Source::User(path) | Source::Workspace(path) => path.display().to_string(),
    }
}

fn record(listed: &Listed) -> Value {
    json!({
        "name": listed.name,
        "about": listed.about,
        "standing": listed.standing.word(),
        "tested": listed.tested,
        "source": source(&listed.source),
        "error": listed.error,
    })
}

fn table(list: &[Listed]) -> String {
    let mut lines = Vec::new();
    for listed in list {
        let tested = listed.tested.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let standing = format!("{}{tested}", listed.standing.word());
        let (name, about) = (out::pad(&listed.name, 10), listed.error.as_ref().unwrap_or(&listed.about));
        lines.push(format!("{name}  {}  {about} [{}]", out::pad(&standing, 16), source(&listed.source)));
    }
    out::plain(&lines.join("\n"))
}
