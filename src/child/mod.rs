//! One child as the rest of the broker sees it: a handle to the thread that owns it. Knows of no second child, no
//! protocol but its keeper's, and nothing of who may do what.

mod ask;
pub mod composer;
mod copies;
pub mod delivery;
pub mod explain;
mod find;
mod glance;
mod guard;
mod line;
mod mailbox;
pub mod owner;
pub mod paint;
mod pattern;
pub mod picture;
pub mod plain;
pub mod prompt;
mod receipt;
pub mod recording;
mod render;
pub mod replay;
mod rest;
pub mod rules;
mod scan;
pub mod screen;
pub mod session;
mod side;
mod sight;
pub mod state;
pub mod status;
pub mod stint;
mod stop;
mod task;
pub mod text;
pub mod typing;

use std::{
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use regex::Regex;
use tokio::sync::{oneshot, watch};

use self::{
    delivery::{DeliveryId, Fate, Full, Job, Mark, Standing, What},
    explain::Explained,
    find::Finding,
    glance::Glance,
    mailbox::{Asked, Command, Mailbox},
    owner::{Claim, Owner, ViewerId},
    prompt::Prompt,
    rules::{Rules, Typing},
    screen::Cursor,
    session::SessionSigns,
    state::State,
    stop::Stopped,
    task::Task,
    text::Start,
};
use crate::{
    id::{ChildId, Exit, Offset, Size},
    keeper::{Launched, Record, Ring},
};

pub use self::{
    find::Found,
    mailbox::{Doing, HeldAct, HeldMessage, View},
    receipt::{Queued, Receipt},
    stop::Left,
    task::return_to_system,
};

/// What a child's thread starts from.
#[derive(Debug)]
pub struct Begin {
    /// Its id.
    pub id: ChildId,
    /// Who keeps it.
    pub kept: Kept,
    /// Where the keeper listens.
    pub socket: PathBuf,
    /// The keeper's ring, which outlives it.
    pub ring: PathBuf,
    /// The terminal's size.
    pub size: Size,
    /// How its program shows what it is doing.
    pub rules: Rules,
    /// How its program wants its text.
    pub typing: Typing,
    /// Where its program shows its own session.
    pub session: SessionSigns,
    /// Who holds its input from the start.
    pub owner: Owner,
    /// Who is told what must be remembered.
    pub witness: Witness,
}

/// Where a child comes from.
#[derive(Debug)]
pub enum Kept {
    /// Its keeper was just launched, and has taken this connection.
    New(Launched, UnixStream),
    /// An earlier broker had it.
    Found {
        /// What its ring's file tells.
        record: Box<Record>,
        /// Messages whose fate is open, in order.
        jobs: Vec<Job>,
        /// Why it cannot live any more, if it is known not to.
        dead: Option<&'static str>,
    },
}

/// What somebody must remember.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// A message's fate.
    Settled(DeliveryId, Fate),
    /// Something more that was seen of a message whose fate was told.
    Noted(DeliveryId, Mark),
    /// It has ended, and which rule says so.
    Ended(State, String),
    /// The session its program is in now, by its id.
    Session(String),
    /// Who holds its input now, and whether through a connection that may break.
    Owner(Owner, bool),
    /// What a person did who has given it back.
    Stint(Box<stint::Told>),
    /// A person has sent a held message back, with a word of why.
    SentBack(DeliveryId, String),
    /// A message has another text now.
    Reworded(Box<Job>),
}

/// Whoever remembers. Called on the child's thread: it must not wait for anything.
pub struct Witness(Box<dyn Fn(ChildId, Told) + Send>);

impl Witness {
    /// This one.
    pub fn new(told: impl Fn(ChildId, Told) + Send + 'static) -> Self {
        Witness(Box::new(told))
    }
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Witness")
    }
}

/// What is known of a child. Its receivers wake when any of this changes, and not for mere output.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// Which rule said so.
    pub why: String,
    /// Since when.
    pub since: SystemTime,
    /// What it asks, while it needs input.
    pub prompt: Option<Prompt>,
    /// Who holds its input, and since when.
    pub owner: Owner,
    /// Through which connection, if that is a person at the pane.
    pub viewer: Option<ViewerId>,
    /// Messages that wait for their turn.
    pub queued: usize,
    /// Messages that wait for a person to give the input back.
    pub held: usize,
    /// The window title it set.
    pub title: Option<String>,
    /// How often its output broke the emulator, which then began anew.
    pub emulator_resets: u64,
    /// The screen was put together from less than all that was written since its last exact copy.
    pub stale: bool,
}

impl Status {
    /// How it ended, if it did and we know.
    pub fn exit(&self) -> Option<Exit> {
        match self.state {
            State::Exited(exit) => Some(exit),
            _ => None,
        }
    }
}

/// How far a child's output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// What it has written so far.
    pub end: Offset,
    /// When its newest output came, or when it was taken up.
    pub at: SystemTime,
}

