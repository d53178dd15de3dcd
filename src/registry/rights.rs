//! Who may do what to whom: one table. Knows nothing of children but how they are related to the caller.

use crate::id::Caller;

/// What a caller wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Message, keys, stop.
    Write,
    /// Screen, stream, wait.
    Read,
    /// Name and state, in a listing.
    See,
}

/// What a child is to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kin {
    /// The caller itself.
    Itself,
    /// Below the caller, at any depth.
    Descendant,
    /// The child the caller was spawned by.
    Parent,
    /// Spawned by the caller's own parent.
    Sibling,
    /// Anything else.
    Stranger,
}

impl Act {
    /// As an error says what may not be done.
    pub(super) fn word(self) -> &'static str {
        match self {
            Act::Write => "write to",
            Act::Read => "read",
            Act::See => "see",
        }
    }
}

impl Kin {
    /// As in "your parent".
    pub fn word(self) -> &'static str {
        match self {
            Kin::Itself => "own self",
            Kin::Descendant => "descendant",
            Kin::Parent => "parent",
            Kin::Sibling => "sibling",
            Kin::Stranger => "stranger",
        }
    }
}

/// The table of the design's section on rights, cell by cell.
pub fn may(caller: Caller, act: Act, kin: Kin) -> bool {
    use Kin::{Descendant, Itself, Parent, Sibling};
    match (caller, act) {
        (Caller::Person, _) => true,
        (_, Act::Write) => kin == Descendant,
        (_, Act::Read) => matches!(kin, Itself | Descendant),
        (_, Act::See) => matches!(kin, Itself | Descendant | Parent | Sibling),
    }
}

/// Whether a caller has a parent to report to.
pub fn may_report(caller: Caller) -> bool {
    matches!(caller, Caller::Child(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ChildId, RootId};

    #[test]
    fn every_cell_of_the_table() {
        use {Act::*, Kin::*};
        let (root, child, person) = (Caller::Root(RootId(1)), Caller::Child(ChildId(1)), Caller::Person);
        for (act, kin, root_may, child_may, person_may) in [
            (Write, Itself, false, false, true),
            (Write, Descendant, true, true, true),
            (Write, Parent, false, false, true),
            (Write, Sibling, false, false, true),
            (Write, Stranger, false, false, true),
            (Read, Itself, true, true, true),
            (Read, Descendant, true, true, true),
            (Read, Parent, false, false, true),
            (Read, Sibling, false, false, true),
            (Read, Stranger, false, false, true),
            (See, Itself, true, true, true),
            (See, Descendant, true, true, true),
            (See, Parent, true, true, true),
            (See, Sibling, true, true, true),
            (See, Stranger, false, false, true),
        ] {
            let said = (may(root, act, kin), may(child, act, kin), may(person, act, kin));
            assert_eq!(said, (root_may, child_may, person_may), "{act:?} {kin:?}");
        }
        assert_eq!([root, child, person].map(may_report), [false, true, false]);
    }
}
