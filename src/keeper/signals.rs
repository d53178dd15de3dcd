//! A keeper outlives whoever started it: only SIGKILL ends it, and the end of a process makes its loop turn.
//! Knows nothing of processes.
//!
//! signal-hook, because rustix installs no handlers; without its features it is one small crate over libc, in
//! the tree already. Not a pidfd: that tells of the child only, and a subreaper must reap all its orphans.

use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

/// A handler that does next to nothing, not SIG_IGN: `exec` sets handled signals back to their default, so
/// the child gets them as a login would, where ignored ones would stay ignored.
pub(super) fn survive() -> io::Result<()> {
    for signal in [SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

/// Readable when a child of ours has ended.
#[derive(Debug)]
pub(super) struct ChildEnded(pub(super) UnixStream);

impl ChildEnded {
    pub(super) fn watch() -> io::Result<ChildEnded> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGCHLD, write)?;
        Ok(ChildEnded(read))
    }

    /// Forgets what was told so far. Call before looking who it was.
    pub(super) fn clear(&mut self) {
        let mut bytes = [0; 64];
        while matches!(self.0.read(&mut bytes), Ok(1..)) {}
    }
}
