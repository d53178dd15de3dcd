//! What is decided when a child is spawned and must be known as long as it lives: the row of the journal, and what its
//! keeper has of it in case the journal is lost. A plain value.

use std::{path::PathBuf, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::{
    again::{Asked, Restarted},
    nudge::Duty,
};
use crate::{
    child::{
        owner::Owner,
        rules::{Rules, Typing},
        session::SessionSigns,
    },
    id::{Caller, ChildId, RootId, Size, TokenHash},
    preset::{OnExit, Reports},
    proc::Process,
};

/// See the module. Fields may be added with a default; none is ever taken away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Birth {
    /// Itself.
    pub(super) id: ChildId,
    /// Its name.
    pub(super) name: String,
    /// Its parent, its parent's, and so on to the top: some may be forgotten by the time this is read.
    pub(super) above: Vec<Caller>,
    /// The root on top, in case the journal does not know it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) root: Option<Seat>,
    /// What an answer tells of it.
    pub(super) facts: Facts,
    /// The hash of its identity.
    pub(super) token: TokenHash,
    /// How its program shows what it is doing.
    #[serde(default)]
    pub(super) rules: Rules,
    /// How its program wants its text.
    #[serde(default)]
    pub(super) typing: Typing,
    /// Where its program shows its own session.
    #[serde(default)]
    pub(super) session_signs: SessionSigns,
    /// Who holds its input; in what its keeper has, who did at first.
    pub(super) owner: Owner,
    /// Whether that is a person at the pane, whose hold ends with their connection.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) attached: bool,
    /// The terminal's size at first.
    pub(super) size: Size,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked: Option<Asked>,
    /// Whether it is started again when it has exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) on_exit: Option<OnExit>,
    /// How reports reach it that it does not wait for.
    #[serde(default)]
    pub(super) reports: Reports,
    /// It has compere's tools, and can report.
    #[serde(default)]
    pub(super) tools: bool,
    /// What it was given and has not reported on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) duty: Option<Duty>,
    /// The one it was started in the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) restarted: Option<Restarted>,
    /// What it asks, once a person was told of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asks: Option<String>,
    /// The boot in which its keeper is being started: should there be no keeper, nobody was told that there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) begins: Option<String>,
}

/// What was decided when a child was spawned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The preset it came from, or whose rules it got.
    pub preset: Option<String>,
    /// Its program's name.
    pub program: String,
    /// Where it was started.
    pub cwd: PathBuf,
    /// When.
    pub spawned: SystemTime,
    /// The id of the program's own session, if it was given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// A root: an MCP host's place in the company, held by a process and inherited within a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seat {
    /// Which.
    pub(super) id: RootId,
    /// Who holds it.
    pub(super) host: Process,
    /// Where.
    pub(super) workspace: PathBuf,
    /// The boot the process was of.
    #[serde(default)]
    pub(super) boot: String,
    /// When its host was found to be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gone: Option<SystemTime>,
}

impl Birth {
    /// The nearest above it that is still there.
    pub(super) fn parent(&self, there: impl Fn(Caller) -> bool) -> Caller {
        let above = self.above.iter().copied();
        above.clone().find(|caller| there(*caller)).or_else(|| above.last()).unwrap_or(Caller::Person)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Token;

    fn birth() -> Birth {
        Birth {
            id: ChildId(5),
            name: "build".into(),
            above: vec![Caller::Child(ChildId(3)), Caller::Child(ChildId(1)), Caller::Root(RootId(1))],
            root: None,
            facts: Facts {
                preset: None,
                program: "sh".into(),
                cwd: "/".into(),
                spawned: SystemTime::UNIX_EPOCH,
                session: None,
            },
            token: Token::random().hash(),
            rules: Rules::default(),
            typing: Typing::default(),
            session_signs: SessionSigns::default(),
            owner: Owner::Orchestrator { since: SystemTime::UNIX_EPOCH },
            attached: false,
            size: Size::DEFAULT,
            asked: None,
            on_exit: None,
            reports: Reports::Inbox,
            tools: false,
            duty: None,
            restarted: None,
            asks: None,
            begins: None,
        }
    }

    #[test]
    fn a_parent_that_is_forgotten_is_stood_for_by_the_next_above() {
        let birth = birth();
        let (c1, c3, r1) = (Caller::Child(ChildId(1)), Caller::Child(ChildId(3)), Caller::Root(RootId(1)));
        for (there, parent) in [(&[c1, c3][..], c3), (&[c1], c1), (&[], r1)] {
            assert_eq!(birth.parent(|caller| there.contains(&caller)), parent);
        }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_never_tells_the_identity() {
        let token = Token::random();
        let birth = Birth { token: token.hash(), ..birth() };
        let text = serde_json::to_string(&birth).unwrap();
        assert!(!text.contains(&token.reveal()));
        assert_eq!(serde_json::from_str::<Birth>(&text).unwrap(), birth);
    }
}
