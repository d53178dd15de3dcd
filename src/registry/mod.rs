//! The company: who is whose child, what each may do, what was reported, who waits. A handle over one lock, which is
//! held for moments and never across an await. Knows no protocol and types nothing itself.

mod callers;
pub mod host;
pub mod inbox;
pub mod limits;
pub mod rights;
pub mod spawn;
pub mod timers;
pub mod tree;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use futures::future::join_all;
use tokio::sync::watch;

use self::{
    host::Process,
    inbox::{Inbox, Report, ReportStatus},
    limits::{Limits, Rate},
    rights::{Act, Kin},
    timers::Waits,
    tree::{Node, Tree},
};
use crate::{
    child::{Child, Left, Status},
    id::{Caller, ChildId, Exit, RootId, TokenHash},
};

/// Where this broker keeps what it needs, and what it starts keepers with.
#[derive(Clone, Debug)]
pub struct Place {
    /// Our own program, as it was when we started.
    pub exe: PathBuf,
    /// Where fronts connect.
    pub socket: PathBuf,
    /// The keepers' rings and sockets.
    pub keepers: PathBuf,
    /// The files made for children. Some programs want no directory above them to be open to others.
    pub files: PathBuf,
    /// The user's presets, if there is a place for them.
    pub presets: Option<PathBuf>,
    /// compere's state directory, with the list of the workspaces' presets that a person has trusted.
    pub trust: Option<PathBuf>,
}

/// A handle; clones share one company.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    place: Place,
    limits: Limits,
    state: Mutex<State>,
    /// Ticks when a spawn has come to its end, either way.
    spawned: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    tree: Tree,
    members: BTreeMap<ChildId, Member>,
    tokens: HashMap<TokenHash, ChildId>,
    roots: Vec<Root>,
    mail: HashMap<Caller, Mail>,
    rates: HashMap<Caller, Rate>,
    waits: Waits,
    last_child: u32,
    last_root: u32,
}

/// An MCP host's place in the company, held by a process and inherited within a workspace.
#[derive(Debug)]
struct Root {
    id: RootId,
    host: Process,
    workspace: PathBuf,
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
}

/// What was decided when a child was spawned.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The preset it came from, or whose rules it got.
    pub preset: Option<String>,
    /// Its program's name.
    pub program: String,
    /// Where it was started.
    pub cwd: PathBuf,
    /// When.
    pub spawned: SystemTime,
}

#[derive(Debug)]
struct Mail {
    inbox: Inbox,
    tick: watch::Sender<u64>,
}

impl Default for Mail {
    fn default() -> Self {
        Mail { inbox: Inbox::default(), tick: watch::channel(0).0 }
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

/// Why a report was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReported {
    /// A root and a person have nobody above them.
    #[error("you have no parent")]
    NoParent,
    /// See [`inbox::Full`].
    #[error("your parent's inbox is full: {0}")]
    Full(inbox::Full),
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
}

impl Registry {
    /// Ended children that can still be read; older ones are forgotten.
    pub const KEEP_ENDED: usize = 64;

