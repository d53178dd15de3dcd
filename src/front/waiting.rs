//! A request that waits for its answer, and the answer it gets when its broker has gone. A plain value.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::tools;

/// A request's id as a value, since the same string can be written in several ways.
pub(super) type Id = Value;

/// A request of the host's that has no answer yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: Id,
    pub(super) for_what: Request,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The next broker is told of it anyway, and answers.
    Initialize,
    Call {
        tool: String,
        wait_id: Option<String>,
        /// Results of the stateless revisions say that they are one.
        stateless: bool,
    },
    Other,
}

#[derive(Default, Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Arguments {
    wait_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<String>,
}

impl Waiting {
    /// An answer in words. A model sees a tool's result; an error of the protocol it may never see.
    pub(super) fn answer(&self, text: String) -> String {
        let mut answer = json!({"jsonrpc": "2.0", "id": self.id});
        match &self.for_what {
            Request::Call { stateless, .. } => {
                let mut result = json!({"content": [{"type": "text", "text": text}], "isError": true});
                if *stateless {
                    result["resultType"] = "complete".into();
                }
                answer["result"] = result;
            }
            Request::Initialize | Request::Other => {
                // Of the codes that JSON-RPC leaves to servers.
                answer["error"] = json!({"code": -32000, "message": text});
            }
        }
        line(&answer)
    }
}

impl Request {
    /// A call of a tool, with these parameters.
    pub(super) fn call(params: Option<&RawValue>) -> Self {
        let call: Call<'_> = parse(params);
        Request::Call {
            tool: call.name.into_owned(),
            wait_id: parse::<Arguments>(call.arguments).wait_id,
            stateless: parse::<Meta>(call.meta).version.is_some(),
        }
    }

    /// What to say when its broker has gone.
    pub(super) fn lost(&self) -> String {
        if !matches!(self, Request::Call { .. }) {
            return "the broker was replaced while this request ran; send it again".into();
        }
        let next = self.next();
        format!("The broker was replaced while this call ran; the children are not touched by that. {next}")
    }

    /// What whoever waits for its answer does when none is to come.
    pub(super) fn next(&self) -> String {
        let Request::Call { tool, wait_id, .. } = self else { return "Send it again.".into() };
        match (&**tool, wait_id) {
            ("timer_wait", Some(id)) => format!("Call timer_wait again with wait_id {id}."),
            (tool, _) if only_reads(tool) => format!("Nothing is lost: call {tool} again."),
            ("read_reports", _) => "Call read_reports again, with the same after.".into(),
            ("report_to_parent", _) => "Your report may or may not have arrived: send it again, and say in it that it \
                 may be the second time."
                .into(),
            ("send_message_to" | "send_keys", _) => "It may or may not have been typed: look with read_output before \
                 you repeat it."
                .into(),
            ("spawn" | "stop", _) => "It may or may not have been done: look with list_children before you repeat it."
                .into(),
            _ => "It may or may not have been done: look with list_children and read_output before you repeat it."
                .into(),
        }
    }
}

/// Whether a tool says of itself that it changes nothing.
fn only_reads(name: &str) -> bool {
    let tools = tools::list();
    let hints = tools.iter().find(|tool| tool.name == name).and_then(|tool| tool.annotations.as_ref());
    hints.and_then(|hints| hints.read_only_hint) == Some(true)
}

/// What can be understood of it.
pub(super) fn parse<'a, T: Default + Deserialize<'a>>(part: Option<&'a RawValue>) -> T {
    part.and_then(|part| serde_json::from_str(part.get()).ok()).unwrap_or_default()
}

pub(super) fn line(message: &Value) -> String {
    format!("{message}\n")
}
