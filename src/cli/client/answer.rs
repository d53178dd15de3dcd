//! What a tool answered.

use serde_json::Value;

/// A tool's result, as it came.
#[derive(Debug)]
pub(in crate::cli) struct Answer(pub(super) Value);

impl Answer {
    /// All of it.
    pub(in crate::cli) fn whole(&self) -> &Value {
        &self.0
    }

    /// Its text.
    pub(in crate::cli) fn text(&self) -> String {
        let blocks = self.0["content"].as_array().into_iter().flatten();
        blocks.filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Its record; null if it is a text alone.
    pub(in crate::cli) fn record(&self) -> &Value {
        &self.0["structuredContent"]
    }

    /// The same, taken out.
    pub(in crate::cli) fn into_record(mut self) -> Value {
        self.0.get_mut("structuredContent").map(Value::take).unwrap_or_default()
    }

    /// A figure of a text.
    pub(in crate::cli) fn figure(&self, name: &str) -> Option<u64> {
        self.0["_meta"][format!("compere/{name}")].as_u64()
    }

    /// The tool said no.
    pub(in crate::cli) fn is_error(&self) -> bool {
        self.0["isError"] == true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_read_as_the_broker_writes_it() {
        let text = Answer(json!({
            "content": [{"type": "text", "text": "a"}, {"type": "image", "data": ""}, {"type": "text", "text": "b"}],
            "_meta": {"compere/next": 7},
        }));
        assert_eq!((text.text().as_str(), text.figure("next"), text.is_error()), ("a\nb", Some(7), false));
        assert_eq!((text.record(), text.figure("from")), (&Value::Null, None));
        assert_eq!(text.into_record(), Value::Null);
        let record = Answer(json!({"content": [], "structuredContent": {"child": "c1"}, "isError": true}));
        assert!(record.is_error() && record.text().is_empty());
        assert_eq!(record.record()["child"], "c1");
        assert_eq!(record.into_record(), json!({"child": "c1"}));
    }
}
