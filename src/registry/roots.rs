//! Roots: which host holds which, who inherits one whose host has died, and what becomes of a tree that nobody holds.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Registry, State, birth::Seat};
use crate::{
    id::{Caller, ChildId, RootId},
    journal::Change,
    proc::Process,
};

/// What becomes of a tree whose host is gone. Whoever runs compere sets it in `config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Orphans {
    /// After so many seconds without a host a tree's children spawn nothing more, until another host takes it over.
    pub no_spawn_after_s: u64,
    /// After so many seconds without a host its children are stopped. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_after_s: Option<u64>,
}

impl Default for Orphans {
    fn default() -> Self {
        Orphans { no_spawn_after_s: 600, stop_after_s: None }
    }
}

/// A root that lost its host so long ago that something follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Nothing,
    SpawnNothing,
    Stop,
}

impl Orphans {
    pub(super) fn verdict(&self, gone: Option<SystemTime>, now: SystemTime) -> Verdict {
        // A clock that was set back says nothing about how long ago.
        let Some(since) = gone.and_then(|gone| now.duration_since(gone).ok()) else {
            return Verdict::Nothing;
        };
        let after = |seconds| since >= Duration::from_secs(seconds);
        if self.stop_after_s.is_some_and(after) {
            Verdict::Stop
        } else if after(self.no_spawn_after_s) {
            Verdict::SpawnNothing
        } else {
            Verdict::Nothing
        }
    }
}

impl Registry {
    /// The root of this host: the same as before, or one of this workspace whose host has died, or a new one.
    pub fn root(&self, host: Process, workspace: &Path) -> RootId {
        let mut state = self.state();
        let ours =
            |seat: &&Seat| seat.workspace == workspace && seat.host == host && seat.boot == self.0.boot;
        if let Some(seat) = state.roots.iter().find(ours) {
            return seat.id;
        }
        let boot = self.0.boot.clone();
        let orphaned = |seat: &&mut Seat| seat.workspace == workspace && !seat.held(&boot);
        let seat = if let Some(seat) = state.roots.iter_mut().rev().find(orphaned) {
            tracing::info!(root = %seat.id, host = host.pid, "taken over");
            *seat = Seat { host, boot, gone: None, ..seat.clone() };
            let seat = seat.clone();
            if let Some(left) = state.left_behind(seat.id) {
                state.greetings.insert(Caller::Root(seat.id), left);
            }
            seat
        } else {
            self.forget_roots(&mut state);
            state.last.root += 1;
            let id = RootId(state.last.root);
            let seat = Seat { id, host, workspace: workspace.to_owned(), boot, gone: None };
            state.roots.push(seat.clone());
            seat
        };
        self.0.journal.note(seat.change());
        self.0.journal.note(Change::event(
            None,
            "root",
            format!("{} is held by process {}", seat.id, host.pid),
        ));
        seat.id
    }

    /// What an earlier host left to this caller, to be told once.
    pub fn greeting(&self, caller: Caller) -> Option<String> {
        self.state().greetings.remove(&caller)
    }

    /// Looks which hosts are gone, and stops what nobody has held for too long. Call it now and then.
    pub async fn watch_roots(&self) {
        let now = SystemTime::now();
        let mut doomed: Vec<ChildId> = Vec::new();
        {
            let mut state = self.state();
            let mut changed = Vec::new();
            for seat in &mut state.roots {
                if seat.gone.is_none() && !seat.held(&self.0.boot) {
                    seat.gone = Some(now);
                    changed.push(seat.clone());
                }
            }
            for seat in changed {
                self.0.journal.note(seat.change());
                self.0.journal.note(Change::event(None, "root", format!("{} has lost its host", seat.id)));
            }
            let orphans = self.0.orphans;
            for seat in state.roots.iter().filter(|seat| orphans.verdict(seat.gone, now) == Verdict::Stop) {
                let top = Caller::Root(seat.id);
                let children = state.tree.all().filter(|node| node.parent == top && state.live(node.id));
                doomed.extend(children.map(|node| node.id));
            }
        }
        for id in doomed {
            tracing::warn!(child = %id, "stopped: its tree has had no host for too long");
            self.stop(id, Duration::from_secs(2)).await;
        }
    }

    /// Roots whose host has died, and whom nothing waits for.
    fn forget_roots(&self, state: &mut State) {
        let (tree, mail) = (&state.tree, &mut state.mail);
        let (rates, greetings) = (&mut state.rates, &mut state.greetings);
        state.roots.retain(|seat| {
            let caller = Caller::Root(seat.id);
            let unread = mail.get(&caller).is_some_and(|mail| mail.inbox.unread() > 0);
            let kept = unread || seat.held(&self.0.boot) || tree.all().any(|node| node.top == caller);
            if !kept {
                mail.remove(&caller);
                rates.remove(&caller);
                greetings.remove(&caller);
                self.0.journal.note(Change::RootGone { id: seat.id });
            }
            kept
        });
    }
}

impl Seat {
    /// Whether its host still runs.
    fn held(&self, boot: &str) -> bool {
        self.boot == boot && self.host.alive()
    }

    pub(super) fn change(&self) -> Change {
        Change::Root { id: self.id, body: serde_json::to_value(self).unwrap_or_default() }
    }
}

impl State {
    pub(super) fn seat(&self, top: Caller) -> Option<&Seat> {
        let Caller::Root(id) = top else { return None };
        self.roots.iter().find(|seat| seat.id == id)
    }

    /// How long ago the host on top of a tree was found to be gone.
    pub(super) fn hostless(&self, top: Caller) -> Option<Duration> {
        Some(self.seat(top)?.gone?.elapsed().unwrap_or_default())
    }

    /// In a sentence, what there is of a root, if there is anything.
    fn left_behind(&self, root: RootId) -> Option<String> {
        let top = Caller::Root(root);
        let nodes = self.tree.all().filter(|node| node.top == top && self.live(node.id));
        let names: Vec<String> = nodes.map(|node| format!("{} ({})", node.id, node.name)).collect();
        let unread = self.mail.get(&top).map_or(0, |mail| mail.inbox.unread());
        if names.is_empty() && unread == 0 {
            return None;
        }
        const MOST: usize = 10;
        let more =
            if names.len() > MOST { format!(" and {} more", names.len() - MOST) } else { String::new() };
        let running = match names.len() {
            0 => "no child that still runs".to_owned(),
            _ => format!("{}{more}", names[..names.len().min(MOST)].join(", ")),
        };
        Some(format!(
            "an earlier session in this workspace left you {running}, and {unread} unread reports; list_children shows \
             all, stop ends what you do not need"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_without_a_host_first_spawns_nothing_and_then_ends_if_it_shall() {
        let gone = SystemTime::UNIX_EPOCH;
        let never = Orphans::default();
        let ends = Orphans { stop_after_s: Some(3600), ..never };
        for (orphans, since, after, verdict) in [
            (never, None, 10_000, Verdict::Nothing),
            (never, Some(gone), 599, Verdict::Nothing),
            (never, Some(gone), 600, Verdict::SpawnNothing),
            (never, Some(gone), 1_000_000, Verdict::SpawnNothing),
            (ends, Some(gone), 3599, Verdict::SpawnNothing),
            (ends, Some(gone), 3600, Verdict::Stop),
            (ends, None, 3600, Verdict::Nothing),
            (ends, Some(gone + Duration::from_secs(86_400)), 3600, Verdict::Nothing),
        ] {
            assert_eq!(
                orphans.verdict(since, gone + Duration::from_secs(after)),
                verdict,
                "{since:?} {after}"
            );
        }
    }
}
