//! Messages: journaled before they are queued, so that whoever has a receipt can rely on it, and until their fate is
//! known.

use std::time::Duration;

use super::{Found, Registry};
use crate::{
    child::{
        Child, NotTyped, Receipt, Told, Witness,
        delivery::{DeliveryId, Job, Outcome, What},
        owner::Writer,
    },
    fault,
    id::ChildId,
    journal::{Change, NotWritten},
};

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// See [`NotTyped`].
    #[error(transparent)]
    NotTyped(#[from] NotTyped),
    /// See [`NotWritten`].
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
}

impl Registry {
    /// Types a text and Enter, in its turn. Waits up to `wait` to tell how that went. Once this has returned, the
    /// message survives the broker; and it goes its way even if nobody waits for the receipt.
    pub async fn message(
        &self,
        to: &Found,
        text: &str,
        writer: Writer,
        wait: Duration,
    ) -> Result<Receipt, NotSent> {
        let receipt = self.send(&to.child, to.child.text(text)?, writer, wait).await?;
        Ok(self.answering(&to.child, receipt))
    }

    /// Presses keys, in their turn. They answer what is on the screen now, and are not kept for another broker. Given the
    /// hash of a question, they are pressed only if it is the one that is asked then.
    pub async fn keys(
        &self,
        to: &Found,
        keys: Vec<String>,
        prompt: Option<String>,
        writer: Writer,
        wait: Duration,
    ) -> Result<Receipt, NotSent> {
        let receipt = self.send_if(&to.child, to.child.keys(keys)?, prompt, writer, wait).await?;
        Ok(self.answering(&to.child, receipt))
    }

    /// Whatever was not refused may have answered the child's newest report.
    fn answering(&self, child: &Child, receipt: Receipt) -> Receipt {
        if !matches!(receipt.outcome, Some(Outcome::Refused(_))) {
            self.state().answered(child.id());
            self.stir();
        }
        receipt
    }

    pub(super) async fn send(
        &self,
        child: &Child,
        what: What,
        writer: Writer,
        wait: Duration,
    ) -> Result<Receipt, NotSent> {
        self.send_if(child, what, None, writer, wait).await
    }

    async fn send_if(
        &self,
        child: &Child,
        what: What,
        prompt: Option<String>,
        writer: Writer,
        wait: Duration,
    ) -> Result<Receipt, NotSent> {
        let (registry, child) = (self.clone(), child.clone());
        let queued = tokio::spawn(async move {
            let job = Job { id: registry.next_delivery(), writer, what, begun: 0, prompt };
            if matches!(job.what, What::Message(_)) {
                registry.remember(child.id(), &job).await?;
                fault::point!("send.journaled");
                registry.watch_duty(child.id());
            }
            let id = job.id;
            let queued = child.queue(job).await;
            fault::point!("send.queued");
            if let Err(error) = &queued {
                registry.settled(child.id(), id, &Outcome::Refused(error.to_string()));
            }
            Ok::<_, NotSent>(queued?)
        });
        let queued = queued.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        Ok(queued.receipt(wait).await)
    }

    /// Whoever looks after a child tells us here what must be remembered of it.
    pub(super) fn witness(&self) -> Witness {
        let registry = std::sync::Arc::downgrade(&self.0);
        // The child's thread can wait for nothing, so whatever has to is done elsewhere.
        let runtime = tokio::runtime::Handle::try_current().ok();
        Witness::new(move |id, told| {
            let Some(registry) = registry.upgrade().map(Registry) else { return };
            match told {
                Told::Settled(delivery, outcome) => registry.settled(id, delivery, &outcome),
                Told::Owner(owner, attached) => registry.owned(id, owner, attached),
                Told::Stint(stint) => registry.gave_back(id, *stint, runtime.as_ref()),
                Told::Reworded(job) => registry.reworded(id, &job, runtime.as_ref()),
                Told::SentBack(delivery, why) => registry.sent_back(id, delivery, &why, runtime.as_ref()),
                Told::Session(session) => registry.found_session(id, session),
                Told::Ended(state, why) => registry.ended(id, &state, &why, runtime.as_ref()),
            }
        })
    }

    async fn remember(&self, child: ChildId, job: &Job) -> Result<(), NotWritten> {
        let body = serde_json::to_value(job).unwrap_or_default();
        let (id, DeliveryId(number)) = (job.id, job.id);
        let mut changes = vec![Change::Message { id: number, child, body: body.clone() }];
        {
            let mut state = self.state();
            state.open.insert(number, (child, body));
            // A person waits for no report.
            changes.extend((job.writer == Writer::Agent).then(|| state.charge(child, id)).flatten());
        }
        let written = self.write(changes).await;
        if written.is_err() {
            let mut state = self.state();
            state.open.remove(&id.0);
            state.not_charged(child, id);
        }
        written
    }

    pub(super) fn settled(&self, child: ChildId, id: DeliveryId, outcome: &Outcome) {
        let bore = {
            let mut state = self.state();
            let Some((_, body)) = state.open.remove(&id.0) else { return };
            let mut bore = state.turn_ended(child, id, &body, outcome);
            if matches!(outcome, Outcome::Refused(_)) {
                bore.extend(state.not_charged(child, id));
            }
            bore
        };
        fault::point!("send.settled");
        let text = match outcome {
            Outcome::Typed { from } => format!("{id} typed at offset {from}"),
            Outcome::Refused(why) => format!("{id} refused: {why}"),
            Outcome::Unknown(why) => format!("{id} unknown: {why}"),
        };
        let outcome = serde_json::to_value(outcome).unwrap_or_default();
        bore.into_iter().for_each(|change| self.0.journal.note(change));
        self.0.journal.note(Change::Settled { id: id.0, outcome });
        self.0.journal.note(Change::event(child, "message", text));
    }

    fn next_delivery(&self) -> DeliveryId {
        let mut state = self.state();
        state.last.message += 1;
        DeliveryId(state.last.message)
    }
}
