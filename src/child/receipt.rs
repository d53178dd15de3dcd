//! What whoever sent something is told of it: at once, or after having waited for its end.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{
    Child, Gone,
    delivery::{DeliveryId, Fate, Outcome, Standing},
};
use crate::id::Offset;

/// What is known of a message a moment after it was given to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its name.
    pub delivery: DeliveryId,
    /// How it ended, or nothing while it is on its way.
    pub fate: Option<Fate>,
    /// How far it is, while it is on its way.
    pub standing: Option<Standing>,
    /// What the child had written when it was accepted.
    pub end: Offset,
}

/// Something that waits for its turn to be typed.
#[derive(Debug)]
pub struct Queued {
    pub(super) child: Child,
    pub(super) delivery: DeliveryId,
    /// A person keeps its writer out.
    pub(super) held: bool,
    /// What the child had written when it was accepted.
    pub(super) end: Offset,
    pub(super) fate: oneshot::Receiver<Fate>,
}

impl Queued {
    /// What is known of it after at most `wait`; of something held, what is known at once.
    pub async fn receipt(self, wait: Duration) -> Receipt {
        let wait = if self.held { Duration::ZERO } else { wait };
        let mut settled = self.fate;
        let gone = |_| Fate::unseen(Outcome::Unknown(Gone.to_string()));
        let mut fate =
            tokio::time::timeout(wait, &mut settled).await.ok().map(|fate| fate.unwrap_or_else(gone));
        let mut standing = None;
        if fate.is_none() {
            standing = self.child.standing(self.delivery).await;
            // It may have come to its end between the two.
            fate = settled.try_recv().ok();
        }
        Receipt { delivery: self.delivery, fate, standing, end: self.end }
    }
}
