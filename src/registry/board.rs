//! The whole company as a person looks at it: each child with its newest report, and a pulse that ticks whenever some of
//! that may have changed. Knows neither who looks nor how it is shown.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

use super::{
    Found, Registry, State,
    inbox::{Report, ReportStatus},
    rights::{self, Act},
    tree::Node,
};
use crate::id::{Caller, ChildId};

/// A child's newest report.
#[derive(Clone, Debug, PartialEq)]
pub struct Latest {
    /// Whose inbox it went into.
    pub to: Caller,
    /// Its number there.
    pub number: u64,
    /// How it stands.
    pub status: ReportStatus,
    /// The beginning of what it says.
    pub message: String,
    /// When it came.
    pub at: SystemTime,
    /// Something was sent to the child since.
    pub answered: bool,
}

impl Latest {
    /// Bytes of a message that are kept here; the inbox has all of it.
    pub const MESSAGE: usize = 1024;

    fn new(to: Caller, report: &Report, answered: bool) -> Self {
        let message = report.message[..report.message.floor_char_boundary(Self::MESSAGE)].to_owned();
        Latest { to, number: report.number, status: report.status, message, at: report.at, answered }
    }
}

/// A child on the board.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Who that is.
    pub found: Found,
    /// Reports in its own inbox that it has not read.
    pub unread: usize,
    /// Its newest report, and whether nobody has read that.
    pub report: Option<(Latest, bool)>,
}

impl Registry {
    /// Everyone whom the caller may read, in the order they were spawned.
    pub fn board(&self, caller: Caller) -> Vec<Seen> {
        let state = self.state();
        let readable = |node: &&Node| rights::may(caller, Act::Read, state.tree.kin(caller, node.id));
        let seen = |node: &Node| {
            let id = node.id;
            let found = state.found(node, state.tree.kin(caller, id))?;
            let report = state.latest.get(&id).map(|latest| {
                let inbox = state.mail.get(&latest.to).map(|mail| &mail.inbox);
                (latest.clone(), inbox.is_some_and(|inbox| !inbox.is_read(latest.number)))
            });
            Some(Seen { unread: found.unread, found, report })
        };
        state.tree.all().filter(readable).filter_map(seen).collect()
    }

    /// To wait until something of a board may have changed, but for mere output.
    pub fn pulse(&self) -> watch::Receiver<u64> {
        self.0.pulse.subscribe()
    }

    /// Something has changed.
    pub(super) fn stir(&self) {
        self.0.pulse.send_modify(|beats| *beats += 1);
    }
}

impl State {
    /// A report was filed. What we say of a child on the way takes nothing back that it said itself.
    pub(super) fn reported(&mut self, to: Caller, report: &Report) {
        if !is_news(report) {
            return;
        }
        self.latest.insert(report.from, Latest::new(to, report, false));
    }

    /// Something was sent to a child: what it asked for may be in it.
    pub(super) fn answered(&mut self, child: ChildId) {
        if let Some(latest) = self.latest.get_mut(&child) {
            latest.answered = true;
        }
    }
}

/// Of what an earlier broker left, each child's newest report. Whether that was answered nobody knows any more, so it
/// is taken for answered once it was heard.
pub(super) fn newest<'a>(
    inboxes: impl Iterator<Item = (Caller, &'a [Report], u64)>,
) -> HashMap<ChildId, Latest> {
    let mut newest: HashMap<ChildId, Latest> = HashMap::new();
    for (to, reports, heard) in inboxes {
        for report in reports.iter().filter(|report| is_news(report)) {
            let older = newest.get(&report.from).is_none_or(|known| known.at <= report.at);
            if older {
                newest.insert(report.from, Latest::new(to, report, report.number <= heard));
            }
        }
    }
    newest
}

fn is_news(report: &Report) -> bool {
    !(report.synthetic && report.status == ReportStatus::Progress)
}

/// Milliseconds after 1970.
pub fn ms(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::id::RootId;

    #[test]
    fn of_what_was_left_the_newest_report_of_each_child_is_known() {
        let report = |number, from, at| Report {
            number,
            from: ChildId(from),
            name: "a".into(),
            meant_for: None,
            status: ReportStatus::Blocked,
            message: format!("{number}{}", "é".repeat(2000)),
            data: None,
            synthetic: false,
            at: UNIX_EPOCH + Duration::from_secs(at),
        };
        let (root, person) = (Caller::Root(RootId(1)), Caller::Person);
        let mine = [report(1, 1, 10), report(2, 2, 20)];
        let mut ours = report(9, 3, 99);
        (ours.synthetic, ours.status) = (true, ReportStatus::Progress);
        let theirs = [report(7, 1, 15), report(8, 3, 5), ours];
        let newest = newest([(root, &mine[..], 2), (person, &theirs[..], 7)].into_iter());
        let of = |id| newest.get(&ChildId(id)).map(|latest| (latest.to, latest.number, latest.answered));
        assert_eq!(of(1), Some((person, 7, true)));
        assert_eq!(of(2), Some((root, 2, true)));
        assert_eq!(of(3), Some((person, 8, false)));
        assert!(newest[&ChildId(1)].message.len() <= Latest::MESSAGE);
    }
}
