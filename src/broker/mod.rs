//! The broker: one per user and runtime directory. Listens, greets, and serves the tools to each connection under its
//! own identity. Wires everything together, and ends when nothing is left to keep.

mod config;
mod log;
mod notify;
mod viewer;

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::fd::AsFd,
    path::PathBuf,
    process::{ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rmcp::ServiceExt;
use tokio::{
    io::{AsyncReadExt, BufReader},
    net::{UnixListener, UnixStream},
    signal::unix::{Signal, SignalKind, signal},
    sync::{Semaphore, mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    child::return_to_system,
    fault,
    id::Caller,
    ipc::{
        door::{Door, Lock},
        eof::EofHook,
        hello::{self, Hello, Refused, Welcome},
        home::Home,
        lines::first_request,
    },
    journal::{Journal, Past},
    keeper::files,
    registry::{Place, Registry, attention::Occasion},
    tools::Server,
};

pub use self::config::{Config, config_dir, read_config, state_dir};
use self::{log::log_to, notify::notify};

/// Connections at once; each is one host, nested agent or command.
pub const MAX_CONNECTIONS: usize = 512;
/// A peer that connects and says nothing is let go.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// The variable that says how long a broker with nothing to keep stays, in milliseconds.
pub const LINGER: &str = "COMPERE_LINGER_MS";
/// The variable that says how many files it takes to have open, if not all that it may.
const OPEN_FILES: &str = "COMPERE_OPEN_FILES";

/// `compere broker --detach`: starts a broker that is nobody's child, and passes its first word on.
///
/// A host that ends its server by walking the tree of processes must not find the broker there.
pub fn detach() -> io::Result<ExitCode> {
    keep_for_ourselves()?;
    let exe = std::env::current_exe()?;
    let mut broker = std::process::Command::new(exe);
    broker.arg("broker").current_dir("/").stdin(Stdio::null()).stderr(Stdio::null());
    broker.spawn()?;
    Ok(ExitCode::SUCCESS)
}

/// Closes whatever descriptors a host has leaked to us, at the next exec: a broker that held a host's pipe open would
/// keep whoever reads it waiting.
#[allow(unsafe_code, reason = "the descriptors are known by their numbers only")]
fn keep_for_ourselves() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if number > 2 {
            // SAFETY: lent for this one call; a number that was closed meanwhile is an error, which is as good.
            let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            let _ = rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC);
        }
    }
    Ok(())
}

/// `compere broker`: serves until nothing is left to keep.
pub async fn main() -> ExitCode {
    let _ = rustix::process::setsid();
    let mut out = io::stdout();
    let mut say = |word: &str| {
        // Whoever started us may be gone.
        let _ = writeln!(out, "{word}").and_then(|()| out.flush());
    };
    let had = files::take(std::env::var(OPEN_FILES).ok().and_then(|most| most.parse().ok()));
    let Opened { lock, broker, signals, past } = match open(had) {
        Ok(Some(opened)) => opened,
        Ok(None) => {
            say("another");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            say(&why);
            return ExitCode::FAILURE;
        }
    };
    // Before anybody is served: whoever calls finds what there was.
    broker.registry.recover(past).await;
    fault::point!("broker.recovered");
    say("listening");
    close_stdout();
    broker.serve(signals).await;
    drop(lock);
    ExitCode::SUCCESS
}

/// The first and last word of a broker that cannot start.
pub fn refuse(why: &str) -> ExitCode {
    let mut out = io::stdout();
    // Whoever started us may be gone.
    let _ = writeln!(out, "{why}").and_then(|()| out.flush());
    ExitCode::FAILURE
}

/// What a broker begins with.
struct Opened {
    lock: Lock,
    broker: Broker,
    signals: Signals,
    past: Past,
}

