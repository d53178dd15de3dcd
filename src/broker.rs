//! The broker: one per user and runtime directory. Listens, greets, and serves the tools to each connection under its
//! own identity. Wires everything together, and ends when nothing is left to keep.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use etcetera::BaseStrategy;
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
        lines::first_request,
    },
    keeper::Ring,
    registry::{Place, Registry, limits::Limits},
    tools::Server,
};

/// What the user decides, in `config.json` of compere's configuration directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many children there may be.
    pub limits: Limits,
}

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
    let state = etcetera::base_strategy::Xdg::new().ok().and_then(|xdg| xdg.state_dir());
    let files = door.files(state).unwrap_or_else(|error| {
        tracing::warn!(%error, "files for children are put into the runtime directory");
        door.keepers()
    });
    let presets = config_dir().map(|dir| dir.join("presets"));
    let trust = state_dir();
    let place = Place { exe, socket: door.socket(), keepers: door.keepers(), files, presets, trust };
    let config = config();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "listening");
    say("listening");
    close_stdout();
    let last = place.last_child();
    sweep(&place);
    let registry = Registry::new(place, config.limits, last);
    Broker { registry, listener, socket: door.socket() }.serve().await;
    drop(lock);
    ExitCode::SUCCESS
}

/// Where the user's configuration is: `$XDG_CONFIG_HOME/compere` or `~/.config/compere`.
pub fn config_dir() -> Option<PathBuf> {
    etcetera::base_strategy::Xdg::new().ok().map(|xdg| xdg.config_dir().join("compere"))
}

/// Where what compere remembers for the user is: `$XDG_STATE_HOME/compere` or `~/.local/state/compere`.
pub fn state_dir() -> Option<PathBuf> {
    etcetera::base_strategy::Xdg::new().ok()?.state_dir().map(|dir| dir.join("compere"))
}

/// The user's configuration, or what is wrong with it.
pub fn read_config() -> Result<Config, String> {
    let Some(path) = config_dir().map(|dir| dir.join("config.json")) else { return Ok(Config::default()) };
    match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Config::default()),
        Err(error) => Err(format!("{}: {error}", path.display())),
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display())),
    }
}

fn config() -> Config {
    read_config().unwrap_or_else(|error| {
        // The limits that hold without a word are the strict ones; `compere doctor` says this too.
        tracing::error!(error, "the configuration cannot be read; the defaults hold");
        Config::default()
    })
}

/// How long a broker without anything to do stays.
fn linger() -> Duration {
    const DEFAULT: Duration = Duration::from_secs(60);
    std::env::var(LINGER).ok().and_then(|ms| ms.parse().ok()).map_or(DEFAULT, Duration::from_millis)
}

/// Removes what children of earlier brokers left, once their keepers have ended too.
fn sweep(place: &Place) {
    let dirs =
        [&place.keepers, &place.files].map(|dir| std::fs::read_dir(dir).into_iter().flatten().flatten());
    for entry in dirs.into_iter().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let Some(stem) = name.to_str().and_then(|name| name.split_once('.')).map(|(stem, _)| stem) else {
            continue;
        };
        let ring = place.keepers.join(format!("{stem}.ring"));
        // What cannot be looked at is left alone.
        if Ring::is_kept(&ring).unwrap_or_else(|_| ring.exists()) {
            tracing::warn!(child = stem, "runs without a broker; `compere doctor` can end it");
            continue;
        }
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "could not be removed");
        }
    }
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
        tokio::select! {
            () = self.accept(&stop, &tasks, &room, &count, &connections) => {}
            () = self.unneeded(&count, changes) => tracing::info!("nothing is left to keep"),
            () = signalled() => tracing::info!("signalled"),
        }
        // The door first: whoever comes now starts another broker.
        let _ = std::fs::remove_file(&self.socket);
        stop.cancel();
        tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(1), tasks.wait()).await;
        self.registry.close();
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
    let running = server.serve((EofHook::new(read, gone), write)).await?;
    running.waiting().await?;
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

/// Logs to a file of bounded size. Its level is `COMPERE_LOG`'s, or info.
fn log_to(path: &Path) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("COMPERE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("compere=info"));
    if let Ok(log) = Log::open(path.to_owned()) {
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_writer(Mutex::new(log))
            .init();
    }
}

/// A file that makes way for a new one when it is full; one old one is kept.
struct Log {
    path: PathBuf,
    file: std::fs::File,
    written: u64,
}

impl Log {
    const MAX: u64 = 1 << 20;

    fn open(path: PathBuf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
        let file = options.open(&path)?;
        let written = file.metadata()?.len();
        Ok(Log { path, file, written })
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.written + line.len() as u64 > Self::MAX {
            std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
            *self = Log::open(std::mem::take(&mut self.path))?;
        }
        let written = self.file.write(line)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
