//! The company: who is whose child, what each may do, what was reported, who waits. A handle over one lock, which is
//! held for moments and never across an await. Knows no protocol and types nothing itself.

mod again;
pub mod attention;
mod birth;
pub mod board;
mod callers;
mod clock;
mod fates;
pub mod inbox;
mod launch;
mod ledger;
pub mod limits;
pub mod mail;
pub mod messages;
mod name;
pub mod nudge;
mod persons;
mod place;
mod recover;
mod restart;
pub mod rights;
pub mod roots;
pub mod spawn;
pub mod timers;
pub mod tree;
mod turn;
mod typist;
pub mod wake;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::future::join_all;
use serde_json::Value;
use tokio::sync::watch;

use self::{
    birth::Seat,
    board::Latest,
    fates::Fates,
    limits::{Limits, Rate},
    mail::Mail,
    nudge::{Duty, Nudges},
    rights::{Act, Kin},
    roots::Orphans,
    timers::Waits,
    tree::{Node, Tree},
};
use crate::{
    child::{Child, Left, Status},
    fault,
    id::{Caller, ChildId, Exit, TokenHash},
    journal::{Change, Journal, Last},
    preset::Reports,
    proc::boot_name,
};

pub use self::{again::NotResumed, birth::Facts, place::Place};

/// A handle; clones share one company.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    place: Place,
    limits: Limits,
    orphans: Orphans,
    nudges: Nudges,
    journal: Journal,
    boot: String,
    state: Mutex<State>,
    /// Reports are filed one after the other.
    desk: tokio::sync::Mutex<()>,
    /// Restarts are done, and told of, one after the other.
    restarts: tokio::sync::Mutex<()>,
    /// The journal is begun anew once, not once by everyone.
    mending: tokio::sync::Mutex<()>,
    /// Ticks when a message's fate is known.
    settled: watch::Sender<()>,
    /// Ticks when a spawn has come to its end, either way.
    spawned: watch::Sender<()>,
    /// Ticks when something of a board may have changed.
    pulse: watch::Sender<u64>,
    /// Who hears of children that need a person.
    told: attention::Told,
}

#[derive(Debug, Default)]
struct State {
    tree: Tree,
    members: BTreeMap<ChildId, Member>,
    tokens: HashMap<TokenHash, ChildId>,
    roots: Vec<Seat>,
    mail: HashMap<Caller, Mail>,
    /// Each child's newest report.
    latest: HashMap<ChildId, Latest>,
    /// Messages whose fate is open, as they are journaled.
    open: BTreeMap<u64, (ChildId, Value)>,
    /// What became of those that were settled last.
    fates: Fates,
    rates: HashMap<Caller, Rate>,
    waits: Waits,
    /// Children of an earlier broker's that could not be taken up yet, for want of descriptors.
    unseen: BTreeMap<ChildId, recover::Rows>,
    /// What earlier hosts left, to be told to whoever inherited it.
    greetings: HashMap<Caller, String>,
    last: Last,
}

/// A child, beside its place in the tree.
#[derive(Clone, Debug)]
struct Member {
    /// Nothing while it is being spawned.
    child: Option<Child>,
    facts: Facts,
    token: Option<TokenHash>,
    /// What its own children inherit.
    env: Arc<Vec<(String, String)>>,
    /// It was told to end: it spawns nothing more.
    stopping: bool,
    /// Its spawn is over: if it exits, that is its own doing.
    armed: bool,
    /// How reports reach it that it does not wait for.
    reports: Reports,
    /// It has compere's tools, and can report.
    tools: bool,
    /// What it was given and has not reported on; when it last reported progress; and whether somebody sees to that.
    duty: Option<Duty>,
    reported: Option<tokio::time::Instant>,
    watched: bool,
    /// Its row in the journal, and how it ended.
    birth: Option<Value>,
    end: Option<Value>,
}

impl Member {
    /// One that is about to be.
    fn new(facts: Facts) -> Self {
        Member {
            child: None,
            facts,
            token: None,
            env: Arc::default(),
            stopping: false,
            armed: false,
            reports: Reports::Inbox,
            tools: false,
            duty: None,
            reported: None,
            watched: false,
            birth: None,
            end: None,
        }
    }
}

/// A child somebody may speak of.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its place.
    pub node: Node,
    /// What it is to the caller.
    pub kin: Kin,
    /// Its handle.
    pub child: Child,
    /// How it was spawned.
    pub facts: Facts,
    /// What it has to be told, and what it owes, in words.
    pub pending: Vec<String>,
    /// Reports that it has not read.
    pub unread: usize,
    /// How long ago the host on top of its tree was found to be gone.
    pub hostless: Option<Duration>,
}

