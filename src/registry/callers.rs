//! Who calls: roots by their hosts and workspaces, children by their identity or by where a process runs.

use std::path::Path;

use super::{Registry, Root, State, host::Process};
use crate::{
    child::Child,
    id::{Caller, ChildId, RootId, TokenHash},
};

impl Registry {
    /// The root of this host: the same as before, or one of this workspace whose host has died, or a new one.
    pub fn root(&self, host: Process, workspace: &Path) -> RootId {
        let mut state = self.state();
        if let Some(root) = state.roots.iter().find(|root| root.host == host && root.workspace == workspace) {
            return root.id;
        }
        let orphaned = |root: &&mut Root| root.workspace == workspace && !root.host.alive();
        if let Some(root) = state.roots.iter_mut().rev().find(orphaned) {
            tracing::info!(root = %root.id, host = host.pid, "taken over");
            root.host = host;
            return root.id;
        }
        state.forget_roots();
        state.last_root += 1;
        let id = RootId(state.last_root);
        state.roots.push(Root { id, host, workspace: workspace.to_owned() });
        id
    }

    /// Whose identity this is, and the keeper all its processes descend from. A child may speak before its spawn has
    /// been answered: then this waits for that.
    pub async fn bearer(&self, token: &TokenHash) -> Option<(ChildId, i32)> {
        let mut spawned = self.0.spawned.subscribe();
        loop {
            spawned.borrow_and_update();
            {
                let state = self.state();
                let id = *state.tokens.get(token)?;
                if let Some(child) = &state.members.get(&id)?.child {
                    return (!child.ended()).then(|| (id, child.keeper()));
                }
            }
            spawned.changed().await.ok()?;
        }
    }

    /// The child inside which a process runs, given the process and all above it. Keepers are this process's own
    /// children, so whoever descends from us is inside one, if perhaps one whose spawn has not been answered yet.
    pub async fn inside(&self, lineage: &[i32]) -> Option<ChildId> {
        let ours = std::process::id() as i32;
        let mut spawned = self.0.spawned.subscribe();
        loop {
            spawned.borrow_and_update();
            let (inside, spawning) = {
                let state = self.state();
                let mut children = state.members.values().filter_map(|member| member.child.as_ref());
                let inside = children.find(|child| lineage.contains(&child.keeper())).map(Child::id);
                (inside, state.members.values().any(|member| member.child.is_none()))
            };
            if inside.is_some() || !spawning || !lineage.contains(&ours) {
                return inside;
            }
            spawned.changed().await.ok()?;
        }
    }
}

impl State {
    /// Roots whose host has died, and whom nothing waits for.
    fn forget_roots(&mut self) {
        let (tree, mail) = (&self.tree, &mut self.mail);
        let rates = &mut self.rates;
        self.roots.retain(|root| {
            let caller = Caller::Root(root.id);
            let unread = mail.get(&caller).is_some_and(|mail| mail.inbox.unread() > 0);
            let kept = unread || root.host.alive() || tree.all().any(|node| node.top == caller);
            if !kept {
                mail.remove(&caller);
                rates.remove(&caller);
            }
            kept
        });
    }
}
