//! Spawning: the limits are reserved, the preset becomes a spec, the keeper starts, the child joins the tree. Whatever
//! fails on the way leaves nothing behind.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use super::{
    Facts, Member, NotResumed, Registry,
    again::{Asked, Like, Restarted, uuid},
    birth::Birth,
    launch::write_files,
    limits::OverLimit,
    messages::{NotSent, When},
    name::{basename, free_name},
    nudge::Duty,
    roots::Verdict,
    tree::{Node, valid_name},
};
use crate::{
    child::{
        Child, Receipt,
        owner::{Owner, Writer},
        typing,
    },
    fault,
    id::{Caller, ChildId, Size, Token},
    journal::{Change, NotWritten},
    keeper::{LaunchError, Spec},
    preset::{self, OnExit, PresetDirs, PresetError, Presets, Reports, Resolved, SessionWish},
};

/// Where a call comes from: what a child inherits from whoever asked for it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Relative paths start here.
    pub cwd: PathBuf,
    /// Where the caller's project begins; its own presets are looked for there.
    pub workspace: PathBuf,
    /// The caller's environment.
    pub env: Arc<Vec<(String, String)>>,
    /// The user's name, for what a person does.
    pub user: String,
}

/// What shall be spawned.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// A preset's name.
    pub preset: Option<String>,
    /// A program and its arguments, instead of or within the preset.
    pub command: Option<Vec<String>>,
    /// What to call it.
    pub name: Option<String>,
    /// Where to start it.
    pub cwd: Option<PathBuf>,
    /// Variables of its own.
    pub env: BTreeMap<String, String>,
    /// The terminal's size.
    pub size: Option<Size>,
    /// The first message.
    pub message: Option<String>,
    /// A child that has ended, whose session shall go on in this one.
    pub resume: Option<String>,
}

/// A child that was spawned.
#[derive(Clone, Debug)]
pub struct Spawned {
    /// Its handle.
    pub child: Child,
    /// Its name.
    pub name: String,
    /// How it was spawned.
    pub facts: Facts,
    /// The first message's receipt, if it did not go on the command line.
    pub message: Option<Receipt>,
}

