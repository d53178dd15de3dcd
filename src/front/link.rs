//! The way to the broker: finding it, starting one where there is none, replacing one that is older, saying hello.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, sleep, timeout, timeout_at},
};

use super::running::{NotEnded, Running, older};
use crate::{
    ipc::{
        door::{self, Door, DoorError},
        hello::{self, Hello, IDENTITY, SOCKET, Welcome},
    },
    keeper::Ring,
    proc::lineage,
};

/// This program's own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A connection to the broker that has said hello.
#[derive(Debug)]
pub struct Connected {
    /// What the broker answered.
    pub welcome: Welcome,
    /// From the broker.
    pub read: BufReader<OwnedReadHalf>,
    /// To the broker.
    pub write: OwnedWriteHalf,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum NoBroker {
    /// See [`DoorError`].
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The socket.
    #[error("{socket}: {error}")]
    Io {
        /// Which.
        socket: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// The broker could not be started.
    #[error("the broker did not start: {0}")]
    Start(String),
    /// An older one is to end first, and does not.
    #[error(transparent)]
    Old(#[from] NotEnded),
    /// It was there and would not have us.
    #[error("the broker refuses this connection: {0}")]
    Refused(String),
}

/// Where to look for a broker.
enum Way {
    /// The directory that this environment means.
    Own(Door),
    /// The socket that a child was given with its identity.
    Given(PathBuf),
}

/// Connects to the broker of this environment, starting it if need be. One older than `version` is replaced, once.
pub async fn connect(hello: &Hello, version: &str) -> Result<Connected, NoBroker> {
    let way = Way::of(hello)?;
    let connected = way.connect(hello).await?;
    if !older(&connected.welcome.version, version) || way.is_inside() {
        return Ok(connected);
    }
    let running = Running::of(&connected)?;
    drop(connected);
    if let Some(running) = running {
        running.end().await?;
    }
    // Somebody else may have been as quick: whoever listens now is good.
    way.connect(hello).await
}

/// Connects anew after a broker's end, however long a new one takes within reason.
pub async fn reconnect(hello: &Hello, version: &str) -> Result<Connected, NoBroker> {
    const WITHIN: Duration = Duration::from_secs(30);
    const LONGEST_PAUSE: Duration = Duration::from_secs(2);
    let until = Instant::now() + WITHIN;
    let mut pause = Duration::from_millis(20);
    loop {
        let why = match timeout_at(until, connect(hello, version)).await {
            Ok(Err(error @ (NoBroker::Start(_) | NoBroker::Io { .. }))) => error,
            // Nothing that time would change.
            Ok(connected) => return connected,
            Err(_) => NoBroker::Start(format!("none listens after {} s", WITHIN.as_secs())),
        };
        if Instant::now() + pause >= until {
            return Err(why);
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Where the broker of this environment logs.
pub(super) fn log(hello: &Hello) -> Option<PathBuf> {
    match Way::of(hello).ok()? {
        Way::Own(door) => Some(door.log()),
        Way::Given(socket) => Some(socket.with_extension("log")),
    }
}

/// Whether this process runs inside a child of this directory's, whatever its environment says.
pub fn is_inside(door: &Door) -> bool {
    let above = lineage(std::process::id() as i32);
    let rings = std::fs::read_dir(door.keepers()).into_iter().flatten().flatten().map(|entry| entry.path());
    rings
        .filter(|path| path.extension().is_some_and(|extension| extension == "ring"))
        .filter(|path| Ring::is_kept(path).unwrap_or(false))
        .any(|path| Ring::open(&path).is_ok_and(|ring| above.contains(&ring.keeper_pid)))
}

impl Way {
    fn of(hello: &Hello) -> Result<Self, DoorError> {
        let given = std::env::var_os(SOCKET).filter(|_| hello.identity.is_some());
        given.map_or_else(|| Door::open().map(Way::Own), |socket| Ok(Way::Given(socket.into())))
    }

    fn socket(&self) -> PathBuf {
        match self {
            Way::Own(door) => door.socket(),
            Way::Given(socket) => socket.clone(),
        }
    }

    fn is_inside(&self) -> bool {
        match self {
            Way::Own(door) => is_inside(door),
            Way::Given(_) => true,
        }
    }

    async fn connect(&self, hello: &Hello) -> Result<Connected, NoBroker> {
        let socket = self.socket();
        // A broker that is about to end takes no hello: then its successor does.
        const TRIES: usize = 5;
        for _ in 0..TRIES {
            let stream = match UnixStream::connect(&socket).await {
                Ok(stream) => stream,
                Err(error) => {
                    self.start(error).await?;
                    continue;
                }
            };
            match greet(stream, hello).await {
                Ok(Some(connected)) => return connected,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(NoBroker::Io { socket, error });
                }
                Ok(None) | Err(_) => {}
            }
        }
        Err(closed(&socket))
    }

    /// Sees to it that a broker listens, where none did.
    async fn start(&self, none: io::Error) -> Result<(), NoBroker> {
        let made;
        let door = match self {
            Way::Own(door) => door,
            // Its directory may have been taken away with all its company; then nobody wants it back.
            Way::Given(socket) => match socket.parent().filter(|dir| dir.is_dir()) {
                Some(dir) => {
                    made = Door::at(dir.to_owned())?;
                    &made
                }
                None => return Err(NoBroker::Io { socket: socket.clone(), error: none }),
            },
        };
        if door.socket() != self.socket() {
            return Err(NoBroker::Io { socket: self.socket(), error: none });
        }
        // What is started inside a child has its keeper as an ancestor for ever, and is ended with it; so whoever is
        // outside comes first: fronts that have lost this broker too are about to start another.
        const OTHERS_FIRST: Duration = Duration::from_secs(2);
        if self.is_inside() && listens(&door.socket(), OTHERS_FIRST).await {
            return Ok(());
        }
        start_broker(door).await
    }
}

/// Connects to the broker that listens there, and starts none.
pub async fn join(socket: &Path, hello: &Hello) -> Result<Connected, NoBroker> {
    let io_error = |error| NoBroker::Io { socket: socket.to_owned(), error };
    let stream = UnixStream::connect(socket).await.map_err(io_error)?;
    greet(stream, hello).await.map_err(io_error)?.unwrap_or_else(|| Err(closed(socket)))
}

fn closed(socket: &Path) -> NoBroker {
    let error = io::Error::other("the broker closed the connection before it answered");
    NoBroker::Io { socket: socket.to_owned(), error }
}

/// Says hello and hears the answer. A broker that is stopped takes connections and says nothing: that is told, too.
async fn greet(stream: UnixStream, hello: &Hello) -> io::Result<Option<Result<Connected, NoBroker>>> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "the broker does not answer");
    tokio::time::timeout(PATIENCE, exchange(stream, hello)).await.map_err(silent)?
}

async fn exchange(stream: UnixStream, hello: &Hello) -> io::Result<Option<Result<Connected, NoBroker>>> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let said = hello::write_line(&mut write, hello).await;
    if let Err(error) = said {
        // One that turns us away does not listen, but says why.
        return match hello::read_line::<Welcome>(&mut read).await {
            Ok(Some(Welcome { refused: Some(why), .. })) => Ok(Some(Err(NoBroker::Refused(why)))),
            _ => Err(error),
        };
    }
    let Some(welcome) = hello::read_line::<Welcome>(&mut read).await? else { return Ok(None) };
    if let Some(refused) = welcome.refused {
        return Ok(Some(Err(NoBroker::Refused(refused))));
    }
    Ok(Some(Ok(Connected { welcome, read, write })))
}

/// Starts a broker and waits until it, or another that was quicker, listens.
async fn start_broker(door: &Door) -> Result<(), NoBroker> {
    // One that is ending holds the lock a little longer than it listens.
    const PATIENCE: Duration = Duration::from_secs(5);
    const LOOK_AGAIN: Duration = Duration::from_millis(200);
    let until = Instant::now() + PATIENCE;
    loop {
        match &*first_word(door).await? {
            "listening" => return Ok(()),
            "another" if listens(&door.socket(), LOOK_AGAIN).await => return Ok(()),
            "another" if Instant::now() < until => {}
            "another" => {
                let dir = door.dir().display();
                return Err(NoBroker::Start(format!(
                    "another one holds the lock in {dir} and does not listen"
                )));
            }
            "" => return Err(NoBroker::Start(format!("see {}", door.log().display()))),
            error => return Err(NoBroker::Start(error.to_owned())),
        }
    }
}

/// Starts a broker and answers what it says.
async fn first_word(door: &Door) -> Result<String, NoBroker> {
    let failed = |error: io::Error| NoBroker::Start(error.to_string());
    let mut starter = tokio::process::Command::new(program().map_err(failed)?)
        .args(["broker", "--detach"])
        .current_dir("/")
        .env(door::VARIABLE, door.dir())
        .env_remove(IDENTITY)
        .env_remove(SOCKET)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(failed)?;
    let mut word = String::new();
    if let Some(stdout) = starter.stdout.take() {
        let mut limited = BufReader::new(stdout).take(4096);
        let said = timeout(Duration::from_secs(10), limited.read_line(&mut word)).await;
        said.map_err(|_| NoBroker::Start("it said nothing for 10 s".into()))?.map_err(failed)?;
    }
    // The starter is not the broker, and has ended by now.
    let _ = starter.wait().await;
    Ok(word.trim().to_owned())
}

/// This program, as it is on the disk now: an upgrade puts a new file in the place of the one we were started from,
/// and Linux then says that ours is deleted.
fn program() -> io::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let replaced = exe.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.filter(|path| !exe.exists() && path.exists()).unwrap_or(exe))
}

/// Whether somebody listens there within this time: the only thing to wait for that has no event.
async fn listens(socket: &Path, within: Duration) -> bool {
    let until = Instant::now() + within;
    loop {
        if UnixStream::connect(socket).await.is_ok() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        sleep(Duration::from_millis(10)).await;
    }
}
