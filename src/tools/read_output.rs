//! `read_output`: a child's screen, or what it wrote.

use rmcp::{handler::server::wrapper::Parameters, model::CallToolResult, schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Server,
    answer::{BYTES, MAX_BYTES, prompt, text},
    error::{Answer, ToolError},
};
use crate::{
    child::{Shown, Streamed},
    id::Offset,
    registry::{Found, rights::Act},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadOutput {
    /// The child's id or name.
    child: String,
    /// `screen`: what a person would see now (default). `stream`: what was written since an offset.
    mode: Option<Mode>,
    /// stream: the offset to read from, such as the last answer's `next` or a receipt's `offset`; negative counts back
    /// from the end. Default: the oldest that is kept (the newest 1 MiB is).
    since: Option<i64>,
    /// How much to answer with, in bytes (default 8192, at most 262144).
    max_bytes: Option<u64>,
    /// screen: that many lines of scrollback above it (at most 1000).
    lines: Option<u64>,
    /// stream: as it came, escape sequences and all, instead of plain text.
    raw: Option<bool>,
    /// screen: the `version` you have seen; if nothing changed, the answer says so and no more.
    since_screen: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Screen,
    Stream,
}

#[tool_router(router = read_output_router, vis = "pub(super)")]
impl Server {
    /// Read a child: its screen as text, or the stream of what it wrote since an offset (nothing is consumed; pass
    /// `next` on to read on). The first line has the figures. Full-screen programs are read by screen.
    #[tool(annotations(title = "Read a child", read_only_hint = true, open_world_hint = false))]
    async fn read_output(&self, Parameters(ask): Parameters<ReadOutput>) -> Answer {
        let found = self.registry.find(self.caller, &ask.child, Act::Read)?;
        let bytes = ask.max_bytes.map_or(BYTES, |bytes| bytes.clamp(1, MAX_BYTES as u64) as usize);
        match ask.mode.unwrap_or(Mode::Screen) {
            Mode::Screen => {
                if ask.since.is_some() || ask.raw.is_some() {
                    let what = "since and raw are for mode stream";
                    return Err(ToolError::new(what, "Add \"mode\": \"stream\", or leave them out."));
                }
                let history = ask.lines.unwrap_or(0).min(1000) as usize;
                let shown = found.child.screen(history, ask.since_screen).await?;
                Ok(screen(&found, &shown, bytes))
            }
            Mode::Stream => {
                if ask.lines.is_some() || ask.since_screen.is_some() {
                    let what = "lines and since_screen are for mode screen";
                    return Err(ToolError::new(what, "Leave them out, or read the screen."));
                }
                let from = since(ask.since.unwrap_or(0), found.child.end());
                let streamed = found.child.stream(from, bytes, ask.raw.unwrap_or(false)).await?;
                Ok(stream(&found, &streamed, ask.since))
            }
        }
    }
}

fn since(since: i64, end: Offset) -> Offset {
    if since < 0 { Offset(end.0.saturating_sub(since.unsigned_abs())) } else { Offset(since as u64) }
}

fn screen(found: &Found, shown: &Shown, bytes: usize) -> CallToolResult {
    let status = found.status();
    let alternate = if shown.alternate { " · alternate screen" } else { "" };
    let history = if shown.history > 0 {
        format!(" · {} lines of scrollback above", shown.history)
    } else {
        String::new()
    };
    let asks = status.prompt.as_ref().map(|prompt| format!(" · prompt {}", prompt.hash)).unwrap_or_default();
    let mut head = format!(
        "[{} {} · screen {}x{} · cursor {},{}{alternate}{history} · {}: {}{asks} · owner {} · version {} · offset {}]",
        found.node.id,
        found.node.name,
        shown.size.rows,
        shown.size.cols,
        shown.cursor.row + 1,
        shown.cursor.col + 1,
        status.state,
        status.why,
        status.owner.word(),
        shown.version,
        shown.end,
    );
    let mut body = shown.lines.join("\n");
    if shown.unchanged {
        body = "(unchanged)".into();
    } else if body.is_empty() {
        body = "(the screen is blank)".into();
    } else if body.len() > bytes {
        // The newest is at the bottom.
        let at = body.len() - bytes;
        let at =
            body[at..].find('\n').map_or_else(|| body.ceil_char_boundary(at), |newline| at + newline + 1);
        head += &format!("\n[the first {at} bytes are cut; max_bytes up to {MAX_BYTES} shows more]");
        body = body[at..].to_owned();
    }
    let figures = json!({
        "version": shown.version,
        "offset": shown.end,
        "rows": shown.size.rows,
        "cols": shown.size.cols,
        "cursor": {"row": shown.cursor.row, "col": shown.cursor.col, "visible": shown.cursor.visible},
        "alternate": shown.alternate,
        "history": shown.history,
        "unchanged": shown.unchanged,
        "state": status.state.word(),
        "owner": status.owner.word(),
        "title": status.title,
        "prompt": prompt(&status),
    });
    text(format!("{head}\n{body}"), object(figures))
}

fn stream(found: &Found, streamed: &Streamed, asked: Option<i64>) -> CallToolResult {
    let status = found.status();
    let Streamed { from, next, end, dropped, .. } = streamed;
    let mut head = format!(
        "[{} {} · stream {from} to {next} of {end} · {}]",
        found.node.id, found.node.name, status.state
    );
    if *dropped > 0 {
        head += &format!("\n[{dropped} bytes before this were dropped: only the newest 1 MiB is kept]");
    }
    if asked.is_some_and(|asked| asked > 0 && asked as u64 > end.0) {
        head += &format!("\n[since is beyond the end: {end} bytes were written so far]");
    }
    if next < end {
        head += &format!("\n[{} bytes more: since {next}]", *end - *next);
    }
    if streamed.redraws {
        head += "\n[this program redraws its screen: mode screen tells more]";
    }
    let figures = json!({"from": from, "next": next, "end": end, "dropped": dropped, "state": status.state.word(), "prompt": prompt(&status)});
    text(format!("{head}\n{}", streamed.text), object(figures))
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => serde_json::Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_may_count_back_from_the_end_and_never_wraps() {
        for (asked, end, from) in [
            (0, 10, 0),
            (4, 10, 4),
            (-4, 10, 6),
            (-40, 10, 0),
            (i64::MIN, 10, 0),
            (i64::MAX, 10, i64::MAX as u64),
        ] {
            assert_eq!(since(asked, Offset(end)), Offset(from), "{asked}");
        }
    }
}
