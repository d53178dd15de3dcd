//! Types reports, and the ends of waits, into the panes of parents as turns of their own; and takes back what an answer
//! gives first. What is typed and when is decided in `turn`; how it is typed is delivery's.

use std::sync::{Arc, Weak};

use tokio::runtime::Handle;

use super::{
    Registry, Shared, State,
    timers::WaitId,
    turn::{TELLS, Tells, Verdict, batch, turn},
};
use crate::{
    child::{
        Child,
        delivery::{DeliveryId, Job, Outcome},
        owner::Writer,
        state::State as Doing,
    },
    id::{Caller, ChildId},
    journal::Change,
    preset::Reports,
    registry::turn::Scene,
};

impl Registry {
    /// Sees to it that what there is to tell a child is typed to it, if it is to be.
    pub(super) fn type_when_due(&self, whom: Caller) {
        let (Caller::Child(id), Ok(runtime)) = (whom, Handle::try_current()) else { return };
        let child = {
            let mut state = self.state();
            if state.verdict(id) == Verdict::Nothing {
                return;
            }
            let attended = &mut state.mail.entry(whom).or_default().turns.attended;
            if std::mem::replace(attended, true) {
                return;
            }
            state.members.get(&id).and_then(|member| member.child.clone())
        };
        if let Some(child) = child {
            runtime.spawn(attend(Arc::downgrade(&self.0), child));
        }
    }

    /// Whether a turn is typed now; when there is nothing to tell, nobody sees to it any more.
    fn turn_due(&self, id: ChildId) -> Verdict {
        let mut state = self.state();
        let verdict = state.verdict(id);
        if verdict == Verdict::Nothing
            && let Some(mail) = state.mail.get_mut(&Caller::Child(id))
        {
            mail.turns.attended = false;
        }
        verdict
    }

    /// Makes a turn of what there is to tell, remembers it, and queues it.
    async fn type_turn(&self, child: &Child) {
        let (id, whom) = (child.id(), Caller::Child(child.id()));
        let pen = self.state().mail.entry(whom).or_default().turns.pen.clone();
        let _pen = pen.lock().await;
        let Some((job, body)) = self.state().make_turn(child) else { return };
        let delivery = job.id;
        let written = self.write(vec![Change::Message { id: delivery.0, child: id, body }]).await;
        if let Err(error) = written {
            tracing::warn!(child = %id, %error, "what is to be typed to it cannot be remembered, and stays in its inbox");
            let mut state = self.state();
            state.open.remove(&delivery.0);
            state.mail.entry(whom).or_default().turns.ended(delivery, false);
            return;
        }
        if let Err(error) = child.queue(job).await {
            self.settled(id, delivery, &Outcome::Refused(error.to_string()));
        }
    }

    /// The caller is about to get by an answer what is queued to be typed to it: that is not typed, unless it has begun
    /// to be; then the answer says that it comes again.
    pub(super) async fn take_back(&self, caller: Caller) {
        let under_way = |state: &State| {
            let (delivery, tells) = state.mail.get(&caller)?.turns.under_way.clone()?;
            Some((delivery, tells))
        };
        let pen = {
            let state = self.state();
            if under_way(&state).is_none() {
                return;
            }
            state.mail.get(&caller).map(|mail| mail.turns.pen.clone())
        };
        let Some(pen) = pen else { return };
        // It may be remembered, and not queued yet.
        let _pen = pen.lock().await;
        let Caller::Child(id) = caller else { return };
        let (queued, child) = {
            let state = self.state();
            (under_way(&state), state.members.get(&id).and_then(|member| member.child.clone()))
        };
        let (Some((delivery, tells)), Some(child)) = (queued, child) else { return };
        let taken = child.withdraw(delivery).await == Ok(true);
        {
            let mut state = self.state();
            let Some(mail) = state.mail.get_mut(&caller) else { return };
            // Its end may have been told meanwhile.
            if mail.turns.under_way.as_ref().is_none_or(|(under_way, _)| *under_way != delivery) {
                return;
            }
            if taken {
                mail.turns.under_way = None;
            } else {
                mail.inbox.gave(tells.reports);
            }
        }
        if taken {
            self.settled(id, delivery, &Outcome::Refused("an answer told it instead".into()));
        }
    }

