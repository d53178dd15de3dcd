//! `report_to_parent`: how a nested agent speaks to the one that spawned it.

use rmcp::{handler::server::wrapper::Parameters, schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Server,
    answer::record,
    error::{Answer, ToolError},
};
use crate::registry::{inbox::ReportStatus, mail::Letter};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportToParent {
    /// How it stands: `progress`, `done`, `blocked` (you need an answer), or `failed`.
    status: ReportStatus,
    /// What your parent needs to know, of up to 64 KiB.
    message: String,
    /// Anything a program shall read, as an object of up to 64 KiB.
    data: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Debug, Serialize)]
struct Reported {
    report: u64,
    to: String,
}

/// More than this is a file, not a report.
pub const MAX_REPORT: usize = 64 * 1024;

#[tool_router(router = report_to_parent_router, vis = "pub(super)")]
impl Server {
    /// Tell the agent that spawned you how your task stands. It ends your parent's timer_wait, is typed to it, or waits in
    /// its inbox.
    /// Report `done` or `failed` once at the end, `blocked` as soon as you need an answer.
    #[tool(annotations(
        title = "Report to your parent",
        read_only_hint = false,
        destructive_hint = false,
        open_world_hint = false
    ))]
    async fn report_to_parent(&self, Parameters(ask): Parameters<ReportToParent>) -> Answer {
        let attached = ask.data.map(serde_json::Value::Object);
        let data = attached.as_ref().map_or(0, |data| data.to_string().len());
        for (what, bytes) in [("message", ask.message.len()), ("data", data)] {
            if bytes > MAX_REPORT {
                let error = format!("the {what} is {bytes} bytes long, and {MAX_REPORT} are the most");
                return Err(ToolError::new(error, "Write it to a file, and report the file's path."));
            }
        }
        if ask.message.trim().is_empty() {
            return Err(ToolError::new("the message is empty", "Say what your parent needs to know."));
        }
        let letter = Letter { status: ask.status, message: ask.message, data: attached, synthetic: false };
        let (report, to) = self.registry.report(self.caller, letter).await?;
        Ok(record(&Reported { report, to: to.to_string() }))
    }
}
