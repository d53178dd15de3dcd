//! When a front has no one to serve any more: a signal came, or the process that started it is gone.

use std::os::unix::process::parent_id;

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::signal::unix::{SignalKind, signal};

/// A signal came, or the process that started us is gone.
pub(super) async fn ended() {
    let gone = async {
        // A thread of its own sleeps on it; the process's end ends that too.
        let waited = tokio::task::spawn_blocking(|| outlive(parent_id() as i32));
        if !waited.await.unwrap_or(false) {
            std::future::pending::<()>().await;
        }
    };
    let signalled = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = gone => {}
        () = signalled(SignalKind::interrupt()) => {}
        () = signalled(SignalKind::terminate()) => {}
        () = signalled(SignalKind::hangup()) => {}
    }
}

/// Waits until this process is gone; false if that cannot be watched.
fn outlive(parent: i32) -> bool {
    let Some(pid) = Pid::from_raw(parent) else { return false };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => true,
        Err(_) => false,
        // It may have ended before it was opened, and its number been given to another.
        Ok(_) if parent_id() as i32 != parent => true,
        Ok(fd) => loop {
            match poll(&mut [PollFd::new(&fd, PollFlags::IN)], None) {
                Ok(_) => return true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        },
    }
}
