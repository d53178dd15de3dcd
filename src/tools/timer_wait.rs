//! `timer_wait`: wait for what matters, and return before the host loses patience.

use std::time::Duration;

use regex::{Regex, RegexBuilder};
use rmcp::{
    RoleServer, handler::server::wrapper::Parameters, model::ProgressNotificationParam, schemars,
    service::RequestContext, tool, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Server,
    answer::{ReportRow, prompt, record},
    error::{Answer, ToolError},
};
use crate::{
    fault,
    id::{ChildId, Offset},
    registry::{
        Registry,
        rights::Act,
        timers::{Is, Until, Wait, WaitId, Woke},
    },
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TimerWait {
    /// How long to wait at most, in milliseconds (up to 24 hours). Not needed with wait_id.
    timeout_ms: Option<u64>,
    /// What ends the wait early; the first that holds does. Default: [{"report": true}]. An empty list waits out the time.
    until: Option<Vec<Condition>>,
    /// `typed`: do not wait in this call. It returns at once, and what ends the wait is typed to you as a turn of its own
    /// once you are idle. For agents that run in one of compere's terminals and want to end their turn.
    wake: Option<Wake>,
    /// Go on with a wait that answered `still_waiting`; its time and conditions are as they were.
    wait_id: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Condition {
    /// true: a child reports to you (or has, unread).
    report: Option<bool>,
    /// A child's id or name, with `is` or `matches`.
    child: Option<String>,
    /// `idle` (done with what it was given; a question it asks ends this too), `needs_input`, or `exited`.
    is: Option<Become>,
    /// A regular expression that a line of its output matches, on screen now or written later. What you typed counts
    /// too, where the terminal echoes it.
    matches: Option<String>,
    /// With `matches`: instead look at what was written since this offset, such as a receipt's.
    since: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Wake {
    Typed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Become {
    Idle,
    NeedsInput,
    Exited,
}

#[derive(Debug, Default, Serialize)]
struct Answered {
    woke: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    child: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reports: Vec<ReportRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    more_reports: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_id: Option<String>,
    waited_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'static str>,
}

/// Longer waits are what `wait_id` is for.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
const MAX_CONDITIONS: usize = 64;
/// Hosts that let progress extend their patience want it at least this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(8);

#[tool_router(router = timer_wait_router, vis = "pub(super)")]
impl Server {
    /// Wait, without polling, until the first of: a report, a child idle / needing input / exited, output matching a
    /// pattern, or the time. Answers {woke, child?, reports?, …}. `still_waiting` came back early for your host's sake:
    /// call again with its wait_id at once, and nothing in between is missed.
    #[tool(annotations(title = "Wait", read_only_hint = true, open_world_hint = false))]
    async fn timer_wait(
        &self,
        Parameters(ask): Parameters<TimerWait>,
        context: RequestContext<RoleServer>,
    ) -> Answer {
        let began = Instant::now();
        let wake = ask.wake;
        let (wait, id) = self.begin(ask)?;
        if wake.is_some() {
            let woke = self.registry.wake(self.caller, wait).await?;
            if let Woke::Reports(reports, _) = &woke {
                self.gave(reports).await;
            }
            return Ok(record(&match woke {
                Woke::StillWaiting(WaitId(id)) => Answered {
                    woke: "later",
                    wait_id: Some(format!("w{id}")),
                    next: Some(
                        "End your turn: what ends this wait is typed to you. With wait_id you can wait for it still.",
                    ),
                    ..Answered::default()
                },
                woke => self.answered(woke),
            }));
        }
        let client = context.client_info().map(|client| client.name.clone());
        let waiting = self.registry.wait(self.caller, wait, id, patience(client.as_deref()));
        let woke = tokio::select! {
            biased;
            // Nobody would hear the answer.
            () = context.ct.cancelled() => return Err(cancelled()),
            () = self.gone.cancelled() => return Err(cancelled()),
            woke = waiting => woke?,
            () = tell_progress(&context, began) => return Err(cancelled()),
        };
        if let Woke::Reports(reports, _) = &woke {
            self.gave(reports).await;
        }
        Ok(record(&Answered { waited_ms: began.elapsed().as_millis() as u64, ..self.answered(woke) }))
    }

    fn begin(&self, ask: TimerWait) -> Result<(Wait, Option<WaitId>), ToolError> {
        if let Some(text) = ask.wait_id {
            if ask.wake.is_some() {
                return Err(ToolError::new(
                    "wake begins a wait of its own",
                    "Give wait_id alone, or wake without it.",
                ));
            }
            if ask.until.is_some() {
                let what = "until cannot be changed while a wait goes on";
                return Err(ToolError::new(what, "Give wait_id alone, or start a new wait."));
            }
            let id = text.strip_prefix('w').and_then(|digits| digits.parse().ok()).map(WaitId);
            let wait = id.and_then(|id| self.registry.resume_wait(self.caller, id));
            let gone = || {
                ToolError::new(
                    format!("there is no wait {text}"),
                    "It is over; start a new one with timeout_ms.",
                )
            };
            return Ok((wait.ok_or_else(gone)?, id));
        }
        let timeout = ask.timeout_ms.ok_or_else(|| {
            ToolError::new("neither timeout_ms nor wait_id was given", "Give timeout_ms, such as 600000.")
        })?;
        let until = match ask.until {
            None => vec![Until::Report],
            Some(conditions) if conditions.len() > MAX_CONDITIONS => {
                let what = format!("{} conditions, and {MAX_CONDITIONS} are the most", conditions.len());
                return Err(ToolError::new(
                    what,
                    "Wait for reports: one condition covers all your children.",
                ));
            }
            Some(conditions) => {
                conditions.into_iter().map(|condition| self.until(condition)).collect::<Result<_, _>>()?
            }
        };
        let deadline = Instant::now() + Duration::from_millis(timeout).min(MAX_TIMEOUT);
        Ok((Wait { until, deadline }, None))
    }

    fn until(&self, condition: Condition) -> Result<Until, ToolError> {
        let shape = || {
            let next =
                "Give {\"report\": true}, {\"child\": …, \"is\": …}, or {\"child\": …, \"matches\": …}.";
            ToolError::new("a condition of until says too little or too much", next)
        };
        let (child, is, matches) = match condition {
            Condition { report: Some(true), child: None, is: None, matches: None, since: None } => {
                return Ok(Until::Report);
            }
            Condition { report: None, child: Some(child), is, matches, .. } => (child, is, matches),
            _ => return Err(shape()),
        };
        let found = self.registry.find(self.caller, &child, Act::Read)?;
        match (is, matches, condition.since) {
            (Some(Become::Idle), None, None) if !found.child.can_be_idle() => Err(ToolError::new(
                format!(
                    "nothing shows when {} is idle: no preset describes {}",
                    found.node.id, found.facts.program
                ),
                "Wait for a pattern of its output ({\"child\", \"matches\"}) or for its exit.",
            )),
            (Some(is), None, None) => Ok(Until::State { child: found.child, is: is.into() }),
            (None, Some(pattern), since) => {
                Ok(Until::Match { child: found.child, pattern: regex(&pattern)?, from: since.map(Offset) })
            }
            _ => Err(shape()),
        }
    }

    fn answered(&self, woke: Woke) -> Answered {
        match woke {
            Woke::Timer => Answered { woke: "timer", ..Answered::default() },
            Woke::Reports(reports, more) => Answered {
                woke: "report",
                child: reports.first().map(|given| given.report.from.to_string()),
                reports: reports.iter().map(|given| ReportRow::new(given, Registry::REPORT_BYTES)).collect(),
                more_reports: Some(more).filter(|more| *more > 0),
                ..Answered::default()
            },
            Woke::Idle(child) => self.of("idle", child),
            Woke::NeedsInput(child) => Answered {
                next: Some("send_keys answers it: give the prompt's hash, so that nothing else is answered."),
                ..self.of("needs_input", child)
            },
            Woke::Exited(child) => self.of("exited", child),
            Woke::Match(child, line) => Answered { line: Some(line), ..self.of("match", child) },
            Woke::StillWaiting(WaitId(id)) => Answered {
                woke: "still_waiting",
                wait_id: Some(format!("w{id}")),
                next: Some("Nothing has happened yet: call timer_wait with this wait_id."),
                ..Answered::default()
            },
        }
    }

    fn of(&self, woke: &'static str, child: ChildId) -> Answered {
        let found = self.registry.find(self.caller, &child.to_string(), Act::See).ok();
        let status = found.as_ref().map(|found| found.status());
        Answered {
            woke,
            child: Some(child.to_string()),
            name: found.map(|found| found.node.name),
            state: status.as_ref().map(|status| status.state.to_string()),
            prompt: status.as_ref().and_then(prompt),
            why: status.map(|status| status.why),
            ..Answered::default()
        }
    }
}

impl From<Become> for Is {
    fn from(word: Become) -> Self {
        match word {
            Become::Idle => Is::Idle,
            Become::NeedsInput => Is::NeedsInput,
            Become::Exited => Is::Exited,
        }
    }
}

fn cancelled() -> ToolError {
    ToolError::new("the wait was cancelled", "Nothing else was.")
}

fn regex(pattern: &str) -> Result<Regex, ToolError> {
    // A pattern that compiles to more would cost every child's thread.
    RegexBuilder::new(pattern).size_limit(1 << 20).build().map_err(|error| {
        ToolError::new(
            format!("matches is no regular expression: {error}"),
            "Rust's regex syntax; escape \\ in JSON.",
        )
    })
}

/// How long a call may last with this host. From the hosts' own time limits, with room to answer.
fn patience(client: Option<&str>) -> Duration {
    let client = client.unwrap_or_default().to_ascii_lowercase();
    let seconds = match &*client {
        // Our own command line waits as long as it is told to.
        "compere" => MAX_TIMEOUT.as_secs(),
        // Sends a call to the background after 120 s.
        name if name.contains("claude") => 110,
        // Both end a call after 300 s.
        name if name.contains("codex") || name.contains("qwen") => 280,
        // 600 s.
        name if name.contains("gemini") => 580,
        // opencode and many SDKs: 60 s.
        _ => 50,
    };
    if fault::failure!("wait.patience").is_some() {
        return Duration::ZERO;
    }
    Duration::from_secs(seconds)
}

/// Never ends by itself.
async fn tell_progress(context: &RequestContext<RoleServer>, began: Instant) {
    let Some(token) = context.meta.get_progress_token() else { return std::future::pending().await };
    let mut tick = tokio::time::interval(PROGRESS_EVERY);
    tick.tick().await;
    loop {
        tick.tick().await;
        let waited = began.elapsed().as_secs();
        let progress = ProgressNotificationParam::new(token.clone(), waited as f64)
            .with_message(format!("waiting, {waited} s"));
        // A client that does not read must not end the wait.
        let _ = tokio::time::timeout(Duration::from_secs(1), context.peer.notify_progress(progress)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_host_waits_longer_than_it_bears() {
        for (client, seconds) in [
            (Some("claude-code"), 110),
            (Some("codex-mcp-client"), 280),
            (Some("gemini-cli-mcp-client"), 580),
            (Some("qwen-code-mcp-client-x"), 280),
            (Some("opencode"), 50),
            (Some("mcp"), 50),
            (None, 50),
            (Some("compere"), 86_400),
        ] {
            assert_eq!(patience(client).as_secs(), seconds, "{client:?}");
        }
    }

    #[test]
    fn a_pattern_has_its_bounds() {
        assert!(regex("a(b").is_err());
        assert!(regex("(a{1000}){1000}").is_err());
        assert!(regex("^ready$").is_ok());
    }
}
