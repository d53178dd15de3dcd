//! `compere run`: a person starts a child and is at its pane at once.

use std::process::ExitCode;

use super::{
    attach::{self, Prefix, What},
    fail::Fail,
    out::word,
    spawn,
};

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
What `compere spawn` and `compere attach` do, one after the other; the arguments are theirs. An agent that is run so has \
tools of its own, and what its children report is typed to it as turns once you give its input back (C-] b).

Examples:
  compere run claude
  compere run --name server -- npm run dev")]
pub(super) struct Args {
    #[command(flatten)]
    spawn: spawn::Args,
    #[command(flatten)]
    prefix: Prefix,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let (prefix, _) = args.prefix.key()?;
    // Nothing is started that nobody could look at.
    let room = crate::attach::room()?;
    let spawned = spawn::spawned(args.spawn.sized(room.rows, room.cols)).await?;
    let child = spawned.into_record();
    attach::enter(word(&child, "child"), What::Attach, &prefix).await
}
