//! The company's side of the journal: what is written when a child comes, ends and is forgotten, and all there is to
//! write when the journal has to be begun anew.

use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::{Registry, attention::Need, inbox::ReportStatus, mail::Letter};
use crate::{
    child::state::State as Doing,
    fault,
    id::ChildId,
    journal::{Change, NotWritten},
};

impl Registry {
    /// Returns when all of this is on the disk, or none of it. A corrupt journal is begun anew from what we know.
    pub(super) async fn write(&self, changes: Vec<Change>) -> Result<(), NotWritten> {
        let journal = &self.0.journal;
        let first = journal.write(changes.clone()).await;
        if !matches!(first, Err(NotWritten::Corrupt { .. })) {
            return first;
        }
        let _mending = self.0.mending.lock().await;
        match journal.write(changes.clone()).await {
            Err(NotWritten::Corrupt { .. }) => {}
            // Somebody else has mended it meanwhile.
            other => return other,
        }
        journal.rebuild(self.everything()).await?;
        journal.write(changes).await
    }

    /// Returns when what was noted is on the disk, or cannot be brought there.
    pub async fn rest(&self) {
        // What cannot be written has been told to the log.
        let _ = self.0.journal.rest().await;
    }

    /// Begins a new journal if the one there was cannot be used, and tells one that is blank what we know.
    pub(super) async fn mend(&self, blank: bool) {
        // Nothing is the smallest write there is.
        let known = if blank { self.everything() } else { Vec::new() };
        if let Err(error) = self.write(known).await {
            tracing::error!(%error);
        }
    }

    fn everything(&self) -> Vec<Change> {
        let state = self.state();
        let mut all = vec![Change::Counted(state.last)];
        all.extend(state.roots.iter().map(super::birth::Seat::change));
        for (id, member) in &state.members {
            if let Some(birth) = &member.birth {
                all.push(Change::Child { id: *id, body: birth.clone() });
            }
            if let Some(end) = &member.end {
                all.push(Change::Ended { id: *id, end: end.clone() });
            }
        }
        for (id, (child, body)) in &state.open {
            all.push(Change::Message { id: *id, child: *child, body: body.clone() });
        }
        for (id, child, fate) in state.fates.all() {
            all.push(Change::Message { id, child, body: Value::Null });
            all.push(Change::Settled { id, outcome: serde_json::to_value(fate).unwrap_or_default() });
        }
        for (inbox, mail) in &state.mail {
            all.extend(mail.inbox.all().map(|report| {
                let body = serde_json::to_value(report).unwrap_or_default();
                Change::Report { inbox: *inbox, number: report.number, body }
            }));
            let (heard, given) = mail.inbox.progress();
            all.push(Change::Given { inbox: *inbox, number: given });
            all.push(Change::Heard { inbox: *inbox, number: heard });
        }
        all.extend(state.waits.all());
        all
    }

    /// A child has ended; its thread says so. Of one that was lost its parent is told, in one step with remembering it.
    pub(super) fn ended(&self, id: ChildId, doing: &Doing, why: &str, runtime: Option<&Handle>) {
        fault::point!("exit.heard");
        let end = json!({"state": doing.to_string(), "why": why});
        let (end, next) = {
            let mut state = self.state();
            let Some(member) = state.members.get_mut(&id) else { return };
            if member.end.is_some() {
                return;
            }
            member.end = Some(end.clone());
            let next = state.follow(id, doing);
            (state.members.get(&id).and_then(|member| member.end.clone()).unwrap_or(end), next)
        };
        if *doing == Doing::Lost {
            self.needs_a_person(id, Need::Lost, why.to_owned());
        }
        let note = vec![Change::Ended { id, end }, Change::event(id, "ended", format!("{doing}: {why}"))];
        match runtime {
            Some(runtime) if *doing == Doing::Lost => {
                let message = format!(
                    "{id} was lost: {why}. This is compere's word, not the child's: nobody knows how far it got. Its \
                     last output can still be read."
                );
                let registry = self.clone();
                runtime.spawn(async move { registry.tell_parent(id, message, note).await });
            }
            _ => note.into_iter().for_each(|change| self.0.journal.note(change)),
        }
        fault::point!("exit.noted");
        if let Some(runtime) = runtime {
            self.follow_up(id, doing, next, runtime);
        }
    }

    /// Reports for a child that cannot any more.
    pub(super) async fn tell_parent(&self, id: ChildId, message: String, also: Vec<Change>) {
        let letter = Letter { status: ReportStatus::Failed, message, data: None, synthetic: true };
        if let Err(error) = self.file(id, letter, also.clone()).await {
            tracing::warn!(child = %id, %error, "its parent could not be told");
            also.into_iter().for_each(|change| self.0.journal.note(change));
        }
    }
}
