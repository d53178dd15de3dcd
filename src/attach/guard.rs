//! Two processes at a terminal: one that uses it, and one that only waits and puts it back if the first is killed. If
//! the second is killed, the first is told by the kernel, and goes.

use std::process::{ExitCode, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use super::tty::{self, Before};

/// Runs this program again, with these arguments, as the process that uses the terminal; outlives it. Its exit is ours.
pub async fn watch_over(arguments: &[&str]) -> Result<ExitCode, super::AttachError> {
    let terminal = tty::open().map_err(super::AttachError::NoTerminal)?;
    let before = Before::of(&terminal).map_err(super::AttachError::NoTerminal)?;
    let mut child = Command::new(std::env::current_exe()?).args(arguments).spawn()?;
    let status = until_its_end(&mut child).await?;
    if status.code().is_none() {
        before.restore(&terminal);
    }
    Ok(status.code().map_or(ExitCode::FAILURE, |code| ExitCode::from(code as u8)))
}

/// What ends us ends it, in order.
async fn until_its_end(child: &mut Child) -> std::io::Result<ExitStatus> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let pid = child.id().and_then(|pid| Pid::from_raw(pid as i32));
    loop {
        tokio::select! {
            status = child.wait() => return status,
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
        }
        if let Some(pid) = pid {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// In the first process: with the second gone there is nobody to put the terminal back after us.
pub fn end_with_guard() {
    // Where the kernel does not know this, a kill of both leaves the terminal as it is.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
}
