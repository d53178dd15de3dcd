//! The outside of a spawn: the child's files, its keeper, and the thread that looks after it. Whatever fails on the way
//! leaves nothing behind.

use std::{
    fs::DirBuilder,
    io::{self, Write},
    os::unix::{
        fs::{DirBuilderExt, OpenOptionsExt},
        net::UnixStream,
    },
    path::Path,
};

use super::{Registry, spawn::SpawnError};
use crate::{
    child::{
        Begin, Child, Kept,
        owner::Owner,
        rules::{Rules, Typing},
        session::SessionSigns,
    },
    fault,
    id::ChildId,
    keeper::{self, LaunchError, Spec},
    preset::Resolved,
};

impl Registry {
    /// Starts the keeper, and the thread that looks after its child.
    pub(super) async fn keep(
        &self,
        id: ChildId,
        spec: Spec,
        (rules, typing, session): (Rules, Typing, SessionSigns),
        owner: Owner,
    ) -> Result<Child, SpawnError> {
        let (exe, size) = (self.0.place.exe.clone(), spec.size);
        let (socket, ring) = (spec.socket.clone(), spec.ring.clone());
        let launched = tokio::task::spawn_blocking(move || {
            let launched = keeper::launch(&exe, &spec)?;
            let stream = keeper::connect(&spec.socket).or_else(over);
            Ok::<_, LaunchError>((launched, stream))
        });
        let (launched, stream) = match launched.await {
            Ok(launched) => launched?,
            Err(error) => {
                return Err(SpawnError::Io { what: "starting the keeper", error: io::Error::other(error) });
            }
        };
        let pids = [launched.child_pid, launched.keeper_pid];
        let stream = stream.map_err(|error| abandon(pids, "speaking to the keeper", error))?;
        fault::point!("spawn.launched");
        let (kept, witness) = (Kept::New(launched, stream), self.witness());
        Child::start(Begin { id, kept, socket, ring, size, rules, typing, session, owner, witness })
            .map_err(|error| abandon(pids, "starting the child's thread", error))
    }
}

/// A child that ended at once may have taken its keeper with it: then a line that is already closed says so, and the
/// rest is in the ring.
fn over(error: io::Error) -> io::Result<UnixStream> {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            UnixStream::pair().map(|(ours, _)| ours)
        }
        _ => Err(error),
    }
}

/// Nobody will look after this child and this keeper, which is ours to be waited for. What the child has started in its
/// first moments is hung up on by its terminal, which closes.
fn abandon(pids: [i32; 2], what: &'static str, error: io::Error) -> SpawnError {
    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
    let pids = pids.map(Pid::from_raw);
    for pid in pids.into_iter().flatten() {
        // If it has ended by itself, so much the better.
        let _ = kill_process(pid, Signal::KILL);
    }
    // Killed, so this takes no time.
    let _ = pids[1].map(|keeper| waitpid(Some(keeper), WaitOptions::empty()));
    SpawnError::Io { what, error }
}

/// Writes the files that were made for a child into a directory of its own.
pub(super) fn write_files(dir: &Path, resolved: &Resolved) -> io::Result<()> {
    if resolved.files.is_empty() {
        return Ok(());
    }
    if let Some(above) = dir.parent() {
        // The disk may have had no room for it when the broker began.
        DirBuilder::new().recursive(true).mode(0o700).create(above)?;
    }
    DirBuilder::new().mode(0o700).create(dir)?;
    for (name, bytes) in &resolved.files {
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(dir.join(name))?;
        file.write_all(bytes)?;
    }
    Ok(())
}
