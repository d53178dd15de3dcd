//! A child like one before it: what is remembered of a spawn so that it can be asked for again, and how the session of
//! one that has ended goes on in another.

use std::{path::PathBuf, time::SystemTime};

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{
    Denied, Member, Registry, State,
    birth::Birth,
    rights::Act,
    spawn::{Session, Wish},
};
use crate::{
    id::{Caller, ChildId},
    journal::Change,
};

/// What was asked for when a child was spawned, but its environment: that may hold secrets, and the kernel and we
/// remember it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) preset: Option<String>,
    pub(super) command: Option<Vec<String>>,
    /// The names of the variables that the caller set.
    pub(super) variables: Vec<String>,
    pub(super) workspace: PathBuf,
    pub(super) user: String,
}

/// The child that another one is started in the place of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Restarted {
    /// Which.
    pub(super) of: ChildId,
    /// When that was done, for this one and those before it.
    pub(super) at: Vec<SystemTime>,
}

/// What a new child has of an earlier one.
#[derive(Clone, Debug, Default)]
pub(super) struct Like {
    /// Its name, if that is free.
    pub(super) name: Option<String>,
    /// The session it goes on with.
    pub(super) resume: Option<String>,
    /// It stands in for it.
    pub(super) restarted: Option<Restarted>,
}

/// Why a child cannot be resumed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotResumed {
    /// See [`Denied`].
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Something was asked for that it brings with it.
    #[error("resume brings its own {0}")]
    With(&'static str),
    /// It has not ended.
    #[error("{0} is alive")]
    Alive(ChildId),
    /// Another one has its session.
    #[error("the session of {of} goes on in {by}")]
    Taken {
        /// Whose it was.
        of: ChildId,
        /// Whose it is.
        by: ChildId,
    },
    /// Its program has no session that we know of.
    #[error("{0} has no session that compere could name")]
    NoSession(ChildId),
    /// Its preset does not say any more how.
    #[error("its preset {0} does not say how a session goes on")]
    NoWay(String),
}

impl Asked {
    /// A longer command does not fit the keeper's record.
    const MAX_COMMAND: usize = 16 * 1024;

    /// What is worth remembering; nothing where that is too much.
    pub(super) fn of(wish: &Wish, session: &Session) -> Option<Asked> {
        let command = wish.command.clone();
        let bytes: usize = command.iter().flatten().map(String::len).sum();
        let variables: Vec<String> = wish.env.keys().cloned().collect();
        let names: usize = variables.iter().map(String::len).sum();
        (bytes + names <= Self::MAX_COMMAND).then(|| Asked {
            preset: wish.preset.clone(),
            command,
            variables,
            workspace: session.workspace.clone(),
            user: session.user.clone(),
        })
    }
}

impl Registry {
    /// The wish for a child that goes on with the session of one that has ended.
    pub(super) fn resuming(&self, caller: Caller, who: &str, wish: Wish) -> Result<(Wish, Like), NotResumed> {
        for (given, what) in [
            (wish.preset.is_some(), "preset"),
            (wish.command.is_some(), "command"),
            (wish.cwd.is_some(), "cwd"),
        ] {
            if given {
                return Err(NotResumed::With(what));
            }
        }
        let found = self.find(caller, who, Act::Write)?;
        let id = found.node.id;
        let state = self.state();
        if state.live(id) {
            return Err(NotResumed::Alive(id));
        }
        let session = found.facts.session.ok_or(NotResumed::NoSession(id))?;
        let has = |(other, member): (&ChildId, &Member)| {
            (member.facts.session.as_ref() == Some(&session) && state.live(*other)).then_some(*other)
        };
        if let Some(by) = state.members.iter().find_map(has) {
            return Err(NotResumed::Taken { of: id, by });
        }
        let birth = state.birth(id).ok_or(NotResumed::NoSession(id))?;
        let asked = birth.asked.ok_or(NotResumed::NoSession(id))?;
        let like = Like { name: Some(birth.name), resume: Some(session), restarted: None };
        let wish = Wish {
            preset: asked.preset,
            command: asked.command,
            cwd: Some(birth.facts.cwd),
            size: wish.size.or(Some(birth.size)),
            ..wish
        };
        Ok((wish, like))
    }
}

impl Registry {
    /// The program says which session of its own it is in.
    pub(super) fn found_session(&self, id: ChildId, session: String) {
        let row = {
            let mut state = self.state();
            let birth = state.birth(id);
            let Some(member) = state.members.get_mut(&id) else { return };
            member.facts.session = Some(session.clone());
            let Some(birth) = birth else { return };
            let facts = member.facts.clone();
            let row = serde_json::to_value(Birth { facts, ..birth }).unwrap_or_default();
            member.birth.insert(row).clone()
        };
        self.0.journal.note(Change::Child { id, body: row });
        self.0.journal.note(Change::event(id, "session", session));
    }
}

/// A new one of random bits, as RFC 9562 has version 4.
pub(super) fn uuid() -> String {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

impl State {
    /// What was remembered of a child's spawn.
    pub(super) fn birth(&self, id: ChildId) -> Option<Birth> {
        let row = self.members.get(&id)?.birth.clone()?;
        serde_json::from_value(row).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_of_version_4() {
        let form = regex::Regex::new("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
            .unwrap();
        for _ in 0..100 {
            let uuid = uuid();
            assert!(form.is_match(&uuid), "{uuid}");
        }
    }
}
