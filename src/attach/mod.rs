//! The person's side of a pane: their terminal, their keys, and the broker's frames between. Draws cells and never a
//! child's bytes; leaves the terminal as it was found.

mod guard;
mod keys;
mod pane;
mod tty;
mod view;

use std::{
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::future::BoxFuture;
use tokio::{
    io::BufReader,
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, sleep_until},
};

pub use self::{
    guard::{end_with_guard, watch_over},
    keys::prefix,
};
use self::{
    keys::Keys,
    pane::{Act, Pane},
    tty::Terminal,
};
use crate::{
    child::{paint::paint, picture::Sheet, screen::Wants},
    id::Size,
    ipc::viewer::{self, FromViewer, Look, ToViewer},
};

/// A connection to a broker that has taken the look.
#[derive(Debug)]
pub struct Line {
    /// From the broker.
    pub read: BufReader<OwnedReadHalf>,
    /// To the broker.
    pub write: OwnedWriteHalf,
}

/// How a broker is reached, each time anew. What it answers when it cannot be is for the person to read.
pub type Reach = Box<dyn Fn(Look) -> BoxFuture<'static, Result<Line, String>>>;

/// What a person wants.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Which child.
    pub child: String,
    /// Whether the input is taken.
    pub take: bool,
    /// The prefix key, as it is written and as it is sent.
    pub prefix: (String, u8),
}

/// How it ended, if in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Whose pane it was.
    pub child: String,
    /// How that ended, if it has.
    pub ended: Option<String>,
}

/// Why there is no pane, or no more.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Nothing to draw on.
    #[error("there is no terminal to show it in: {0}")]
    NoTerminal(io::Error),
    /// The broker will not, or there is none.
    #[error("{0}")]
    Refused(String),
    /// Told to end by a signal.
    #[error("ended by a signal")]
    Signalled,
    /// Something that does not happen.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What of this terminal would be for a child's; an error if this is none.
pub fn room() -> Result<Size, AttachError> {
    let size = tty::size().map_err(AttachError::NoTerminal)?;
    Ok(Pane::new(size, Default::default()).room())
}

/// An Escape that nothing follows within this was the key.
const ESCAPE: Duration = Duration::from_millis(30);
/// What the broker may be behind with what is typed.
const AHEAD: usize = 1024;

/// Shows the child until the person leaves.
pub async fn run(wish: Wish, reach: Reach) -> Result<Left, AttachError> {
    guard::end_with_guard();
    let size = tty::size().map_err(AttachError::NoTerminal)?;
    let pane = Pane::new(size, wish.prefix.clone());
    // Before the terminal is touched: what is wrong is then said where it is read.
    let look = Look { child: wish.child.clone(), take: wish.take, size: pane.room() };
    let mut link = Link::new(reach(look).await.map_err(AttachError::Refused)?);
    let first = link.frames.recv().await;
    let signals = Signals::new()?;
    let mut session = Session {
        terminal: Terminal::take().map_err(AttachError::NoTerminal)?,
        keys: Keys::new(wish.prefix.1),
        pane,
        link: Some(link),
        to: Terminal::enter().into(),
        shown: None,
        stale: true,
        wish,
        reach,
    };
    if let Some(first) = first {
        session.pane.heard(first).map_err(AttachError::Refused)?;
    }
    session.run(signals).await
}

/// Both ways of a connection, each with a task: a frame is read or written to its end whatever else happens.
struct Link {
    frames: mpsc::Receiver<ToViewer>,
    acts: mpsc::Sender<FromViewer>,
    _tasks: JoinSet<()>,
}

impl Link {
    fn new(line: Line) -> Link {
        let Line { mut read, mut write } = line;
        // One frame at a time: the broker makes the next from what is then.
        let (frames_in, frames) = mpsc::channel(1);
        let (acts, mut acts_out) = mpsc::channel::<FromViewer>(AHEAD);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok(Some(frame)) = viewer::read::<ToViewer>(&mut read).await {
                if frames_in.send(frame).await.is_err() {
                    return;
                }
            }
        });
        tasks.spawn(async move {
            while let Some(act) = acts_out.recv().await {
                if viewer::write(&mut write, &act).await.is_err() {
                    return;
                }
            }
        });
        Link { frames, acts, _tasks: tasks }
    }
}

struct Signals {
    resized: Signal,
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            resized: signal(SignalKind::window_change())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }
}

struct Session {
    terminal: Terminal,
    keys: Keys,
    pane: Pane,
    link: Option<Link>,
    /// What the terminal has not taken yet.
    to: Vec<u8>,
    /// What it shows when it has.
    shown: Option<Sheet>,
    /// That may not be what it ought to.
    stale: bool,
    wish: Wish,
    reach: Reach,
}

/// What has happened.
enum News {
    Read(io::Result<usize>),
    Written(io::Result<usize>),
    Frame(Option<ToViewer>),
    Linked(Result<Line, String>),
    Resized,
    Tick,
    Quiet,
    Signalled,
}

