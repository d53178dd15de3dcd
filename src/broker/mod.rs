//! The broker: one per user and runtime directory. Listens, greets, and serves the tools to each connection under its
//! own identity. Wires everything together, and ends when nothing is left to keep.

mod config;
mod log;

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
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    id::Caller,
    ipc::{
        door::Door,
        eof::EofHook,
        hello::{self, Hello, Refused, Welcome},
        home::Home,
        lines::first_request,
    },
    journal::Journal,
    registry::{Place, Registry},
    tools::Server,
};

pub use self::config::{Config, config_dir, read_config, state_dir};
use self::log::log_to;

/// Connections at once; each is one host, nested agent or command.
const MAX_CONNECTIONS: usize = 512;
/// A peer that connects and says nothing is let go.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// The variable that says how long a broker with nothing to keep stays, in milliseconds.
pub const LINGER: &str = "COMPERE_LINGER_MS";

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
    let door = match Door::open() {
        Ok(door) => door,
        Err(error) => {
            say(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let lock = match door.lock() {
        Ok(Some(lock)) => lock,
        Ok(None) => {
            say("another");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    log_to(&door.log());
    let listener = door.listen(&lock).map_err(|error| error.to_string()).and_then(|listener| {
        listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        UnixListener::from_std(listener).map_err(|error| error.to_string())
    });
    let (listener, exe) = match (listener, std::env::current_exe()) {
        (Ok(listener), Ok(exe)) => (listener, exe),
        (Err(error), _) => {
            say(&error);
            return ExitCode::FAILURE;
        }
        (_, Err(error)) => {
            say(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let home = match Home::find(&door, &lock) {
        Ok(home) => home,
        Err(error) => {
            say(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let presets = home.config.as_ref().map(|dir| dir.join("presets"));
    let (socket, keepers) = (door.socket(), door.keepers());
    let place = Place { exe, socket, keepers, files: home.files, presets, trust: home.trust };
    let config = Config::or_default(home.config.as_deref());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "begins");
    let (journal, past) = match Journal::open(&home.state) {
        Ok(opened) => opened,
        Err(error) => {
            say(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let registry = Registry::new(place, config.limits, config.orphans, journal);
    // Before anybody is served: whoever calls finds what there was.
    registry.recover(past).await;
    say("listening");
    close_stdout();
    Broker { registry, listener, socket: door.socket() }.serve().await;
    drop(lock);
    ExitCode::SUCCESS
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
}

impl Broker {
    async fn serve(self) {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let (connections, changes) = watch::channel(());
        let count = Arc::new(AtomicUsize::new(0));
        let mut unneeded = false;
        tokio::select! {
            () = self.accept(&stop, &tasks, &room, &count, &connections) => {}
            () = self.unneeded(&count, changes) => {
                tracing::info!("nothing is left to keep");
                unneeded = true;
            }
            () = signalled() => tracing::info!("signalled"),
        }
        // The door first: whoever comes now starts another broker.
        let _ = std::fs::remove_file(&self.socket);
        stop.cancel();
        tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(1), tasks.wait()).await;
        // A successor takes up what there is; nobody came for what is left of those that have ended.
        if unneeded {
            self.registry.close();
        }
        self.registry.flush().await;
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
            self.registry.watch_roots().await;
            let load = self.registry.load();
            let busy = count.load(Ordering::SeqCst) > 0 || load.live > 0;
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
    hello::write_line(&mut write, &Welcome::new(caller)).await?;
    let (Some(hello), Ok(caller)) = (hello, caller) else {
        tracing::warn!(pid = peer.pid(), why = %caller.err().unwrap_or(Refused::NoHello), "refused");
        return Ok(());
    };
    tracing::info!(%caller, pid = peer.pid(), "connected");
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

async fn signalled() {
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::interrupt()) => {}
    }
}

/// The starter reads our standard output to its end.
fn close_stdout() {
    if let Ok(null) = OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(null.as_fd());
    }
}
