//! Reports: into the parent's inbox, committed before they are answered, and out of it until they have arrived.

use std::time::SystemTime;

use tokio::sync::watch;

use super::{
    Registry, State,
    inbox::{self, Given, Inbox, Report, ReportStatus},
    timers::WaitId,
    turn::Turns,
};
use crate::{
    child::plain::readable,
    fault,
    id::{Caller, ChildId},
    journal::{Change, NotWritten},
};

/// A caller's inbox, and what ticks when something comes in.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) inbox: Inbox,
    /// What of it is typed to the caller.
    pub(super) turns: Turns,
    tick: watch::Sender<u64>,
}

impl Mail {
    /// Wakes whoever looks at it.
    pub(super) fn ring(&self) {
        self.tick.send_modify(|_| {});
    }
}

impl From<Inbox> for Mail {
    fn from(inbox: Inbox) -> Self {
        Mail { inbox, turns: Turns::default(), tick: watch::channel(0).0 }
    }
}

impl Default for Mail {
    fn default() -> Self {
        Inbox::default().into()
    }
}

/// Why a report was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReported {
    /// A root and a person have nobody above them.
    #[error("you have no parent")]
    NoParent,
    /// See [`inbox::Full`].
    #[error("your parent's inbox is full: {0}")]
    Full(inbox::Full),
    /// See [`NotWritten`].
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
}

/// A report before it is in an inbox.
#[derive(Clone, Debug)]
pub struct Letter {
    /// How it stands.
    pub status: ReportStatus,
    /// In the child's words, or in ours.
    pub message: String,
    /// Whatever is attached.
    pub data: Option<serde_json::Value>,
    /// We say this of the child.
    pub synthetic: bool,
}

impl Registry {
    /// Puts a report into the inbox of the caller's parent; answers its number and whose inbox that is. A parent that
    /// has ended reads nothing: then it goes to the nearest one above who can. It is on the disk when this returns,
    /// and on its way there even if nobody waits for that.
    pub async fn report(&self, caller: Caller, letter: Letter) -> Result<(u64, Caller), NotReported> {
        let Caller::Child(from) = caller else { return Err(NotReported::NoParent) };
        let (status, message) = (letter.status, letter.message.clone());
        let (number, to) = self.file(from, letter, Vec::new()).await?;
        self.reported_to(from, to, status, &message);
        Ok((number, to))
    }

    /// The same, and in one step with it something else that must be remembered if and only if the report is.
    pub(super) async fn file(
        &self,
        from: ChildId,
        letter: Letter,
        also: Vec<Change>,
    ) -> Result<(u64, Caller), NotReported> {
        self.file_to(None, from, letter, also).await
    }

