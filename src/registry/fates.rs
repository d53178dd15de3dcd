//! What became of the newest messages, for whoever asks again. A plain value; does not know who may ask.

use std::collections::BTreeMap;

use crate::{
    child::delivery::{DeliveryId, Fate, Mark},
    id::ChildId,
};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Fates(BTreeMap<u64, (ChildId, Fate)>);

impl Fates {
    /// How many are kept; with long reasons some hundred kilobytes.
    pub(super) const KEPT: usize = 500;

    /// Keeps one, and lets the oldest go.
    pub(super) fn keep(&mut self, id: DeliveryId, child: ChildId, fate: Fate) {
        self.0.insert(id.0, (child, fate));
        while self.0.len() > Self::KEPT {
            self.0.pop_first();
        }
    }

    /// To whom it was sent, and what became of it.
    pub(super) fn get(&self, id: DeliveryId) -> Option<&(ChildId, Fate)> {
        self.0.get(&id.0)
    }

    /// Adds what was seen later. Answers the whole, if the message is among the kept.
    pub(super) fn note(&mut self, id: DeliveryId, mark: Mark) -> Option<&Fate> {
        let (_, fate) = self.0.get_mut(&id.0)?;
        fate.evidence.push(mark);
        Some(fate)
    }

    /// Forgets those that were sent to this child.
    pub(super) fn forget(&mut self, child: ChildId) {
        self.0.retain(|_, (to, _)| *to != child);
    }

    /// All, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, ChildId, &Fate)> {
        self.0.iter().map(|(id, (child, fate))| (*id, *child, fate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::delivery::Outcome;

    #[test]
    fn the_newest_are_kept_and_those_of_the_forgotten_are_not() {
        let mut fates = Fates::default();
        let fate = || Fate::unseen(Outcome::Refused("no".into()));
        for id in 1..=600 {
            fates.keep(DeliveryId(id), ChildId((id % 2) as u32), fate());
        }
        assert_eq!((fates.get(DeliveryId(100)), fates.all().count()), (None, Fates::KEPT));
        assert_eq!(fates.get(DeliveryId(101)), Some(&(ChildId(1), fate())));
        fates.forget(ChildId(1));
        assert_eq!((fates.get(DeliveryId(101)), fates.all().count()), (None, Fates::KEPT / 2));
    }
}
