//! A company of the real program in a directory of its own, whose faults are wished for; and what is left of it.

use std::{
    collections::BTreeMap,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    host::{Host, pass},
    leftovers::{self, alive, gone},
};

/// The program under test.
pub(crate) const COMPERE: &str = env!("CARGO_BIN_EXE_compere");
/// Nothing takes longer, or it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
pub(crate) struct Company {
    dir: tempfile::TempDir,
    faults: String,
}

impl Company {
    /// With these wishes in `COMPERE_FAULTS`.
    pub(crate) fn new(faults: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("cmp-").tempdir_in("/tmp").unwrap();
        for name in ["work", "fired"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Company { dir, faults: faults.to_owned() }
    }

    /// One in which only we do harm.
    pub(crate) fn sound() -> Self {
        Self::new("")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where hosts and children work.
    pub(crate) fn work(&self) -> PathBuf {
        self.dir().join("work")
    }

    /// Where the broker and the keepers have their files.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.dir().join("run")
    }

    /// `compere` as a host or a person starts it, with nothing of the machine's environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(COMPERE);
        command
            .env_clear()
            .envs([
                ("PATH", "/usr/local/bin:/usr/bin:/bin"),
                ("LANG", "C.UTF-8"),
                ("COMPERE_LINGER_MS", "100"),
            ])
            .env("HOME", self.dir())
            .env("COMPERE_RUNTIME_DIR", self.runtime())
            .env("COMPERE", COMPERE)
            .current_dir(self.work());
        if !self.faults.is_empty() {
            command
                .env(compere::fault::FAULTS, &self.faults)
                .env(compere::fault::FIRED, self.dir().join("fired"));
        }
        command
    }

    /// A host, which starts its front at its first call.
    pub(crate) fn host(&self) -> Host<'_> {
        Host::new(self)
    }

    /// Which process failed at that point, once one has.
    pub(crate) fn fired(&self, point: &str) -> Option<i32> {
        std::fs::read_to_string(self.dir().join("fired").join(point)).ok()?.parse().ok()
    }

    /// The broker's process: whoever listens.
    pub(crate) fn broker(&self) -> Option<i32> {
        let stream = UnixStream::connect(self.runtime().join("broker.sock")).ok()?;
        Some(rustix::net::sockopt::socket_peercred(&stream).ok()?.pid.as_raw_nonzero().get())
    }

    /// Kills the broker, if there is one now, and waits for its end.
    pub(crate) fn kill_broker(&self) -> bool {
        let Some(broker) = self.broker() else { return false };
        signal(broker, Signal::KILL);
        gone(broker);
        true
    }

    /// The fronts that run now.
    pub(crate) fn fronts(&self) -> Vec<i32> {
        let line = format!("{COMPERE}\0");
        let is_front = |pid: &i32| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|bytes| bytes == line.as_bytes())
        };
        leftovers::mentioning(self.dir()).into_iter().filter(is_front).collect()
    }

    /// The keeper of this child.
    pub(crate) fn keeper(&self, child: &str) -> i32 {
        let ring = self.runtime().join("k").join(format!("{child}.ring"));
        compere::keeper::Ring::open(&ring).unwrap().keeper_pid
    }

    /// Ends it as its user would, and answers what that left, which must be nothing.
    pub(crate) fn end(self) -> Result<(), String> {
        let mut host = self.host();
        for row in host.children() {
            let child = row["child"].as_str().unwrap_or_default().to_owned();
            let stopped = host.insist("stop", &json!({"child": child, "grace_ms": 0}));
            if stopped["left"] != json!([]) {
                return Err(format!("stop left something: {stopped}"));
            }
        }
        let expected = host.company().descriptors_of_a_new_broker();
        let broker = self.broker().ok_or("no broker listens at the end")?;
        until("the broker's descriptors are closed", || {
            let now = descriptors(broker);
            if now == expected { Ok(()) } else { Err(format!("{now:?} and not {expected:?}")) }
        })?;
        drop(host);
        leftovers::end_fronts(self.dir());
        if let Some(broker) = self.broker() {
            signal(broker, Signal::TERM);
            gone(broker);
        }
        leftovers::brokers_gone(self.dir());
        let swept = leftovers::sweep(self.dir());
        if !swept.is_empty() {
            return Err(format!("processes are left: {swept:?}"));
        }
        let mut files = leftovers::files(&self.runtime().join("k"));
        files.retain(|file| !file.ends_with(".ring"));
        files.extend(leftovers::files(&self.runtime()).into_iter().filter(|file| file.ends_with(".sock")));
        if files.is_empty() { Ok(()) } else { Err(format!("files are left: {files:?}")) }
    }

    /// What a broker has open that serves one host and has no children.
    fn descriptors_of_a_new_broker(&self) -> BTreeMap<String, usize> {
        static FIRST: std::sync::OnceLock<BTreeMap<String, usize>> = std::sync::OnceLock::new();
        FIRST
            .get_or_init(|| {
                let company = Company::sound();
                let mut host = company.host();
                host.children();
                let broker = company.broker().unwrap();
                // Our own question who listens was one more connection, which takes a moment to go.
                let look = || (pass(Duration::from_millis(50)), descriptors(broker)).1;
                let least = |seen: &BTreeMap<String, usize>| seen.values().sum::<usize>();
                let first = (0..10).map(|_| look()).min_by_key(least).unwrap_or_default();
                drop(host);
                leftovers::end_fronts(company.dir());
                let broker = company.broker();
                broker.inspect(|broker| signal(*broker, Signal::TERM));
                broker.inspect(|broker| gone(*broker));
                first
            })
            .clone()
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        leftovers::sweep(self.dir());
    }
}

/// Sends a signal to a process that may have ended.
pub(crate) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid).filter(|pid| pid.as_raw_nonzero().get() > 1) {
        let _ = kill_process(pid, signal);
    }
}

/// What a process has open, by kind; but for the wake-ups of ended children's threads, which go when those are
/// forgotten.
pub(crate) fn descriptors(pid: i32) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        let kind = match target.split_once(":[") {
            Some((kind, _)) => kind.to_owned(),
            None if target.starts_with('/') => {
                let name = Path::new(&target).file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            }
            None => target,
        };
        if kind != "anon_inode:[eventfd]" && !kind.starts_with("anon_inode") {
            *kinds.entry(kind).or_default() += 1;
        }
    }
    kinds
}

/// Waits until this is so: of processes there is no other way to learn it. Answers why it still is not.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(why) if Instant::now() >= deadline => {
                return Err(format!("not within {PATIENCE:?}: {what}: {why}"));
            }
            Err(_) => std::thread::park_timeout(Duration::from_millis(10)),
        }
    }
}

/// The lines of a file, which may not be there yet.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
}

/// Whether this child of a listing still runs, and as the same process.
pub(crate) fn lives(row: &Value, pid: i32) -> bool {
    row["pid"] == pid
        && alive(pid)
        && !["exited", "lost"].iter().any(|word| row["state"].as_str().unwrap_or_default().starts_with(word))
}

/// Runs a command to its end; answers whether it went well, and its words.
pub(crate) fn output(command: &mut Command) -> (bool, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&words).into_owned())
}

/// What a process has in memory, in KiB.
pub(crate) fn resident(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
