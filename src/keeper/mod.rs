//! The keeper: one small process per child, which owns its terminal, is its parent and its subreaper, and holds its
//! newest output. It has no emulator, no threads and no policy: so little that it can outlive many brokers.

pub mod launch;
mod peer;
pub mod pty;
pub mod ring;
mod serve;
mod tree;
pub mod wire;

use std::{
    fs::OpenOptions,
    io::{self, BufRead, Write},
    os::unix::net::UnixListener,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use rustix::fs::Mode;
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM};

use self::{
    launch::Answer,
    pty::{Pty, Spec, StartError},
    ring::Ring,
    serve::Keeper,
};

/// A longer spec is not ours: the kernel would not take its environment.
const MAX_SPEC: u64 = 8 << 20;

/// `compere keeper`: reads a [`Spec`] from standard input, answers on standard output, and keeps.
pub fn main() -> ExitCode {
    match start() {
        Ok(keeper) => {
            keeper.run();
            ExitCode::SUCCESS
        }
        Err(error) => {
            // A broker that is gone by now will not miss the answer.
            let _ = answer(&Answer::Error(error));
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<Keeper, StartError> {
    let spec = read_spec().map_err(failed("reading the spec"))?;
    // A session of its own, so that no terminal's and no host's signals reach it. It fails only where it is one already.
    let _ = rustix::process::setsid();
    outlive_signals().map_err(failed("setting up signals"))?;
    rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1))
        .map_err(|error| failed("becoming a subreaper")(error.into()))?;
    std::env::set_current_dir("/").map_err(failed("leaving the working directory"))?;
    let umask = rustix::process::umask(Mode::from_raw_mode(0o177));
    let mut ring = Ring::create(&spec.ring).map_err(failed("making the ring"))?;
    let listener = UnixListener::bind(&spec.socket).map_err(failed("listening"));
    let started = listener.and_then(|listener| {
        // Before the spawn: a child that ends at once must be noticed.
        let ended = serve::child_ended().map_err(failed("setting up signals"))?;
        Ok((listener, ended, Pty::start(&spec, umask)?))
    });
    match started {
        Ok((listener, ended, pty)) => {
            ring.set_child(pty.child, spec.size);
            let ok = Answer::Ok { keeper_pid: std::process::id() as i32, child_pid: pty.child };
            // A broker that is gone by now has left a child that runs; whoever comes next finds it.
            let _ = answer(&ok);
            close_stdio().map_err(failed("closing the standard streams"))?;
            Keeper::new(spec.socket, ring, pty, spec.size, listener, ended).map_err(failed("listening"))
        }
        Err(error) => {
            for file in [&spec.ring, &spec.socket] {
                let _ = std::fs::remove_file(file);
            }
            Err(error)
        }
    }
}

fn read_spec() -> io::Result<Spec> {
    let mut line = String::new();
    io::Read::take(io::stdin().lock(), MAX_SPEC).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

fn answer(answer: &Answer) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, answer)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Handlers that do nothing: unlike ignored signals, they are not inherited by what is run.
fn outlive_signals() -> io::Result<()> {
    let nobody_looks = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE] {
        signal_hook::flag::register(signal, nobody_looks.clone())?;
    }
    Ok(())
}

fn close_stdio() -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |error| StartError::Keeper { what: what.into(), why: error.to_string() }
}
