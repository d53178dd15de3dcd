//! `send_message_to`: deliver a message, and tell truly how that went; or tell it of one that was sent before.

use std::time::Duration;

use rmcp::{handler::server::wrapper::Parameters, model::CallToolResult, schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Server,
    answer::{age, is_zero, prompt, record},
    error::{Answer, ToolError},
};
use crate::{
    child::{
        Receipt,
        delivery::{DeliveryId, Mark, Outcome, Reached},
    },
    registry::{Found, messages::When, rights::Act},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendMessageTo {
    /// The child's id or name.
    to: Option<String>,
    /// The text, of up to 256 KiB; several lines are fine. Enter is pressed after it.
    message: Option<String>,
    /// Do not wait for a busy program to become idle: type at once, or interrupt it first, as suits the program.
    now: Option<bool>,
    /// Instead of to and message: tell again how this delivery went (`d7`).
    delivery: Option<String>,
    /// How long to wait to see what becomes of it, in milliseconds (default 5000, at most 50000). It goes its way anyhow.
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<Mark>,
    owner: &'static str,
    owner_since_s: u64,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<Value>,
}

#[tool_router(router = send_message_to_router, vis = "pub(super)")]
impl Server {
    /// Type a message into a child's program, as a person would, and see what becomes of it. Answers a receipt:
    /// `submitted` (the program took it), `typed` (the terminal did, Enter too), `queued` (see reason; ask again with
    /// delivery), `held` (a person has the input), `refused` (nothing was typed) or `unknown`, with evidence. What it
    /// writes from then on is after `offset`. Next: timer_wait.
    #[tool(annotations(
        title = "Message a child",
        read_only_hint = false,
        destructive_hint = false,
        open_world_hint = true
    ))]
    async fn send_message_to(&self, Parameters(ask): Parameters<SendMessageTo>) -> Answer {
        let wait = patience(ask.wait_ms);
        let (to, message) = match (ask.to, ask.message, ask.delivery) {
            (Some(to), Some(message), None) => (to, message),
            (None, None, Some(delivery)) => {
                let Ok(id) = delivery.parse::<DeliveryId>() else {
                    return Err(ToolError::new(
                        format!("{delivery:?} is no delivery"),
                        "A receipt names it: d7.",
                    ));
                };
                let (found, receipt) = self.registry.receipt(self.caller, id, wait).await?;
                return Ok(receipt_answer(&found, &receipt));
            }
            _ => {
                let next = "Give to and message to send one, or delivery alone to ask for its receipt.";
                return Err(ToolError::new("nothing was sent", next));
            }
        };
        let found = self.registry.find(self.caller, &to, Act::Write)?;
        let when = if ask.now == Some(true) { When::Now } else { When::InTurn };
        let receipt = self.registry.message(self.caller, &found, &message, when, wait).await?;
        Ok(receipt_answer(&found, &receipt))
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
pub(super) fn receipt_answer(found: &Found, receipt: &Receipt) -> CallToolResult {
    let status = found.status();
    let (word, reason) = match (&receipt.fate, &receipt.standing) {
        (Some(fate), _) => match &fate.outcome {
            Outcome::Submitted { .. } => ("submitted", None),
            Outcome::Typed { .. } => ("typed", None),
            Outcome::Refused(reason) => ("refused", Some(reason.clone())),
            Outcome::Unknown(reason) => ("unknown", Some(reason.clone())),
        },
        (None, Some(standing)) => {
            let word = match standing.reached {
                Reached::Held => "held",
                Reached::Typed | Reached::TypedAgain => "typed",
                _ => "queued",
            };
            (word, Some(standing.why.clone()))
        }
        (None, None) => ("queued", Some("it is being typed, or will be when its turn comes".into())),
    };
    let standing = receipt.standing.as_ref();
    let from = receipt.fate.as_ref().map_or(standing.and_then(|standing| standing.from), |fate| fate.from());
    let evidence =
        receipt.fate.as_ref().map(|fate| &fate.evidence).or(standing.map(|standing| &standing.marks));
    record(&ReceiptRow {
        delivery: receipt.delivery.to_string(),
        to: found.node.id.to_string(),
        status: word,
        reason,
        offset: from.unwrap_or(receipt.end).0,
        before: standing.map_or(0, |standing| standing.before),
        evidence: evidence.cloned().unwrap_or_default(),
        owner: status.owner.word(),
        owner_since_s: age(status.owner.since()),
        state: status.state.to_string(),
        prompt: prompt(&status),
    })
}
