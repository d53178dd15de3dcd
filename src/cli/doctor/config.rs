//! The user's configuration, and the limits that hold.

use super::finding::Finding;
use crate::broker::read_config;

pub(super) fn look() -> Finding {
    match read_config() {
        Ok(config) => {
            let limits = serde_json::to_value(config.limits).unwrap_or_default();
            let limits: Vec<String> = limits
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, most)| format!("{name} {most}"))
                .collect();
            Finding::ok("config", format!("limits: {}", limits.join(", ")))
        }
        Err(error) => Finding::fail("config", error, "correct it; the default limits hold meanwhile"),
    }
}
