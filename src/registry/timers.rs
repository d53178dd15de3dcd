//! Waiting: for a time, a report, a child's state, a line of output; and going on with a wait that was cut short.

use std::{collections::BTreeMap, time::Duration};

use futures::future::{BoxFuture, FutureExt, select_all};
use regex::Regex;
use tokio::time::Instant;

use super::{Registry, inbox::Report};
use crate::{
    child::{Child, Gone, state::State},
    id::{Caller, ChildId, Offset},
};

/// What may end a wait before its time.
#[derive(Clone, Debug)]
pub enum Until {
    /// A report to the caller.
    Report,
    /// A child's state.
    State {
        /// The child.
        child: Child,
        /// What it must become.
        is: Is,
    },
    /// A line of a child's output.
    Match {
        /// The child.
        child: Child,
        /// What the line must match.
        pattern: Regex,
        /// Where the search began, once it did, so that it can go on without a gap.
        from: Option<Offset>,
    },
}

/// A state to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// At its prompt with nothing left to type. A question it asks ends this wait too.
    Idle,
    /// Asking something.
    NeedsInput,
    /// Over.
    Exited,
}

/// What ended a wait.
#[derive(Clone, Debug, PartialEq)]
pub enum Woke {
    /// Its time is over.
    Timer,
    /// The caller's unread reports, now read, and how many more there are.
    Reports(Vec<Report>, usize),
    /// A child is idle.
    Idle(ChildId),
    /// A child asks something.
    NeedsInput(ChildId),
    /// A child has ended, so that nothing else can be waited for.
    Exited(ChildId),
    /// A line matched.
    Match(ChildId, String),
    /// The caller's patience is over before the wait's time is: go on with this id.
    StillWaiting(WaitId),
}

/// A wait that can be continued: `w3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitId(pub u64);

/// A wait.
#[derive(Clone, Debug)]
pub struct Wait {
    /// What ends it early.
    pub until: Vec<Until>,
    /// When its time is over.
    pub deadline: Instant,
}

/// Waits that were cut short.
#[derive(Debug, Default)]
pub(super) struct Waits {
    kept: BTreeMap<WaitId, (Caller, Wait)>,
    last: u64,
}

impl Waits {
    /// Kept for one caller; the oldest makes room.
    const MAX: usize = 64;
    /// A wait nobody continued for so long after its end is forgotten.
    const KEEP: Duration = Duration::from_secs(3600);

    fn keep(&mut self, caller: Caller, wait: Wait, id: Option<WaitId>, now: Instant) -> WaitId {
        self.kept.retain(|_, (_, wait)| wait.deadline + Self::KEEP > now);
        let mine: Vec<WaitId> =
            self.kept.iter().filter(|(_, (by, _))| *by == caller).map(|(id, _)| *id).collect();
        if mine.len() >= Self::MAX
            && let Some(oldest) = mine.first()
        {
            self.kept.remove(oldest);
        }
        let id = id.unwrap_or_else(|| {
            self.last += 1;
            WaitId(self.last)
        });
        self.kept.insert(id, (caller, wait));
        id
    }

    fn take(&mut self, caller: Caller, id: WaitId) -> Option<Wait> {
        if self.kept.get(&id)?.0 != caller {
            return None;
        }
        self.kept.remove(&id).map(|(_, wait)| wait)
    }
}

impl Registry {
    /// Bytes of reports that one wait gives back at most.
    pub const REPORT_BYTES: usize = 6000;

    /// A wait that was cut short, for its own caller, once.
    pub fn resume_wait(&self, caller: Caller, id: WaitId) -> Option<Wait> {
        self.state().waits.take(caller, id)
    }

