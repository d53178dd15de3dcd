//! Starting is recovering: every child that an earlier broker had is found by its row or by its keeper's own record, and
//! taken up where it was left; and so are reports, messages, waits and roots.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use super::{
    Facts, Member, Registry,
    attention::Need,
    birth::{Birth, Seat},
    board::newest,
    inbox::{Inbox, Report},
    mail::Mail,
};
use crate::{
    child::{
        Begin, Child, Kept,
        delivery::{DeliveryId, Fate, Job},
        owner::Owner,
        rules::{Rules, Typing},
        session::SessionSigns,
    },
    fault,
    id::{Caller, ChildId, Token},
    journal::{Change, Past},
    keeper::{Record, Ring},
    preset::Reports,
};

/// What the journal has of a child.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    row: Option<Value>,
    end: Option<Value>,
    jobs: Vec<Job>,
    /// The log says that it could not be taken up.
    told: bool,
}

/// What was found of a child.
enum Trace {
    Found(Box<Found>),
    /// Nothing that could be taken up; its parent was told if need be.
    Nothing,
    /// We have no descriptors to look with.
    Unseen(io::Error),
}

struct Found {
    birth: Birth,
    row: Value,
    end: Option<Value>,
    record: Record,
    jobs: Vec<Job>,
    dead: Option<&'static str>,
}

impl Registry {
    /// Takes up what an earlier broker has left. Call once, before anybody is served.
    pub async fn recover(&self, past: Past) {
        let mut rows: BTreeMap<ChildId, Rows> = BTreeMap::new();
        let traces = self.0.place.traces();
        rows.extend(traces.iter().map(|id| (*id, Rows::default())));
        let blank = past.blank;
        for (id, body, end) in past.children {
            rows.insert(id, Rows { row: Some(body), end, ..Rows::default() });
        }
        {
            let mut state = self.state();
            state.last = past.last;
            state.last.child = state.last.child.max(traces.last().map_or(0, |id| id.0));
            for (id, body) in past.roots {
                match serde_json::from_value::<Seat>(body) {
                    Ok(seat) => state.roots.push(seat),
                    Err(error) => tracing::error!(root = %id, %error, "its row makes no sense"),
                }
            }
            for row in past.messages {
                if let Ok(job) = serde_json::from_value::<Job>(row.body.clone()) {
                    if let Some(rows) = rows.get_mut(&row.child) {
                        rows.jobs.push(job);
                    }
                    state.open.insert(row.id, (row.child, row.body));
                }
            }
            for row in past.settled {
                match serde_json::from_value::<Fate>(row.body) {
                    Ok(fate) => state.fates.keep(DeliveryId(row.id), row.child, fate),
                    Err(error) => tracing::error!(message = row.id, %error, "its fate makes no sense"),
                }
            }
            let mut reports: BTreeMap<Caller, Vec<Report>> = BTreeMap::new();
            for (inbox, _, body) in past.reports {
                reports.entry(inbox).or_default().extend(serde_json::from_value::<Report>(body).ok());
            }
            let progress: BTreeMap<Caller, (u64, u64)> =
                past.heard.iter().map(|row| (row.inbox, (row.heard, row.given))).collect();
            state.latest = newest(reports.iter().map(|(inbox, reports)| {
                (*inbox, &reports[..], progress.get(inbox).map_or(0, |(heard, _)| *heard))
            }));
            let inboxes: BTreeSet<Caller> = reports.keys().chain(progress.keys()).copied().collect();
            for inbox in inboxes {
                let (heard, given) = progress.get(&inbox).copied().unwrap_or_default();
                let reports = reports.remove(&inbox).unwrap_or_default();
                state.mail.insert(inbox, Mail::from(Inbox::restored(reports, heard, given)));
            }
            for (id, (child, body)) in state.open.clone() {
                state.take_up_turn(id, child, &body);
            }
        }
        // In the order they were spawned, so that parents are there before their children.
        for (id, rows) in rows {
            self.look_for(id, rows).await;
        }
        for (id, body) in past.waits {
            self.restore_wait(id, body);
        }
        self.resume_restarts(&tokio::runtime::Handle::current());
        let children: Vec<ChildId> = self.state().members.keys().copied().collect();
        children.into_iter().for_each(|id| self.type_when_due(Caller::Child(id)));
        {
            let mut state = self.state();
            let mail = state.mail.keys().copied();
            let nobody: Vec<Caller> = mail.filter(|whose| !state.is_known(*whose)).collect();
            for whose in nobody {
                state.mail.remove(&whose);
            }
        }
        self.mend(blank).await;
    }

    /// Looks again for whom there were no descriptors or threads. Call it now and then.
    pub async fn recover_rest(&self) {
        let unseen = std::mem::take(&mut self.state().unseen);
        for (id, rows) in unseen {
            self.look_for(id, rows).await;
        }
    }

