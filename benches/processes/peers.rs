//! Other programs that keep terminals, each with its files in a directory of its own: how a program is started in them,
//! and how they end. What is missing is fetched from Debian where that is allowed.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    actor::{Actor, SIZE, Stage},
    proc,
};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tmux,
    Screen,
    Dtach,
}

impl Kind {
    /// Its name, and its program's.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Tmux => "tmux",
            Kind::Screen => "screen",
            Kind::Dtach => "dtach",
        }
    }
}

/// One that is there.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    dir: PathBuf,
    /// Its processes, as they are heard of: they are ended with it.
    pids: Vec<i32>,
}

impl Peer {
    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// Those that can be had, and what is to be said of the others.
    pub(crate) fn all(dir: &Path) -> (Vec<Peer>, Vec<String>) {
        let kinds = [Kind::Tmux, Kind::Screen, Kind::Dtach];
        let peers = kinds.map(|kind| {
            let dir = dir.join(kind.name());
            std::fs::create_dir(&dir).unwrap();
            std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
            std::fs::write(dir.join("rc"), rc(kind)).unwrap();
            Peer { kind, dir, pids: Vec::new() }
        });
        let wanted: Vec<&str> = peers.iter().map(Peer::name).filter(|name| !there(name)).collect();
        if !wanted.is_empty() {
            crate::note(&format!("installing {}", wanted.join(", ")));
            // Where that fails it is said below.
            let _ = quiet(Command::new("apt-get").args(["update", "-qq"]));
            let _ = quiet(Command::new("apt-get").args(["install", "-y", "-qq"]).args(wanted));
        }
        let (peers, missing): (Vec<Peer>, Vec<Peer>) = peers.into_iter().partition(|peer| there(peer.name()));
        let missing =
            missing.iter().map(|peer| format!("{} could not be had: no row is beside it", peer.name()));
        (peers, missing.collect())
    }

    /// Its version, as it says it.
    pub(crate) fn version(&self) -> String {
        let flag = if self.kind == Kind::Tmux { "-V" } else { "--version" };
        let output = Command::new(self.name()).arg(flag).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
    }

    /// Starts a program in a terminal that nobody looks at.
    pub(crate) fn start(&self, name: &str, program: &[String]) {
        let mut command = self.command();
        match self.kind {
            Kind::Tmux => {
                let (rows, cols) = (SIZE.rows.to_string(), SIZE.cols.to_string());
                command.args(["new-session", "-d", "-s", name, "-x", &cols, "-y", &rows]);
            }
            Kind::Screen => drop(command.args(["-dmS", name])),
            Kind::Dtach => drop(command.arg("-n").arg(self.dir.join(name))),
        }
        let done = quiet(command.args(program));
        assert!(done.status.success(), "{}: {}", self.name(), String::from_utf8_lossy(&done.stderr));
    }

    /// Starts one whose output somebody deals with, and answers it with the processes that have to do with that.
    pub(crate) fn start_read(&mut self, stage: &Stage, role: &str) -> (Actor, Vec<i32>) {
        let program = stage.role(role);
        if self.kind == Kind::Dtach {
            // It keeps no screen: it costs something only while somebody is attached.
            let mut attached =
                vec!["dtach".to_owned(), "-c".into(), self.dir.join("read").to_str().unwrap().into()];
            attached.extend(["-E".into(), "-z".into()]);
            attached.extend(program);
            let reader = Pump::start("discard", &attached);
            let actor = stage.actor();
            let client = proc::children(reader.pid());
            let pids = [vec![actor.parent], client].concat();
            self.pids.extend([actor.parent, reader.pid()]);
            std::mem::forget(reader);
            return (actor, pids);
        }
        self.start("read", &program);
        let actor = stage.actor();
        self.pids.push(actor.parent);
        let pids = vec![actor.parent];
        (actor, pids)
    }

    /// Its own program, with its own place.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.name());
        let rc = self.dir.join("rc");
        match self.kind {
            Kind::Tmux => drop(command.arg("-S").arg(self.dir.join("socket")).arg("-f").arg(rc)),
            Kind::Screen => drop(command.arg("-c").arg(rc)),
            Kind::Dtach => {}
        }
        command.env("SCREENDIR", &self.dir).env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        command.env_remove("TMUX").env_remove("STY").stdin(Stdio::null());
        command
    }

    /// The processes that keep what was started here.
    pub(crate) fn keepers(&self) -> Vec<i32> {
        let needle = self.dir.as_os_str().as_encoded_bytes();
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let named = |pid: &i32| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            name.trim().to_lowercase().starts_with(self.name())
                && line.windows(needle.len()).any(|window| window == needle)
        };
        pids.filter(named).collect()
    }

    /// Ends all that was started here.
    pub(crate) fn end(&mut self) {
        if self.kind == Kind::Tmux {
            let _ = quiet(self.command().arg("kill-server"));
        }
        for pid in self.keepers().into_iter().chain(self.pids.drain(..)).filter_map(Pid::from_raw) {
            // Their programs hang up with them.
            let _ = kill_process(pid, Signal::KILL);
        }
        // Their sockets would stand in the way of the next of that name.
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            if entry.file_name() != "rc" {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.end();
    }
}

/// As much history as ours has; and no way to be asked anything.
fn rc(kind: Kind) -> &'static str {
    match kind {
        Kind::Tmux => "set -g history-limit 1000\nset -g status off\n",
        Kind::Screen => "defscrollback 1000\nstartup_message off\nvbell off\ndefutf8 on\n",
        Kind::Dtach => "",
    }
}

fn there(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).exists()))
}

/// Runs it without a word.
pub(crate) fn quiet(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| Output {
        status: std::os::unix::process::ExitStatusExt::from_raw(1 << 8),
        stdout: Vec::new(),
        stderr: error.to_string().into_bytes(),
    })
}

/// A process that reads a terminal, and ends with this.
pub(crate) struct Pump(std::process::Child);

impl Pump {
    /// One that does that with what it reads of a command.
    pub(crate) fn start(role: &str, program: &[String]) -> Pump {
        let mut command = Command::new(std::env::current_exe().unwrap());
        Pump(command.args(["role", role]).args(program).stdin(Stdio::null()).spawn().unwrap())
    }

    /// Its process.
    pub(crate) fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
