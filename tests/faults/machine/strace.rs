//! Real kernel errors, by strace: the n-th call of a kind in each thread of a process fails as it is told to.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// A fault in a system call: which, how, and in the form of strace's `inject=`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Its names, with commas.
    pub(crate) names: &'static str,
    pub(crate) error: &'static str,
    /// Only where this file of the company's is concerned.
    pub(crate) path: Option<&'static str>,
}

impl Call {
    pub(crate) const fn new(names: &'static str, error: &'static str) -> Self {
        Call { names, error, path: None }
    }

    /// strace's arguments for the `n`-th call; its notes go into this file.
    pub(crate) fn arguments(&self, n: usize, notes: &Path, run: &Path) -> Vec<String> {
        let Call { names, error, path } = self;
        let mut arguments =
            vec!["-f".into(), "-b".into(), "execve".into(), "-o".into(), notes.display().to_string()];
        arguments.extend(["-e".into(), format!("trace={names}"), "-e".into()]);
        arguments.push(format!("inject={names}:error={error}:when={n}"));
        if let Some(path) = path {
            arguments.extend(["-P".into(), run.join(path).display().to_string()]);
        }
        arguments
    }
}

/// Why nothing can be injected here, if nothing can.
pub(crate) fn unusable() -> Option<String> {
    let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    match tried {
        Err(_) => Some("skipped: no strace".into()),
        Ok(output) if !output.status.success() => Some("skipped: no ptrace here".into()),
        Ok(_) => None,
    }
}

/// How often it failed, by strace's notes.
pub(crate) fn injected(notes: &Path) -> usize {
    std::fs::read_to_string(notes).unwrap_or_default().matches("(INJECTED)").count()
}

/// strace on a process that runs, until this ends.
pub(crate) struct Attached {
    strace: Child,
    notes: PathBuf,
}

impl Attached {
    /// Returns once it sees every call of every thread.
    pub(crate) fn to(pid: i32, call: Call, n: usize, dir: &Path, run: &Path) -> Result<Self, String> {
        let notes = dir.join("strace.out");
        let mut strace = Command::new("strace")
            .args(call.arguments(n, &notes, run))
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut said = String::new();
        let mut lines = BufReader::new(strace.stderr.take().unwrap());
        lines.read_line(&mut said).map_err(|error| error.to_string())?;
        // What it says later must not hold it up.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        if said.contains("attached") {
            return Ok(Attached { strace, notes });
        }
        let _ = strace.kill();
        let _ = strace.wait();
        Err(format!("strace: {said}"))
    }

    /// Lets the process go; answers how often it failed.
    pub(crate) fn detach(mut self) -> usize {
        let _ = kill_process(Pid::from_child(&self.strace), Signal::INT);
        let _ = self.strace.wait();
        injected(&self.notes)
    }
}
