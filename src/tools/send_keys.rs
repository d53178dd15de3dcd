//! `send_keys`: press keys, for dialogs, menus and interrupts.

use rmcp::{handler::server::wrapper::Parameters, schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Server,
    error::Answer,
    send_message_to::{patience, receipt_answer},
};
use crate::{
    child::owner::{Owner, Writer},
    registry::rights::Act,
    tools::error::ToolError,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendKeys {
    /// The child's id or name.
    to: String,
    /// Keys in order: Enter, Escape, Tab, S-Tab, Space, Backspace, Delete, Up, Down, Left, Right, Home, End, PageUp,
    /// PageDown, F1 to F12, C-c (Ctrl), M-x (Alt), or a single character.
    keys: Vec<String>,
    /// The `hash` of the prompt they answer: refused if by then something else is asked, or nothing. Safer.
    prompt: Option<String>,
}

#[tool_router(router = send_keys_router, vis = "pub(super)")]
impl Server {
    /// Press keys in a child's terminal, one by one: to answer a dialog, move in a menu, interrupt. Look with
    /// read_output first, and again after; give `prompt` when you answer one. For text use send_message_to. Refused while
    /// a person holds the input.
    #[tool(annotations(
        title = "Press keys",
        read_only_hint = false,
        destructive_hint = true,
        open_world_hint = true
    ))]
    async fn send_keys(&self, Parameters(ask): Parameters<SendKeys>) -> Answer {
        let found = self.registry.find(self.caller, &ask.to, Act::Write)?;
        // Keys answer what is on the screen now: held for later they would answer something else.
        if let Owner::Person { who, .. } = found.status().owner
            && self.writer() == Writer::Agent
        {
            let what = format!("{who} holds the input of {}", found.node.id);
            return Err(ToolError::new(
                what,
                "Wait until they give it back; a message would be held for then.",
            ));
        }
        let receipt = self.registry.keys(&found, ask.keys, ask.prompt, self.writer(), patience(None)).await?;
        Ok(receipt_answer(&found, &receipt, self.writer()))
    }
}
