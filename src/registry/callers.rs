//! Which child calls: by its identity, or by where a process runs.

use std::time::Duration;

use super::Registry;
use crate::{
    child::Child,
    id::{ChildId, TokenHash},
};

impl Registry {
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

    /// The child inside which a process runs, given the process and all above it. New keepers are this process's own
    /// children, so whoever descends from us is inside one, if perhaps one whose spawn has not been answered yet.
    pub async fn inside(&self, lineage: &[i32]) -> Option<ChildId> {
        let ours = std::process::id() as i32;
        let mut spawned = self.0.spawned.subscribe();
        loop {
            spawned.borrow_and_update();
            let (inside, spawning) = {
                let state = self.state();
                let children = || state.members.values().filter_map(|member| member.child.as_ref());
                // The nearest: a broker that was started within a child has keepers below that child's.
                let kept = |pid: &i32| children().find(|child| !child.ended() && child.keeper() == *pid);
                let inside = lineage.iter().find_map(kept).map(Child::id);
                (inside, state.members.values().any(|member| member.child.is_none()))
            };
            if inside.is_some() || !spawning || !lineage.contains(&ours) {
                return inside;
            }
            spawned.changed().await.ok()?;
        }
    }

    /// Returns when no spawn is under way any more, or `patience` is over.
    pub async fn settled_spawns(&self, patience: Duration) {
        let mut spawned = self.0.spawned.subscribe();
        let settled = async {
            while self.state().members.values().any(|member| member.child.is_none()) {
                if spawned.changed().await.is_err() {
                    return;
                }
            }
        };
        // What takes longer is found by the next broker.
        let _ = tokio::time::timeout(patience, settled).await;
    }
}
