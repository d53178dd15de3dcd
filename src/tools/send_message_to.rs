//! `send_message_to`: deliver a message, and tell truly how that went.

use std::time::Duration;

use rmcp::{handler::server::wrapper::Parameters, model::CallToolResult, schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Server,
    answer::{age, is_zero, prompt, record},
    error::Answer,
};
use crate::{
    child::{Receipt, delivery::Outcome, owner::Writer},
    registry::{Found, rights::Act},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendMessageTo {
    /// The child's id or name.
    to: String,
    /// The text, of up to 256 KiB; several lines are fine. Enter is pressed after it.
    message: String,
    /// How long to wait until it is typed, in milliseconds (default 5000, at most 50000). Then it stays queued.
    wait_ms: Option<u64>,
}

/// What is known of something that was to be typed.
#[derive(Debug, Serialize)]
pub(super) struct ReceiptRow {
    delivery: String,
    to: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    offset: u64,
    #[serde(skip_serializing_if = "is_zero")]
    before: usize,
    owner: &'static str,
    owner_since_s: u64,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<Value>,
}

#[tool_router(router = send_message_to_router, vis = "pub(super)")]
impl Server {
    /// Type a message into a child's program, as a person would: paste, then Enter. Answers a receipt: `typed` (the
    /// terminal took it all, Enter too), `queued` (its turn comes), `held` (a person holds the input), `refused`
    /// (nothing was typed; see reason) or `unknown`. What it writes from then on is after `offset`. Next: timer_wait.
    #[tool(annotations(
        title = "Message a child",
        read_only_hint = false,
        destructive_hint = false,
        open_world_hint = true
    ))]
    async fn send_message_to(&self, Parameters(ask): Parameters<SendMessageTo>) -> Answer {
        let found = self.registry.find(self.caller, &ask.to, Act::Write)?;
        let (writer, wait) = (self.writer(), patience(ask.wait_ms));
        let receipt = self.registry.message(&found, &ask.message, writer, wait).await?;
        Ok(receipt_answer(&found, &receipt, self.writer()))
    }
}

/// How long a call that types waits for the typing.
pub(super) fn patience(wait_ms: Option<u64>) -> Duration {
    const DEFAULT: u64 = 5_000;
    // Below every host's limit on a call.
    const MOST: u64 = 50_000;
    Duration::from_millis(wait_ms.unwrap_or(DEFAULT).min(MOST))
}

/// The receipt, as both typing tools answer it.
pub(super) fn receipt_answer(found: &Found, receipt: &Receipt, writer: Writer) -> CallToolResult {
    let status = found.status();
    let mut offset = receipt.end.0;
    let (word, reason) = match &receipt.outcome {
        Some(Outcome::Typed { from }) => {
            offset = from.0;
            ("typed", None)
        }
        Some(Outcome::Refused(reason)) => ("refused", Some(reason.clone())),
        Some(Outcome::Unknown(reason)) => ("unknown", Some(reason.clone())),
        None if !status.owner.admits(writer) => {
            ("held", Some("a person holds the input; it is delivered when they give it back".into()))
        }
        None => ("queued", Some(format!("it is {}; the message is typed when its turn comes", status.state))),
    };
    record(&ReceiptRow {
        delivery: receipt.delivery.to_string(),
        to: found.node.id.to_string(),
        status: word,
        reason,
        offset,
        before: receipt.before,
        owner: status.owner.word(),
        owner_since_s: age(status.owner.since()),
        state: status.state.to_string(),
        prompt: prompt(&status),
    })
}
