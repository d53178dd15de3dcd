//! Why a child is in its state: a request of its own beside the tools, since models have no use for it and would pay for
//! its description in every conversation.

use rmcp::{
    ErrorData,
    model::{CustomResult, ErrorCode},
};
use serde::Deserialize;
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
        let ask: Explain = serde_json::from_value(params.unwrap_or_default())
            .map_err(|error| ErrorData::invalid_params(error.to_string(), None))?;
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

fn refused(error: impl Into<ToolError>) -> ErrorData {
    ErrorData::new(ErrorCode::INVALID_PARAMS, error.into().to_string(), None)
}
