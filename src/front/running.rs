//! A broker that runs: which process it certainly is, and its orderly end. Knows nothing of who comes after it.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use tokio::net::UnixStream;

use super::link::Connected;
use crate::proc;

/// The process that listens.
#[derive(Debug)]
pub struct Running {
    /// Its number.
    pub pid: i32,
    /// Its version.
    pub version: String,
    process: OwnedFd,
}

/// Why a broker still runs.
#[derive(Debug, thiserror::Error)]
pub enum NotEnded {
    /// It cannot be told for certain which process it is.
    #[error(
        "the broker of version {version} was not ended: it says that it is process {said}, and {listens} listens"
    )]
    Unclear {
        /// Its version.
        version: String,
        /// What it says.
        said: u32,
        /// What the kernel says.
        listens: String,
    },
    /// It was asked to, and has not.
    #[error(
        "the broker of version {version} (process {pid}) was asked to end and still runs after {} s; `kill -9 {pid}` \
         ends it, and none of its children",
        within.as_secs()
    )]
    Late {
        /// Its version.
        version: String,
        /// Its number.
        pid: i32,
        /// How long it had.
        within: Duration,
    },
    /// The kernel's answer.
    #[error("the broker could not be ended: {0}")]
    Io(#[from] io::Error),
}

impl Running {
    /// What an orderly end may take, its children's records and all.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// The process at the other end of this connection; none if it has gone meanwhile.
    pub fn of(connected: &Connected) -> Result<Option<Self>, NotEnded> {
        let stream = connected.read.get_ref().as_ref();
        let peer = stream.peer_cred()?;
        let (version, said) = (connected.welcome.version.clone(), connected.welcome.pid);
        let ours = peer.uid() == rustix::process::getuid().as_raw();
        let pid = peer.pid().filter(|pid| ours && u32::try_from(*pid) == Ok(said));
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            let listens = format!("process {} of user {}", peer.pid().unwrap_or(0), peer.uid());
            return Err(NotEnded::Unclear { version, said, listens });
        };
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(io::Error::from(error).into()),
        };
        // While it holds the connection it has not ended, and its number cannot be another's.
        Ok((!hung_up(stream)?).then(|| Running { pid: pid.as_raw_nonzero().get(), version, process }))
    }

    /// Asks it to end and waits until it has.
    pub async fn end(self) -> Result<(), NotEnded> {
        // Somebody else may have been quicker.
        let _ = pidfd_send_signal(&self.process, Signal::TERM);
        // A thread of its own sleeps on it.
        let (process, within) = (self.process, Self::PATIENCE);
        let ended = tokio::task::spawn_blocking(move || proc::ended(&process, within)).await;
        if ended.map_err(io::Error::other)?? {
            Ok(())
        } else {
            Err(NotEnded::Late { version: self.version, pid: self.pid, within })
        }
    }
}

/// Whether the other end of a connection is closed: what is written now is read by nobody.
pub(super) fn hung_up(stream: &UnixStream) -> io::Result<bool> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(poll(&mut [PollFd::new(stream, PollFlags::RDHUP)], Some(&now))? > 0)
}

/// Whether one version comes before another, by its numbers alone. What is no version is not older.
pub fn older(version: &str, than: &str) -> bool {
    fn numbers(version: &str) -> Option<[u64; 3]> {
        let release = version.split(['-', '+']).next()?;
        let mut numbers = [0; 3];
        for (at, part) in release.split('.').enumerate() {
            *numbers.get_mut(at)? = part.parse().ok()?;
        }
        Some(numbers)
    }
    matches!((numbers(version), numbers(than)), (Some(version), Some(than)) if version < than)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, than, is) in [
            ("0.1.0", "0.1.1", true),
            ("0.9.0", "0.10.0", true),
            ("0.9.9", "1.0.0", true),
            ("1", "1.0.1", true),
            ("0.1.0", "0.1.0", false),
            ("0.1.1", "0.1.0", false),
            ("1.0.0", "0.9.9", false),
            ("1", "1.0.0", false),
            ("0.1.0-rc.1", "0.1.0", false),
            ("0.1.0-rc.1", "0.1.1+build.5", true),
            ("", "0.1.0", false),
            ("new", "0.1.0", false),
            ("0.x.1", "0.1.0", false),
            ("0.0.0.1", "0.1.0", false),
            ("-1.0.0", "0.1.0", false),
            ("0.1.0", "unknown", false),
        ] {
            assert_eq!(older(version, than), is, "{version} {than}");
        }
    }
}