/// Why a child cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody the caller may see is called that.
    #[error("there is no child {who}")]
    Unknown {
        /// What was asked for.
        who: String,
        /// Whom the caller could ask for: `c3 (build)`.
        there_is: Vec<String>,
    },
    /// It is another's.
    #[error("{who} is your {kin}, whom you may see and not {what}")]
    Forbidden {
        /// What was asked for.
        who: String,
        /// What it is to the caller.
        kin: &'static str,
        /// What was wanted.
        what: &'static str,
    },
    /// Several trees have a child of that name.
    #[error("several children are called {who}")]
    Ambiguous {
        /// What was asked for.
        who: String,
        /// Their ids.
        ids: Vec<ChildId>,
    },
}

/// What became of a subtree that was stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Whose.
    pub id: ChildId,
    /// How it ended.
    pub exit: Option<Exit>,
    /// What would not end.
    pub left: Vec<Left>,
}

/// How much there is, for limits and for the broker's own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Children that live.
    pub live: usize,
    /// Children that have ended and can still be read.
    pub ended: usize,
    /// Reports nobody has read.
    pub unread: usize,
    /// Children that are about to be started again.
    pub awaited: usize,
}

impl Registry {
    /// Ended children that can still be read; older ones are forgotten.
    pub const KEEP_ENDED: usize = 64;

