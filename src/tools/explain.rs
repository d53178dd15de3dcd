//! Why a child is in its state: a request of its own beside the tools, since models have no use for it and would pay for
//! its description in every conversation.

use rmcp::{
    ErrorData,
    model::{CustomResult, ErrorCode},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Server, error::ToolError};
use crate::registry::rights::Act;

/// The request's method.
pub const EXPLAIN: &str = "compere/explain";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Explain {
    /// The child's id or name.
    child: String,
}

impl Server {
    /// `{child}` → who it is, its state, and all that led there.
    pub(super) async fn explain(&self, params: Option<Value>) -> Result<CustomResult, ErrorData> {
        let ask: Explain = wish(params)?;
        let found = self.registry.find(self.caller, &ask.child, Act::Read).map_err(refused)?;
        let explained = found.child.explain().await.map_err(refused)?;
        let mut answer = json!(explained);
        answer["child"] = json!(found.node.id);
        answer["name"] = json!(found.node.name);
        answer["program"] = json!(found.facts.program);
        answer["preset"] = json!(found.facts.preset);
        Ok(CustomResult(answer))
    }
}

/// What was asked for, in a request beside the tools.
pub(super) fn wish<T: DeserializeOwned>(params: Option<Value>) -> Result<T, ErrorData> {
    serde_json::from_value(params.unwrap_or_default())
        .map_err(|error| ErrorData::invalid_params(error.to_string(), None))
}

/// An answer to it.
pub(super) fn answer(value: &impl Serialize) -> Result<CustomResult, ErrorData> {
    let value = serde_json::to_value(value);
    value.map(CustomResult).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// The caller has gone while it waited.
pub(super) fn left() -> ErrorData {
    ErrorData::internal_error("the connection is gone", None)
}

pub(super) fn refused(error: impl Into<ToolError>) -> ErrorData {
    ErrorData::new(ErrorCode::INVALID_PARAMS, error.into().to_string(), None)
}
