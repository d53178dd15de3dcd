//! A program in a new pseudo-terminal. The only place that knows portable-pty; what may go wrong was checked
//! before.

use std::os::fd::{BorrowedFd, OwnedFd};

use portable_pty::{CommandBuilder, MasterPty, PtySize, SlavePty, native_pty_system};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    process::Pid,
    pty::OpenptFlags,
};

use super::{
    check,
    spec::{Spec, StartError},
};

/// A running child and the two ends of its terminal.
pub(super) struct Opened {
    /// Reads and writes do not block.
    pub(super) master: OwnedFd,
    /// Held so that a child that closes its terminal and opens it again does not look as if it had ended.
    pub(super) slave: Box<dyn SlavePty + Send>,
    pub(super) child: Pid,
}

/// Starts the program, with this umask and otherwise as a login would: default signals, a session and a
/// terminal of its own, no file of ours.
pub(super) fn open(spec: &Spec, umask: Mode) -> Result<Opened, StartError> {
    let path = check::check(spec)?;
    let failed = |reason: String| StartError::Spawn { program: spec.argv[0].clone(), reason };
    let size = spec.size.clamped();
    let pair = native_pty_system()
        .openpty(PtySize { rows: size.rows, cols: size.cols, ..PtySize::default() })
        .map_err(|error| no_pty(&error.to_string()))?;
    let master = nonblocking(&*pair.master).map_err(|errno| no_pty(&errno.to_string()))?;

    let mut argv: Vec<_> = spec.argv.iter().map(Into::into).collect();
    if !finds_itself(spec) {
        argv[0] = path.into_os_string();
    }
    let mut command = CommandBuilder::from_argv(argv);
    command.env_clear();
    for (key, value) in &spec.env {
        command.env(key, value);
    }
    command.cwd(&spec.cwd);
    command.umask(Some(umask.as_raw_mode()));
    let child = pair.slave.spawn_command(command).map_err(|error| failed(error.to_string()))?;
    // The handle is dropped: we reap whatever ends, and it would neither wait nor kill.
    let child = child.process_id().and_then(|pid| Pid::from_raw(pid as i32));
    Ok(Opened { master, slave: pair.slave, child: child.ok_or_else(|| failed("it has no pid".to_owned()))? })
}

/// portable-pty's own writer types a newline and ^D when it is dropped, and blocks; so it is never taken.
fn nonblocking(master: &dyn MasterPty) -> Result<OwnedFd, Errno> {
    let raw = master.as_raw_fd().ok_or(Errno::BADF)?;
    // SAFETY: `master` is borrowed, so its descriptor stays open while this one is used.
    #[allow(unsafe_code, reason = "portable-pty gives its descriptor as a number only")]
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    let flags = rustix::fs::fcntl_getfl(fd)?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
    rustix::io::fcntl_dupfd_cloexec(fd, 3)
}

/// Whether portable-pty, given `argv[0]` as it is, runs what `check` found. It looks for `a/b` in PATH, where
/// `execvp` would not, and has no default PATH; then it must be given the file, and `argv[0]` is that.
fn finds_itself(spec: &Spec) -> bool {
    let program = &spec.argv[0];
    let beside_path = ["/", "./", "../"].iter().any(|start| program.starts_with(start));
    beside_path || (!program.contains('/') && check::search_path(spec).is_some())
}

/// portable-pty tells the reason in prose only, with an error's `Debug` in it; where no number is found there, the kernel
/// is asked once more.
fn no_pty(reason: &str) -> StartError {
    let told = reason.split_once("code: ").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
    let asked = || {
        rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)
            .and_then(|first| rustix::io::fcntl_dupfd_cloexec(&first, 3))
            .err()
    };
    let errno = told.map(Errno::from_raw_os_error).or_else(asked);
    let reason = match errno {
        Some(Errno::NOSPC) => "this machine has no more of them (see /proc/sys/kernel/pty/max)".to_owned(),
        Some(Errno::MFILE) => "the keeper may open no more files (see ulimit -n)".to_owned(),
        Some(Errno::NFILE) => "this machine has no more open files".to_owned(),
        _ => reason.to_owned(),
    };
    StartError::NoPty { errno: errno.map(Errno::raw_os_error), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_said_is_found_in_prose() {
        for (code, words) in
            [(28, "has no more of them"), (24, "may open no more files"), (23, "no more open files")]
        {
            let error = std::io::Error::from_raw_os_error(code);
            let said = no_pty(&format!("failed to openpty: {error:?}")).to_string();
            assert!(said.contains(words), "{said}");
        }
    }
}