    /// An empty company, whose first child will be the one after `last`.
    pub fn new(place: Place, limits: Limits, last: u32) -> Self {
        let state = Mutex::new(State { last_child: last, ..State::default() });
        Registry(Arc::new(Shared { place, limits, state, spawned: watch::channel(()).0 }))
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
        let known: Vec<&Node> = state.tree.all().filter(|node| seen(node.id)).collect();
        let unknown = || Denied::Unknown {
            who: who.to_owned(),
            there_is: known.iter().map(|node| format!("{} ({})", node.id, node.name)).collect(),
        };
        let node = if let Ok(id) = who.parse::<ChildId>() {
            *known.iter().find(|node| node.id == id).ok_or_else(unknown)?
        } else {
            let mut named: Vec<&Node> = known.iter().copied().filter(|node| node.name == who).collect();
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

    /// Everyone the caller may see, in the order they were spawned.
    pub fn family(&self, caller: Caller) -> Vec<Found> {
        let state = self.state();
        let mut family = Vec::new();
        for node in state.tree.all() {
            let kin = state.tree.kin(caller, node.id);
            if rights::may(caller, Act::See, kin) {
                family.extend(state.found(node, kin));
            }
        }
        family
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

    /// Puts a report into the inbox of the caller's parent; answers its number and whose inbox that is. A parent that
    /// has ended reads nothing: then it goes to the nearest one above who can.
    pub fn report(
        &self,
        caller: Caller,
        status: ReportStatus,
        message: String,
        data: Option<serde_json::Value>,
    ) -> Result<(u64, Caller), NotReported> {
        let Caller::Child(from) = caller else { return Err(NotReported::NoParent) };
        let mut state = self.state();
        let parent = state.tree.get(from).map(|node| node.parent).ok_or(NotReported::NoParent)?;
        let reads = |above: &Caller| !matches!(above, Caller::Child(id) if !state.live(*id));
        let to = state.tree.ancestors(from).find(reads).unwrap_or(parent);
        let name = state.tree.get(from).map(|node| node.name.clone()).unwrap_or_default();
        let meant_for = (to != parent).then_some(parent);
        let report =
            Report { number: 0, from, name, meant_for, status, message, data, at: SystemTime::now() };
        let mail = state.mail.entry(to).or_default();
        let number = mail.inbox.push(report).map_err(NotReported::Full)?;
        mail.tick.send_replace(number);
        Ok((number, to))
    }

    /// The caller's reports, as [`Inbox::read`] has it.
    pub fn read_reports(&self, caller: Caller, after: Option<u64>, bytes: usize) -> (Vec<Report>, usize) {
        let mut state = self.state();
        state.mail.get_mut(&caller).map(|mail| mail.inbox.read(after, bytes)).unwrap_or_default()
    }

    /// How many reports wait unread for the caller, and the newest few.
    pub fn unread(&self, caller: Caller, newest: usize) -> (usize, Vec<Report>) {
        let state = self.state();
        let Some(mail) = state.mail.get(&caller) else { return (0, Vec::new()) };
        (mail.inbox.unread(), mail.inbox.waiting().rev().take(newest).cloned().collect())
    }

    /// The number of the caller's newest report.
    pub fn last_report(&self, caller: Caller) -> u64 {
        self.state().mail.get(&caller).map_or(0, |mail| mail.inbox.last())
    }

    fn report_changes(&self, caller: Caller) -> watch::Receiver<u64> {
        self.state().mail.entry(caller).or_default().tick.subscribe()
    }

    /// Ends a child, and the children it spawned, and everything they started. The child's own answer is the first.
    pub async fn stop(&self, id: ChildId, grace: Duration) -> Vec<Ended> {
        let children: Vec<Child> = {
            let mut state = self.state();
            let mut ids = vec![id];
            ids.extend(state.tree.below(Caller::Child(id)));
            let stopping = |id: &ChildId| {
                let member = state.members.get_mut(id)?;
                member.stopping = true;
                member.child.clone()
            };
            ids.iter().filter_map(stopping).collect()
        };
        let stops = children.iter().map(|child| async move {
            match child.stop(grace).await {
                Ok(stopped) => Ended { id: child.id(), exit: stopped.exit, left: stopped.left },
                Err(_) => Ended { id: child.id(), exit: child.status().exit(), left: Vec::new() },
            }
        });
        join_all(stops).await
    }

    /// How much there is.
    pub fn load(&self) -> Load {
        let state = self.state();
        let live = state.members.keys().filter(|id| state.live(**id)).count();
        let unread = state.mail.values().map(|mail| mail.inbox.unread()).sum();
        Load { live, ended: state.members.len() - live, unread }
    }

    /// Removes what ended children left on disk. Live ones keep theirs, and their keepers.
    pub fn close(&self) {
        let mut state = self.state();
        let ended: Vec<ChildId> = state.members.keys().copied().filter(|id| !state.live(*id)).collect();
        for id in ended {
            state.forget(id, &self.0.place);
        }
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
        Some(Found { node: node.clone(), kin, child, facts: member.facts.clone() })
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
        let live = || self.tree.all().filter(|node| self.live(node.id));
        limits::Count {
            depth: self.tree.depth_below(caller),
            children: live().filter(|node| node.parent == caller).count(),
            tree: live().filter(|node| node.top == top).count(),
            total: live().count(),
        }
    }

    /// Ended children beyond those we keep.
    fn surplus(&self) -> Vec<ChildId> {
        let ended: Vec<ChildId> = self.members.keys().copied().filter(|id| !self.live(*id)).collect();
        let surplus = ended.len().saturating_sub(Registry::KEEP_ENDED);
        ended[..surplus].to_vec()
    }

    fn forget(&mut self, id: ChildId, place: &Place) {
        let Some(member) = self.members.remove(&id) else { return };
        self.tree.remove(id);
        self.mail.remove(&Caller::Child(id));
        if let Some(token) = member.token {
            self.tokens.remove(&token);
        }
        place.clear(id);
    }

    fn admit(&mut self, caller: Caller, limits: &Limits) -> Result<(), limits::OverLimit> {
        limits.admit(self.count(caller))?;
        let top = self.tree.top(caller);
        self.rates.entry(top).or_default().admit(limits.spawns_per_minute, Instant::now())
    }
}

impl Place {
    /// A keeper's ring.
    pub fn ring(&self, id: ChildId) -> PathBuf {
        self.keepers.join(format!("{id}.ring"))
    }

    /// A keeper's socket.
    pub fn keeper(&self, id: ChildId) -> PathBuf {
        self.keepers.join(format!("{id}.sock"))
    }

    /// The directory of files made for a child.
    pub fn files(&self, id: ChildId) -> PathBuf {
        self.files.join(format!("{id}.d"))
    }

    /// Removes everything of a child's that is on disk.
    fn clear(&self, id: ChildId) {
        // What is not there need not be removed, and there is nobody to tell of the rest but the log.
        for file in [self.ring(id), self.keeper(id)] {
            let _ = std::fs::remove_file(file);
        }
        let _ = std::fs::remove_dir_all(self.files(id));
    }
}

impl Found {
    /// What the child is doing.
    pub fn status(&self) -> Status {
        self.child.status()
    }
}
