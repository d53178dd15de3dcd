//! Who spawned whom. A plain value: relations and names, nothing that lives.

use std::collections::BTreeMap;

use super::rights::Kin;
use crate::id::{Caller, ChildId};

/// A child's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Itself.
    pub id: ChildId,
    /// Unique among the live children of its tree.
    pub name: String,
    /// Who spawned it.
    pub parent: Caller,
    /// The root or person on top of its tree.
    pub top: Caller,
    /// Its generation: 1 for a root's own child.
    pub depth: usize,
}

/// All children, of all trees.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<ChildId, Node>,
}

impl Tree {
    /// A longer name would not fit a listing.
    pub const MAX_NAME: usize = 40;

    /// Puts a child under its parent. The parent must be there, if it is a child.
    pub fn insert(&mut self, id: ChildId, name: String, parent: Caller) -> &Node {
        let node = Node { id, name, parent, top: self.top(parent), depth: self.depth(parent) + 1 };
        self.nodes.entry(id).insert_entry(node).into_mut()
    }

    /// Takes a child out; its own children become its parent's, so that nobody is ever without one.
    pub fn remove(&mut self, id: ChildId) {
        let Some(gone) = self.nodes.remove(&id) else { return };
        for node in self.nodes.values_mut().filter(|node| node.parent == Caller::Child(id)) {
            node.parent = gone.parent;
        }
    }

    /// The child's place.
    pub fn get(&self, id: ChildId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// Every child, in the order they were spawned.
    pub fn all(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// What a child is to a caller.
    pub fn kin(&self, caller: Caller, id: ChildId) -> Kin {
        let Some(node) = self.nodes.get(&id) else { return Kin::Stranger };
        if caller == Caller::Child(id) {
            return Kin::Itself;
        }
        if self.ancestors(id).any(|above| above == caller) {
            return Kin::Descendant;
        }
        if let Caller::Child(me) = caller
            && let Some(me) = self.nodes.get(&me)
        {
            if me.parent == Caller::Child(id) {
                return Kin::Parent;
            }
            if me.parent == node.parent {
                return Kin::Sibling;
            }
        }
        Kin::Stranger
    }

    /// The child's parent, its parent, and so on to the top.
    pub fn ancestors(&self, id: ChildId) -> impl Iterator<Item = Caller> {
        let parent = |caller| match caller {
            Caller::Child(id) => self.nodes.get(&id).map(|node| node.parent),
            Caller::Root(_) | Caller::Person => None,
        };
        std::iter::successors(parent(Caller::Child(id)), move |above| parent(*above))
    }

    /// Everything below a caller.
    pub fn below(&self, caller: Caller) -> Vec<ChildId> {
        let below = |node: &&Node| self.ancestors(node.id).any(|above| above == caller);
        self.nodes.values().filter(below).map(|node| node.id).collect()
    }

    /// Who is on top of a caller's tree.
    pub fn top(&self, caller: Caller) -> Caller {
        match caller {
            Caller::Child(id) => self.nodes.get(&id).map_or(caller, |node| node.top),
            Caller::Root(_) | Caller::Person => caller,
        }
    }

    fn depth(&self, caller: Caller) -> usize {
        match caller {
            Caller::Child(id) => self.nodes.get(&id).map_or(0, |node| node.depth),
            Caller::Root(_) | Caller::Person => 0,
        }
    }

    /// The generation a new child of this caller would be.
    pub fn depth_below(&self, caller: Caller) -> usize {
        self.depth(caller) + 1
    }
}

/// Whether a name may be given: it must not look like an id, and be quotable anywhere without care.
pub fn valid_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !name.is_empty()
        && name.len() <= Tree::MAX_NAME
        && name.bytes().all(plain)
        && name.parse::<ChildId>().is_err()
        && name.bytes().any(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RootId;

    const ROOT: Caller = Caller::Root(RootId(1));

    fn child(n: u32) -> Caller {
        Caller::Child(ChildId(n))
    }

    /// r1 - c1 - c3 - c5, r1 - c2, r2 - c4
    fn family() -> Tree {
        let mut tree = Tree::default();
        for (id, parent) in [(1, ROOT), (2, ROOT), (3, child(1)), (4, Caller::Root(RootId(2))), (5, child(3))]
        {
            tree.insert(ChildId(id), format!("n{id}"), parent);
        }
        tree
    }

    #[test]
    fn kinship() {
        let tree = family();
        for (caller, id, kin) in [
            (ROOT, 1, Kin::Descendant),
            (ROOT, 5, Kin::Descendant),
            (ROOT, 4, Kin::Stranger),
            (child(1), 1, Kin::Itself),
            (child(1), 5, Kin::Descendant),
            (child(1), 2, Kin::Sibling),
            (child(3), 1, Kin::Parent),
            (child(3), 2, Kin::Stranger),
            (child(5), 1, Kin::Stranger),
            (child(1), 4, Kin::Stranger),
            (child(1), 99, Kin::Stranger),
            (child(99), 1, Kin::Stranger),
            (Caller::Person, 1, Kin::Stranger),
        ] {
            assert_eq!(tree.kin(caller, ChildId(id)), kin, "{caller} {id}");
        }
    }

    #[test]
    fn depth_top_and_what_is_below() {
        let tree = family();
        assert_eq!(tree.get(ChildId(5)).map(|node| (node.depth, node.top)), Some((3, ROOT)));
        assert_eq!(tree.depth_below(child(5)), 4);
        assert_eq!(tree.below(child(1)), [ChildId(3), ChildId(5)]);
        assert_eq!(tree.below(Caller::Person), []);
        assert_eq!(tree.ancestors(ChildId(5)).collect::<Vec<_>>(), [child(3), child(1), ROOT]);
    }

    #[test]
    fn the_children_of_one_that_is_forgotten_are_its_parents() {
        let mut tree = family();
        tree.remove(ChildId(1));
        assert_eq!(tree.kin(ROOT, ChildId(5)), Kin::Descendant);
        assert_eq!(tree.ancestors(ChildId(3)).collect::<Vec<_>>(), [ROOT]);
    }

    #[test]
    fn names_that_may_be_given() {
        for (name, valid) in [
            ("build", true),
            ("a.b-c_1", true),
            ("c1x", true),
            ("", false),
            ("c1", false),
            ("12", false),
            ("a b", false),
            ("é", false),
            ("a/b", false),
            (&"x".repeat(41), false),
        ] {
            assert_eq!(valid_name(name), valid, "{name}");
        }
    }
}
