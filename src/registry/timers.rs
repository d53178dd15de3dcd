//! Waiting: for a time, a report, a child's state, a line of output; and going on with a wait that was cut short.

use std::{collections::BTreeMap, time::Duration};

use futures::future::{BoxFuture, FutureExt, select_all};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::{Registry, clock::Deadline, inbox::Given, wake::Attending};
use crate::{
    child::{Child, Gone, state::State},
    fault,
    id::{Caller, ChildId, Offset},
    journal::{Change, NotWritten},
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    Reports(Vec<Given>, usize),
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
    pub(super) kept: BTreeMap<WaitId, Kept>,
}

/// A wait that was cut short, or whose end is typed.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) caller: Caller,
    pub(super) wait: Wait,
    /// Its end is typed to its caller.
    pub(super) typed: Option<Typed>,
}

/// How it stands with a wait whose end is typed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Typed {
    /// What has ended it.
    pub(super) over: Option<String>,
    /// That may have been told.
    pub(super) again: bool,
    #[serde(skip)]
    pub(super) attending: Option<Attending>,
}

impl Waits {
    /// Kept for one caller; the oldest makes room.
    const MAX: usize = 64;
    /// A wait nobody continued for so long after its end is forgotten.
    const KEEP: Duration = Duration::from_secs(3600);

    /// Keeps a wait; answers those that had to make room for it.
    fn keep(&mut self, caller: Caller, wait: Wait, id: WaitId, now: Instant) -> Vec<WaitId> {
        let mut over: Vec<WaitId> = Vec::new();
        let old = |wait: &Wait| wait.deadline + Self::KEEP <= now;
        over.extend(self.kept.iter().filter(|(_, kept)| old(&kept.wait)).map(|(id, _)| *id));
        let mine: Vec<WaitId> = self
            .kept
            .iter()
            .filter(|(each, kept)| kept.caller == caller && **each != id && !old(&kept.wait))
            .map(|(id, _)| *id)
            .collect();
        over.extend(&mine[..(mine.len() + 1).saturating_sub(Self::MAX).min(mine.len())]);
        for id in &over {
            self.kept.remove(id);
        }
        let typed = self.kept.remove(&id).and_then(|kept| kept.typed);
        self.kept.insert(id, Kept { caller, wait, typed });
        over
    }

    /// A wait, for its own caller. It stays kept until it is over: an answer may not arrive.
    fn get(&self, caller: Caller, id: WaitId) -> Option<Wait> {
        let kept = self.kept.get(&id)?;
        (kept.caller == caller).then(|| kept.wait.clone())
    }

    /// All of them, as they are journaled.
    pub(super) fn all(&self) -> impl Iterator<Item = Change> {
        self.kept.iter().map(|(id, kept)| kept.change(*id))
    }

    /// One of them, as it is journaled.
    pub(super) fn change(&self, id: WaitId) -> Option<Change> {
        self.kept.get(&id).map(|kept| kept.change(id))
    }
}

/// A wait as it is journaled.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    caller: Caller,
    deadline: Deadline,
    until: Vec<UntilRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typed: Option<Typed>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UntilRow {
    Report,
    State { child: ChildId, is: Is },
    Match { child: ChildId, pattern: String, from: Option<Offset> },
}

impl Kept {
    fn change(&self, id: WaitId) -> Change {
        let until = self.wait.until.iter().map(|until| match until {
            Until::Report => UntilRow::Report,
            Until::State { child, is } => UntilRow::State { child: child.id(), is: *is },
            Until::Match { child, pattern, from } => {
                UntilRow::Match { child: child.id(), pattern: pattern.as_str().to_owned(), from: *from }
            }
        });
        let left = self.wait.deadline.saturating_duration_since(Instant::now());
        let typed = self.typed.as_ref();
        let typed =
            typed.map(|typed| Typed { over: typed.over.clone(), again: typed.again, attending: None });
        let row = Row { caller: self.caller, deadline: Deadline::after(left), until: until.collect(), typed };
        Change::Wait { id: id.0, body: serde_json::to_value(row).unwrap_or_default() }
    }
}

/// Why a wait came to nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWaited {
    /// See [`Gone`].
    #[error(transparent)]
    Gone(#[from] Gone),
    /// See [`NotWritten`].
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
}

impl Registry {
    /// Bytes of reports that one wait gives back at most.
    pub const REPORT_BYTES: usize = 6000;

    /// A wait that was cut short, for its own caller, as long as it is not over.
    pub fn resume_wait(&self, caller: Caller, id: WaitId) -> Option<Wait> {
        self.state().waits.get(caller, id)
    }