/// Why nothing was spawned.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// Neither a preset nor a command.
    #[error("neither a preset nor a command was given")]
    Nothing {
        /// The presets there are.
        presets: Vec<String>,
    },
    /// See [`OverLimit`].
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// The name cannot be given.
    #[error("{0:?} cannot be a name")]
    Name(String),
    /// A live child of the tree has that name.
    #[error("{0:?} is the name of {1}")]
    NameTaken(String, ChildId),
    /// The caller's own child has ended or was stopped.
    #[error("you have been stopped yourself")]
    CallerEnded,
    /// Nobody has held the tree for too long.
    #[error("the host on top of your tree has been gone for {minutes} minutes")]
    Orphaned {
        /// How long.
        minutes: u64,
    },
    /// See [`NotResumed`].
    #[error(transparent)]
    NotResumed(#[from] NotResumed),
    /// See [`NotWritten`].
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
    /// See [`PresetError`].
    #[error(transparent)]
    Preset(#[from] PresetError),
    /// See [`LaunchError`].
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The first message cannot be typed.
    #[error("the message: {0}")]
    Message(#[from] typing::TypingError),
    /// Our own files or threads.
    #[error("{what}: {error}")]
    Io {
        /// What was done.
        what: &'static str,
        /// How it failed.
        error: io::Error,
    },
}

/// What is decided with a spawn, and remembered beside what is run.
struct Remembered {
    asked: Option<Asked>,
    on_exit: Option<OnExit>,
    restarted: Option<Restarted>,
    reports: Reports,
    /// It has compere's tools.
    tools: bool,
    /// It was given something on its command line.
    given: bool,
}

/// A place in the tree and a number against the limits, given back unless the spawn succeeds.
struct Reservation {
    registry: Registry,
    id: ChildId,
    name: String,
    kept: bool,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.kept {
            let mut state = self.registry.state();
            self.registry.forget(&mut state, self.id);
        }
        self.registry.0.spawned.send_replace(());
        self.registry.stir();
    }
}

impl Registry {
    /// Starts a child of the caller's. It is started, or not, even if nobody waits for it any more.
    pub async fn spawn(&self, caller: Caller, session: &Session, wish: Wish) -> Result<Spawned, SpawnError> {
        let (wish, like) = match wish.resume.clone() {
            Some(who) => self.resuming(caller, &who, wish)?,
            None => (wish, Like::default()),
        };
        self.start(caller, session, wish, like).await
    }

    /// The same, of one that is to be like another.
    pub(super) async fn start(
        &self,
        caller: Caller,
        session: &Session,
        wish: Wish,
        like: Like,
    ) -> Result<Spawned, SpawnError> {
        let (registry, session) = (self.clone(), session.clone());
        let started = tokio::spawn(async move { registry.start_here(caller, &session, wish, like).await });
        started.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    async fn start_here(
        &self,
        caller: Caller,
        session: &Session,
        wish: Wish,
        like: Like,
    ) -> Result<Spawned, SpawnError> {
        let presets = self.presets(session);
        let preset = match (&wish.preset, &wish.command) {
            (Some(name), _) => Some(presets.get(name)?),
            (None, Some(command)) => presets.for_command(command),
            (None, None) => {
                let presets = presets.list().into_iter().map(|listed| listed.name).collect();
                return Err(SpawnError::Nothing { presets });
            }
        };
        let cwd = wish.cwd.as_ref().map_or_else(|| session.cwd.clone(), |cwd| session.cwd.join(cwd));
        let program = wish.command.as_ref().and_then(|command| command.first()).map(String::as_str);
        let fallback = like.name.as_deref().or(wish.preset.as_deref()).or(program).unwrap_or("child");
        let facts = Facts {
            preset: preset.map(|preset| preset.name.clone()),
            program: String::new(),
            cwd: cwd.clone(),
            spawned: SystemTime::now(),
            session: None,
        };
        let asked = Asked::of(&wish, session);
        // A person waits for no report.
        let given = wish.message.is_some() && caller != Caller::Person;
        let mut reservation = self.reserve(caller, wish.name.as_deref(), fallback, facts)?;
        let (id, token) = (reservation.id, Token::random());
        let identity = token.reveal();
        self.bear(id, &token);
        fault::point!("spawn.reserved");
        let place = &self.0.place;
        let files = place.files(id);
        let resume = like.resume.clone();
        let own = resume.clone().map_or_else(|| SessionWish::New(uuid()), SessionWish::Resume);
        let resolved = preset::resolve(
            preset,
            preset::Wish {
                command: wish.command,
                env: wish.env,
                size: wish.size,
                message: wish.message,
                session: Some(own),
            },
            preset::Context {
                compere: &place.exe,
                identity: &identity,
                socket: &place.socket,
                dir: &files,
                base_env: self.inherited(caller, session),
            },
        )?;
        if resume.is_some() && resolved.session.is_none() {
            return Err(
                NotResumed::NoWay(preset.map(|preset| preset.name.clone()).unwrap_or_default()).into()
            );
        }
        if let Some(message) = &resolved.message_typed {
            // Once the child runs, it is too late to refuse.
            typing::clean(message, &resolved.typing)?;
        }
        write_files(&files, &resolved)
            .map_err(|error| SpawnError::Io { what: "the child's files", error })?;
        let since = SystemTime::now();
        let owner = match caller {
            Caller::Person => Owner::Person { who: session.user.clone(), since },
            Caller::Root(_) | Caller::Child(_) => Owner::Orchestrator { since },
        };
        let size = resolved.size.clamped();
        let program = basename(&resolved.argv);
        let remembered = Remembered {
            asked,
            on_exit: preset.and_then(|preset| preset.on_exit),
            restarted: like.restarted,
            reports: preset.map(|preset| preset.reports).unwrap_or_default(),
            tools: preset.is_some_and(|preset| preset.mcp.is_some()),
            given: given && resolved.message_typed.is_none(),
        };
        let birth = self.birth(&reservation, &token, program, &resolved, owner.clone(), remembered)?;
        let spec = Spec {
            child: id.to_string(),
            argv: resolved.argv,
            cwd,
            env: resolved.env.clone(),
            size,
            ring: place.ring(id),
            socket: place.keeper(id),
            about: birth.clone(),
            files: place.open_files,
        };
        // On the disk while its keeper starts, and before anything else that happens to it. The row says so: a broker that
        // finds it alone would take it for a loss.
        let spawned = Change::event(id, "spawned", format!("{} by {caller}", reservation.name));
        let mut begins = birth;
        begins["begins"] = self.0.boot.clone().into();
        let (written, kept) = tokio::join!(
            self.write(vec![spawned, Change::Child { id, body: begins }]),
            self.keep(id, spec, (resolved.rules, resolved.typing, resolved.session_signs), owner),
        );
        let child = kept.inspect_err(|why| {
            self.0.journal.note(Change::event(id, "ended", format!("never began: {why}")));
        })?;
        fault::point!("spawn.journaled");
        if let Err(error) = written {
            let _ = child.stop(Duration::ZERO).await;
            return Err(error.into());
        }
        let facts = {
            let mut state = self.state();
            let doomed = state.stopped(caller);
            let Some(member) = state.members.get_mut(&id) else { return Err(SpawnError::CallerEnded) };
            member.child = Some(child.clone());
            member.env = Arc::new(resolved.env);
            let facts = member.facts.clone();
            let doomed = doomed || member.stopping;
            reservation.kept = true;
            // As it is by now; within the lock, so that nothing newer is written before it.
            if let Some(body) = member.birth.clone() {
                self.0.journal.note(Change::Child { id, body });
            }
            for old in state.surplus() {
                self.forget(&mut state, old);
            }
            (!doomed).then_some(facts)
        };
        let Some(facts) = facts else {
            // Whoever stopped the caller meanwhile could not know of it.
            let _ = child.stop(Duration::ZERO).await;
            return Err(SpawnError::CallerEnded);
        };
        self.attend(&child, None);
        fault::point!("spawn.kept");
        let message = match resolved.message_typed {
            None => None,
            Some(text) => Some(self.first_message(&child, &text, caller).await?),
        };
        self.arm(id);
        self.watch_duty(id);
        Ok(Spawned { child, name: reservation.name.clone(), facts, message })
    }

    /// The first message, which waits for the program like any other.
    async fn first_message(&self, child: &Child, text: &str, caller: Caller) -> Result<Receipt, SpawnError> {
        let sent = match child.text(text) {
            Ok(what) => self.send(child, what, When::InTurn, Writer::of(caller), Duration::ZERO).await,
            Err(error) => Err(error.into()),
        };
        let error = match sent {
            Ok(receipt) => return Ok(receipt),
            Err(error) => error,
        };
        // Half of what was asked for would be a surprise.
        let _ = child.stop(Duration::ZERO).await;
        Err(match error {
            NotSent::NotWritten(error) => error.into(),
            NotSent::NotTyped(error) => {
                SpawnError::Io { what: "the first message", error: io::Error::other(error) }
            }
        })
    }

    /// The child's row, kept in memory for a journal that has to be begun anew.
    fn birth(
        &self,
        reservation: &Reservation,
        token: &Token,
        program: String,
        resolved: &Resolved,
        owner: Owner,
        remembered: Remembered,
    ) -> Result<Value, SpawnError> {
        let id = reservation.id;
        let mut state = self.state();
        let node: Node = state.tree.get(id).cloned().ok_or(SpawnError::CallerEnded)?;
        let above = state.tree.ancestors(id).collect();
        let root = state.seat(node.top).cloned();
        let member = state.members.get_mut(&id).ok_or(SpawnError::CallerEnded)?;
        member.facts.program = program;
        member.facts.session = resolved.session.clone();
        let Remembered { asked, on_exit, restarted, reports, tools, given } = remembered;
        let duty = (given && tools).then_some(Duty { message: 0, reminded: false });
        (member.reports, member.tools, member.duty) = (reports, tools, duty);
        let birth = Birth {
            id,
            name: node.name,
            above,
            root,
            facts: member.facts.clone(),
            token: token.hash(),
            rules: resolved.rules.clone(),
            typing: resolved.typing.clone(),
            session_signs: resolved.session_signs.clone(),
            owner,
            attached: false,
            size: resolved.size.clamped(),
            asked,
            on_exit,
            reports,
            tools,
            duty,
            restarted,
            asks: None,
            begins: None,
        };
        let row = serde_json::to_value(&birth).unwrap_or_default();
        member.birth = Some(row.clone());
        Ok(row)
    }

    /// The presets this session may use, as they are now.
    pub fn presets(&self, session: &Session) -> Presets {
        let workspace = Some(session.workspace.clone());
        let (user, trust) = (self.0.place.presets.clone(), self.0.place.trust.clone());
        Presets::load(PresetDirs { user, workspace, trust })
    }

    /// Checks the limits and takes the place, in one step.
    fn reserve(
        &self,
        caller: Caller,
        name: Option<&str>,
        fallback: &str,
        facts: Facts,
    ) -> Result<Reservation, SpawnError> {
        if let Some(name) = name
            && !valid_name(name)
        {
            return Err(SpawnError::Name(name.to_owned()));
        }
        let mut state = self.state();
        if state.stopped(caller) {
            return Err(SpawnError::CallerEnded);
        }
        let top = state.tree.top(caller);
        let bearer = |name: &str| {
            let mut nodes = state.tree.all().filter(|node| node.top == top && state.live(node.id));
            nodes.find(|node| node.name == name).map(|node| node.id)
        };
        let name = match name {
            Some(name) => match bearer(name) {
                Some(id) => return Err(SpawnError::NameTaken(name.to_owned(), id)),
                None => name.to_owned(),
            },
            None => free_name(fallback, |name| bearer(name).is_none()),
        };
        let gone = state.seat(top).and_then(|seat| seat.gone);
        if self.0.orphans.verdict(gone, SystemTime::now()) != Verdict::Nothing {
            let minutes = gone.and_then(|gone| gone.elapsed().ok()).unwrap_or_default().as_secs() / 60;
            return Err(SpawnError::Orphaned { minutes });
        }
        state.admit(caller, &self.0.limits)?;
        state.last.child += 1;
        let id = ChildId(state.last.child);
        state.tree.insert(id, name.clone(), caller);
        state.members.insert(id, Member::new(facts));
        Ok(Reservation { registry: self.clone(), id, name, kept: false })
    }

    /// From here on the child is known by its identity, which it may use before its spawn is answered.
    fn bear(&self, id: ChildId, token: &Token) {
        let mut state = self.state();
        state.tokens.insert(token.hash(), id);
        if let Some(member) = state.members.get_mut(&id) {
            member.token = Some(token.hash());
        }
    }

    /// A nested agent's children get what the agent itself was given, and what its MCP host passes on over that.
    fn inherited(&self, caller: Caller, session: &Session) -> Vec<(String, String)> {
        let mut env: BTreeMap<String, String> = BTreeMap::new();
        if let Caller::Child(id) = caller
            && let Some(member) = self.state().members.get(&id)
        {
            env.extend(member.env.iter().cloned());
        }
        env.extend(session.env.iter().cloned());
        env.into_iter().collect()
    }
}
