//! How a process becomes a keeper: one line in that says what to run, one line out that says what came of it,
//! then its loop.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::ExitCode,
};

use rustix::{
    fs::{Mode, OFlags},
    process::Signal,
};

use super::{
    files, heap, pty,
    ring::Ring,
    serve::Keeper,
    signals::{self, ChildEnded},
    spec::{Answer, Spec, StartError},
    terminal::Terminal,
    wire::Whom,
};
use crate::fault;

/// `compere keeper`: a [`Spec`] as one line of JSON on stdin, one line of JSON on stdout. Returns when the
/// child and all its descendants have ended, or at once if nothing could be started. Call it before any
/// thread is made.
pub fn main() -> ExitCode {
    match start() {
        Ok(mut keeper) => {
            let told = answer(&Answer::Ok {
                keeper_pid: rustix::process::getpid().as_raw_nonzero().get(),
                child_pid: keeper.terminal.child.as_raw_nonzero().get(),
            });
            if told.is_err() {
                // Whoever asked is gone, and whoever came after may have looked for children before we had made our
                // files: nobody would ever know of this one.
                keeper.terminal.signal(Signal::KILL.as_raw(), Whom::Tree);
            }
            fault::point!("keeper.answered");
            leave_stdio();
            // What it took to start is not needed again.
            heap::return_to_system();
            keeper.run();
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Whoever asked may be gone by now; there is nothing to be sorry for.
            let _ = answer(&Answer::Error(error));
            ExitCode::FAILURE
        }
    }
}

/// More than the kernel would pass to a program, in JSON.
const MAX_SPEC: u64 = 4 << 20;

fn start() -> Result<Keeper, StartError> {
    let spec = read_spec(io::stdin().lock())?;
    let about = about(&spec)?;
    let failed = |error: io::Error| StartError::Spawn {
        program: spec.argv.first().cloned().unwrap_or_default(),
        reason: error.to_string(),
    };
    // Out of the host's session: its end, and its keys, are not meant for us. It fails if we lead one
    // already.
    let _ = rustix::process::setsid();
    signals::survive().map_err(failed)?;
    let child_ended = ChildEnded::watch().map_err(failed)?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|errno| failed(errno.into()))?;
    // We stay for long; no file system should have to stay for us.
    rustix::process::chdir("/").map_err(|errno| failed(errno.into()))?;
    if let Some(had) = spec.files {
        files::give_back(None, had);
    }
    // For `ps` and `top` only.
    if let Ok(name) = std::ffi::CString::new(format!("keeper {}", spec.child)) {
        let _ = rustix::thread::set_name(&name);
    }

    // Before bind, so that the socket is ours alone from its first moment.
    let umask = rustix::process::umask(Mode::from_raw_mode(0o177));
    let not_made = |path: &Path, reason: String| StartError::Files { path: path.to_owned(), reason };
    let bound = UnixListener::bind(&spec.socket);
    // One that was there before is not ours to remove; one that could be bound and not listened on is.
    let others = matches!(&bound, Err(error) if error.kind() == io::ErrorKind::AddrInUse);
    let socket = Made((!others).then(|| spec.socket.clone()));
    let listener = bound.map_err(|error| not_made(&spec.socket, error.to_string()))?;
    fault::point!("keeper.bound");
    listener.set_nonblocking(true).map_err(failed)?;
    let ring = Ring::create(&spec.ring).map_err(|error| not_made(&spec.ring, error.to_string()))?;
    let ring_file = Made(Some(spec.ring.clone()));
    ring.record_about(&about).map_err(|error| not_made(&spec.ring, error.to_string()))?;
    fault::point!("keeper.ringed");
    let opened = pty::open(&spec, umask)?;
    fault::point!("keeper.born");

    let _ = (ring_file.keep(), socket.keep());
    Ok(Keeper {
        terminal: Terminal::new(opened, ring, spec.size),
        listener,
        socket: spec.socket,
        child_ended,
        connections: Vec::new(),
        accepted: 0,
        cramped: false,
    })
}

fn read_spec(from: impl Read) -> Result<Spec, StartError> {
    let bad = |reason: String| StartError::BadSpec { reason };
    let mut line = Vec::new();
    BufReader::new(from)
        .take(MAX_SPEC)
        .read_until(b'\n', &mut line)
        .map_err(|error| bad(error.to_string()))?;
    if line.last() != Some(&b'\n') {
        return Err(bad(format!("{} bytes and no end of line", line.len())));
    }
    serde_json::from_slice(&line).map_err(|error| bad(error.to_string()))
}

/// What is to be remembered, as it is put in the ring's file.
fn about(spec: &Spec) -> Result<Vec<u8>, StartError> {
    if spec.about.is_null() {
        return Ok(Vec::new());
    }
    let about = spec.about.to_string().into_bytes();
    if about.len() > Ring::MAX_ABOUT {
        return Err(StartError::AboutTooLong { bytes: about.len() as u64, limit: Ring::MAX_ABOUT as u64 });
    }
    Ok(about)
}

/// An error if whoever asked is gone.
fn answer(answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer).expect("numbers and texts are always JSON");
    line.push(b'\n');
    io::stdout().write_all(&line).and_then(|()| io::stdout().flush())
}

/// The pipes are our launcher's; as long as we held them it would wait for their end.
fn leave_stdio() {
    // Without /dev/null nothing here would work; then the pipes stay, which does no harm.
    if let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

/// A file of ours that goes again if what it is for does not come to be.
struct Made(Option<PathBuf>);

impl Made {
    fn keep(mut self) -> Option<PathBuf> {
        self.0.take()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // The error that matters is on its way already.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_one_whole_line_of_bounded_length() {
        #[track_caller]
        fn check(text: &[u8], expected: &str) {
            let error = read_spec(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        check(b"", "0 bytes and no end of line");
        check(b"{}", "2 bytes and no end of line");
        check(b"{}\n", "missing field");
        check(b"\xff\n", "read what to start");
        check(&vec![b' '; 5 << 20], "4194304 bytes and no end of line");
    }

    #[test]
    fn a_spec_of_another_time_is_understood() {
        let line = br#"{"child":"c1","argv":["sh"],"cwd":"/","env":[["A","b"]],"size":{"rows":4,"cols":5},"ring":"/r","socket":"/s","more":1}
"#;
        assert_eq!(read_spec(&line[..]).unwrap().env, [("A".to_owned(), "b".to_owned())]);
    }
}
