//! Where the demo takes place: a directory of its own with its own broker, and how all of it is taken away again.

use std::{
    fs::{DirBuilder, read_dir},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::{net::UnixStream, process::Command};

use crate::{
    broker::LINGER,
    cli::doctor::orphans,
    ipc::{door, hello},
    keeper::Ring,
    proc,
};

/// A directory nobody else knows of.
pub(super) struct Stage {
    dir: PathBuf,
    exe: PathBuf,
}

impl Stage {
    /// What a process may take to end when told to.
    const PATIENCE: Duration = Duration::from_secs(5);

    pub(super) fn build() -> io::Result<Self> {
        let exe = std::env::current_exe()?;
        // Short, since a socket's path must be.
        let dir = std::env::temp_dir().join(format!("compere-demo-{:08x}", rand::random::<u32>()));
        DirBuilder::new().mode(0o700).create(&dir)?;
        Ok(Stage { dir, exe })
    }

    /// Our own program.
    pub(super) fn exe(&self) -> &Path {
        &self.exe
    }

    /// Our own program, to be run here.
    pub(super) fn compere(&self) -> Command {
        let mut command = Command::new(&self.exe);
        command
            .current_dir(&self.dir)
            .env(door::VARIABLE, self.runtime())
            .env("XDG_CONFIG_HOME", self.dir.join("config"))
            // If even the end of this demo is killed, its broker goes by itself.
            .env(LINGER, "1000")
            .env_remove(hello::IDENTITY)
            .env_remove(hello::SOCKET)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    fn runtime(&self) -> PathBuf {
        self.dir.join("run")
    }

    fn keepers(&self) -> PathBuf {
        self.runtime().join("k")
    }

    /// Ends whatever runs here and removes the directory. Answers what is left nevertheless.
    pub(super) async fn clear(&self) -> Vec<String> {
        let broker = self.broker().await;
        if broker.is_some() {
            let mut stop = self.compere();
            stop.args(["stop", "--all", "--grace", "500ms"]).stdout(Stdio::null()).stderr(Stdio::null());
            // What it does not end is ended below.
            let _ = tokio::time::timeout(Self::PATIENCE, stop.status()).await;
        }
        if let Some(broker) = broker {
            end(broker);
        }
        let mut left = Vec::new();
        for ring in files(&self.keepers()).into_iter().filter(|path| Ring::is_kept(path).unwrap_or(false)) {
            let keeper = Ring::open(&ring).ok().and_then(|ring| Pid::from_raw(ring.keeper_pid));
            // Where it cannot be asked, it is ending already, or will not.
            let _ = orphans::end(&ring.with_extension("sock"));
            left.extend(keeper.filter(|keeper| !ended(*keeper)).map(|keeper| format!("keeper {keeper:?}")));
        }
        left.extend(self.processes().iter().map(|pid| format!("process {pid}")));
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            left.push(format!("{}: {error}", self.dir.display()));
        }
        left
    }

    /// The broker, if one listens.
    async fn broker(&self) -> Option<Pid> {
        let stream = UnixStream::connect(self.runtime().join("broker.sock")).await.ok()?;
        // The kernel names the process that listens.
        Pid::from_raw(stream.peer_cred().ok()?.pid()?)
    }

    /// Everyone who was started here, known by the environment they inherited.
    fn processes(&self) -> Vec<i32> {
        let ours = self.dir.as_os_str().as_encoded_bytes();
        let started_here = |pid: &i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.windows(ours.len()).any(|bytes| bytes == ours)
        };
        let pids =
            files(Path::new("/proc")).into_iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok());
        pids.filter(started_here).collect()
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Asks a process to end and waits until it has.
fn end(pid: Pid) {
    for signal in [Signal::TERM, Signal::KILL] {
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        // It may have ended by now; then the wait is short.
        let _ = pidfd_send_signal(&process, signal);
        if ended(pid) {
            return;
        }
    }
}

/// Whether a process has ended, or does soon. Blocks: there is nothing else left to do.
fn ended(pid: Pid) -> bool {
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    proc::ended(process, Stage::PATIENCE).unwrap_or(false)
}