    /// An empty company that remembers in this journal.
    pub fn new(place: Place, limits: Limits, orphans: Orphans, journal: Journal) -> Self {
        Registry(Arc::new(Shared {
            place,
            limits,
            orphans,
            nudges: Nudges::default(),
            journal,
            boot: boot_name(),
            state: Mutex::default(),
            desk: tokio::sync::Mutex::default(),
            mending: tokio::sync::Mutex::default(),
            restarts: tokio::sync::Mutex::default(),
            settled: watch::channel(()).0,
            spawned: watch::channel(()).0,
            pulse: watch::channel(0).0,
            told: attention::Told::default(),
        }))
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Where things are.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// The child of that id or name, if the caller may do that with it.
    pub fn find(&self, caller: Caller, who: &str, act: Act) -> Result<Found, Denied> {
        let state = self.state();
        let seen = |id: ChildId| rights::may(caller, Act::See, state.tree.kin(caller, id));
        let known = || state.tree.all().filter(|node| seen(node.id));
        let unknown = || Denied::Unknown {
            who: who.to_owned(),
            there_is: known().map(|node| format!("{} ({})", node.id, node.name)).collect(),
        };
        let node = if let Ok(id) = who.parse::<ChildId>() {
            state.tree.get(id).filter(|node| seen(node.id)).ok_or_else(unknown)?
        } else {
            let mut named: Vec<&Node> =
                state.tree.all().filter(|node| node.name == who && seen(node.id)).collect();
            if named.iter().any(|node| state.live(node.id)) {
                named.retain(|node| state.live(node.id));
            } else if let Some(newest) = named.pop() {
                // A name that only ended children bear means the last of them.
                named = vec![newest];
            }
            match named[..] {
                [node] => node,
                [] => return Err(unknown()),
                _ => {
                    let ids = named.iter().map(|node| node.id).collect();
                    return Err(Denied::Ambiguous { who: who.to_owned(), ids });
                }
            }
        };
        let kin = state.tree.kin(caller, node.id);
        if !rights::may(caller, act, kin) {
            return Err(Denied::Forbidden { who: who.to_owned(), kin: kin.word(), what: act.word() });
        }
        state.found(node, kin).ok_or_else(unknown)
    }

    /// Everyone the caller may see and what they are to it, in the order they were spawned; nothing else of them is
    /// looked at.
    pub fn kin(&self, caller: Caller) -> Vec<(ChildId, Kin)> {
        let state = self.state();
        let begun = |id: &ChildId| state.members.get(id).is_some_and(|member| member.child.is_some());
        let all = state.tree.all().map(|node| (node.id, state.tree.kin(caller, node.id)));
        all.filter(|(id, kin)| rights::may(caller, Act::See, *kin) && begun(id)).collect()
    }

    /// All of each of them.
    pub fn family(&self, caller: Caller) -> Vec<Found> {
        self.kin(caller).into_iter().filter_map(|each| self.relative(each)).collect()
    }

    /// One of them, unless it was forgotten since.
    pub fn relative(&self, (id, kin): (ChildId, Kin)) -> Option<Found> {
        let state = self.state();
        state.found(state.tree.get(id)?, kin)
    }

    /// The caller's own place, if it is a child.
    pub fn node(&self, caller: Caller) -> Option<Node> {
        match caller {
            Caller::Child(id) => self.state().tree.get(id).cloned(),
            Caller::Root(_) | Caller::Person => None,
        }
    }

    /// What the caller's next spawn is counted with.
    pub fn count(&self, caller: Caller) -> limits::Count {
        self.state().count(caller)
    }

    /// What is left of the caller's tree's spawns of this minute.
    pub fn spawns_left(&self, caller: Caller) -> limits::Left {
        let state = self.state();
        let limit = self.0.limits.spawns_per_minute;
        let rate = state.rates.get(&state.tree.top(caller));
        rate.map_or(limits::Left { spawns: limit, wait_ms: 0 }, |rate| rate.left(limit, Instant::now()))
    }

    /// Ends a child, and the children it spawned, and everything they started. The child's own answer is the first.
    pub async fn stop(&self, id: ChildId, grace: Duration) -> Vec<Ended> {
        self.0.journal.note(Change::event(id, "stop", "told to end, with all below it"));
        let children: Vec<Child> = {
            let mut state = self.state();
            let mut ids = vec![id];
            ids.extend(state.tree.below(Caller::Child(id)));
            let stopping = |id: &ChildId| {
                let member = state.members.get_mut(id)?;
                member.stopping = true;
                member.child.clone()
            };
            let children = ids.iter().filter_map(stopping).collect();
            // Nor is one started again that has ended before.
            ids.iter().filter_map(|id| state.settled(*id)).for_each(|change| self.0.journal.note(change));
            children
        };
        fault::point!("stop.begun");
        let stops = children.iter().map(|child| async move {
            match child.stop(grace).await {
                Ok(stopped) => Ended { id: child.id(), exit: stopped.exit, left: stopped.left },
                Err(_) => Ended { id: child.id(), exit: child.status().exit(), left: Vec::new() },
            }
        });
        let ended = join_all(stops).await;
        fault::point!("stop.done");
        ended
    }

    /// How much there is.
    pub fn load(&self) -> Load {
        let state = self.state();
        let live = state.members.keys().filter(|id| state.live(**id)).count();
        let unread = state.mail.values().map(|mail| mail.inbox.unread()).sum();
        Load {
            live: live + state.unseen.len(),
            ended: state.members.len() - live,
            unread,
            awaited: state.awaited(),
        }
    }

    /// Forgets ended children, and removes what they left on disk. Live ones keep theirs, and their keepers.
    pub fn close(&self) {
        let mut state = self.state();
        let ended: Vec<ChildId> = state.members.keys().copied().filter(|id| !state.live(*id)).collect();
        for id in ended {
            self.forget(&mut state, id);
        }
    }

    fn forget(&self, state: &mut State, id: ChildId) {
        let Some(member) = state.members.remove(&id) else { return };
        state.tree.remove(id);
        state.mail.remove(&Caller::Child(id));
        state.latest.remove(&id);
        state.open.retain(|_, (child, _)| *child != id);
        state.fates.forget(id);
        if let Some(token) = member.token {
            state.tokens.remove(&token);
        }
        self.0.place.clear(id);
        if member.birth.is_some() {
            self.0.journal.note(Change::Forgotten { id });
        }
        self.stir();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is made whole before the lock is let go, so a panic elsewhere leaves nothing half done.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn found(&self, node: &Node, kin: Kin) -> Option<Found> {
        let member = self.members.get(&node.id)?;
        let child = member.child.clone()?;
        let hostless = self.hostless(node.top);
        let (unread, pending) = self.pending(node.id);
        Some(Found { node: node.clone(), kin, child, facts: member.facts.clone(), pending, unread, hostless })
    }

    /// Whether that is a child that has ended or is about to.
    fn stopped(&self, caller: Caller) -> bool {
        let Caller::Child(id) = caller else { return false };
        !self.live(id) || self.members.get(&id).is_some_and(|member| member.stopping)
    }

    /// Being spawned counts.
    fn live(&self, id: ChildId) -> bool {
        let member = self.members.get(&id);
        member.is_some_and(|member| member.child.as_ref().is_none_or(|child| !child.ended()))
    }

    fn count(&self, caller: Caller) -> limits::Count {
        let top = self.tree.top(caller);
        let mut count =
            limits::Count { depth: self.tree.depth_below(caller), children: 0, tree: 0, total: 0 };
        for node in self.tree.all().filter(|node| self.live(node.id)) {
            count.children += usize::from(node.parent == caller);
            count.tree += usize::from(node.top == top);
            count.total += 1;
        }
        count
    }

    /// Ended children beyond those we keep.
    fn surplus(&self) -> Vec<ChildId> {
        let over = |(id, member): (&ChildId, &Member)| !self.live(*id) && !member.awaited();
        let ended: Vec<ChildId> = self.members.iter().filter(|each| over(*each)).map(|(id, _)| *id).collect();
        let surplus = ended.len().saturating_sub(Registry::KEEP_ENDED);
        ended[..surplus].to_vec()
    }

    fn admit(&mut self, caller: Caller, limits: &Limits) -> Result<(), limits::OverLimit> {
        limits.admit(self.count(caller))?;
        let top = self.tree.top(caller);
        self.rates.entry(top).or_default().admit(limits.spawns_per_minute, Instant::now())
    }
}

impl Found {
    /// What the child is doing.
    pub fn status(&self) -> Status {
        self.child.status()
    }
}
