//! `read_reports`: the caller's inbox.

use rmcp::{handler::server::wrapper::Parameters, schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Server,
    answer::{BYTES, MAX_BYTES, ReportRow, is_zero, record},
    error::Answer,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadReports {
    /// Read those after this report's number, read before or not (the last 100 are kept). Default: the unread ones.
    after: Option<u64>,
    /// How much to answer with, in bytes (default 8192, at most 262144).
    max_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Read {
    reports: Vec<ReportRow>,
    next: u64,
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
}

#[tool_router(router = read_reports_router, vis = "pub(super)")]
impl Server {
    /// Read what your children reported, oldest first. Reading acknowledges, once you call again; `next` is the `after`
    /// that continues.
    #[tool(annotations(
        title = "Read reports",
        read_only_hint = false,
        destructive_hint = false,
        open_world_hint = false
    ))]
    async fn read_reports(&self, Parameters(ask): Parameters<ReadReports>) -> Answer {
        let bytes = ask.max_bytes.map_or(BYTES, |bytes| bytes.clamp(1, MAX_BYTES as u64) as usize);
        let (reports, more) = self.registry.read_reports(self.caller, ask.after, bytes).await;
        self.gave(&reports).await;
        let next =
            reports.last().map_or_else(|| self.registry.last_report(self.caller), |last| last.report.number);
        let reports = reports.iter().map(|report| ReportRow::new(report, bytes)).collect();
        Ok(record(&Read { reports, next, more }))
    }
}
