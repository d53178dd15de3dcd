//! What makes a test four lines long: a company of its own in a directory of its own, and clients that speak MCP to it.
//! Nothing here waits for a while: only for an event, a text, or a process's end.

mod company;
mod leftovers;
mod mcp;
mod real;
pub(crate) mod terminal;

pub(crate) use company::Company;
pub(crate) use leftovers::{alive, end_fronts, gone, mentioning};
pub(crate) use mcp::{Answer, Client};
pub(crate) use real::{Raw, Real};

/// The program under test.
pub(crate) const COMPERE: &str = env!("CARGO_BIN_EXE_compere");

/// What a child finds its programs in.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Sends a process a signal.
pub(crate) fn signal(pid: i32, signal: rustix::process::Signal) {
    use rustix::process::{Pid, kill_process};
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// A new directory with a path short enough for sockets.
pub(crate) fn short_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("cmp-").tempdir_in("/tmp").unwrap()
}

/// `sh -c SCRIPT`, as a command.
pub(crate) fn sh(script: &str) -> serde_json::Value {
    serde_json::json!(["sh", "-c", script])
}
