//! `compere attach` and `compere watch`: a person at a child's pane.

use std::{path::PathBuf, process::ExitCode};

use futures::FutureExt;

use super::{fail::Fail, out};
use crate::{
    attach::{self, AttachError, Line, Reach, Wish},
    broker,
    front::{self, NoBroker},
    ipc::hello::{Hello, Role},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
You have the input from then on: what agents send is held until you give it back or leave. The last line shows what is \
so, and C-] (see --prefix) shows the keys: d leaves, b gives back and looks on, h shows what is held.")]
pub(super) struct Args {
    /// The child's id or name.
    child: String,
    #[command(flatten)]
    prefix: Prefix,
    /// One process uses the terminal and one puts it back: this is the first.
    #[arg(long, hide = true)]
    guarded: bool,
}

/// The key for orders to compere.
#[derive(Debug, clap::Args)]
pub(super) struct Prefix {
    /// The key before those for compere, such as C-a; pressed twice it is sent. By default what config.json says, or
    /// else C-].
    #[arg(long, value_name = "KEY")]
    prefix: Option<String>,
}

/// What of the child's is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Its input too.
    Attach,
    /// Only to see it.
    Watch,
}

impl Prefix {
    /// As it is written, and what it sends.
    pub(super) fn key(self) -> Result<(String, u8), Fail> {
        let prefix = match self.prefix {
            Some(prefix) => prefix,
            None => broker::read_config().map_err(Fail::Usage)?.attach.prefix,
        };
        let Some(byte) = attach::prefix(&prefix) else {
            return Err(Fail::Usage(format!(
                "{prefix:?} is no key for this: give one such as C-] or C-a; not C-c, C-i, C-j, C-m or C-["
            )));
        };
        Ok((prefix, byte))
    }
}

pub(super) async fn run(args: Args, what: What) -> Result<ExitCode, Fail> {
    let prefix = args.prefix.key()?;
    if !args.guarded {
        return enter(&args.child, what, &prefix.0).await;
    }
    let wish = Wish { child: args.child, take: what == What::Attach, prefix };
    let left = attach::run(wish, reach()).await?;
    out::line(&match (left.ended, what) {
        (Some(ended), _) => format!("{} has ended: {ended}", left.child),
        (None, What::Attach) => format!("left {}; it goes on, and its input is given back", left.child),
        (None, What::Watch) => format!("left {}; it goes on", left.child),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Goes to its pane, with a process that uses the terminal.
pub(super) async fn enter(child: &str, what: What, prefix: &str) -> Result<ExitCode, Fail> {
    let what = if what == What::Attach { "attach" } else { "watch" };
    Ok(attach::watch_over(&[what, "--guarded", "--prefix", prefix, "--", child]).await?)
}

/// The first time as any command does; after a broker's end however long the next one takes within reason.
fn reach() -> Reach {
    let first = std::sync::atomic::AtomicBool::new(true);
    Box::new(move |look| {
        let first = first.swap(false, std::sync::atomic::Ordering::Relaxed);
        let (workspace, cwd): (PathBuf, PathBuf) = front::whereabouts();
        let hello = Hello { look: Some(look), ..Hello::new(Role::Person, workspace, cwd) };
        async move {
            let connected = match first {
                true => front::connect(&hello, front::VERSION).await,
                false => front::reconnect(&hello, front::VERSION).await,
            };
            let connected = connected.map_err(|error: NoBroker| error.to_string())?;
            if !connected.welcome.look {
                return Err(
                    "the broker is of a version without panes; `compere upgrade` puts this one in its place"
                        .into(),
                );
            }
            Ok(Line { read: connected.read, write: connected.write })
        }
        .boxed()
    })
}

impl From<AttachError> for Fail {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::NoTerminal(_) => Fail::Usage(error.to_string()),
            AttachError::Refused(why) => Fail::Said(why),
            AttachError::Signalled => Fail::Said(error.to_string()),
            AttachError::Io(error) => Fail::from(error),
        }
    }
}