    async fn look_for(&self, id: ChildId, rows: Rows) {
        let seen = match self.trace(id, rows.clone()).await {
            Trace::Found(found) => {
                fault::point!("broker.recovering");
                self.take_up(*found)
            }
            Trace::Nothing => Ok(()),
            Trace::Unseen(why) => Err(why),
        };
        if let Err(error) = seen {
            if !rows.told {
                tracing::error!(child = %id, %error, "cannot be looked after now; it is tried again");
            }
            self.state().unseen.insert(id, Rows { told: true, ..rows });
        }
    }

    /// What there is of a child; what is left of one that cannot be taken up is forgotten.
    async fn trace(&self, id: ChildId, rows: Rows) -> Trace {
        let Rows { row, end, jobs, .. } = rows;
        let ring = self.0.place.ring(id);
        let known = row.as_ref().and_then(|row| serde_json::from_value::<Birth>(row.clone()).ok());
        let record = match Ring::open(&ring) {
            Ok(record) => born(&ring, record).await,
            Err(error) if error.passes() => return Trace::Unseen(io::Error::other(error)),
            Err(error) => {
                // What is there and cannot be read may have a keeper; `compere doctor` tells of those.
                let kept = Ring::is_kept(&ring);
                tracing::warn!(child = %id, %error, ?kept, "nothing can be read of it");
                if let Ok(false) = kept {
                    let begun = known.filter(|birth| birth.begins.as_ref() != Some(&self.0.boot));
                    self.without_a_trace(id, begun, end).await;
                }
                return Trace::Nothing;
            }
        };
        {
            // A journal that was lost does not know which numbers its messages had, and a keeper takes no number twice.
            let newest = record.typed.iter().map(|typed| typed.delivery).max().unwrap_or(0);
            let mut state = self.state();
            state.last.message = state.last.message.max(newest).max(record.forgotten);
        }
        let theirs =
            || record.about.as_ref().and_then(|about| serde_json::from_value::<Birth>(about.clone()).ok());
        let mut birth = known.or_else(theirs).unwrap_or_else(|| stranger(id, &record));
        if birth.id != id {
            tracing::error!(child = %id, says = %birth.id, "its record is another's");
            return Trace::Nothing;
        }
        let kept = match Ring::is_kept(&ring) {
            Ok(kept) => kept,
            // Who cannot be seen is not dead.
            Err(error) => return Trace::Unseen(io::Error::other(error)),
        };
        if !kept && record.child_pid == 0 {
            // Its keeper died before there was a child.
            self.without_a_trace(id, None, end).await;
            return Trace::Nothing;
        }
        let dead = match kept {
            true => None,
            false if record.is_of_another_boot() => Some("the machine was restarted"),
            false => Some("its keeper died"),
        };
        let as_row = |birth: &Birth| serde_json::to_value(birth).unwrap_or_default();
        let begun = birth.begins.take().is_some();
        let row = row.filter(|_| !begun).unwrap_or_else(|| as_row(&birth));
        if begun {
            self.0.journal.note(Change::Child { id, body: row.clone() });
        }
        Trace::Found(Box::new(Found { birth, row, end, record, jobs, dead }))
    }

    /// A child of which nothing is on the disk: its parent is told, if nobody was told how it ended.
    async fn without_a_trace(&self, id: ChildId, birth: Option<Birth>, end: Option<Value>) {
        let Some(birth) = birth.filter(|_| end.is_none()) else {
            self.0.place.clear(id);
            return self.0.journal.note(Change::Forgotten { id });
        };
        let rebooted =
            birth.root.as_ref().is_some_and(|seat| !seat.boot.is_empty() && seat.boot != self.0.boot);
        let why = if rebooted { "the machine was restarted" } else { "its runtime directory was removed" };
        let (name, session) = (birth.name.clone(), birth.facts.session.clone());
        {
            let mut state = self.state();
            let parent = birth.parent(|caller| state.is_known(caller));
            state.tree.insert(id, birth.name.clone(), parent);
            state.members.insert(id, Member::new(birth.facts));
        }
        // In one step with the report, so that it is told once.
        let gone = vec![Change::event(id, "ended", format!("lost: {why}")), Change::Forgotten { id }];
        let session = session.map(|id| format!(" Its program's own session was {id}.")).unwrap_or_default();
        let message = format!(
            "{id} ({name}) was lost: {why}. This is compere's word, not the child's. Nothing of its output is \
             left.{session}"
        );
        self.needs_a_person(id, Need::Lost, why.to_owned());
        self.tell_parent(id, message, gone).await;
        let mut state = self.state();
        self.forget(&mut state, id);
    }