impl Session {
    async fn run(&mut self, mut signals: Signals) -> Result<Left, AttachError> {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut buffer = [0; 4096];
        let mut reaching: Option<BoxFuture<'static, Result<Line, String>>> = None;
        let mut quiet_at = None;
        loop {
            self.draw();
            if self.link.is_none() && reaching.is_none() {
                reaching = Some((self.reach)(self.look()));
            }
            let news = tokio::select! {
                biased;
                _ = signals.terminate.recv() => News::Signalled,
                _ = signals.hang_up.recv() => News::Signalled,
                _ = signals.interrupt.recv() => News::Signalled,
                _ = signals.quit.recv() => News::Signalled,
                _ = signals.resized.recv() => News::Resized,
                written = self.terminal.write(&self.to), if !self.to.is_empty() => News::Written(written),
                read = self.terminal.read(&mut buffer) => News::Read(read),
                () = sleep_until(quiet_at.unwrap_or_else(Instant::now)), if quiet_at.is_some() => News::Quiet,
                // What comes while the terminal takes no more waits: the broker draws no faster than that.
                frame = frame(&mut self.link), if self.link.is_some() && self.to.is_empty() => News::Frame(frame),
                line = linked(&mut reaching), if reaching.is_some() => News::Linked(line),
                _ = ticks.tick() => News::Tick,
            };
            match news {
                News::Signalled => return Err(AttachError::Signalled),
                News::Resized => self.resize(),
                News::Written(written) => drop(self.to.drain(..written?)),
                // What the terminal was is gone, and with it whoever looked.
                News::Read(Ok(0)) => return Err(AttachError::Signalled),
                News::Read(read) => {
                    let sent = self.keys.read(&buffer[..read?]);
                    quiet_at = self.keys.waits().then(|| Instant::now() + ESCAPE);
                    if let Some(left) = self.sent(sent) {
                        return Ok(left);
                    }
                }
                News::Quiet => {
                    quiet_at = None;
                    let sent = self.keys.rest();
                    if let Some(left) = self.sent(sent) {
                        return Ok(left);
                    }
                }
                News::Frame(Some(frame)) => {
                    self.stale = true;
                    self.pane.heard(frame).map_err(AttachError::Refused)?;
                    let modes = self.terminal.modes(self.wants());
                    self.to.extend(modes.bytes());
                }
                News::Frame(None) => {
                    self.link = None;
                    self.pane.lost = true;
                    self.stale = true;
                }
                News::Linked(line) => {
                    reaching = None;
                    self.link = Some(Link::new(line.map_err(AttachError::Refused)?));
                    self.pane.lost = false;
                    self.stale = true;
                }
                News::Tick => self.stale = true,
            }
        }
    }

    /// Of a broker after the one that has gone: the input too, if we had it.
    fn look(&self) -> Look {
        let known = &self.pane.known;
        let child = if known.child.is_empty() { self.wish.child.clone() } else { known.child.clone() };
        Look { child, take: known.yours, size: self.pane.room() }
    }

    /// Only whoever types to the program needs their terminal as it wants it.
    fn wants(&self) -> Wants {
        if self.pane.known.yours { self.pane.wants } else { Wants::default() }
    }

    fn resize(&mut self) {
        let size = self.terminal.size();
        if size == self.pane.size {
            return;
        }
        self.pane.size = size;
        // The terminal may have moved what it showed.
        self.shown = None;
        self.stale = true;
        self.send(FromViewer::Resize { size: self.pane.room() });
    }

    fn sent(&mut self, sent: Vec<keys::Sent>) -> Option<Left> {
        let acts: Vec<Act> = sent.into_iter().flat_map(|sent| self.pane.sent(sent)).collect();
        self.stale = true;
        let mut typed = Vec::new();
        for act in acts {
            match act {
                Act::Send(FromViewer::Input { bytes }) => typed.extend(bytes),
                act => {
                    self.send_typed(&mut typed);
                    match act {
                        Act::Send(act) => self.send(act),
                        Act::Detach => {
                            let known = &self.pane.known;
                            let ended = known.ended.then(|| known.state.clone());
                            return Some(Left { child: known.child.clone(), ended });
                        }
                    }
                }
            }
        }
        self.send_typed(&mut typed);
        None
    }

    fn send_typed(&mut self, typed: &mut Vec<u8>) {
        if !typed.is_empty() {
            self.send(FromViewer::Input { bytes: std::mem::take(typed) });
        }
    }

    fn send(&mut self, act: FromViewer) {
        let sent = self.link.as_ref().is_some_and(|link| link.acts.try_send(act).is_ok());
        if !sent {
            self.pane.notice = Some("the broker does not take that".into());
        }
    }

    /// Once the terminal has taken the last picture: what is then to be seen.
    fn draw(&mut self) {
        if !self.stale || !self.to.is_empty() {
            return;
        }
        self.stale = false;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let sheet = self.pane.compose(now.as_millis() as u64);
        self.to.extend(paint(self.shown.as_ref(), &sheet).bytes());
        self.shown = Some(sheet);
    }
}

async fn frame(link: &mut Option<Link>) -> Option<ToViewer> {
    match link {
        Some(link) => link.frames.recv().await,
        None => std::future::pending().await,
    }
}

async fn linked(reaching: &mut Option<BoxFuture<'static, Result<Line, String>>>) -> Result<Line, String> {
    match reaching {
        Some(reaching) => reaching.await,
        None => std::future::pending().await,
    }
}
