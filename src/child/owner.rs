//! Who holds a child's input: the orchestrator's side or a person; and how it passes between them. Plain values; every
//! write asks them first. No clock is here: what a person holds is theirs until they give it back or have gone.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::id::Caller;

/// The one who may write to a child now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The agents of the child's tree.
    Orchestrator {
        /// Since when.
        since: SystemTime,
    },
    /// A person: agents' messages are held until it is given back.
    Person {
        /// Who, as the person's system names them.
        who: String,
        /// Since when.
        since: SystemTime,
    },
}

/// Who wants to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writer {
    /// An orchestrator or a nested agent.
    Agent,
    /// A person, by the command line or at the pane.
    Person,
}

impl Writer {
    /// Whose hand it is when this caller writes.
    pub fn of(caller: Caller) -> Self {
        match caller {
            Caller::Person => Writer::Person,
            Caller::Root(_) | Caller::Child(_) => Writer::Agent,
        }
    }
}

impl Owner {
    /// Whether `writer` may write now. A person always may: a message of theirs is as deliberate as an agent's.
    pub fn admits(&self, writer: Writer) -> bool {
        match (self, writer) {
            (Owner::Orchestrator { .. }, _) | (Owner::Person { .. }, Writer::Person) => true,
            (Owner::Person { .. }, Writer::Agent) => false,
        }
    }

    /// `orchestrator` or `person`, as listings and receipts write it.
    pub fn word(&self) -> &'static str {
        match self {
            Owner::Orchestrator { .. } => "orchestrator",
            Owner::Person { .. } => "person",
        }
    }

    /// Since when the input is theirs.
    pub fn since(&self) -> SystemTime {
        match self {
            Owner::Orchestrator { since } | Owner::Person { since, .. } => *since,
        }
    }
}

/// A connection of somebody who looks at a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ViewerId(pub u64);

/// What somebody who looks at a child does about its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Takes it. Whoever had it looks on from then.
    Take {
        /// Who.
        viewer: ViewerId,
        /// As the person's system names them.
        who: String,
    },
    /// Gives it back, and looks on.
    GiveBack {
        /// Who.
        viewer: ViewerId,
    },
    /// Has gone, whether they said so or their connection broke.
    Leave {
        /// Who.
        viewer: ViewerId,
    },
}

/// Who holds the input, and through which connection. A person who spawned a child holds it without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    owner: Owner,
    viewer: Option<ViewerId>,
}

/// What a claim has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// From the orchestrator's side to a person.
    Taken,
    /// From one person to another.
    Passed,
    /// To the orchestrator's side.
    GivenBack,
}

impl Hold {
    /// As it is at a child's start, or when a broker takes it up: through no connection.
    pub fn new(owner: Owner) -> Hold {
        Hold { owner, viewer: None }
    }

    /// Who holds it.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Through which connection.
    pub fn viewer(&self) -> Option<ViewerId> {
        self.viewer
    }

    /// The only way in which it ever passes.
    pub fn claim(&mut self, claim: Claim, now: SystemTime) -> Option<Turn> {
        match claim {
            Claim::Take { viewer, .. } if self.viewer == Some(viewer) => None,
            Claim::Take { viewer, who } => {
                let before = std::mem::replace(&mut self.owner, Owner::Person { who, since: now });
                self.viewer = Some(viewer);
                Some(if matches!(before, Owner::Person { .. }) { Turn::Passed } else { Turn::Taken })
            }
            Claim::GiveBack { viewer } if self.viewer.is_none_or(|holder| holder == viewer) => self.end(now),
            Claim::Leave { viewer } if self.viewer == Some(viewer) => self.end(now),
            Claim::GiveBack { .. } | Claim::Leave { .. } => None,
        }
    }

    fn end(&mut self, now: SystemTime) -> Option<Turn> {
        self.viewer = None;
        if matches!(self.owner, Owner::Orchestrator { .. }) {
            return None;
        }
        self.owner = Owner::Orchestrator { since: now };
        Some(Turn::GivenBack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_keeps_agents_out_and_an_orchestrator_nobody() {
        let since = SystemTime::UNIX_EPOCH;
        let orchestrator = Owner::Orchestrator { since };
        let person = Owner::Person { who: "ada".into(), since };
        for (owner, writer, admitted) in [
            (&orchestrator, Writer::Agent, true),
            (&orchestrator, Writer::Person, true),
            (&person, Writer::Agent, false),
            (&person, Writer::Person, true),
        ] {
            assert_eq!(owner.admits(writer), admitted, "{owner:?} {writer:?}");
        }
    }

    const ADA: ViewerId = ViewerId(1);
    const BEN: ViewerId = ViewerId(2);

    fn take(viewer: ViewerId) -> Claim {
        Claim::Take { viewer, who: if viewer == ADA { "ada" } else { "ben" }.into() }
    }

    /// Every state and every claim, from whoever may be there.
    #[test]
    fn every_transition() {
        let (then, now) =
            (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(9));
        let orchestrator = |since| Hold::new(Owner::Orchestrator { since });
        let person =
            |who: &str, viewer, since| Hold { owner: Owner::Person { who: who.into(), since }, viewer };
        let (give, leave) = (|viewer| Claim::GiveBack { viewer }, |viewer| Claim::Leave { viewer });
        let agents = orchestrator(then);
        let spawned = person("eve", None, then);
        let adas = person("ada", Some(ADA), then);
        for (before, claim, after, turn) in [
            (&agents, take(ADA), person("ada", Some(ADA), now), Some(Turn::Taken)),
            (&agents, give(ADA), agents.clone(), None),
            (&agents, leave(ADA), agents.clone(), None),
            (&spawned, take(ADA), person("ada", Some(ADA), now), Some(Turn::Passed)),
            (&spawned, give(ADA), orchestrator(now), Some(Turn::GivenBack)),
            (&spawned, leave(ADA), spawned.clone(), None),
            (&adas, take(ADA), adas.clone(), None),
            (&adas, take(BEN), person("ben", Some(BEN), now), Some(Turn::Passed)),
            (&adas, give(ADA), orchestrator(now), Some(Turn::GivenBack)),
            (&adas, give(BEN), adas.clone(), None),
            (&adas, leave(ADA), orchestrator(now), Some(Turn::GivenBack)),
            (&adas, leave(BEN), adas.clone(), None),
        ] {
            let mut hold = before.clone();
            assert_eq!(hold.claim(claim.clone(), now), turn, "{before:?} {claim:?}");
            assert_eq!(hold, after, "{before:?} {claim:?}");
        }
    }
}