    /// Waits for at most `patience`. Dropping the future ends the wait and changes nothing else.
    pub async fn wait(
        &self,
        caller: Caller,
        mut wait: Wait,
        id: Option<WaitId>,
        patience: Duration,
    ) -> Result<Woke, Gone> {
        let cut = Instant::now() + patience;
        let mut begun = Vec::new();
        let mut parts: Vec<BoxFuture<'_, Result<Woke, Gone>>> = Vec::new();
        for until in &wait.until {
            match until {
                Until::Report => parts.push(self.first_report(caller).map(Ok).boxed()),
                Until::State { child, is } => parts.push(becomes(child.clone(), *is).map(Ok).boxed()),
                Until::Match { child, pattern, from } => {
                    let finding = child.find(pattern.clone(), *from).await?;
                    begun.push(finding.from);
                    let child = child.clone();
                    parts.push(
                        async move {
                            // The search itself ends with the child, once all it wrote was searched.
                            match finding.found.await {
                                Ok(found) => Ok(Woke::Match(child.id(), found.line)),
                                Err(_) => Ok(Woke::Exited(child.id())),
                            }
                        }
                        .boxed(),
                    );
                }
            }
        }
        parts.push(
            tokio::time::sleep_until(wait.deadline.min(cut))
                .map(|()| Ok(if wait.deadline <= cut { Woke::Timer } else { Woke::StillWaiting(WaitId(0)) }))
                .boxed(),
        );
        let (woke, _, rest) = select_all(parts).await;
        drop(rest);
        if woke != Ok(Woke::StillWaiting(WaitId(0))) {
            return woke;
        }
        let mut begun = begun.into_iter();
        for until in &mut wait.until {
            if let Until::Match { from, .. } = until {
                *from = begun.next();
            }
        }
        Ok(Woke::StillWaiting(self.state().waits.keep(caller, wait, id, Instant::now())))
    }

    /// The caller's unread reports, as soon as there is one.
    async fn first_report(&self, caller: Caller) -> Woke {
        let mut changes = self.report_changes(caller);
        loop {
            changes.borrow_and_update();
            let (reports, more) = self.read_reports(caller, None, Self::REPORT_BYTES);
            if !reports.is_empty() {
                return Woke::Reports(reports, more);
            }
            if changes.changed().await.is_err() {
                // The registry itself is gone: so is whoever asked.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// When a child becomes that, or can no longer.
async fn becomes(child: Child, is: Is) -> Woke {
    let mut changes = child.changes();
    loop {
        {
            let status = changes.borrow_and_update();
            match (&status.state, is) {
                (state, _) if state.ended() => return Woke::Exited(child.id()),
                (State::NeedsInput { .. }, Is::Idle | Is::NeedsInput) => return Woke::NeedsInput(child.id()),
                (State::Idle, Is::Idle) if status.queued == 0 => return Woke::Idle(child.id()),
                _ => {}
            }
        }
        if changes.changed().await.is_err() {
            return Woke::Exited(child.id());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RootId;

    #[test]
    fn a_kept_wait_is_its_callers_and_taken_once() {
        let (mut waits, now) = (Waits::default(), Instant::now());
        let (me, other) = (Caller::Root(RootId(1)), Caller::Root(RootId(2)));
        let wait = Wait { until: vec![Until::Report], deadline: now };
        let id = waits.keep(me, wait.clone(), None, now);
        assert!(waits.take(other, id).is_none());
        assert!(waits.take(me, id).is_some());
        assert!(waits.take(me, id).is_none());
        assert_eq!(waits.keep(me, wait.clone(), Some(id), now), id);
        assert_ne!(waits.keep(me, wait, None, now), id);
    }

    #[test]
    fn kept_waits_have_a_bound_and_an_end() {
        let (mut waits, now) = (Waits::default(), Instant::now());
        let wait = Wait { until: Vec::new(), deadline: now };
        let ids: Vec<WaitId> =
            (0..=Waits::MAX).map(|_| waits.keep(Caller::Person, wait.clone(), None, now)).collect();
        assert!(waits.take(Caller::Person, ids[0]).is_none());
        assert!(waits.take(Caller::Person, ids[1]).is_some());
        waits.keep(Caller::Person, wait, None, now + Waits::KEEP);
        assert_eq!(waits.kept.len(), 1);
    }
}
