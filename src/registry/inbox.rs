//! One caller's reports, in order, until they have reached it and for a while after. A plain value.

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// In the child's words; in ours, if `synthetic`.
    pub message: String,
    /// Whatever it attached.
    pub data: Option<serde_json::Value>,
    /// The child did not say this; we say it of the child.
    #[serde(default)]
    pub synthetic: bool,
    /// When it came.
    pub at: SystemTime,
}

impl Report {
    /// One as tests need it: of c1, done.
    #[cfg(test)]
    pub(super) fn saying(message: impl Into<String>) -> Self {
        Report {
            number: 0,
            from: ChildId(1),
            name: "a".into(),
            meant_for: None,
            status: ReportStatus::Done,
            message: message.into(),
            data: None,
            synthetic: false,
            at: SystemTime::UNIX_EPOCH,
        }
    }

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

/// A report that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// What it says.
    pub report: Report,
    /// It was given before, in an answer that may not have arrived, or by being typed.
    pub again: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Inbox {
    reports: VecDeque<Report>,
    /// Up to here they were read.
    read: u64,
    /// Up to here they are known to have arrived.
    heard: u64,
    /// Up to here they were ever read.
    given: u64,
    last: u64,
}

impl Inbox {
    /// Unread reports that may wait; the next one is refused, and its sender is told.
    pub const MAX_UNREAD: usize = 1000;
    /// Unread bytes that may wait.
    pub const MAX_BYTES: usize = 8 << 20;
    /// Reports kept after they were read, so that a lost answer can be asked for again.
    pub const KEEP_READ: usize = 100;

    /// What was journaled of an inbox: its reports in order, and how far they were heard and given.
    pub fn restored(reports: Vec<Report>, heard: u64, given: u64) -> Inbox {
        let last = reports.last().map_or(0, |report| report.number).max(heard);
        Inbox { reports: reports.into(), read: heard, heard, given: given.max(heard), last }
    }

    /// The number this report will have, if there is room for it.
    pub fn admit(&self, report: &Report) -> Result<u64, Full> {
        let unread = self.unread();
        let bytes: usize = self.waiting().map(Report::bytes).sum();
        if unread >= Self::MAX_UNREAD || bytes + report.bytes() > Self::MAX_BYTES {
            return Err(Full { unread });
        }
        Ok(self.last + 1)
    }

    /// Stores a report that was admitted under its number.
    pub fn push(&mut self, report: Report) {
        self.last = report.number;
        self.reports.push_back(report);
    }

    /// How many nobody has read.
    pub fn unread(&self) -> usize {
        (self.last - self.read) as usize
    }

    /// Whether the report of this number was read.
    pub fn is_read(&self, number: u64) -> bool {
        number <= self.read
    }

    /// The unread ones, oldest first.
    pub fn waiting(&self) -> impl DoubleEndedIterator<Item = &Report> {
        self.reports.iter().filter(|report| report.number > self.read)
    }

    /// Reads on: those after `after`, or else the unread ones, oldest first, up to `bytes` but at least one.
    /// Answers also how many more there are. What is read counts as read until it turns out not to have arrived.
    pub fn read(&mut self, after: Option<u64>, bytes: usize) -> (Vec<Given>, usize) {
        let after = after.unwrap_or(self.read);
        let mut room = bytes;
        let mut more = 0;
        let mut read: Vec<Given> = Vec::new();
        for report in self.reports.iter().filter(|report| report.number > after) {
            if more > 0 || (!read.is_empty() && report.bytes() > room) {
                more += 1;
                continue;
            }
            room = room.saturating_sub(report.bytes());
            read.push(Given { report: report.clone(), again: report.number <= self.given });
        }
        if let Some(last) = read.last() {
            self.read = self.read.max(last.report.number);
            self.given = self.given.max(self.read);
        }
        (read, more)
    }

    /// What [`Inbox::read`] would answer of the unread ones, without reading them.
    pub fn peek(&self, bytes: usize) -> (Vec<Given>, usize) {
        let mut room = bytes;
        let unread: Vec<Given> = self
            .waiting()
            .map(|report| Given { report: report.clone(), again: report.number <= self.given })
            .collect();
        let fits = |given: &(usize, &Given)| {
            let fits = given.0 == 0 || given.1.report.bytes() <= room;
            room = room.saturating_sub(given.1.report.bytes());
            fits
        };
        let count = unread.iter().enumerate().take_while(fits).count();
        let more = unread.len() - count;
        (unread.into_iter().take(count).collect(), more)
    }

    /// Those up to `number` may have been given by another way than an answer, and are given again as such.
    pub fn gave(&mut self, number: u64) {
        self.given = self.given.max(number.min(self.last));
    }

