//! `compere trust`: a person lets a workspace's preset run, having been shown what it would run. Asks no broker: these
//! are files.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{fail::Fail, out, presets};
use crate::{
    ipc::hello::IDENTITY,
    preset::{Candidate, OnExit, Preset, Restart, Trust, TrustError, place},
    proc::lineage,
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A preset of a workspace is a file that came with a project, and could run anything: it does \
not run until you trust it,
nor any more once one byte of it changes. Only a person may: inside a child this is refused."
)]
pub(super) struct Args {
    /// The preset's file: .compere/presets/NAME.json of a workspace.
    #[arg(required_unless_present = "list")]
    file: Option<PathBuf>,
    /// Trust it no longer.
    #[arg(long)]
    revoke: bool,
    /// Show all that is trusted.
    #[arg(long, conflicts_with_all = ["file", "revoke"])]
    list: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Fail> {
    let said = |error: TrustError| Fail::Said(escaped(&error.to_string()));
    let Some(dir) = crate::broker::state_dir() else {
        return Err(Fail::Said("there is no home directory to remember it in: set HOME".into()));
    };
    let trust = Trust::at(dir);
    let Some(file) = &args.file else {
        let list = trust.list().map_err(said)?;
        let words = |holds| if holds { "trusted" } else { "changed" };
        for trusted in &list {
            out::line(&format!("{}  {}", words(trusted.holds()), shown_path(&trusted.path)))?;
        }
        if list.is_empty() {
            out::line("nothing is trusted")?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    outside_any_child()?;
    if args.revoke {
        let path = place(file);
        if !trust.remove(&path).map_err(said)? {
            return Err(Fail::Said(format!("{} was not trusted", shown_path(&path))));
        }
        out::line(&format!("{} is trusted no longer", shown_path(&path)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let candidate = Candidate::read(file).map_err(said)?;
    out::line(&summary(&candidate))?;
    trust.add(&candidate.file).map_err(said)?;
    if let Some(why) = presets::load().shadow(&candidate.preset.name) {
        out::line(&escaped(&format!("It is trusted, and {why}.")))?;
    }
    out::line("It is trusted, and runs while no byte of it changes. To take that back, use --revoke.")?;
    Ok(ExitCode::SUCCESS)
}

/// An agent must not trust what it has perhaps written itself. Its children and their children cannot leave the keeper
/// they descend from, whatever variables they drop.
fn outside_any_child() -> Result<(), Fail> {
    let inside =
        std::env::var_os(IDENTITY).is_some() || lineage(std::process::id() as i32).into_iter().any(is_keeper);
    if inside {
        return Err(Fail::Said(
            "only a person may trust a preset, and this runs inside a child: ask your user to run it in a terminal \
             outside"
                .into(),
        ));
    }
    Ok(())
}

fn is_keeper(pid: i32) -> bool {
    let read = |file| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    read("comm").starts_with(b"keeper ") && read("cmdline").ends_with(b"\0keeper\0")
}

/// What a preset would run, for whoever is to decide. It may be hostile: no character of it acts on the terminal, and
/// what is not shown is said to be there.
fn summary(candidate: &Candidate) -> String {
    let Preset { name, about, command, programs, env, unset, first_message, session, mcp, on_exit, .. } =
        &candidate.preset;
    let texts = |texts: &[String]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>();
    let mut rows = vec![
        ("preset", vec![name.clone(), quoted(about)]),
        ("runs", texts(command)),
        ("also for", texts(programs)),
        ("sets", env.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect()),
        ("removes", texts(unset)),
    ];
    if let Some(first) = first_message {
        rows.push(("with a message", texts(&first.args)));
    }
    if let Some(session) = session {
        rows.push(("new session", texts(&session.args)));
        rows.push(("resumes by", texts(&session.resume)));
    }
    if let Some(OnExit { restart, most, .. }) = on_exit.filter(|wish| wish.restart != Restart::Never) {
        rows.push((
            "runs again",
            vec![format!("{restart:?}, {most} times within ten minutes").to_lowercase()],
        ));
    }
    if let Some(mcp) = mcp {
        rows.push(("mcp arguments", mcp.args.iter().map(|arg| quoted(&arg.to_string())).collect()));
        let env = mcp.env.iter().map(|(name, value)| format!("{name}={}", quoted(&value.to_string())));
        rows.push(("mcp sets", env.collect()));
        rows.push(("mcp files", mcp.files.keys().cloned().collect()));
    }
    let mut lines = vec![shown_path(&candidate.file.path)];
    for (what, parts) in rows.iter().filter(|(_, parts)| !parts.is_empty()) {
        let more = parts.len().saturating_sub(MOST_PARTS);
        let more = if more > 0 { format!(" … and {more} more, in the file") } else { String::new() };
        let parts = parts[..parts.len().min(MOST_PARTS)].join(" ");
        lines.push(format!("  {} {parts}{more}", out::pad(what, 14)));
    }
    lines.push(format!("  {} {}", out::pad("sha256", 14), candidate.file.sha256));
    lines.join("\n")
}

/// Of a command or an environment; more is a program of its own, to be read in the file.
const MOST_PARTS: usize = 20;
/// Characters of one argument.
const MOST_SHOWN: usize = 400;

/// In quotes, with everything escaped that is not printed as what it is: controls, marks that turn the direction of
/// text round, what has no width.
fn quoted(text: &str) -> String {
    let more = text.chars().count().saturating_sub(MOST_SHOWN);
    let shown: String = text.chars().take(MOST_SHOWN).collect();
    if more > 0 {
        format!("{shown:?}… and {more} more characters, in the file")
    } else {
        format!("{shown:?}")
    }
}

/// The same without quotes, in one line.
fn escaped(text: &str) -> String {
    let plain = |c: char| matches!(c, '"' | '\'' | '\\');
    text.chars().map(|c| if plain(c) { c.to_string() } else { c.escape_debug().collect() }).collect()
}

fn shown_path(path: &Path) -> String {
    escaped(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::preset::Trusted;

    #[test]
    fn what_is_shown_of_a_hostile_file_acts_on_no_terminal() {
        let hostile = "a\x1b]0;x\x07\u{202e}\u{200b}\n\r\u{9b}31m\"é漢";
        let long = "x".repeat(MOST_SHOWN + 5);
        let preset = serde_json::from_value(json!({
            "name": "n", "about": hostile, "command": ["sh", hostile, long],
            "programs": vec!["p"; MOST_PARTS + 2], "env": {"A": hostile}, "unset": [hostile],
            "first_message": {"args": [hostile], "place": "last"},
            "session": {"args": [hostile], "resume": [hostile]}, "on_exit": {"restart": "always"},
            "mcp": {"args": [{"a": hostile}], "env": {"B": [hostile]}, "files": {"f.json": hostile}},
        }));
        let file = Trusted { path: "/a/\x1b[31m.json".into(), sha256: "00".into() };
        let summary = summary(&Candidate { file, preset: preset.unwrap() });
        assert!(!summary.chars().any(|c| c != '\n' && c.escape_debug().count() > 1 && !"\"\\'".contains(c)));
        insta::assert_snapshot!(summary);
    }
}
