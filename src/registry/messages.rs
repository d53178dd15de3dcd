//! Messages: journaled before they are queued, so that whoever has a receipt can rely on it, and until their fate is
//! known.

use std::time::Duration;

use super::{Denied, Found, Registry, persons::SENDER, rights::Act};
use crate::{
    child::{
        Child, NotTyped, Receipt, Told, Witness,
        delivery::{DeliveryId, Fate, Job, Mark, Outcome, Reached, What},
        owner::Writer,
    },
    fault,
    id::{Caller, ChildId},
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

/// What is to be typed, and how.
struct Wish {
    what: What,
    when: When,
    prompt: Option<String>,
    writer: Writer,
    /// Who is told if a person sends it back.
    from: Option<Caller>,
}

/// Whether a message may disturb a program that is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// As its preset has it.
    InTurn,
    /// It is typed at once, or the program is interrupted for it.
    Now,
}

/// Why nothing can be told of a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReceipt {
    /// Never sent, or by someone else, or too long ago.
    #[error("nothing is known of a delivery {0}")]
    Unknown(DeliveryId),
    /// See [`Denied`].
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl Registry {
    /// Types a text and Enter, in its turn. Waits up to `wait` to tell how that went. Once this has returned, the
    /// message survives the broker; and it goes its way even if nobody waits for the receipt.
    pub async fn message(
        &self,
        caller: Caller,
        to: &Found,
        text: &str,
        when: When,
        wait: Duration,
    ) -> Result<Receipt, NotSent> {
        let (what, writer) = (to.child.text(text)?, Writer::of(caller));
        let wish = Wish { what, when, prompt: None, writer, from: Some(caller) };
        let receipt = self.send_if(&to.child, wish, wait).await?;
        Ok(self.answering(&to.child, receipt))
    }

    /// What is known of a message that was sent, after at most `wait` if it is on its way; of something held, at once.
    pub async fn receipt(
        &self,
        caller: Caller,
        delivery: DeliveryId,
        wait: Duration,
    ) -> Result<(Found, Receipt), NoReceipt> {
        let until = tokio::time::Instant::now() + wait;
        let mut settled = self.0.settled.subscribe();
        loop {
            let (to, fate) = self.sent(delivery).ok_or(NoReceipt::Unknown(delivery))?;
            let found = match self.find(caller, &to.to_string(), Act::Write) {
                // Nor is it told that there is such a child.
                Err(Denied::Unknown { .. }) => return Err(NoReceipt::Unknown(delivery)),
                found => found?,
            };
            let end = found.child.end();
            if fate.is_some() {
                return Ok((found, Receipt { delivery, fate, standing: None, end }));
            }
            let standing = found.child.standing(delivery).await;
            let held = standing.as_ref().is_some_and(|standing| standing.reached == Reached::Held);
            let news = tokio::time::timeout_at(until, settled.changed());
            if held || !matches!(news.await, Ok(Ok(()))) {
                return Ok((found, Receipt { delivery, fate, standing, end }));
            }
        }
    }

    /// To whom it was sent, and what became of it if that is known.
    fn sent(&self, delivery: DeliveryId) -> Option<(ChildId, Option<Fate>)> {
        let state = self.state();
        if let Some((child, fate)) = state.fates.get(delivery) {
            return Some((*child, Some(fate.clone())));
        }
        state.open.get(&delivery.0).map(|(child, _)| (*child, None))
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
        let wish = Wish { what: to.child.keys(keys)?, when: When::InTurn, prompt, writer, from: None };
        let receipt = self.send_if(&to.child, wish, wait).await?;
        Ok(self.answering(&to.child, receipt))
    }

    /// Whatever was not refused may have answered the child's newest report.
    fn answering(&self, child: &Child, receipt: Receipt) -> Receipt {
        if !matches!(receipt.fate, Some(Fate { outcome: Outcome::Refused(_), .. })) {
            self.state().answered(child.id());
            self.stir();
        }
        receipt
    }

    pub(super) async fn send(
        &self,
        child: &Child,
        what: What,
        when: When,
        writer: Writer,
        wait: Duration,
    ) -> Result<Receipt, NotSent> {
        self.send_if(child, Wish { what, when, prompt: None, writer, from: None }, wait).await
    }

    async fn send_if(&self, child: &Child, wish: Wish, wait: Duration) -> Result<Receipt, NotSent> {
        let (registry, child) = (self.clone(), child.clone());
        let queued = tokio::spawn(async move {
            let Wish { what, when, prompt, writer, from } = wish;
            let id = registry.next_delivery();
            let job = Job { id, writer, what, begun: 0, prompt, now: when == When::Now };
            if matches!(job.what, What::Message(_)) {
                registry.remember(child.id(), &job, from).await?;
                fault::point!("send.journaled");
                registry.watch_duty(child.id());
            }
            let id = job.id;
            let queued = child.queue(job).await;
            fault::point!("send.queued");
            if let Err(error) = &queued {
                registry.settled(child.id(), id, Fate::unseen(Outcome::Refused(error.to_string())));
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
                Told::Settled(delivery, fate) => registry.settled(id, delivery, fate),
                Told::Noted(delivery, mark) => registry.noted(delivery, mark),
                Told::Owner(owner, attached) => registry.owned(id, owner, attached),
                Told::Stint(stint) => registry.gave_back(id, *stint, runtime.as_ref()),
                Told::Reworded(job) => registry.reworded(id, &job, runtime.as_ref()),
                Told::SentBack(delivery, why) => registry.sent_back(id, delivery, &why, runtime.as_ref()),
                Told::Session(session) => registry.found_session(id, session),
                Told::Ended(state, why) => registry.ended(id, &state, &why, runtime.as_ref()),
            }
        })
    }

    async fn remember(&self, child: ChildId, job: &Job, from: Option<Caller>) -> Result<(), NotWritten> {
        let mut body = serde_json::to_value(job).unwrap_or_default();
        if let Some(from) = from {
            body[SENDER] = serde_json::to_value(from).unwrap_or_default();
        }
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

    pub(super) fn settled(&self, child: ChildId, id: DeliveryId, fate: Fate) {
        let bore = {
            let mut state = self.state();
            let Some((_, body)) = state.open.remove(&id.0) else { return };
            let mut bore = state.turn_ended(child, id, &body, &fate.outcome);
            if matches!(fate.outcome, Outcome::Refused(_)) {
                bore.extend(state.not_charged(child, id));
            }
            state.fates.keep(id, child, fate.clone());
            bore
        };
        fault::point!("send.settled");
        let text = match &fate.outcome {
            Outcome::Submitted { from } => format!("{id} submitted at offset {from}"),
            Outcome::Typed { from } => format!("{id} typed at offset {from}"),
            Outcome::Refused(why) => format!("{id} refused: {why}"),
            Outcome::Unknown(why) => format!("{id} unknown: {why}"),
        };
        let outcome = serde_json::to_value(&fate).unwrap_or_default();
        bore.into_iter().for_each(|change| self.0.journal.note(change));
        self.0.journal.note(Change::Settled { id: id.0, outcome });
        self.0.journal.note(Change::event(child, "message", text));
        self.0.settled.send_replace(());
    }

    /// More was seen of a message that is over.
    fn noted(&self, id: DeliveryId, mark: Mark) {
        let fate =
            self.state().fates.note(id, mark).map(|fate| serde_json::to_value(fate).unwrap_or_default());
        if let Some(outcome) = fate {
            self.0.journal.note(Change::Settled { id: id.0, outcome });
        }
    }

    fn next_delivery(&self) -> DeliveryId {
        let mut state = self.state();
        state.last.message += 1;
        DeliveryId(state.last.message)
    }
}