/// Everything a broker needs; nothing if another one has it. It was started with so many files to open, if fewer than now.
fn open(open_files: Option<u64>) -> Result<Option<Opened>, String> {
    let door = Door::open().map_err(words)?;
    let Some(lock) = door.lock().map_err(words)? else { return Ok(None) };
    log_to(&door.log());
    fault::point!("broker.locked");
    // Before there is a socket to be left behind.
    let signals = Signals::new().map_err(words)?;
    let listener = door.listen(&lock).map_err(words)?;
    fault::point!("broker.bound");
    listener.set_nonblocking(true).map_err(words)?;
    let listener = UnixListener::from_std(listener).map_err(words)?;
    let home = Home::find(&door, &lock).map_err(words)?;
    let config = Config::or_default(home.config.as_deref());
    let (journal, past) = Journal::open(&home.state).map_err(words)?;
    let place = Place {
        exe: std::env::current_exe().map_err(words)?,
        socket: door.socket(),
        keepers: door.keepers(),
        files: home.files,
        presets: home.config.map(|dir| dir.join("presets")),
        trust: home.trust,
        open_files,
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "begins");
    let registry = Registry::new(place, config.limits, config.orphans, journal).nudging(config.nudges);
    let attention = (!config.on_attention.is_empty()).then(|| (config.on_attention, registry.occasions()));
    let broker = Broker { registry, listener, socket: door.socket(), attention };
    Ok(Some(Opened { lock, broker, signals, past }))
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// How long a broker without anything to do stays.
fn linger() -> Duration {
    const DEFAULT: Duration = Duration::from_secs(60);
    std::env::var(LINGER).ok().and_then(|ms| ms.parse().ok()).map_or(DEFAULT, Duration::from_millis)
}

struct Broker {
    registry: Registry,
    listener: UnixListener,
    socket: PathBuf,
    /// What is run when a child begins to need a person, and when that is.
    attention: Option<(Vec<String>, mpsc::Receiver<Occasion>)>,
}

/// What ends a broker in order.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on they are waited for, and do not kill.
    fn new() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Broker {
    async fn serve(mut self, mut signals: Signals) {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let (connections, changes) = watch::channel(());
        let count = Arc::new(AtomicUsize::new(0));
        let mut unneeded = false;
        let attention = self
            .attention
            .take()
            .map(|(command, occasions)| notify(command, occasions, self.registry.place().open_files));
        tokio::select! {
            () = self.accept(&stop, &tasks, &room, &count, &connections) => {}
            () = forever(attention) => {}
            () = self.unneeded(&count, changes) => {
                tracing::info!("nothing is left to keep");
                unneeded = true;
            }
            () = signals.any() => tracing::info!("signalled"),
        }
        fault::point!("broker.ending");
        // The door first: whoever comes now starts another broker.
        let _ = std::fs::remove_file(&self.socket);
        fault::point!("broker.unlinked");
        stop.cancel();
        tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(1), tasks.wait()).await;
        self.registry.settled_spawns(Duration::from_secs(2)).await;
        // A successor takes up what there is; nobody came for what is left of those that have ended.
        if unneeded {
            self.registry.close();
        }
        self.registry.rest().await;
    }

    async fn accept(
        &self,
        stop: &CancellationToken,
        tasks: &TaskTracker,
        room: &Arc<Semaphore>,
        count: &Arc<AtomicUsize>,
        changed: &watch::Sender<()>,
    ) {
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Most likely out of descriptors: those who are served give theirs back.
                    tracing::error!(%error, "accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(permit) = room.clone().try_acquire_owned() else {
                tracing::warn!("{MAX_CONNECTIONS} connections are the limit; one more was turned away");
                turn_away(&stream);
                continue;
            };
            let (registry, stop, count, changed) =
                (self.registry.clone(), stop.clone(), count.clone(), changed.clone());
            count.fetch_add(1, Ordering::SeqCst);
            changed.send_replace(());
            tasks.spawn(async move {
                tokio::select! {
                    served = converse(&registry, stream) => {
                        if let Err(error) = served {
                            tracing::debug!(%error, "a connection ended");
                        }
                    }
                    () = stop.cancelled() => {}
                }
                drop(permit);
                count.fetch_sub(1, Ordering::SeqCst);
                changed.send_replace(());
            });
        }
    }

    /// When nobody is connected, no child lives, and nobody came back for what there still is to read.
    async fn unneeded(&self, count: &AtomicUsize, mut changes: watch::Receiver<()>) {
        /// Reports and ended children's output are worth waiting for their readers this much longer.
        const PATIENCE: u32 = 60;
        /// A child's end has no event here.
        const LOOK_EVERY: Duration = Duration::from_secs(1);
        let linger = linger();
        let mut idle = Duration::ZERO;
        loop {
            self.registry.recover_rest().await;
            self.registry.watch_roots().await;
            if let Some(return_it) = return_to_system() {
                // It panics no more than it fails.
                let _ = tokio::task::spawn_blocking(return_it).await;
            }
            let load = self.registry.load();
            let busy = count.load(Ordering::SeqCst) > 0 || load.live + load.awaited > 0;
            let readers = if load.ended > 0 || load.unread > 0 { linger * PATIENCE } else { linger };
            if busy {
                idle = Duration::ZERO;
            } else if idle >= readers {
                return;
            }
            let step = if busy { LOOK_EVERY } else { LOOK_EVERY.min(readers.saturating_sub(idle)) };
            tokio::select! {
                () = tokio::time::sleep(step) => idle += step,
                _ = changes.changed() => {}
            }
        }
    }
}

