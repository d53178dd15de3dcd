//! `spawn`: start a child.

use std::{collections::BTreeMap, path::PathBuf};

use rmcp::{handler::server::wrapper::Parameters, schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Server,
    answer::{ChildRow, record},
    error::Answer,
};
use crate::{
    id::Size,
    registry::{rights::Act, spawn::Wish},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Spawn {
    /// A program compere knows: claude, codex, gemini, opencode, qwen, pi, shell, python, or a preset of the user's.
    preset: Option<String>,
    /// A program and its arguments, run as they are (no shell). With `preset`: runs this under that preset's rules.
    command: Option<Vec<String>>,
    /// What to call it, instead of by its id. Unique among your live children.
    name: Option<String>,
    /// Its working directory; relative to yours, which is the default.
    cwd: Option<String>,
    /// Variables to set in its environment, beside yours.
    env: Option<BTreeMap<String, String>>,
    /// The terminal's height in lines (default 40).
    rows: Option<i64>,
    /// The terminal's width in columns (default 120).
    cols: Option<i64>,
    /// Its first message, delivered when the program is ready for it.
    message: Option<String>,
    /// Instead of preset and command: a child of yours that has ended and whose row has a `session`; goes on with that.
    resume: Option<String>,
}

#[derive(Debug, Serialize)]
struct Spawned {
    #[serde(flatten)]
    row: ChildRow,
    rows: u16,
    cols: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    next: &'static str,
}

#[tool_router(router = spawn_router, vis = "pub(super)")]
impl Server {
    /// Start a program in a terminal of its own, as your child. It outlives your session; stop ends it. A child that is
    /// a coding agent has these tools too, and reports to you. Answers {child: "c1", name, state, pid, …}.
    #[tool(annotations(
        title = "Spawn a child",
        read_only_hint = false,
        destructive_hint = false,
        open_world_hint = true
    ))]
    async fn spawn(&self, Parameters(ask): Parameters<Spawn>) -> Answer {
        let size = size(ask.rows, ask.cols);
        let wish = Wish {
            preset: ask.preset,
            command: ask.command,
            name: ask.name,
            cwd: ask.cwd.map(PathBuf::from),
            env: ask.env.unwrap_or_default(),
            size,
            message: ask.message,
            resume: ask.resume,
        };
        let spawned = self.registry.spawn(self.caller, &self.session, wish).await?;
        let delivery = spawned.message.as_ref().map(|receipt| receipt.delivery.to_string());
        let found = self.registry.find(self.caller, &spawned.child.id().to_string(), Act::See)?;
        let next = if found.facts.preset.is_none() {
            "Nobody has told compere what this program looks like when idle: wait with timer_wait for a pattern or its exit."
        } else {
            "timer_wait until it is idle or reports; then read_output."
        };
        let size = found.child.screen(0, None).await?.size;
        Ok(record(&Spawned { row: ChildRow::new(&found), rows: size.rows, cols: size.cols, delivery, next }))
    }
}

/// Any number is brought within what a terminal can be; a missing one is the default's.
fn size(rows: Option<i64>, cols: Option<i64>) -> Option<Size> {
    let near =
        |given: Option<i64>, default: u16| given.map_or(default, |n| n.clamp(0, u16::MAX.into()) as u16);
    (rows.is_some() || cols.is_some()).then(|| {
        Size { rows: near(rows, Size::DEFAULT.rows), cols: near(cols, Size::DEFAULT.cols) }.clamped()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_brought_within_bounds() {
        for (rows, cols, made) in [
            (None, None, None),
            (Some(24), None, Some((24, 120))),
            (Some(0), Some(0), Some((1, 2))),
            (Some(-5), Some(65_535), Some((1, 1000))),
            (Some(i64::MAX), Some(80), Some((500, 80))),
        ] {
            assert_eq!(size(rows, cols).map(|size| (size.rows, size.cols)), made, "{rows:?} {cols:?}");
        }
    }
}
