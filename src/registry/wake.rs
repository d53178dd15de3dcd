//! Waits whose end is typed into the caller's own pane: for an agent that ends its turn instead of waiting in a call.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, select_all};
use tokio::task::AbortHandle;

use super::{
    Registry, State,
    timers::{NotWaited, Typed, Until, Wait, WaitId, Woke, becomes},
    turn::Notice,
};
use crate::{
    child::plain::readable,
    id::{Caller, ChildId},
    journal::Change,
};

/// Why nobody can be woken by a turn.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWoken {
    /// It is in no pane of ours.
    #[error("you run in no terminal of compere's, so nothing can be typed to you")]
    NoPane,
    /// Nothing would show when it may be typed to.
    #[error("nothing shows when you are idle: no preset describes your program")]
    NeverIdle,
    /// See [`NotWaited`].
    #[error(transparent)]
    NotWaited(#[from] NotWaited),
}

/// Somebody waits for the end of a wait; dropped, nobody does.
#[derive(Debug)]
pub(super) struct Attending(AbortHandle);

impl Drop for Attending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Registry {
    /// Begins a wait whose end is typed to the caller. What has happened already is answered instead.
    pub async fn wake(&self, caller: Caller, wait: Wait) -> Result<Woke, NotWoken> {
        let Caller::Child(id) = caller else { return Err(NotWoken::NoPane) };
        let child = self.state().members.get(&id).and_then(|member| member.child.clone());
        if !child.ok_or(NotWoken::NoPane)?.can_be_idle() {
            return Err(NotWoken::NeverIdle);
        }
        let woke = self.wait(caller, wait, None, std::time::Duration::ZERO).await?;
        if let Woke::StillWaiting(wait) = woke {
            let change = self.state().waits.type_end(wait);
            if let Some(change) = change {
                self.write(vec![change]).await.map_err(NotWaited::from)?;
            }
            self.attend_wait(wait);
        }
        Ok(woke)
    }

    /// Sees to it that the end of a wait is told; that of one which is over is told at once.
    pub(super) fn attend_wait(&self, id: WaitId) {
        let Some((caller, wait, over)) = self.state().waits.typed(id) else { return };
        if over {
            return self.type_when_due(caller);
        }
        // A report may have come between the look and the wait.
        self.type_when_due(caller);
        let registry = Arc::downgrade(&self.0);
        let task = tokio::spawn(async move {
            let woke = ended(wait).await;
            let Some(registry) = registry.upgrade().map(Registry) else { return };
            registry.wait_is_over(caller, id, &woke).await;
        });
        self.state().waits.attended(id, Attending(task.abort_handle()));
    }

    async fn wait_is_over(&self, caller: Caller, id: WaitId, woke: &Woke) {
        let change = {
            let mut state = self.state();
            let what = state.words(woke);
            let change = state.waits.is_over(id, what);
            let mail = state.mail.entry(caller).or_default();
            mail.turns.news();
            mail.ring();
            change
        };
        // Told even so; only another broker would have to find out again.
        if let Some(change) = change
            && let Err(error) = self.write(vec![change]).await
        {
            tracing::warn!(%error, "that a wait is over is not remembered");
        }
        self.type_when_due(caller);
    }
}

/// When a wait is over by something else than a report, which is told by itself.
async fn ended(wait: Wait) -> Woke {
    let time = tokio::time::sleep_until(wait.deadline).map(|()| Woke::Timer).boxed();
    let mut parts: Vec<BoxFuture<'static, Woke>> = vec![time];
    for until in wait.until {
        match until {
            Until::Report => {}
            Until::State { child, is } => parts.push(becomes(child, is).boxed()),
            Until::Match { child, pattern, from } => parts.push(
                async move {
                    let found = match child.find(pattern, from).await {
                        Ok(finding) => finding.found.await.ok(),
                        Err(_) => None,
                    };
                    found.map_or(Woke::Exited(child.id()), |found| Woke::Match(child.id(), found.line))
                }
                .boxed(),
            ),
        }
    }
    select_all(parts).await.0
}