    /// The same, for somebody else than the child's parent.
    pub(super) async fn file_to(
        &self,
        whom: Option<Caller>,
        from: ChildId,
        letter: Letter,
        also: Vec<Change>,
    ) -> Result<(u64, Caller), NotReported> {
        let registry = self.clone();
        let filed = tokio::spawn(async move { registry.file_here(whom, from, letter, also).await });
        filed.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    async fn file_here(
        &self,
        whom: Option<Caller>,
        from: ChildId,
        letter: Letter,
        also: Vec<Change>,
    ) -> Result<(u64, Caller), NotReported> {
        // One after the other: numbers are given before they are known to be written.
        let _desk = self.0.desk.lock().await;
        let (to, report) = {
            let mut state = self.state();
            let (to, mut report) = state.addressed(whom, from, letter)?;
            report.number =
                state.mail.entry(to).or_default().inbox.admit(&report).map_err(NotReported::Full)?;
            (to, report)
        };
        let number = report.number;
        let discharged = match report.synthetic {
            true => None,
            false => self.state().has_reported(from, report.status),
        };
        let body = serde_json::to_value(&report).unwrap_or_default();
        let event = format!("{}, report {number} to {to}", report.status.word());
        let mut changes =
            vec![Change::Report { inbox: to, number, body }, Change::event(from, "report", event)];
        changes.extend(also);
        changes.extend(discharged);
        fault::point!("report.numbered");
        self.write(changes).await?;
        fault::point!("report.committed");
        let mut state = self.state();
        state.reported(to, &report);
        let mail = state.mail.entry(to).or_default();
        mail.inbox.push(report);
        mail.turns.news();
        mail.tick.send_replace(number);
        self.stir();
        drop(state);
        self.type_when_due(to);
        fault::point!("report.filed");
        Ok((number, to))
    }

    /// The caller's reports, as [`Inbox::read`] has it. What was queued to be typed to it is not typed then.
    pub async fn read_reports(
        &self,
        caller: Caller,
        after: Option<u64>,
        bytes: usize,
    ) -> (Vec<Given>, usize) {
        let _reader = self.reader(caller);
        self.take_back(caller).await;
        self.read_here(caller, after, bytes)
    }

    /// The same, by a [`Registry::reader`].
    pub(super) fn read_here(&self, caller: Caller, after: Option<u64>, bytes: usize) -> (Vec<Given>, usize) {
        let mut state = self.state();
        let read = state.mail.get_mut(&caller).map(|mail| mail.inbox.read(after, bytes)).unwrap_or_default();
        if !read.0.is_empty() {
            self.stir();
            // Whoever wanted to be told of reports by a turn has them.
            for WaitId(id) in state.waits.for_reports(caller).collect::<Vec<_>>() {
                state.waits.over(id);
                self.0.journal.note(Change::WaitOver { id });
            }
        }
        read
    }

    /// An answer to the caller is about to say which reports are there: they are not typed at the same time.
    pub async fn hinting(&self, caller: Caller) {
        if self.unread(caller, 0).0 == 0 {
            return;
        }
        let _reader = self.reader(caller);
        self.take_back(caller).await;
        let mut state = self.state();
        if let Some(mail) = state.mail.get_mut(&caller) {
            mail.turns.hinted = mail.inbox.last();
        }
    }

    /// Reports up to `number` are about to go to the caller. Remembered before they do, so that they are told apart
    /// from new ones should they have to go again.
    pub async fn giving(&self, caller: Caller, number: u64) {
        fault::point!("reports.read");
        if let Err(error) = self.write(vec![Change::Given { inbox: caller, number }]).await {
            // Worse than to give them without that would be not to give them.
            tracing::warn!(%error, "reports may be given again without a word about it");
        }
        fault::point!("reports.given");
    }

    /// The caller has got the answer with the reports up to `number`. On the disk when this returns.
    pub async fn heard(&self, caller: Caller, number: u64) {
        let news = self.state().mail.get_mut(&caller).is_some_and(|mail| mail.inbox.heard(number));
        if !news {
            return;
        }
        fault::point!("reports.heard");
        if let Err(error) = self.write(vec![Change::Heard { inbox: caller, number }]).await {
            tracing::warn!(%error, "reports that were heard may be given again");
        }
    }

    /// The caller's connection is gone before it could tell that it got the last answer with reports.
    pub fn unheard(&self, caller: Caller) {
        if let Some(mail) = self.state().mail.get_mut(&caller)
            && mail.inbox.unheard()
        {
            mail.tick.send_modify(|_| {});
            self.stir();
        }
    }

    /// How many reports wait unread for the caller, and the newest few.
    pub fn unread(&self, caller: Caller, newest: usize) -> (usize, Vec<Report>) {
        let state = self.state();
        let Some(mail) = state.mail.get(&caller) else { return (0, Vec::new()) };
        (mail.inbox.unread(), mail.inbox.waiting().rev().take(newest).cloned().collect())
    }

    /// The number of the caller's newest report.
    pub fn last_report(&self, caller: Caller) -> u64 {
        self.state().mail.get(&caller).map_or(0, |mail| mail.inbox.last())
    }

    pub(super) fn report_changes(&self, caller: Caller) -> watch::Receiver<u64> {
        self.state().mail.entry(caller).or_default().tick.subscribe()
    }
}

impl State {
    /// Whose inbox a child's report belongs into, and the report.
    fn addressed(
        &self,
        whom: Option<Caller>,
        from: ChildId,
        letter: Letter,
    ) -> Result<(Caller, Report), NotReported> {
        let node = self.tree.get(from).ok_or(NotReported::NoParent)?;
        let reads = |above: &Caller| !matches!(above, Caller::Child(id) if !self.live(*id));
        let meant = whom.unwrap_or(node.parent);
        let next = || self.tree.ancestors(from).find(reads);
        let to = whom.filter(reads).or_else(next).unwrap_or(node.parent);
        let Letter { status, message, data, synthetic } = letter;
        // A nested agent may pass on what it has read.
        let message = readable(&message);
        let meant_for = (to != meant).then_some(meant);
        let (name, at) = (node.name.clone(), SystemTime::now());
        Ok((to, Report { number: 0, from, name, meant_for, status, message, data, synthetic, at }))
    }
}
