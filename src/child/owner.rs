//! Who holds a child's input: the orchestrator's side or a person. A plain value; every write asks it first.

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
}
