//! Counts what a model is told, with OpenAI's public tokenizer: others count a little differently, but none by much.

use serde_json::{Value, json};
use tiktoken_rs::CoreBPE;

/// The tokenizer, loaded.
pub(crate) struct Ledger(CoreBPE);

impl Ledger {
    pub(crate) fn new() -> Ledger {
        Ledger(tiktoken_rs::o200k_base().unwrap())
    }

    /// Tokens of a text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.0.encode_ordinary(text).len()
    }

    /// Tokens of a list of tools: of each what hosts pass on to their model.
    pub(crate) fn tools(&self, list: &Value) -> usize {
        let tools = list["tools"].as_array().unwrap().iter();
        let shown = |tool: &Value| json!({"name": tool["name"], "description": tool["description"], "input_schema": tool["inputSchema"]});
        tools.map(|tool| self.count(&shown(tool).to_string())).sum()
    }

    /// Tokens of an answer: the structured content where there is some, which then says the same as the text.
    pub(crate) fn answer(&self, result: &Value) -> usize {
        match result.get("structuredContent") {
            Some(structured) => self.count(&structured.to_string()),
            None => result["content"]
                .as_array()
                .unwrap()
                .iter()
                .map(|block| self.count(block["text"].as_str().unwrap_or_default()))
                .sum(),
        }
    }
}