    /// A call of the caller's takes reports itself: until that ends, none is begun to be typed.
    pub(super) fn reader(&self, caller: Caller) -> Reader {
        self.state().mail.entry(caller).or_default().turns.listening += 1;
        Reader { registry: self.clone(), caller }
    }
}

/// See [`Registry::reader`].
pub(super) struct Reader {
    registry: Registry,
    caller: Caller,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(mail) = self.registry.state().mail.get_mut(&self.caller) {
            mail.turns.listening = mail.turns.listening.saturating_sub(1);
            mail.ring();
        }
    }
}

/// Types to one parent for as long as there is something to tell it.
async fn attend(company: Weak<Shared>, child: Child) {
    let mut status = child.changes();
    let Some(mut mail) =
        company.upgrade().map(Registry).map(|registry| registry.report_changes(Caller::Child(child.id())))
    else {
        return;
    };
    loop {
        // Before it is looked, so that nothing is missed in between.
        status.borrow_and_update();
        mail.borrow_and_update();
        {
            let Some(registry) = company.upgrade().map(Registry) else { return };
            match registry.turn_due(child.id()) {
                Verdict::Nothing => return,
                Verdict::Later(_) => {}
                Verdict::Now => registry.type_turn(&child).await,
            }
        }
        let changed = tokio::select! {
            changed = status.changed() => changed,
            changed = mail.changed() => changed,
        };
        // The child's thread or its inbox is gone.
        if changed.is_err() {
            return;
        }
    }
}

impl State {
    /// Whether a turn is typed to this child now.
    pub(super) fn verdict(&self, id: ChildId) -> Verdict {
        let whom = Caller::Child(id);
        let (Some(member), Some(mail)) = (self.members.get(&id), self.mail.get(&whom)) else {
            return Verdict::Nothing;
        };
        let Some(status) = member.child.as_ref().map(Child::status).filter(|status| !status.state.ended())
        else {
            return Verdict::Nothing;
        };
        if member.stopping {
            return Verdict::Nothing;
        }
        mail.turns.verdict(Scene {
            reports_typed: member.reports == Reports::Typed || self.waits.wants_reports(whom),
            unread: mail.inbox.unread(),
            over: self.waits.notices(whom).count(),
            idle: status.state == Doing::Idle && status.queued == 0,
            free: status.owner.admits(Writer::Agent) && status.held == 0,
        })
    }

    /// How many reports a child has not read, and what else waits for it or is owed by it, in words.
    pub(super) fn pending(&self, id: ChildId) -> (usize, Vec<String>) {
        let whom = Caller::Child(id);
        let unread = self.mail.get(&whom).map_or(0, |mail| mail.inbox.unread());
        let mut pending = Vec::new();
        if let Verdict::Later(when) = self.verdict(id) {
            let over: Vec<String> =
                self.waits.notices(whom).map(|notice| format!("the end of w{}", notice.wait.0)).collect();
            let reports = (unread > 0).then(|| format!("{unread} unread reports"));
            let what: Vec<String> = reports.into_iter().chain(over).collect();
            pending.push(format!("{}: {when}", what.join(", ")));
        }
        let over: Vec<WaitId> = self.waits.notices(whom).map(|notice| notice.wait).collect();
        let waits = self.waits.typed_of(whom).filter(|wait| !over.contains(wait));
        pending.extend(waits.map(|WaitId(wait)| format!("w{wait}: its end is typed to it")));
        if self.members.get(&id).and_then(|member| member.duty).is_some_and(|duty| duty.reminded) {
            pending.push("reminded to report, and has not".into());
        }
        (unread, pending)
    }