/// The thread that owns the child is gone, which only a defect of ours can cause.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the thread that looks after this child has ended")]
pub struct Gone;

/// The screen, rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its lines, soft wraps joined; none if nothing changed since the version the caller knows.
    pub lines: Vec<String>,
    /// How many of `lines` are scrollback.
    pub history: usize,
    /// Nothing changed since the version asked with.
    pub unchanged: bool,
    /// Changes whenever what is visible may have.
    pub version: u64,
    /// The cursor.
    pub cursor: Cursor,
    /// The terminal's size.
    pub size: Size,
    /// Whether a full-screen program holds the alternate screen.
    pub alternate: bool,
    /// What the child had written when this was so.
    pub end: Offset,
}

/// A piece of the child's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streamed {
    /// Where it begins.
    pub from: Offset,
    /// Where the next one begins.
    pub next: Offset,
    /// What the child has written so far.
    pub end: Offset,
    /// Bytes asked for that have left the ring.
    pub dropped: u64,
    /// The text.
    pub text: String,
    /// Most of it moved the cursor about: the screen tells more.
    pub redraws: bool,
}

/// A handle to a child; clones speak of the same one.
#[derive(Clone, Debug)]
pub struct Child {
    id: ChildId,
    pid: i32,
    keeper: i32,
    can_be_idle: bool,
    mailbox: Mailbox,
    status: watch::Receiver<Status>,
    drawn: watch::Receiver<u64>,
    written: watch::Receiver<Written>,
    glance: Glance,
    typing: Arc<Typing>,
}

impl Child {
    /// A piece of this size never ends within the escape it begins with: longer ones are not waited for.
    const MIN_PROGRESS: usize = 64 * 1024;

    /// Starts the thread that owns the child from here on.
    pub fn start(begin: Begin) -> std::io::Result<Self> {
        let (keeper, pid) = match &begin.kept {
            Kept::New(launched, _) => (launched.keeper_pid, launched.child_pid),
            Kept::Found { record, .. } => (record.keeper_pid, record.child_pid),
        };
        let id = begin.id;
        let typing = Arc::new(begin.typing.clone());
        let (sender, written) = watch::channel(Written { end: Offset(0), at: SystemTime::now() });
        let glance = Glance::default();
        let (task, mailbox, status, drawn) = Task::new(begin, sender, glance.clone())?;
        let can_be_idle = task.can_be_idle();
        std::thread::Builder::new().name(id.to_string()).spawn(move || task.run())?;
        Ok(Child { id, pid, keeper, can_be_idle, mailbox, status, drawn, written, glance, typing })
    }

    /// Its id.
    pub fn id(&self) -> ChildId {
        self.id
    }

    /// The program's process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The keeper's process: everything the child starts descends from it.
    pub fn keeper(&self) -> i32 {
        self.keeper
    }

    /// Whether its idleness could ever be known.
    pub fn can_be_idle(&self) -> bool {
        self.can_be_idle
    }

    /// What it is doing now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Whether it is over.
    pub fn ended(&self) -> bool {
        self.status.borrow().state.ended()
    }

