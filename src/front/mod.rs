//! What an MCP host starts: a pipe between its standard streams and the broker. It owns nothing, so that it may be
//! killed, restarted or abandoned at any time; it starts the broker where there is none, and when one ends, it goes on
//! with the next.

mod host;
mod link;
mod losses;
mod parent;
mod running;
mod session;
mod stdio;
mod waiting;

use std::{
    io,
    path::PathBuf,
    pin::pin,
    process::ExitCode,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc,
    time::Instant,
};

use self::{
    host::{Host, Lines, Out},
    losses::Losses,
    session::{Pass, Session},
};
pub use self::{
    link::{Connected, NoBroker, VERSION, connect, is_inside, join, reconnect},
    running::{NotEnded, Running, older},
};
use crate::{
    fault,
    ipc::hello::{Hello, Role},
    keeper::image,
};

/// After the host has closed its side, answers on their way still get this long.
const DRAIN: Duration = Duration::from_millis(150);

/// `compere` as a host starts it: until the host is gone, or no broker can be had.
pub async fn main() -> ExitCode {
    let (workspace, cwd) = whereabouts();
    let hello = Hello::new(Role::Host, workspace, cwd);
    let connected = match connect(&hello, VERSION).await {
        Ok(connected) => connected,
        Err(error) => return fail(&error.to_string()),
    };
    let front = Front {
        hello,
        you: connected.welcome.you.clone(),
        session: Conversation::default(),
        host: Host::of_this_process(),
        losses: Losses::default(),
    };
    tokio::select! {
        code = front.run(connected) => code,
        () = parent::ended() => ExitCode::SUCCESS,
    }
}

/// The project's root (where `.git` is, at or above the working directory) and the working directory.
pub fn whereabouts() -> (PathBuf, PathBuf) {
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let workspace = cwd.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(&cwd).to_owned();
    (workspace, cwd)
}

struct Front {
    hello: Hello,
    /// Who we are to the broker.
    you: Option<String>,
    session: Conversation,
    host: Host,
    losses: Losses,
}

/// Both directions look at it.
#[derive(Default)]
struct Conversation(Mutex<Session>);

/// Which side has ended.
enum Over {
    Host,
    Broker,
    /// The host speaks and does not listen.
    Deaf(io::Error),
}

impl Front {
    async fn run(mut self, mut connected: Connected) -> ExitCode {
        loop {
            // From here on it carries lines.
            image::let_go();
            match self.carry(connected).await {
                Over::Host => return ExitCode::SUCCESS,
                Over::Deaf(error) => return deaf(&error),
                Over::Broker => {}
            }
            if !self.losses.another(Instant::now()) {
                let log =
                    link::log(&self.hello).map(|log| format!(", and {}", log.display())).unwrap_or_default();
                let (times, within) = (Losses::MOST, Losses::WITHIN.as_secs());
                let why =
                    format!("the broker ended {times} times within {within} s; see `compere doctor`{log}");
                return self.give_up(&why).await;
            }
            fault::point!("front.lost");
            let lost = self.session.look().lost();
            if let Err(error) = self.host.out.write(lost.concat()).await {
                return deaf(&error);
            }
            let joined = tokio::select! {
                joined = link::reconnect(&self.hello, VERSION) => joined,
                // It does not wait for what it has said last.
                () = self.host.end.cancelled() => return ExitCode::SUCCESS,
            };
            connected = match joined {
                Ok(connected) => connected,
                Err(error) => {
                    return self
                        .give_up(&format!("the broker has ended, and there is no other: {error}"))
                        .await;
                }
            };
            if connected.welcome.you != self.you {
                let name = |you: &Option<String>| you.clone().unwrap_or_else(|| "nobody".into());
                let (was, is) = (name(&self.you), name(&connected.welcome.you));
                let why =
                    format!("the broker was replaced, and the new one takes us for {is} instead of {was}");
                return self.give_up(&format!("{why}; start compere again")).await;
            }
        }
    }

    /// Carries lines both ways until one side has ended.
    async fn carry(&mut self, connected: Connected) -> Over {
        let Connected { read, write, .. } = connected;
        let Host { lines, wrong, out, .. } = &mut self.host;
        let mut down = pin!(down(read, wrong, out, &self.session));
        tokio::select! {
            up = up(write, lines, &self.session) => match up {
                // Answers on their way are still worth something to a script that has said all it wanted to.
                Ok(_shut) => {
                    let _ = tokio::time::timeout(DRAIN, down).await;
                    Over::Host
                }
                // Whatever it has answered before it ended is to be had.
                Err(_) => down.await,
            },
            over = &mut down => over,
        }
    }

    /// Tells whoever waits that there is no broker any more.
    async fn give_up(mut self, why: &str) -> ExitCode {
        let unsent = self.host.unsent();
        let answers = self.session.look().refuse(&unsent, why);
        match self.host.out.write(answers.concat()).await {
            Ok(()) => fail(why),
            Err(error) => deaf(&error),
        }
    }
}

impl Conversation {
    fn look(&self) -> MutexGuard<'_, Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From the host to the broker, which hears first what an earlier one was told. Dropped at any moment: what it was
/// about to say is in flight by then.
async fn up(
    mut write: OwnedWriteHalf,
    lines: &mut Lines,
    session: &Conversation,
) -> io::Result<OwnedWriteHalf> {
    fault::point!("front.joined");
    let replay = session.look().replay();
    write.write_all(&replay.concat()).await?;
    while let Some(held) = lines.next().await {
        if running::hung_up(write.as_ref())? {
            // Nobody has heard it, so the next broker will.
            lines.put_back(held);
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let pass = session.look().host_says(&held.line);
        if pass == Pass::On {
            fault::point!("front.passing");
            write.write_all(&held.line).await?;
            fault::point!("front.passed");
        }
    }
    write.shutdown().await?;
    Ok(write)
}

/// From the broker to the host, with our own answers between its lines.
async fn down(
    mut read: BufReader<OwnedReadHalf>,
    wrong: &mut mpsc::Receiver<String>,
    out: &mut Out,
    session: &Conversation,
) -> Over {
    let mut line = Vec::new();
    loop {
        let written = tokio::select! {
            read = read.read_until(b'\n', &mut line) => {
                // Half a line is what a broker did not live to say.
                if !read.is_ok_and(|bytes| bytes > 0) || line.last() != Some(&b'\n') {
                    return Over::Broker;
                }
                let pass = session.look().broker_says(&line);
                fault::point!("front.answering");
                let written = if pass == Pass::On { out.write(&line).await } else { Ok(()) };
                fault::point!("front.answered");
                line.clear();
                written
            }
            // A line half read stays in `line`, and is read on after this.
            Some(answer) = wrong.recv() => out.write(answer).await,
        };
        if let Err(error) = written {
            return Over::Deaf(error);
        }
    }
}

fn deaf(error: &io::Error) -> ExitCode {
    fail(&format!("the host does not read any more: {error}"))
}

fn fail(why: &str) -> ExitCode {
    use io::Write;
    // Standard output is MCP's; and if standard error is closed too, there is nobody to tell.
    let _ = writeln!(io::stderr(), "compere: {why}");
    ExitCode::FAILURE
}
