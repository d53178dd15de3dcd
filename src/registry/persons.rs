//! Persons at panes: what is remembered of who holds an input, and what the agents above are told of it.

use std::time::SystemTime;

use chrono::DateTime;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::{Registry, birth::Birth, board::ms, inbox::ReportStatus, mail::Letter};
use crate::{
    child::{
        delivery::{DeliveryId, Job, What},
        owner::Owner,
        stint::Told,
    },
    id::{Caller, ChildId},
    journal::Change,
};

/// The field of a message's row that says who sent it.
pub(super) const SENDER: &str = "from";

impl Registry {
    /// The input is somebody else's now: the next broker must know, and that a person's hold ends with their connection.
    pub(super) fn owned(&self, id: ChildId, owner: Owner, attached: bool) {
        let text = match &owner {
            Owner::Person { who, .. } => format!("{who} took it"),
            Owner::Orchestrator { .. } => "given back".to_owned(),
        };
        let row = {
            let mut state = self.state();
            let Some(birth) = state.birth(id) else { return };
            let Some(member) = state.members.get_mut(&id) else { return };
            let row = serde_json::to_value(Birth { owner, attached, ..birth }).unwrap_or_default();
            member.birth.insert(row).clone()
        };
        self.0.journal.note(Change::Child { id, body: row });
        self.0.journal.note(Change::event(id, "input", text));
    }

    /// A person has given the input back: the child's parent is told what they did with it.
    pub(super) fn gave_back(&self, id: ChildId, told: Told, runtime: Option<&Handle>) {
        if told.typed > 0 {
            self.state().answered(id);
            self.stir();
        }
        let Some(runtime) = runtime.filter(|_| !self.is_a_persons(id)) else { return };
        let lines = match told.typed {
            0 => "typed nothing".to_owned(),
            1 => "typed 1 line".to_owned(),
            typed => format!("typed {typed} lines"),
        };
        let (who, took, gave) = (told.who.join(", "), clock(told.took), clock(told.gave));
        let mut message =
            format!("A person ({who}) took over {id}'s input at {took}, {lines} and gave it back at {gave}.");
        if !told.lines.is_empty() {
            message += " As typed:";
            told.lines.iter().for_each(|line| message += &format!("\n> {line}"));
        }
        if told.lines.len() < told.typed {
            message += &format!(
                "\n{} not repeated here: empty, not shown by the program as they were typed, or too many.",
                told.typed - told.lines.len()
            );
        }
        let data = json!({
            "person": told.who, "took_ms": ms(told.took), "gave_ms": ms(told.gave), "typed": told.typed,
            "lines": told.lines,
        });
        self.tell_of(id, None, message, data, runtime);
    }

    /// A held message says something else than its sender wrote.
    pub(super) fn reworded(&self, id: ChildId, job: &Job, runtime: Option<&Handle>) {
        let DeliveryId(number) = job.id;
        let body = {
            let mut state = self.state();
            let Some((_, body)) = state.open.get_mut(&number) else { return };
            // Only that: a row may say more of a message than its job does.
            body["what"] = serde_json::to_value(&job.what).unwrap_or_default();
            body.clone()
        };
        let sender = sender(&body);
        self.0.journal.note(Change::Message { id: number, child: id, body });
        let (Some(runtime), What::Message(text)) = (runtime, &job.what) else { return };
        let message =
            format!("A person changed your message {} to {id}, which waits. It says now:\n> {text}", job.id);
        self.tell_of(id, sender, message, json!({"delivery": job.id.to_string(), "text": text}), runtime);
    }

    /// A held message was sent back.
    pub(super) fn sent_back(&self, id: ChildId, delivery: DeliveryId, why: &str, runtime: Option<&Handle>) {
        let Some(runtime) = runtime else { return };
        let sender = self.state().open.get(&delivery.0).and_then(|(_, body)| sender(body));
        // One of ours, with reports: they stay where they are.
        if sender.is_none() {
            return;
        }
        let message = format!("Your message {delivery} to {id} was not typed: {why}.");
        self.tell_of(id, sender, message, json!({"delivery": delivery.to_string(), "why": why}), runtime);
    }

    /// Nobody but the person is above it, who knows what they did.
    fn is_a_persons(&self, id: ChildId) -> bool {
        self.state().tree.get(id).is_some_and(|node| node.parent == Caller::Person)
    }

    /// Whoever sent something, or is above the child, is told, in our words.
    fn tell_of(&self, id: ChildId, whom: Option<Caller>, message: String, data: Value, runtime: &Handle) {
        let letter = Letter { status: ReportStatus::Progress, message, data: Some(data), synthetic: true };
        let registry = self.clone();
        runtime.spawn(async move {
            if let Err(error) = registry.file_to(whom, id, letter, Vec::new()).await {
                tracing::warn!(child = %id, %error, "what a person did could not be told");
            }
        });
    }

    /// A child was taken up at whose pane a person was: their connection has ended with the broker before this one.
    pub(super) fn lost_its_person(&self, id: ChildId, owner: &Owner) {
        self.owned(id, Owner::Orchestrator { since: SystemTime::now() }, false);
        let (Owner::Person { who, since }, Ok(runtime)) = (owner, Handle::try_current()) else { return };
        let message = format!(
            "A person ({who}) took over {id}'s input at {}; their connection ended with the broker that served it, so \
             it is given back. What they typed is not known.",
            clock(*since)
        );
        self.tell_of(id, None, message, json!({"person": [who], "took_ms": ms(*since)}), &runtime);
    }
}

/// Who sent it, as its row has it.
fn sender(body: &Value) -> Option<Caller> {
    serde_json::from_value(body.get(SENDER)?.clone()).ok()
}

/// As a clock shows it, in UTC.
fn clock(at: SystemTime) -> String {
    DateTime::from_timestamp_millis(ms(at) as i64).unwrap_or_default().format("%H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_time_is_told_as_a_clock_shows_it() {
        let after = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        for (at, told) in [
            (after(0), "00:00:00 UTC"),
            (after(86_399_999), "23:59:59 UTC"),
            (after(1_795_642_234_734), "21:30:34 UTC"),
            (UNIX_EPOCH - Duration::from_secs(1), "00:00:00 UTC"),
        ] {
            assert_eq!(clock(at), told);
        }
    }
}
