//! What an MCP host starts: a pipe between its standard streams and the broker. It owns nothing, so that it may be
//! killed, restarted or abandoned at any time; it starts the broker where there is none.

use std::{
    io,
    os::unix::process::parent_id,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    signal::unix::{SignalKind, signal},
};

use crate::ipc::{
    door::{Door, DoorError},
    hello::{self, Hello, Role, SOCKET, Welcome},
    lines::{Line, next_line},
};

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
    /// It was there and would not have us.
    #[error("the broker refuses this connection: {0}")]
    Refused(String),
}

/// After the host has closed its side, answers on their way still get this long.
const DRAIN: Duration = Duration::from_millis(150);

/// `compere` as a host starts it: until either side is gone.
pub async fn main() -> ExitCode {
    let (workspace, cwd) = whereabouts();
    let connected = match connect(Hello::new(Role::Host, workspace, cwd)).await {
        Ok(connected) => connected,
        Err(error) => return fail(&error.to_string()),
    };
    let Connected { read, mut write, .. } = connected;
    let (answers, answers_to_write) = tokio::sync::mpsc::channel(16);
    let mut down = tokio::spawn(down(read, answers_to_write));
    let up = async {
        let up = up(&mut write, &answers).await;
        // Answers on their way are still worth something to a script that has said all it wanted to.
        let _ = write.shutdown().await;
        up
    };
    tokio::select! {
        _ = up => {
            let _ = tokio::time::timeout(DRAIN, &mut down).await;
            ExitCode::SUCCESS
        }
        _ = &mut down => fail("the broker has closed the connection; your children are still there: start compere again"),
        () = ended() => ExitCode::SUCCESS,
    }
}

/// The project's root (where `.git` is, at or above the working directory) and the working directory.
pub fn whereabouts() -> (PathBuf, PathBuf) {
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let workspace = cwd.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(&cwd).to_owned();
    (workspace, cwd)
}

/// Connects to the broker of this environment, starting it if need be.
pub async fn connect(hello: Hello) -> Result<Connected, NoBroker> {
    // Inside a child there is one broker to speak to, and none to start.
    if hello.identity.is_some()
        && let Some(socket) = std::env::var_os(SOCKET)
    {
        return join(Path::new(&socket), &hello).await;
    }
    let door = Door::open()?;
    let socket = door.socket();
    // A broker that is about to end takes no hello: then its successor does.
    const TRIES: usize = 5;
    for _ in 0..TRIES {
        let Ok(stream) = UnixStream::connect(&socket).await else {
            start_broker(&door).await?;
            continue;
        };
        match greet(stream, &hello).await {
            Ok(Some(connected)) => return connected,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(NoBroker::Io { socket, error });
            }
            Ok(None) | Err(_) => {}
        }
    }
    Err(closed(&socket))
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
    hello::write_line(&mut write, hello).await?;
    let Some(welcome) = hello::read_line::<Welcome>(&mut read).await? else { return Ok(None) };
    if let Some(refused) = welcome.refused {
        return Ok(Some(Err(NoBroker::Refused(refused))));
    }
    Ok(Some(Ok(Connected { welcome, read, write })))
}

/// Starts a broker and waits until it, or another that was quicker, listens.
async fn start_broker(door: &Door) -> Result<(), NoBroker> {
    let failed = |error: io::Error| NoBroker::Start(error.to_string());
    let exe = std::env::current_exe().map_err(failed)?;
    let mut starter = tokio::process::Command::new(exe)
        .args(["broker", "--detach"])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(failed)?;
    let mut word = String::new();
    if let Some(stdout) = starter.stdout.take() {
        let read = BufReader::new(stdout);
        let mut limited = tokio::io::AsyncReadExt::take(read, 4096);
        let said = tokio::time::timeout(Duration::from_secs(10), limited.read_line(&mut word)).await;
        said.map_err(|_| NoBroker::Start("it said nothing for 10 s".into()))?.map_err(failed)?;
    }
    // The starter is not the broker, and has ended by now.
    let _ = starter.wait().await;
    match word.trim() {
        "listening" => Ok(()),
        "another" => {
            // It has the lock and will listen in a moment: the only thing to wait for that has no event.
            for _ in 0..500 {
                if UnixStream::connect(door.socket()).await.is_ok() {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(NoBroker::Start(format!(
                "another one holds the lock in {} and does not listen",
                door.dir().display()
            )))
        }
        "" => Err(NoBroker::Start(format!("see {}", door.log().display()))),
        error => Err(NoBroker::Start(error.to_owned())),
    }
}

/// From the host to the broker.
async fn up(write: &mut OwnedWriteHalf, answers: &tokio::sync::mpsc::Sender<String>) -> io::Result<()> {
    let mut stdin = BufReader::with_capacity(64 * 1024, tokio::io::stdin());
    loop {
        match next_line(&mut stdin).await? {
            Line::Json(line) => write.write_all(&line).await?,
            Line::Wrong(answer) => answers.send(answer).await.map_err(io::Error::other)?,
            Line::End => return Ok(()),
        }
    }
}

/// From the broker to the host, with our own answers between its lines.
async fn down(
    mut read: BufReader<OwnedReadHalf>,
    mut answers: tokio::sync::mpsc::Receiver<String>,
) -> io::Result<()> {
    let mut stdout = tokio::io::stdout();
    let mut line = Vec::new();
    loop {
        tokio::select! {
            read = read.read_until(b'\n', &mut line) => {
                if read? == 0 {
                    return Ok(());
                }
                stdout.write_all(&line).await?;
                line.clear();
            }
            // A line half read stays in `line`, and is read on after this.
            Some(answer) = answers.recv() => stdout.write_all(answer.as_bytes()).await?,
        }
        stdout.flush().await?;
    }
}

/// A signal came, or the process that started us is gone.
async fn ended() {
    let gone = async {
        // A thread of its own sleeps on it; the process's end ends that too.
        let waited = tokio::task::spawn_blocking(|| outlive(parent_id() as i32));
        if !waited.await.unwrap_or(false) {
            std::future::pending::<()>().await;
        }
    };
    let signalled = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = gone => {}
        () = signalled(SignalKind::interrupt()) => {}
        () = signalled(SignalKind::terminate()) => {}
        () = signalled(SignalKind::hangup()) => {}
    }
}

/// Waits until this process is gone; false if that cannot be watched.
fn outlive(parent: i32) -> bool {
    let Some(pid) = Pid::from_raw(parent) else { return false };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => true,
        Err(_) => false,
        // It may have ended before it was opened, and its number been given to another.
        Ok(_) if parent_id() as i32 != parent => true,
        Ok(fd) => loop {
            match poll(&mut [PollFd::new(&fd, PollFlags::IN)], None) {
                Ok(_) => return true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        },
    }
}

fn fail(why: &str) -> ExitCode {
    use io::Write;
    // Standard output is MCP's; and if standard error is closed too, there is nobody to tell.
    let _ = writeln!(io::stderr(), "compere: {why}");
    ExitCode::FAILURE
}
