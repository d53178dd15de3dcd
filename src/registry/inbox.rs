//! One caller's reports, in order, until they were read and for a while after. A plain value.

use std::{collections::VecDeque, time::SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{Caller, ChildId};

/// How it stands with a child's task, in the child's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    /// Still at it.
    Progress,
    /// Finished.
    Done,
    /// Cannot go on without an answer.
    Blocked,
    /// Gave up.
    Failed,
}

impl ReportStatus {
    /// As answers write it.
    pub fn word(self) -> &'static str {
        match self {
            ReportStatus::Progress => "progress",
            ReportStatus::Done => "done",
            ReportStatus::Blocked => "blocked",
            ReportStatus::Failed => "failed",
        }
    }
}

/// One report.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Its number in this inbox, from 1, without gaps.
    pub number: u64,
    /// Who reported.
    pub from: ChildId,
    /// The reporter's name.
    pub name: String,
    /// Whose report it was meant to be, when that parent has ended and an ancestor got it instead.
    pub meant_for: Option<Caller>,
    /// How it stands.
    pub status: ReportStatus,
    /// In the child's words.
    pub message: String,
    /// Whatever it attached.
    pub data: Option<serde_json::Value>,
    /// When it came.
    pub at: SystemTime,
}

impl Report {
    /// Bytes of its text and data.
    pub fn bytes(&self) -> usize {
        self.message.len() + self.data.as_ref().map_or(0, |data| data.to_string().len())
    }
}

/// An inbox has no room: nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{unread} reports are waiting unread")]
pub struct Full {
    /// How many wait.
    pub unread: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Inbox {
    reports: VecDeque<Report>,
    read: u64,
    last: u64,
}

impl Inbox {
    /// Unread reports that may wait; the next one is refused, and its sender is told.
    pub const MAX_UNREAD: usize = 1000;
    /// Unread bytes that may wait.
    pub const MAX_BYTES: usize = 8 << 20;
    /// Reports kept after they were read, so that a lost answer can be asked for again.
    pub const KEEP_READ: usize = 100;

    /// Stores a report under the next number, which is the answer.
    pub fn push(&mut self, mut report: Report) -> Result<u64, Full> {
        let unread = self.unread();
        let bytes: usize = self.waiting().map(Report::bytes).sum();
        if unread >= Self::MAX_UNREAD || bytes + report.bytes() > Self::MAX_BYTES {
            return Err(Full { unread });
        }
        self.last += 1;
        report.number = self.last;
        self.reports.push_back(report);
        Ok(self.last)
    }

    /// How many nobody has read.
    pub fn unread(&self) -> usize {
        (self.last - self.read) as usize
    }

    /// The unread ones, oldest first.
    pub fn waiting(&self) -> impl DoubleEndedIterator<Item = &Report> {
        self.reports.iter().filter(|report| report.number > self.read)
    }

    /// Reads on: those after `after`, or else the unread ones, oldest first, up to `bytes` but at least one.
    /// Reading acknowledges. Answers also how many more there are.
    pub fn read(&mut self, after: Option<u64>, bytes: usize) -> (Vec<Report>, usize) {
        let after = after.unwrap_or(self.read);
        let mut room = bytes;
        let mut more = 0;
        let mut read = Vec::new();
        for report in self.reports.iter().filter(|report| report.number > after) {
            if more > 0 || (!read.is_empty() && report.bytes() > room) {
                more += 1;
                continue;
            }
            room = room.saturating_sub(report.bytes());
            read.push(report.clone());
        }
        if let Some(last) = read.last() {
            self.read = self.read.max(last.number);
        }
        let kept = self.unread() + Self::KEEP_READ;
        while self.reports.len() > kept {
            self.reports.pop_front();
        }
        (read, more)
    }

    /// The number of the newest report, or 0.
    pub fn last(&self) -> u64 {
        self.last
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;

    fn report(message: &str) -> Report {
        Report {
            number: 0,
            from: ChildId(1),
            name: "a".into(),
            meant_for: None,
            status: ReportStatus::Done,
            message: message.into(),
            data: None,
            at: SystemTime::UNIX_EPOCH,
        }
    }

    fn numbers(reports: &[Report]) -> Vec<u64> {
        reports.iter().map(|report| report.number).collect()
    }

    #[test]
    fn each_report_is_read_once_in_order_and_can_be_asked_for_again() {
        let mut inbox = Inbox::default();
        for text in ["one", "two", "three"] {
            inbox.push(report(text)).unwrap();
        }
        assert_eq!(inbox.unread(), 3);
        let (read, more) = inbox.read(None, 6);
        assert_eq!((numbers(&read), more), (vec![1, 2], 1));
        assert_eq!(inbox.unread(), 1);
        let (read, more) = inbox.read(None, 100);
        assert_eq!((numbers(&read), more), (vec![3], 0));
        assert_eq!(inbox.read(None, 100), (vec![], 0));
        assert_eq!(numbers(&inbox.read(Some(0), 100).0), [1, 2, 3]);
        assert_eq!(inbox.unread(), 0);
    }

    #[test]
    fn one_report_comes_however_large() {
        let mut inbox = Inbox::default();
        inbox.push(report(&"x".repeat(1000))).unwrap();
        assert_eq!(inbox.read(None, 10).0.len(), 1);
    }

    #[test]
    fn a_full_inbox_refuses_and_loses_nothing() {
        let mut inbox = Inbox::default();
        for _ in 0..Inbox::MAX_UNREAD {
            inbox.push(report("x")).unwrap();
        }
        assert_eq!(inbox.push(report("y")), Err(Full { unread: Inbox::MAX_UNREAD }));
        assert_eq!(inbox.unread(), Inbox::MAX_UNREAD);
        inbox.read(None, usize::MAX);
        assert_eq!(inbox.push(report("y")), Ok(Inbox::MAX_UNREAD as u64 + 1));
        inbox.read(None, usize::MAX);
        assert_eq!(inbox.read(Some(0), usize::MAX).0.len(), Inbox::KEEP_READ);
    }

    #[test]
    fn an_inbox_holds_so_many_bytes() {
        let mut inbox = Inbox::default();
        inbox.push(report(&"x".repeat(Inbox::MAX_BYTES - 1))).unwrap();
        assert_eq!(inbox.push(report("xx")), Err(Full { unread: 1 }));
        assert_eq!(inbox.push(report("x")), Ok(2));
    }
}
