//! The presets, and whether the agents they are for can be found.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use super::finding::Finding;
use crate::{
    cli::presets,
    preset::{Presets, Source},
};

/// The agents there are presets for.
const AGENTS: [&str; 6] = ["claude", "codex", "gemini", "opencode", "qwen", "pi"];

pub(super) fn look() -> Vec<Finding> {
    let presets = presets::load();
    let list = presets.list();
    let mut findings = Vec::new();
    for listed in &list {
        let Some(error) = &listed.error else { continue };
        findings.push(match listed.source {
            Source::Workspace(_) => Finding::warn("presets", error, "nothing, if you do not need it"),
            _ => Finding::warn("presets", error, "correct it, or remove it"),
        });
    }
    if findings.is_empty() {
        findings.push(Finding::ok("presets", format!("{}, all good", list.len())));
    }
    findings.push(agents(&presets));
    findings
}

fn agents(presets: &Presets) -> Finding {
    let (there, missing): (Vec<_>, Vec<_>) =
        AGENTS.iter().map(|agent| (*agent, on_path(agent))).partition(|(_, path)| path.is_some());
    let there: Vec<String> = there
        .iter()
        .map(|(agent, path)| {
            let path = path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            let tested = presets.get(agent).ok().and_then(|preset| preset.tested.clone());
            format!("{path} (tested with {})", tested.as_deref().unwrap_or("no version"))
        })
        .collect();
    let missing: Vec<&str> = missing.iter().map(|(agent, _)| *agent).collect();
    match (there.is_empty(), missing.is_empty()) {
        (true, _) => {
            Finding::warn("agents", "none of them is on PATH", "install one, or spawn any other program")
        }
        (false, true) => Finding::ok("agents", there.join(", ")),
        (false, false) => {
            Finding::ok("agents", format!("{}; not on PATH: {}", there.join(", "), missing.join(", ")))
        }
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let runs = |path: &PathBuf| {
        path.metadata().is_ok_and(|there| there.is_file() && there.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(runs)
}