    /// Waits for at most `patience`. Dropping the future ends the wait and changes nothing else.
    pub async fn wait(
        &self,
        caller: Caller,
        mut wait: Wait,
        id: Option<WaitId>,
        patience: Duration,
    ) -> Result<Woke, NotWaited> {
        let cut = Instant::now() + patience;
        let reads = id.is_some() || wait.until.iter().any(|until| matches!(until, Until::Report));
        let _reader = reads.then(|| self.reader(caller));
        if reads {
            self.take_back(caller).await;
        }
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
            let mut read = Unanswered(matches!(woke, Ok(Woke::Reports(..))).then_some((self, caller)));
            if let Some(id) = id {
                self.state().waits.kept.remove(&id);
                // Before it is answered, so that it ends once; and if that cannot be written, it has ended all the same.
                if let Err(error) = self.write(vec![Change::WaitOver { id: id.0 }]).await {
                    tracing::warn!(%error, "a wait that is over may end again");
                }
            }
            fault::point!("wait.over");
            read.0 = None;
            return Ok(woke?);
        }
        let mut begun = begun.into_iter();
        for until in &mut wait.until {
            if let Until::Match { from, .. } = until {
                *from = begun.next();
            }
        }
        Ok(Woke::StillWaiting(self.keep_wait(caller, wait, id).await?))
    }

    /// Remembers a wait, on the disk before its number is answered.
    async fn keep_wait(&self, caller: Caller, wait: Wait, id: Option<WaitId>) -> Result<WaitId, NotWritten> {
        let id = id.unwrap_or_else(|| {
            let mut state = self.state();
            state.last.wait += 1;
            WaitId(state.last.wait)
        });
        let (change, over) = {
            let mut state = self.state();
            let over = state.waits.keep(caller, wait, id, Instant::now());
            (state.waits.change(id), over)
        };
        let mut changes: Vec<Change> = change.into_iter().collect();
        changes.extend(over.into_iter().map(|id| Change::WaitOver { id: id.0 }));
        self.write(changes).await?;
        fault::point!("wait.kept");
        Ok(id)
    }

    /// Takes up a wait that an earlier broker had kept, if all it waits for is still there.
    pub(super) fn restore_wait(&self, id: u64, body: Value) {
        let Ok(row) = serde_json::from_value::<Row>(body) else { return };
        let mut state = self.state();
        let until: Option<Vec<Until>> = row
            .until
            .into_iter()
            .map(|until| {
                let child = |id: ChildId| state.members.get(&id)?.child.clone();
                Some(match until {
                    UntilRow::Report => Until::Report,
                    UntilRow::State { child: id, is } => Until::State { child: child(id)?, is },
                    UntilRow::Match { child: id, pattern, from } => {
                        Until::Match { child: child(id)?, pattern: Regex::new(&pattern).ok()?, from }
                    }
                })
            })
            .collect();
        let Some(until) = until else { return };
        let deadline = Instant::now() + row.deadline.left();
        let kept = Kept { caller: row.caller, wait: Wait { until, deadline }, typed: row.typed };
        state.waits.kept.insert(WaitId(id), kept);
        drop(state);
        self.attend_wait(WaitId(id));
    }

    /// The caller's unread reports, as soon as there is one.
    async fn first_report(&self, caller: Caller) -> Woke {
        let mut changes = self.report_changes(caller);
        loop {
            changes.borrow_and_update();
            let (reports, more) = self.read_here(caller, None, Self::REPORT_BYTES);
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

/// Reports that were read for an answer: if that does not come about, they are unread again.
struct Unanswered<'a>(Option<(&'a Registry, Caller)>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some((registry, caller)) = self.0 {
            registry.unheard(caller);
        }
    }
}

/// When a child becomes that, or can no longer.
pub(super) async fn becomes(child: Child, is: Is) -> Woke {
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

    fn wait(deadline: Instant) -> Wait {
        Wait { until: vec![Until::Report], deadline }
    }

    #[test]
    fn a_kept_wait_is_its_callers_until_it_is_over() {
        let (mut waits, now) = (Waits::default(), Instant::now());
        let (me, other) = (Caller::Root(RootId(1)), Caller::Root(RootId(2)));
        assert!(waits.keep(me, wait(now), WaitId(1), now).is_empty());
        assert!(waits.get(other, WaitId(1)).is_none());
        assert!(waits.get(me, WaitId(1)).is_some());
        assert!(waits.get(me, WaitId(1)).is_some(), "its answer may be lost");
        assert!(waits.keep(me, wait(now), WaitId(1), now).is_empty(), "it makes no room for itself");
    }

    #[test]
    fn kept_waits_have_a_bound_and_an_end() {
        let (mut waits, now) = (Waits::default(), Instant::now());
        for id in 0..Waits::MAX as u64 {
            assert!(waits.keep(Caller::Person, wait(now), WaitId(id), now).is_empty());
        }
        assert_eq!(waits.keep(Caller::Person, wait(now), WaitId(1000), now), [WaitId(0)]);
        assert_eq!(waits.keep(Caller::Person, wait(now), WaitId(1001), now + Waits::KEEP).len(), Waits::MAX);
        assert_eq!(waits.kept.len(), 1);
    }
}