/// Does it, and whatever comes of that, does not end.
async fn forever(what: Option<impl Future<Output = ()>>) {
    if let Some(what) = what {
        what.await;
    }
    std::future::pending().await
}

/// Says why, at once or not at all: nobody is waited for here.
fn turn_away(stream: &UnixStream) {
    let welcome = Welcome::new(Err(Refused::Full { most: MAX_CONNECTIONS }));
    let mut line = serde_json::to_vec(&welcome).unwrap_or_default();
    line.push(b'\n');
    // Whoever has gone needs no reason.
    let _ = stream.try_write(&line);
}

/// One connection, from its hello to its end.
async fn converse(
    registry: &Registry,
    stream: UnixStream,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let peer = stream.peer_cred()?;
    if peer.uid() != rustix::process::getuid().as_raw() {
        tracing::warn!(uid = peer.uid(), "another user was turned away");
        return Ok(());
    }
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let hello: Option<Hello> = tokio::time::timeout(HELLO_WITHIN, hello::read_line(&mut read)).await??;
    let caller = match &hello {
        Some(hello) => hello.caller(registry, peer.pid()).await,
        None => Err(Refused::NoHello),
    };
    let look = hello.as_ref().and_then(|hello| hello.look.clone());
    hello::write_line(&mut write, &Welcome { look: look.is_some(), ..Welcome::new(caller) }).await?;
    let (Some(hello), Ok(caller)) = (hello, caller) else {
        tracing::warn!(pid = peer.pid(), why = %caller.err().unwrap_or(Refused::NoHello), "refused");
        return Ok(());
    };
    tracing::info!(%caller, pid = peer.pid(), "connected");
    if let Some(look) = look {
        return viewer::serve(registry, caller, (hello.user, look), read, write).await;
    }
    serve(registry, caller, hello, read, write).await
}

async fn serve(
    registry: &Registry,
    caller: Caller,
    hello: Hello,
    mut read: BufReader<tokio::net::unix::OwnedReadHalf>,
    write: tokio::net::unix::OwnedWriteHalf,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let gone = CancellationToken::new();
    let server = Server::new(registry.clone(), caller, hello.session(), gone.clone());
    let Some(first) = first_request(&mut read).await? else { return Ok(()) };
    let read = io::Cursor::new(first).chain(read);
    let served = server.clone();
    let ended = async {
        server.serve((EofHook::new(read, gone), write)).await?.waiting().await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    let ended = ended.await;
    served.left();
    ended?;
    tracing::info!(%caller, "disconnected");
    Ok(())
}

/// The starter reads our standard output to its end.
fn close_stdout() {
    if let Ok(null) = OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(null.as_fd());
    }
}
