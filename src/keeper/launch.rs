//! The broker's side of a keeper's start: run it, tell it what to keep, hear how that went. Waits, but never long.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec};
use serde::{Deserialize, Serialize};

use super::pty::{Spec, StartError};

/// A keeper that runs, with its child.
#[derive(Debug)]
pub struct Launched {
    /// The keeper, which its starter must wait for in the end.
    pub process: Child,
    /// Its process.
    pub keeper_pid: i32,
    /// The child's.
    pub child_pid: i32,
}

/// Why there is no keeper.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The child could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The keeper could not.
    #[error("the keeper could not be started: {0}")]
    Keeper(#[source] io::Error),
    /// It started and said nothing.
    #[error("the keeper did not answer within {} s", PATIENCE.as_secs())]
    Silent,
}

/// The answer of a keeper, on one line of its standard output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Ok { keeper_pid: i32, child_pid: i32 },
    Error(StartError),
}

/// A start takes milliseconds; a machine that swaps may need seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts a keeper for this spec.
pub fn launch(exe: &Path, spec: &Spec) -> Result<Launched, LaunchError> {
    let mut process = Command::new(exe)
        .arg("keeper")
        // What the child shall have is in the spec; the keeper itself needs nothing.
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(LaunchError::Keeper)?;
    match talk(&mut process, spec) {
        Ok(Answer::Ok { keeper_pid, child_pid }) => Ok(Launched { process, keeper_pid, child_pid }),
        Ok(Answer::Error(error)) => {
            // It ends by itself after this answer.
            let _ = process.wait();
            Err(error.into())
        }
        Err(error) => {
            let _ = process.kill();
            let _ = process.wait();
            Err(error)
        }
    }
}

/// Connects to a keeper.
pub fn connect(socket: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(socket)
}

fn talk(process: &mut Child, spec: &Spec) -> Result<Answer, LaunchError> {
    let (Some(mut stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
        return Err(LaunchError::Silent);
    };
    let line = serde_json::to_string(spec).map_err(|error| LaunchError::Keeper(error.into()))?;
    stdin.write_all(line.as_bytes()).and_then(|()| stdin.write_all(b"\n")).map_err(LaunchError::Keeper)?;
    let timeout = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    let mut ready = [PollFd::new(&stdout, PollFlags::IN)];
    match rustix::event::poll(&mut ready, Some(&timeout)) {
        Ok(0) => return Err(LaunchError::Silent),
        Ok(_) => {}
        Err(error) => return Err(LaunchError::Keeper(error.into())),
    }
    let mut answer = String::new();
    BufReader::new(stdout).read_line(&mut answer).map_err(LaunchError::Keeper)?;
    serde_json::from_str(&answer)
        .map_err(|_| LaunchError::Keeper(io::Error::other(format!("it said {answer:?}"))))
}
