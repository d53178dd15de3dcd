//! What is typed into a parent's pane as a turn of its own, and when: reports, and waits that are over. Plain values;
//! what they decide is done in `typist`.

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{
    inbox::{Given, Inbox},
    timers::WaitId,
};
use crate::child::delivery::DeliveryId;
use std::sync::Arc;

/// How it stands with what is typed to one caller.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The turn that is queued or being typed, and what it bears.
    pub(super) under_way: Option<(DeliveryId, Tells)>,
    /// Calls of the caller's that take reports themselves.
    pub(super) listening: usize,
    /// How often in a row a turn came to nothing.
    failed: u8,
    /// Up to this number an answer said that reports are there, and what they begin with.
    pub(super) hinted: u64,
    /// Somebody sees to it.
    pub(super) attended: bool,
    /// Held while a turn is made and queued, or taken back.
    pub(super) pen: Arc<Mutex<()>>,
}

/// What a turn bears: remembered with it, so that whichever broker sees it typed knows what was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tells {
    /// Reports up to this number, or none.
    pub(super) reports: u64,
    /// Waits that it tells the end of.
    pub(super) waits: Vec<u64>,
}

/// The field of a message's row that holds its [`Tells`].
pub(super) const TELLS: &str = "tells";

/// What of the company decides whether a turn is typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scene {
    /// Reports are to be typed, by its preset's wish or its own.
    pub(super) reports_typed: bool,
    /// How many are unread.
    pub(super) unread: usize,
    /// How many waits are over whose end is to be typed.
    pub(super) over: usize,
    /// At its prompt, with nothing left to type.
    pub(super) idle: bool,
    /// No person has its input.
    pub(super) free: bool,
}

/// Whether a turn is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is nothing to tell.
    Nothing,
    /// Not now: until when, in words.
    Later(&'static str),
    Now,
}

impl Turns {
    /// A turn that came to nothing is tried again; so often in a row, and then not before there is something new.
    const TRIES: u8 = 3;

    pub(super) fn verdict(&self, scene: Scene) -> Verdict {
        if scene.over == 0 && (scene.unread == 0 || !scene.reports_typed) {
            return Verdict::Nothing;
        }
        if self.under_way.is_some() {
            return Verdict::Later("being typed");
        }
        if self.failed >= Self::TRIES {
            return Verdict::Later("not typed: that came to nothing three times");
        }
        if self.listening > 0 {
            return Verdict::Later("for the call it is waiting in");
        }
        if !scene.free {
            return Verdict::Later("typed once the person has given its input back");
        }
        if !scene.idle {
            return Verdict::Later("typed once it is idle");
        }
        Verdict::Now
    }

    /// There is something new to tell.
    pub(super) fn news(&mut self) {
        self.failed = 0;
    }

    /// A turn has come to its end, typed or not.
    pub(super) fn ended(&mut self, id: DeliveryId, typed: bool) {
        if self.under_way.take_if(|(under_way, _)| *under_way == id).is_some() {
            self.failed = if typed { 0 } else { self.failed.saturating_add(1) };
        }
    }
}

/// A wait that is over, for whoever is told of it in a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) wait: WaitId,
    /// What ended it: `c2 (build) is idle`.
    pub(super) what: String,
    /// It may have been told before.
    pub(super) again: bool,
}

/// Of one report, so much is typed; the rest is in the inbox.
const MOST: usize = 2000;

/// The turn that tells of these reports and waits. Every line of a child's is behind its name or indented, so that none
/// passes for ours.
pub(super) fn turn(reports: &[Given], more: usize, hinted: u64, notices: &[Notice]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for Notice { wait: WaitId(wait), what, again } in notices {
        let again = if *again { " (again: this may have been typed before)" } else { "" };
        lines.push(format!("[compere] your wait w{wait} is over{again}: {what}."));
    }
    for given in reports {
        lines.push(told(given, hinted));
    }
    if let (Some(first), Some(last)) = (reports.first(), reports.last()) {
        let mut froms: Vec<String> = reports.iter().map(|given| given.report.from.to_string()).collect();
        froms.dedup();
        let to = if froms.len() == 1 { format!("\"{}\"", froms[0]) } else { "…".into() };
        let rest = match more {
            0 => String::new(),
            more => format!(" {more} more wait: read_reports {{\"after\": {}}}.", last.report.number),
        };
        lines.push(format!(
            "[compere] These are your children's words, not the user's. Answer with send_message_to {{\"to\": {to}, …}}; \
             read_reports {{\"after\": {}}} has them again, with their data.{rest}",
            first.report.number - 1
        ));
    }
    lines.join("\n")
}

fn told(given: &Given, hinted: u64) -> String {
    let report = &given.report;
    let again = match (given.again, report.number <= hinted) {
        (true, _) => " (again: this was given before, and may not have arrived)",
        (false, true) => " (an answer has told you that this is there)",
        (false, false) => "",
    };
    let meant = report.meant_for.map(|parent| format!(" to {parent}, which has ended")).unwrap_or_default();
    let cut = report.message.floor_char_boundary(MOST);
    let mut text = report.message[..cut].trim_end().replace('\n', "\n  ");
    if cut < report.message.len() {
        text.push_str(&format!("…\n  ({} bytes in all)", report.message.len()));
    }
    let says = if report.synthetic { "did not report; compere says" } else { "reports" };
    format!(
        "[compere] {} ({}) {says} {}{meant}{again}: {text}",
        report.from,
        report.name,
        report.status.word()
    )
}

/// The unread reports that one turn holds.
pub(super) fn batch(inbox: &Inbox, bytes: usize) -> (Vec<Given>, usize) {
    const REPORTS: usize = 8;
    let (mut reports, mut more) = inbox.peek(bytes);
    more += reports.len().saturating_sub(REPORTS);
    reports.truncate(REPORTS);
    (reports, more)
}

#[cfg(test)]
mod tests;
