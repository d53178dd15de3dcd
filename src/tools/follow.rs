//! What `compere top` and `compere record` ask for: a child's screen or its bytes, as soon as it has written more. No
//! tool that hosts are told of.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use rmcp::{ErrorData, model::CustomResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Server,
    answer::MAX_BYTES,
    explain::{answer, left, refused, wish},
};
use crate::{
    child::paint::paint,
    id::{Exit, Offset},
    registry::rights::Act,
};

/// The name it is called by.
pub const FOLLOW: &str = "compere/follow";

/// What is asked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FollowWish {
    /// The child's id or name.
    pub child: String,
    /// What is known of it: wait until it has written more than this, or has ended.
    #[serde(default)]
    pub since: Option<u64>,
    /// How long to wait for that, in milliseconds; at most a minute.
    pub wait_ms: u64,
    /// How many bytes to answer with, from `since` on; none, and the screen is answered instead.
    #[serde(default)]
    pub bytes: usize,
    /// Instead of bytes: what makes a terminal show its screen as it is now.
    #[serde(default)]
    pub painted: bool,
}

/// How it is now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    /// What it has written so far.
    pub end: u64,
    /// Where `data` begins.
    pub from: u64,
    /// Where what follows it begins.
    pub next: u64,
    /// Bytes between `since` and `from` that are not kept any more.
    pub dropped: u64,
    /// The bytes, in base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data: String,
    /// The screen's lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// The terminal's height.
    pub rows: u16,
    /// Its width.
    pub cols: u16,
    /// It has ended.
    pub over: bool,
    /// How, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
}

impl Server {
    /// A child's newest bytes or its screen, once there is more of them than the caller knows.
    pub(super) async fn follow(&self, params: Option<Value>) -> Result<CustomResult, ErrorData> {
        /// A program writes a screen in many pieces: one answer for all of them.
        const TOGETHER: Duration = Duration::from_millis(10);
        const MOST_MS: u64 = 60_000;
        let ask: FollowWish = wish(params)?;
        let child = self.registry.find(self.caller, &ask.child, Act::Read).map_err(refused)?.child;
        let deadline = Instant::now() + Duration::from_millis(ask.wait_ms.min(MOST_MS));
        let (mut written, mut changes) = (child.written(), child.changes());
        while !changes.borrow_and_update().state.ended()
            && written.borrow_and_update().end.0 <= ask.since.unwrap_or(0)
        {
            tokio::select! {
                more = written.changed() => match more {
                    Ok(()) => tokio::time::sleep(TOGETHER).await,
                    Err(_) => break,
                },
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(deadline) => break,
                () = self.gone.cancelled() => return Err(left()),
            }
        }
        // The end first: whoever ends writes before that.
        let status = child.status();
        let mut now = Followed { over: status.state.ended(), exit: status.exit(), ..Followed::default() };
        let shown = child.screen(0, None).await.map_err(refused)?;
        (now.rows, now.cols, now.end) = (shown.size.rows, shown.size.cols, shown.end.0);
        if ask.painted {
            let view = child.view(0).await.map_err(refused)?;
            let screen = if view.wants.alternate { "\x1b[?1049h" } else { "" };
            now.data = STANDARD.encode(screen.to_owned() + &paint(None, &view.sheet));
            (now.rows, now.cols) = (view.sheet.size().rows, view.sheet.size().cols);
            (now.from, now.next, now.end) = (view.end.0, view.end.0, now.end.max(view.end.0));
        } else if ask.bytes == 0 {
            now.lines = shown.lines;
            (now.from, now.next) = (now.end, now.end);
        } else {
            let since = ask.since.map_or(shown.end, |since| Offset(since.min(shown.end.0)));
            let (from, bytes) = child.bytes(since, ask.bytes.min(MAX_BYTES)).await.map_err(refused)?;
            now.from = from.0;
            now.next = from.0 + bytes.len() as u64;
            now.dropped = from.0 - since.0;
            now.data = STANDARD.encode(&bytes);
            now.end = now.end.max(now.next);
        }
        answer(&now)
    }
}
