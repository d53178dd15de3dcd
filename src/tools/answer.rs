//! The shapes of answers: small records as structured content with the same as text, long text as text alone, and on
//! every one of them a word about reports that nobody has read.

use std::time::SystemTime;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, MetaObject};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::Server;
use crate::{
    child::Status,
    id::Exit,
    registry::{
        Found,
        inbox::{Given, Report},
    },
};

/// What one answer holds unless more is asked for. Hosts cut or file away longer ones: codex from 10 KB.
pub(super) const BYTES: usize = 8 * 1024;
/// What may be asked for.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// A small record: hosts show a model either the structured content or the text, so both say the same.
pub(super) fn record(value: &impl Serialize) -> CallToolResult {
    CallToolResult::structured(
        serde_json::to_value(value).unwrap_or_else(|error| json!({"error": error.to_string()})),
    )
}

/// A long text, whose figures stand in its first line and in `_meta`.
pub(super) fn text(text: String, figures: JsonObject) -> CallToolResult {
    let figures = figures.into_iter().map(|(name, value)| (format!("compere/{name}"), value)).collect();
    CallToolResult::success(vec![ContentBlock::text(text)]).with_meta(Some(MetaObject(figures)))
}

/// Adds what an earlier host of this workspace left, once.
pub(super) fn with_greeting(server: &Server, mut result: CallToolResult) -> CallToolResult {
    if let Some(greeting) = server.registry.greeting(server.caller) {
        add(&mut result, "inherited", &json!(greeting), || format!("[{greeting}]"));
    }
    result
}

/// Adds what waits in the caller's inbox, unless the call itself was about that.
pub(super) fn with_unread(server: &Server, tool: &str, mut result: CallToolResult) -> CallToolResult {
    const NEWEST: usize = 3;
    if tool == "read_reports" {
        return result;
    }
    let (unread, newest) = server.registry.unread(server.caller, NEWEST);
    if unread == 0 {
        return result;
    }
    let lines: Vec<String> = newest.iter().map(first_line).collect();
    add(&mut result, "unread_reports", &json!({"count": unread, "newest": lines}), || {
        format!("[{unread} unread reports; read_reports has them]\n  {}", lines.join("\n  "))
    });
    result
}

/// Adds a field to a record, which its text repeats, or else a note to a text.
fn add(result: &mut CallToolResult, field: &str, value: &Value, note: impl FnOnce() -> String) {
    if let Some(Value::Object(record)) = &mut result.structured_content {
        record.insert(field.into(), value.clone());
        let same = Value::Object(record.clone()).to_string();
        if result.content.len() == 1 {
            result.content = vec![ContentBlock::text(same)];
        }
    } else {
        result.content.push(ContentBlock::text(note()));
    }
}

fn first_line(report: &Report) -> String {
    let line = report.message.lines().next().unwrap_or_default();
    format!("{} ({}) {}: {}", report.from, report.name, report.status.word(), cut(line, 120))
}

/// The text, or its beginning and a sign that there is more.
pub(super) fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes)])
}

/// All text of an answer.
pub(super) fn text_of(result: &CallToolResult) -> String {
    let texts = result.content.iter().filter_map(|block| block.as_text().map(|text| text.text.as_str()));
    texts.collect::<Vec<_>>().join("\n")
}

/// Whole seconds since then.
pub(super) fn age(then: SystemTime) -> u64 {
    then.elapsed().map_or(0, |age| age.as_secs())
}

/// A report as answers write it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ReportRow {
    report: u64,
    from: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    meant_for: Option<String>,
    status: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    age_s: u64,
    /// compere says this of the child, not the child itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    synthetic: bool,
    /// It was given before, in an answer that may not have arrived, or typed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    again: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<String>,
}

impl ReportRow {
    /// All of it, or as much as `bytes` allow.
    pub(super) fn new(given: &Given, bytes: usize) -> Self {
        let report = &given.report;
        let long = report.bytes() > bytes;
        let cut_note = format!(
            "{} bytes in all: read_reports {{\"after\": {}, \"max_bytes\": {}}}",
            report.bytes(),
            report.number - 1,
            report.bytes().next_power_of_two().clamp(BYTES, MAX_BYTES),
        );
        ReportRow {
            report: report.number,
            from: report.from.to_string(),
            name: report.name.clone(),
            meant_for: report.meant_for.map(|parent| parent.to_string()),
            status: report.status.word(),
            message: if long { cut(&report.message, bytes) } else { report.message.clone() },
            data: report.data.clone().filter(|_| !long),
            age_s: age(report.at),
            synthetic: report.synthetic,
            again: given.again,
            cut: long.then_some(cut_note),
        }
    }
}

/// A child as every answer shows it.
#[derive(Debug, Serialize)]
pub(super) struct ChildRow {
    pub(super) child: String,
    pub(super) name: String,
    pub(super) state: String,
    why: String,
    since_s: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<Value>,
    owner: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_who: Option<String>,
    owner_since_s: u64,
    parent: String,
    held: usize,
    queued: usize,
    /// Reports that it has not read.
    #[serde(skip_serializing_if = "is_zero")]
    unread: usize,
    /// What it has to be told, and what it owes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pending: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<Exit>,
    program: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    preset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// The screen was put together from part of what was written: a broker was replaced.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
    /// How long its tree's host has been gone, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    hostless_s: Option<u64>,
    cwd: String,
    /// The id of the program's own session.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    pid: i32,
    offset: u64,
    age_s: u64,
    #[serde(skip_serializing_if = "is_zero")]
    emulator_resets: u64,
}

/// Left out of an answer.
pub(super) fn is_zero<T: Default + PartialEq>(count: &T) -> bool {
    *count == T::default()
}

impl ChildRow {
    pub(super) fn new(found: &Found) -> Self {
        let status = found.status();
        ChildRow {
            child: found.node.id.to_string(),
            name: found.node.name.clone(),
            state: status.state.to_string(),
            why: status.why.clone(),
            since_s: age(status.since),
            prompt: prompt(&status),
            owner: status.owner.word(),
            owner_who: owner_who(&status),
            owner_since_s: age(status.owner.since()),
            parent: found.node.parent.to_string(),
            held: status.held,
            queued: status.queued,
            unread: found.unread,
            pending: found.pending.clone(),
            exit: status.exit(),
            program: found.facts.program.clone(),
            preset: found.facts.preset.clone(),
            title: status.title.as_deref().map(|title| cut(title, 80)),
            stale: status.stale,
            hostless_s: found.hostless.map(|gone| gone.as_secs()),
            cwd: found.facts.cwd.display().to_string(),
            session: found.facts.session.clone(),
            pid: found.child.pid(),
            offset: found.child.end().0,
            age_s: age(found.facts.spawned),
            emulator_resets: status.emulator_resets,
        }
    }
}

/// What a child asks, as every answer shows it: its text, its choices, and the hash that send_keys takes.
pub(super) fn prompt(status: &Status) -> Option<Value> {
    status.prompt.as_ref().map(|prompt| json!(prompt))
}

fn owner_who(status: &Status) -> Option<String> {
    match &status.owner {
        crate::child::owner::Owner::Person { who, .. } => Some(who.clone()),
        crate::child::owner::Owner::Orchestrator { .. } => None,
    }
}
