//! `stop`: end a child with everything it started.

use std::time::Duration;

use rmcp::{handler::server::wrapper::Parameters, schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Server,
    answer::record,
    error::{Answer, ToolError},
};
use crate::{
    id::Exit,
    registry::{Ended, rights::Act},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    /// The child's id or name.
    child: String,
    /// How long it may take to end by itself before it is killed, in milliseconds (default 2000, at most 30000).
    grace_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Stopped {
    child: String,
    name: String,
    exit: Option<Exit>,
    left: Vec<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<Also>,
}

#[derive(Debug, Serialize)]
struct Also {
    child: String,
    exit: Option<Exit>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<i32>,
}

#[tool_router(router = stop_router, vis = "pub(super)")]
impl Server {
    /// End a child, its own children, and every process they started: hang-up and TERM, then KILL after `grace_ms`.
    /// Answers how it ended and what is left (nothing, usually). Its output can still be read.
    #[tool(annotations(
        title = "Stop a child",
        read_only_hint = false,
        destructive_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn stop(&self, Parameters(ask): Parameters<Stop>) -> Answer {
        const DEFAULT: u64 = 2_000;
        // With what killing may take, still below every host's limit on a call.
        const MOST: u64 = 30_000;
        let found = self.registry.find(self.caller, &ask.child, Act::Write)?;
        let grace = Duration::from_millis(ask.grace_ms.unwrap_or(DEFAULT).min(MOST));
        let mut ended = self.registry.stop(found.node.id, grace).await.into_iter();
        let gone = || ToolError::new("it has been forgotten meanwhile", "Nothing is left to stop.");
        let Ended { exit, left, .. } = ended.next().ok_or_else(gone)?;
        let pids = |left: Vec<crate::child::Left>| left.into_iter().map(|left| left.pid).collect();
        let also =
            ended.map(|ended| Also { child: ended.id.to_string(), exit: ended.exit, left: pids(ended.left) });
        Ok(record(&Stopped {
            child: found.node.id.to_string(),
            name: found.node.name,
            exit,
            left: pids(left),
            also: also.collect(),
        }))
    }
}