    /// The turn that is due, under way from here on, and its row.
    fn make_turn(&mut self, child: &Child) -> Option<(Job, serde_json::Value)> {
        let whom = Caller::Child(child.id());
        if self.verdict(child.id()) != Verdict::Now {
            return None;
        }
        let typed =
            self.members.get(&child.id())?.reports == Reports::Typed || self.waits.wants_reports(whom);
        let mail = self.mail.get_mut(&whom)?;
        let (reports, more) = match typed {
            true => batch(&mail.inbox, Registry::REPORT_BYTES),
            false => Default::default(),
        };
        let notices: Vec<_> = self.waits.notices(whom).collect();
        let mut waits: Vec<u64> = notices.iter().map(|notice| notice.wait.0).collect();
        if !reports.is_empty() {
            waits.extend(
                self.waits
                    .for_reports(whom)
                    .map(|wait| wait.0)
                    .filter(|wait| !waits.contains(wait))
                    .collect::<Vec<_>>(),
            );
        }
        let text = turn(&reports, more, mail.turns.hinted, &notices);
        let tells = Tells { reports: reports.last().map_or(0, |given| given.report.number), waits };
        self.last.message += 1;
        let id = DeliveryId(self.last.message);
        mail.turns.under_way = Some((id, tells.clone()));
        let Ok(what) = child.text(&text) else {
            mail.turns.ended(id, false);
            return None;
        };
        let job = Job { id, writer: Writer::Agent, what, begun: 0, prompt: None };
        let mut body = serde_json::to_value(&job).unwrap_or_default();
        body[TELLS] = serde_json::to_value(&tells).unwrap_or_default();
        self.open.insert(id.0, (child.id(), body.clone()));
        Some((job, body))
    }

    /// A turn that an earlier broker had begun is under way.
    pub(super) fn take_up_turn(&mut self, id: u64, child: ChildId, body: &serde_json::Value) {
        if let Some(tells) = told_by(body) {
            self.mail.entry(Caller::Child(child)).or_default().turns.under_way =
                Some((DeliveryId(id), tells));
        }
    }

    /// A message has come to its end. If it was a turn: what must be remembered of that, before the end itself.
    pub(super) fn turn_ended(
        &mut self,
        child: ChildId,
        id: DeliveryId,
        body: &serde_json::Value,
        outcome: &Outcome,
    ) -> Vec<Change> {
        let Some(tells) = told_by(body) else { return Vec::new() };
        let whom = Caller::Child(child);
        let Some(mail) = self.mail.get_mut(&whom) else { return Vec::new() };
        let typed = !matches!(outcome, Outcome::Refused(_) | Outcome::Unknown(_));
        mail.turns.ended(id, typed);
        let mut changes = Vec::new();
        match outcome {
            Outcome::Refused(_) => {}
            Outcome::Unknown(_) => {
                mail.inbox.gave(tells.reports);
                changes.push(Change::Given { inbox: whom, number: tells.reports });
                changes.extend(tells.waits.iter().filter_map(|wait| self.waits.told_perhaps(*wait)));
            }
            _ => {
                mail.inbox.gave(tells.reports);
                mail.inbox.heard(tells.reports);
                changes.push(Change::Heard { inbox: whom, number: tells.reports });
                changes.extend(tells.waits.iter().map(|wait| Change::WaitOver { id: *wait }));
                tells.waits.iter().for_each(|wait| self.waits.over(*wait));
            }
        }
        mail.ring();
        changes.retain(|change| {
            !matches!(change, Change::Given { number: 0, .. } | Change::Heard { number: 0, .. })
        });
        changes
    }
}

fn told_by(body: &serde_json::Value) -> Option<Tells> {
    serde_json::from_value(body.get(TELLS)?.clone()).ok()
}
