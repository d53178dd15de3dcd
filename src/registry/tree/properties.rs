//! What holds of a tree however its children came and went, told from a plain list of who has whom.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, test_runner::RngSeed};

use super::*;
use crate::id::RootId;

/// What was done to it: the number chooses whose child, or who.
#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(usize),
    Remove(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => any::<usize>().prop_map(Step::Insert),
        1 => any::<usize>().prop_map(Step::Remove),
    ];
    vec(step, 0..30)
}

/// Each child's parent now, and its parent's depth when it came.
type Model = BTreeMap<ChildId, (Caller, usize)>;

const TOPS: [Caller; 3] = [Caller::Root(RootId(1)), Caller::Root(RootId(2)), Caller::Person];

fn callers(model: &Model) -> Vec<Caller> {
    TOPS.into_iter().chain(model.keys().copied().map(Caller::Child)).collect()
}

fn grown(steps: &[Step]) -> (Tree, Model) {
    let (mut tree, mut model) = (Tree::default(), Model::new());
    for (step, id) in steps.iter().zip((1..).map(ChildId)) {
        match *step {
            Step::Insert(whose) => {
                let callers = callers(&model);
                let parent = callers[whose % callers.len()];
                let depth = match parent {
                    Caller::Child(parent) => model[&parent].1 + 1,
                    _ => 1,
                };
                assert_eq!(tree.depth_below(parent), depth);
                assert_eq!(tree.insert(id, id.to_string(), parent).depth, depth);
                model.insert(id, (parent, depth));
            }
            Step::Remove(who) if model.is_empty() => tree.remove(ChildId(who as u32)),
            Step::Remove(who) => {
                let id = *model.keys().nth(who % model.len()).unwrap();
                let (above, _) = model.remove(&id).unwrap();
                tree.remove(id);
                for (parent, _) in model.values_mut().filter(|(parent, _)| *parent == Caller::Child(id)) {
                    *parent = above;
                }
            }
        }
    }
    (tree, model)
}

/// Everything below, from the top down.
fn below(model: &Model, caller: Caller) -> Vec<ChildId> {
    let own = model.iter().filter(|(_, (parent, _))| *parent == caller).map(|(id, _)| *id);
    let mut found: Vec<ChildId> =
        own.flat_map(|id| [vec![id], below(model, Caller::Child(id))].concat()).collect();
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..Default::default()
    })]

    #[test]
    fn what_is_below_is_what_has_it_above(steps in steps()) {
        let (tree, model) = grown(&steps);
        prop_assert!(tree.all().map(|node| node.id).eq(model.keys().copied()));
        for caller in callers(&model) {
            prop_assert_eq!(tree.below(caller), below(&model, caller));
        }
        for (id, (parent, depth)) in &model {
            // More than there are would be a circle.
            let above: Vec<Caller> = tree.ancestors(*id).take(model.len() + 1).collect();
            let node = tree.get(*id).unwrap();
            prop_assert!(above.len() <= model.len());
            prop_assert_eq!((above.first(), above.last()), (Some(parent), Some(&node.top)));
            prop_assert!(TOPS.contains(&node.top));
            prop_assert_eq!((node.parent, node.depth), (*parent, *depth));
            // Who was between may have gone.
            prop_assert!(above.len() <= node.depth);
        }
    }

    #[test]
    fn kin_is_the_same_from_both_sides(steps in steps()) {
        let (tree, model) = grown(&steps);
        for caller in callers(&model) {
            let below = below(&model, caller);
            for (id, (parent, _)) in &model {
                let own = match caller {
                    Caller::Child(me) => model.get(&me).map(|(parent, _)| *parent),
                    _ => None,
                };
                let expected = if caller == Caller::Child(*id) {
                    Kin::Itself
                } else if below.contains(id) {
                    Kin::Descendant
                } else if own == Some(Caller::Child(*id)) {
                    Kin::Parent
                } else if own == Some(*parent) {
                    Kin::Sibling
                } else {
                    Kin::Stranger
                };
                let kin = tree.kin(caller, *id);
                prop_assert_eq!(kin, expected, "{} {}", caller, id);
                let Caller::Child(me) = caller else { continue };
                let back = tree.kin(Caller::Child(*id), me);
                match kin {
                    Kin::Descendant => prop_assert!(matches!(back, Kin::Parent | Kin::Stranger)),
                    Kin::Parent => prop_assert_eq!(back, Kin::Descendant),
                    Kin::Itself | Kin::Sibling => prop_assert_eq!(back, kin),
                    Kin::Stranger => prop_assert!(matches!(back, Kin::Stranger | Kin::Descendant)),
                }
            }
        }
    }
}