    /// A child becomes a member again: alive if its keeper is, else to be read. An error means that it cannot be now.
    fn take_up(&self, found: Found) -> io::Result<()> {
        let Found { birth, row, end, record, jobs, dead } = found;
        // Earlier versions wrote down less.
        let typing = birth.facts.preset.as_ref().map_or_else(Typing::of_a_command, |_| birth.typing.clone());
        let (id, pid) = (birth.id, record.child_pid);
        let env = Arc::new(if dead.is_none() { environment(pid) } else { Vec::new() });
        {
            let mut state = self.state();
            if let Some(seat) = &birth.root
                && state.seat(Caller::Root(seat.id)).is_none()
            {
                state.last.root = state.last.root.max(seat.id.0);
                state.roots.push(seat.clone());
            }
            let parent = birth.parent(|caller| state.is_known(caller));
            state.tree.insert(id, birth.name.clone(), parent);
            state.tokens.insert(birth.token.clone(), id);
            let token = Some(birth.token.clone());
            let member = Member {
                token,
                env,
                birth: Some(row),
                end,
                armed: true,
                reports: birth.reports,
                tools: birth.tools,
                duty: birth.duty,
                ..Member::new(birth.facts)
            };
            state.members.insert(id, member);
        }
        let begin = Begin {
            id,
            kept: Kept::Found { record: Box::new(record), jobs, dead },
            socket: self.0.place.keeper(id),
            ring: self.0.place.ring(id),
            size: birth.size,
            rules: birth.rules,
            typing,
            session: birth.session_signs,
            owner: match birth.attached {
                true => Owner::Orchestrator { since: SystemTime::now() },
                false => birth.owner.clone(),
            },
            witness: self.witness(),
        };
        match Child::start(begin) {
            Ok(child) => {
                tracing::info!(child = %id, alive = dead.is_none(), "taken up");
                if dead.is_none() {
                    self.0.journal.note(Change::event(id, "adopted", "by a new broker"));
                }
                self.attend(&child, birth.asks);
                if let Some(member) = self.state().members.get_mut(&id) {
                    member.child = Some(child);
                }
                if birth.attached {
                    self.lost_its_person(id, &birth.owner);
                }
                self.watch_duty(id);
                Ok(())
            }
            // Out of threads or descriptors: its keeper goes on.
            Err(error) => {
                let mut state = self.state();
                state.members.remove(&id);
                state.tree.remove(id);
                state.tokens.remove(&birth.token);
                Err(error)
            }
        }
    }
}

impl super::State {
    /// Whether that is somebody who can be a parent or have an inbox.
    fn is_known(&self, caller: Caller) -> bool {
        match caller {
            Caller::Person => true,
            Caller::Root(_) => self.seat(caller).is_some(),
            Caller::Child(id) => self.members.contains_key(&id) || self.unseen.contains_key(&id),
        }
    }
}

/// A keeper that is found while it starts has its child in a moment, of which its file does not tell by itself.
async fn born(ring: &Path, mut record: Record) -> Record {
    const TRIES: u32 = 100;
    const LOOK_AGAIN: Duration = Duration::from_millis(10);
    for _ in 0..TRIES {
        if record.child_pid != 0 || !Ring::is_kept(ring).unwrap_or(false) {
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        record = Ring::open(ring).unwrap_or(record);
    }
    record
}

/// A child of which only the ring tells, from before keepers had a record: the person's, so that somebody can see it.
fn stranger(id: ChildId, record: &Record) -> Birth {
    let proc = format!("/proc/{}", record.child_pid);
    let program = std::fs::read_to_string(format!("{proc}/comm")).unwrap_or_default();
    Birth {
        id,
        name: format!("adopted-{}", id.0),
        above: vec![Caller::Person],
        root: None,
        facts: Facts {
            preset: None,
            program: program.trim().to_owned(),
            cwd: std::fs::read_link(format!("{proc}/cwd")).unwrap_or_else(|_| "/".into()),
            spawned: SystemTime::now(),
            session: None,
        },
        // Nobody has it.
        token: Token::random().hash(),
        rules: Rules::default(),
        typing: Typing::of_a_command(),
        session_signs: SessionSigns::default(),
        owner: Owner::Orchestrator { since: SystemTime::now() },
        attached: false,
        size: record.size,
        asked: None,
        on_exit: None,
        reports: Reports::Inbox,
        tools: false,
        duty: None,
        restarted: None,
        asks: None,
        begins: None,
    }
}

/// What a child was given at its start, so that nothing secret has to be written down: the kernel remembers it.
pub(super) fn environment(pid: i32) -> Vec<(String, String)> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let pair = |entry: &[u8]| {
        let (name, value) = std::str::from_utf8(entry).ok()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    bytes.split(|byte| *byte == 0).filter_map(pair).collect()
}