impl State {
    /// What ended a wait.
    fn words(&self, woke: &Woke) -> String {
        let who = |id: &ChildId| {
            let name = self.tree.get(*id).map(|node| node.name.as_str()).unwrap_or_default();
            format!("{id} ({name})")
        };
        match woke {
            Woke::Idle(id) => format!("{} is idle", who(id)),
            Woke::NeedsInput(id) => {
                format!("{} asks something; read_output shows what, send_keys answers", who(id))
            }
            Woke::Exited(id) => {
                let child = self.members.get(id).and_then(|member| member.child.as_ref());
                let state = child.map_or_else(|| "gone".into(), |child| child.status().state.to_string());
                format!("{} has {state}", who(id))
            }
            Woke::Match(id, line) => {
                const MOST: usize = 300;
                let line: String = readable(line).replace('\n', " ").chars().take(MOST).collect();
                format!("{} wrote “{line}”", who(id))
            }
            Woke::Timer | Woke::Reports(..) | Woke::StillWaiting(_) => "its time is up".into(),
        }
    }
}

impl super::timers::Waits {
    /// From here on the end of this wait is typed to its caller.
    fn type_end(&mut self, id: WaitId) -> Option<Change> {
        self.kept.get_mut(&id)?.typed = Some(Typed::default());
        self.change(id)
    }

    /// A wait whose end is typed: whose, what for, and whether it is over.
    fn typed(&self, id: WaitId) -> Option<(Caller, Wait, bool)> {
        let kept = self.kept.get(&id)?;
        Some((kept.caller, kept.wait.clone(), kept.typed.as_ref()?.over.is_some()))
    }

    fn attended(&mut self, id: WaitId, attending: Attending) {
        if let Some(typed) = self.kept.get_mut(&id).and_then(|kept| kept.typed.as_mut()) {
            typed.attending = Some(attending);
        }
    }

    fn is_over(&mut self, id: WaitId, what: String) -> Option<Change> {
        self.kept.get_mut(&id)?.typed.as_mut()?.over = Some(what);
        self.change(id)
    }

    fn of(&self, caller: Caller) -> impl Iterator<Item = (WaitId, &Wait, &Typed)> {
        let mine = self.kept.iter().filter(move |(_, kept)| kept.caller == caller);
        mine.filter_map(|(id, kept)| Some((*id, &kept.wait, kept.typed.as_ref()?)))
    }

    /// Those of the caller's whose end is typed.
    pub(super) fn typed_of(&self, caller: Caller) -> impl Iterator<Item = WaitId> {
        self.of(caller).map(|(id, ..)| id)
    }

    /// Those of the caller's that a report ends by a turn.
    pub(super) fn for_reports(&self, caller: Caller) -> impl Iterator<Item = WaitId> {
        let reports = |wait: &Wait| wait.until.iter().any(|until| matches!(until, Until::Report));
        self.of(caller).filter(move |(_, wait, _)| reports(wait)).map(|(id, ..)| id)
    }

    /// Whether the caller has asked to be told of reports by a turn.
    pub(super) fn wants_reports(&self, caller: Caller) -> bool {
        self.for_reports(caller).next().is_some()
    }

    /// Those of the caller's that are over and not told.
    pub(super) fn notices(&self, caller: Caller) -> impl Iterator<Item = Notice> {
        self.of(caller).filter_map(|(wait, _, typed)| {
            Some(Notice { wait, what: typed.over.clone()?, again: typed.again })
        })
    }

    /// A wait's end may have been told.
    pub(super) fn told_perhaps(&mut self, id: u64) -> Option<Change> {
        self.kept.get_mut(&WaitId(id))?.typed.as_mut()?.again = true;
        self.change(WaitId(id))
    }

    /// A wait's end was told.
    pub(super) fn over(&mut self, id: u64) {
        self.kept.remove(&WaitId(id));
    }
}
