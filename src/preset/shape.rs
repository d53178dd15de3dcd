//! The form of a preset file. Its docs are the schema's descriptions, so they speak to whoever writes a preset; what
//! serde cannot refuse, `check` does.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::again::{OnExit, Session};
use crate::{
    child::rules::{Rules, Typing},
    id::Size,
};

/// How compere starts, reads and types into one program.
///
/// Strings in `command`, `env`, `first_message`, `session` and `mcp` may hold placeholders: `${compere}` (the path of compere's
/// program), `${identity}` and `${socket}` (the child's identity and where it connects), `${dir}` (the child's private
/// directory, where `mcp.files` are written), `${shell}` ($SHELL, or /bin/sh); in `first_message` only, `${message}`; in
/// `session` only, `${session}`.
/// `${compere:quoted}` and the like give the value as a JSON string with its quotes. `$${` stands for `${`.
/// `${identity}` is a secret: it is refused in arguments, which every user of the machine can see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Where this schema is, for editors. compere does not look at it.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// What it is called: the file's name without `.json`. Lower-case letters, digits, `-`, `_` and `.`.
    #[schemars(regex(pattern = r"^[a-z0-9][a-z0-9._-]{0,63}$"))]
    pub name: String,
    /// What it runs, in one line.
    #[schemars(length(min = 1, max = 300))]
    pub about: String,
    /// The version of the program that this preset was tried with. Absent: it was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<String>,
    /// The programs, by file name, that get this preset when a child is started by command and without a preset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    /// `programs` mean it only where no operand and no `-c` follows: `bash -l` is a shell at its prompt, `bash build.sh` is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_interactive: bool,
    /// The program and its arguments, when the caller gives no command of its own.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// Environment variables to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Environment variables to remove, beside those removed always: `NAME`, or `PREFIX*` for all that begin so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<String>,
    /// How a first message is given on the command line. Absent: it is typed, once the program is at its prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_message: Option<FirstMessage>,
    /// How the program is given compere's MCP server, for this launch only. Absent: it cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<Mcp>,
    /// How the program's own session is named, and gone on with. Absent: it cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// Whether it is started again when it has exited. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_exit: Option<OnExit>,
    /// How reports reach the program when it is a parent and does not wait for them.
    #[serde(default, skip_serializing_if = "Reports::is_inbox")]
    pub reports: Reports,
    /// How the program shows what it is doing.
    #[serde(default)]
    pub state: Rules,
    /// How the program wants its text.
    #[serde(default)]
    pub typing: Typing,
    /// The keys that stop what the program is doing and keep it running: `["Escape"]`. Empty: there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interrupt: Vec<String>,
    /// The keys that end the program from an idle prompt: `["C-d"]`. Empty: there are none, and it is ended by signals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quit: Vec<String>,
    /// The terminal's size, when the caller names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Dimensions>,
}

/// A first message on the command line.
///
/// Used when the caller gives no arguments of its own, and for a message of at most 100 KiB that does not start with
/// `-`; else the message is typed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstMessage {
    /// The arguments that carry it: `["${message}"]`, or a flag before that.
    #[schemars(length(min = 1))]
    pub args: Vec<String>,
    /// Where they go. `first` for a program with a flag that would swallow a prompt behind it.
    pub place: Place,
}

/// Where arguments go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Directly after the program.
    First,
    /// After all other arguments, but before a `--`.
    #[default]
    Last,
}

/// How a program is given compere's MCP server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mcp {
    /// More arguments. One that is not a string is written as JSON. No `${identity}` here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Value>,
    /// Where they go.
    pub place: Place,
    /// More environment variables. A value that is not a string is written as JSON.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Value>,
    /// Files for the child's private directory, by plain name, as the JSON they hold.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Value>,
}

/// How a report reaches a program whose child made it, and that does not wait for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reports {
    /// It waits in the program's inbox, and each answer of a tool says that it is there.
    #[default]
    Inbox,
    /// Once the program is idle, it is typed into its terminal as a turn of its own, with who speaks: for programs that
    /// end their turn and would not look again. `state` must be able to show that it is idle.
    Typed,
}

impl Reports {
    fn is_inbox(&self) -> bool {
        *self == Reports::Inbox
    }
}

/// A terminal's size in character cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dimensions {
    /// Lines.
    #[schemars(range(min = 1, max = 500))]
    pub rows: u16,
    /// Columns.
    #[schemars(range(min = 2, max = 1000))]
    pub cols: u16,
}

impl From<Dimensions> for Size {
    fn from(dimensions: Dimensions) -> Size {
        Size { rows: dimensions.rows, cols: dimensions.cols }
    }
}

/// The JSON schema of a preset file, as it is kept in `presets/schema.json`.
pub fn schema() -> Value {
    schemars::schema_for!(Preset).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_repository_is_the_one_of_this_code() {
        let kept = include_str!("../../presets/schema.json");
        let now = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        assert!(
            kept == now,
            "presets/schema.json is stale; run: compere presets --schema > presets/schema.json"
        );
    }

    #[test]
    fn an_unknown_field_is_refused_by_its_name() {
        for (text, field) in [
            (r#"{"name":"a","about":"b","command":["c"],"colour":1}"#, "colour"),
            (r#"{"name":"a","about":"b","command":["c"],"mcp":{"arg":[]}}"#, "arg"),
            (r#"{"name":"a","about":"b","command":["c"],"state":{"silence":true}}"#, "silence"),
            (r#"{"name":"a","about":"b","command":["c"],"size":{"rows":1,"cols":2,"depth":3}}"#, "depth"),
        ] {
            let error = serde_json::from_str::<Preset>(text).unwrap_err().to_string();
            assert!(error.contains(&format!("unknown field `{field}`")), "{error}");
        }
    }
}