    /// Those up to `number` have arrived. Answers whether that is news.
    pub fn heard(&mut self, number: u64) -> bool {
        let heard = number.min(self.last);
        if heard <= self.heard {
            return false;
        }
        self.heard = heard;
        self.read = self.read.max(heard);
        let oldest = self.heard.saturating_sub(Self::KEEP_READ as u64);
        while self.reports.front().is_some_and(|report| report.number <= oldest) {
            self.reports.pop_front();
        }
        true
    }

    /// The answer with what was read last has not arrived: it is unread again. Answers whether anything was.
    pub fn unheard(&mut self) -> bool {
        let lost = self.heard < self.read;
        self.read = self.heard;
        lost
    }

    /// How far it is known to have arrived, and how far it was given.
    pub fn progress(&self) -> (u64, u64) {
        (self.heard, self.given)
    }

    /// Every report that is kept.
    pub fn all(&self) -> impl Iterator<Item = &Report> {
        self.reports.iter()
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

    fn push(inbox: &mut Inbox, message: &str) -> Result<u64, Full> {
        let mut report = Report::saying(message);
        report.number = inbox.admit(&report)?;
        inbox.push(report.clone());
        Ok(report.number)
    }

    fn numbers(given: &[Given]) -> Vec<u64> {
        given.iter().map(|given| given.report.number).collect()
    }

    #[test]
    fn each_report_is_read_once_in_order_and_can_be_asked_for_again() {
        let mut inbox = Inbox::default();
        for text in ["one", "two", "three"] {
            push(&mut inbox, text).unwrap();
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
    fn what_did_not_arrive_is_given_again_and_says_so() {
        let mut inbox = Inbox::default();
        for text in ["one", "two", "three"] {
            push(&mut inbox, text).unwrap();
        }
        inbox.read(None, 3);
        assert!(inbox.heard(1) && !inbox.heard(1), "news only once");
        inbox.read(None, 3);
        assert!(inbox.unheard() && !inbox.unheard());
        assert_eq!(inbox.unread(), 2);
        let (read, _) = inbox.read(None, 100);
        assert_eq!(read.iter().map(|given| given.again).collect::<Vec<_>>(), [true, false]);
        let all: Vec<Report> = inbox.all().cloned().collect();
        let (heard, given) = inbox.progress();
        let mut after = Inbox::restored(all, heard, given);
        assert_eq!(numbers(&after.read(None, 100).0), [2, 3], "a new broker knows only what arrived");
        assert_eq!(push(&mut after, "four"), Ok(4));
    }

    #[test]
    fn what_is_looked_at_beforehand_is_what_is_read() {
        let mut inbox = Inbox::default();
        for text in ["one", "two", "three", "four"] {
            push(&mut inbox, text).unwrap();
        }
        inbox.gave(1);
        for bytes in [1, 3, 6, 100] {
            let (seen, more) = inbox.peek(bytes);
            let all: Vec<Report> = inbox.all().cloned().collect();
            let mut same = Inbox::restored(all, 0, 1);
            assert_eq!(same.read(None, bytes), (seen, more), "{bytes}");
        }
        assert_eq!((inbox.unread(), inbox.peek(1).0[0].again), (4, true));
    }

    #[test]
    fn one_report_comes_however_large() {
        let mut inbox = Inbox::default();
        push(&mut inbox, &"x".repeat(1000)).unwrap();
        assert_eq!(inbox.read(None, 10).0.len(), 1);
    }

    #[test]
    fn a_full_inbox_refuses_and_loses_nothing() {
        let mut inbox = Inbox::default();
        for _ in 0..Inbox::MAX_UNREAD {
            push(&mut inbox, "x").unwrap();
        }
        assert_eq!(push(&mut inbox, "y"), Err(Full { unread: Inbox::MAX_UNREAD }));
        assert_eq!(inbox.unread(), Inbox::MAX_UNREAD);
        inbox.read(None, usize::MAX);
        assert_eq!(push(&mut inbox, "y"), Ok(Inbox::MAX_UNREAD as u64 + 1));
        inbox.read(None, usize::MAX);
        inbox.heard(u64::MAX);
        assert_eq!(inbox.read(Some(0), usize::MAX).0.len(), Inbox::KEEP_READ);
    }

    #[test]
    fn an_inbox_holds_so_many_bytes() {
        let mut inbox = Inbox::default();
        push(&mut inbox, &"x".repeat(Inbox::MAX_BYTES - 1)).unwrap();
        assert_eq!(push(&mut inbox, "xx"), Err(Full { unread: 1 }));
        assert_eq!(push(&mut inbox, "x"), Ok(2));
    }
}
