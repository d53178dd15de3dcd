//! Starting a keeper and reaching it: the broker's side, blocking and bounded in time. Knows nothing of what
//! is said over the socket.

use std::{
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags};

use super::spec::{Answer, Spec, StartError};
use crate::fault;

/// A keeper that runs, and its child.
#[derive(Debug)]
pub struct Launched {
    /// The keeper, to be waited for by whoever launched it: it ends after its child.
    pub process: Child,
    /// Its process id.
    pub keeper_pid: i32,
    /// The child's.
    pub child_pid: i32,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// There is something wrong with what to start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The keeper itself does not start.
    #[error("start the keeper {exe:?}: {source}")]
    Keeper {
        /// Our program.
        exe: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It did not answer in time, and has been killed.
    #[error("hear from the keeper within {within:?}")]
    Silent {
        /// How long it was given.
        within: Duration,
    },
    /// It said something else, or ended without a word.
    #[error("understand the keeper: it answered {answer:?}")]
    Answer {
        /// What it said.
        answer: String,
    },
}

/// Starts `exe keeper` and waits, at most 10 s, until the child runs or it is known why not.
pub fn launch(exe: &Path, spec: &Spec) -> Result<Launched, LaunchError> {
    let keeper = |source| LaunchError::Keeper { exe: exe.to_owned(), source };
    if let Some(error) = fault::failure!("spawn.launching") {
        return Err(keeper(error));
    }
    // Nothing here needs a fork of this large process: no pre_exec, so it is posix_spawn.
    let mut command = Command::new(exe);
    command.arg("keeper").env_clear().current_dir("/");
    // Else portable-pty looks in the list of users for a shell, which nobody needs: twenty system calls at each start.
    command.env("SHELL", "/bin/sh");
    #[cfg(feature = "faults")]
    command.envs(fault::variables());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().map_err(keeper)?;
    match converse(&mut process, spec) {
        Ok(Answer::Ok { keeper_pid, child_pid }) => Ok(Launched { process, keeper_pid, child_pid }),
        Ok(Answer::Error(error)) => {
            // It ends by itself now.
            let _ = process.wait();
            Err(error.into())
        }
        Err(error) => {
            // It may have ended already; its child, if there is one, gets a hang-up from its terminal.
            let _ = process.kill();
            let _ = process.wait();
            Err(match error {
                Failed::Late => LaunchError::Silent { within: WITHIN },
                Failed::Io(source) => keeper(source),
                Failed::Answer(answer) => LaunchError::Answer { answer },
            })
        }
    }
}

/// A new connection to a keeper.
pub fn connect(socket: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(socket)
}

/// A keeper answers within some milliseconds; a machine that swaps may need longer.
const WITHIN: Duration = Duration::from_secs(10);
/// Longer than any answer.
const MAX_ANSWER: usize = 1 << 20;

enum Failed {
    Late,
    Io(io::Error),
    Answer(String),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Io(error)
    }
}

fn converse(process: &mut Child, spec: &Spec) -> Result<Answer, Failed> {
    let until = Instant::now() + WITHIN;
    let mut line = serde_json::to_vec(spec).map_err(io::Error::from)?;
    line.push(b'\n');
    let mut to = process.stdin.take().expect("stdin is piped");
    let mut from = process.stdout.take().expect("stdout is piped");
    rustix::io::ioctl_fionbio(&to, true).map_err(io::Error::from)?;

    let mut left = &line[..];
    while !left.is_empty() {
        wait(&to, PollFlags::OUT, until)?;
        match to.write(left) {
            Ok(n) => left = &left[n..],
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            // It does not want to hear it; then it has something to say.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(error) => return Err(error.into()),
        }
    }
    let mut answer = Vec::new();
    let mut bytes = [0; 4096];
    while !answer.ends_with(b"\n") && answer.len() < MAX_ANSWER {
        wait(&from, PollFlags::IN, until)?;
        match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(n) => answer.extend(&bytes[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    serde_json::from_slice(&answer).map_err(|_| Failed::Answer(String::from_utf8_lossy(&answer).into_owned()))
}

fn wait(fd: &impl AsFd, events: PollFlags, until: Instant) -> Result<(), Failed> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = left.try_into().map_err(|_| Failed::Late)?;
        match rustix::event::poll(&mut [PollFd::new(fd, events)], Some(&timeout)) {
            Ok(0) => return Err(Failed::Late),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Failed::Io(errno.into())),
        }
    }
}