    /// To wait for a change of that. Closed when the thread ended.
    pub fn changes(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// To wait until its screen may show something else. Closed when the thread ended.
    pub fn drawn(&self) -> watch::Receiver<u64> {
        self.drawn.clone()
    }

    /// What a person sees of it, so many rows further up than now.
    pub async fn view(&self, up: usize) -> Result<View, Gone> {
        self.ask(|reply| Command::Pane(Asked::View { up, reply })).await
    }

    /// A person does something at its pane.
    pub async fn person(&self, doing: Doing) -> Result<(), Gone> {
        self.ask(|reply| Command::Pane(Asked::Does { doing, reply })).await
    }

    /// A person has gone from its pane, or their connection has. Nobody is there to wait.
    pub fn left(&self, viewer: ViewerId) {
        let (reply, _) = oneshot::channel();
        let doing = Doing::Claim { claim: Claim::Leave { viewer }, size: Size::DEFAULT };
        // With the thread gone there is nothing to give back.
        let _ = self.mailbox.send(Command::Pane(Asked::Does { doing, reply }));
    }

    /// A person sees to what is held; answers what is held then.
    pub async fn held(&self, act: HeldAct) -> Result<Vec<HeldMessage>, Gone> {
        self.ask(|reply| Command::Pane(Asked::Held { act, reply })).await
    }

    /// What it has written so far.
    pub fn end(&self) -> Offset {
        self.written.borrow().end
    }

    /// To wait for more output. Closed when the thread ended.
    pub fn written(&self) -> watch::Receiver<Written> {
        self.written.clone()
    }

    /// The screen with up to `history` lines above it, unless it is still the one of version `known`.
    pub async fn screen(&self, history: usize, known: Option<u64>) -> Result<Shown, Gone> {
        if history == 0
            && let Some(shown) = self.glance.look(known)
        {
            return Ok(shown);
        }
        self.ask(|reply| Command::Screen { history, known, reply }).await
    }

    /// What it wrote from `from` on, about `max` bytes of it, as text or as it came.
    pub async fn stream(&self, from: Offset, max: usize, raw: bool) -> Result<Streamed, Gone> {
        let mut size = max.max(16);
        loop {
            let (start, end, bytes) = self.ask(|reply| Command::Read { from, max: size, reply }).await?;
            let at = if start > from { Start::Cut } else { Start::Clean };
            let (text, skipped, used, redraws) = if raw {
                let (skipped, used) = text::raw(&bytes, at);
                (String::from_utf8_lossy(&bytes[skipped..used]).into_owned(), skipped, used, false)
            } else {
                let cleaned = text::clean(&bytes, at);
                (cleaned.text, cleaned.skipped, cleaned.used, cleaned.redraws)
            };
            // An escape longer than the piece asked for: take more, so that the reader gets on.
            if used == 0 && bytes.len() == size && size < Self::MIN_PROGRESS {
                size *= 2;
                continue;
            }
            let from = from.min(end);
            let dropped = start - from + skipped as u64;
            return Ok(Streamed { from: start + skipped, next: start + used, end, dropped, text, redraws });
        }
    }

    /// Bytes it wrote, at most `max` of them from `from` on or from the oldest that is kept, and where they begin.
    pub async fn bytes(&self, from: Offset, max: usize) -> Result<(Offset, Vec<u8>), Gone> {
        let (start, _, bytes) = self.ask(|reply| Command::Read { from, max, reply }).await?;
        Ok((start, bytes))
    }

    /// A text as it can be typed into this child, or why it cannot be.
    pub fn text(&self, text: &str) -> Result<What, NotTyped> {
        Ok(What::Message(typing::clean(text, &self.typing)?.text))
    }

    /// Keys as they can be pressed, or why they cannot be.
    pub fn keys(&self, keys: Vec<String>) -> Result<What, NotTyped> {
        typing::keys(&keys, false)?;
        Ok(What::Keys(keys))
    }

    /// Types something, in its turn.
    pub async fn queue(&self, job: Job) -> Result<Queued, NotTyped> {
        let (done, fate) = oneshot::channel();
        let (delivery, held) = (job.id, !self.status.borrow().owner.admits(job.writer));
        self.ask(|reply| Command::Type { job, done, reply }).await??;
        Ok(Queued { child: self.clone(), delivery, held, end: self.end(), fate })
    }

    /// How far something is that was queued, unless it is over.
    pub async fn standing(&self, delivery: DeliveryId) -> Option<Standing> {
        self.ask(|reply| Command::Standing { delivery, reply }).await.ok().flatten()
    }

    /// Takes back what has not begun to be typed; nothing more is told of it. Answers whether it was.
    pub async fn withdraw(&self, id: DeliveryId) -> Result<bool, Gone> {
        self.ask(|reply| Command::Withdraw { id, reply }).await
    }

    /// Waits for a line that matches: on the screen now or written later, or, given an offset, written since then.
    /// Dropping the finding ends the search.
    pub async fn find(&self, pattern: Regex, from: Option<Offset>) -> Result<Finding, Gone> {
        self.ask(|reply| Command::Find { pattern, from, reply }).await
    }

    /// Why it is in its state.
    pub async fn explain(&self) -> Result<Explained, Gone> {
        self.ask(|reply| Command::Explain { reply }).await
    }

    /// Gives the terminal another size.
    pub fn resize(&self, size: Size) -> Result<(), Gone> {
        self.mailbox.send(Command::Resize(size.clamped()))
    }

    /// Ends it and everything it started: hang-up and TERM at once, KILL after `grace`.
    pub async fn stop(&self, grace: Duration) -> Result<Stopped, Gone> {
        self.ask(|reply| Command::Stop { grace, reply }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(command(reply))?;
        answer.await.map_err(|_| Gone)
    }
}

/// Why nothing was queued.
#[derive(Debug, thiserror::Error)]
pub enum NotTyped {
    /// The text or the keys cannot be typed.
    #[error(transparent)]
    Typing(#[from] typing::TypingError),
    /// A key nobody knows.
    #[error(transparent)]
    Keys(#[from] typing::KeyError),
    /// Too many wait.
    #[error(transparent)]
    Full(#[from] Full),
    /// See [`Gone`].
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// What is left of a child whose keeper has ended. How it ended is in there, so it is waited for while there is no
/// descriptor to read it with.
fn record(ring: &std::path::Path) -> Option<Record> {
    loop {
        match Ring::open(ring) {
            Ok(record) => return Some(record),
            Err(error) if error.passes() => std::thread::park_timeout(Duration::from_millis(100)),
            Err(error) => {
                tracing::warn!(%error, ring = %ring.display(), "ring");
                return None;
            }
        }
    }
}
