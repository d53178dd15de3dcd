//! `compere upgrade`: this program's broker in place of the one that runs.

use std::process::ExitCode;

use tokio::net::UnixStream;

use super::{
    client::{CallError, Client},
    fail::Fail,
    ls, out,
};
use crate::{
    front::{self, Connected, NoBroker, NotEnded, Running, VERSION, older},
    ipc::{
        door::Door,
        hello::{Hello, Role},
    },
};

/// No broker is older than this.
const AS_IT_IS: &str = "0";

pub(super) async fn run() -> Result<ExitCode, Fail> {
    let (workspace, cwd) = front::whereabouts();
    let hello = Hello::new(Role::Person, workspace, cwd);
    let door = Door::open().map_err(NoBroker::from)?;
    if hello.identity.is_some() || front::is_inside(&door) {
        // A process cannot leave the tree it is started in.
        let why = "a broker that is started inside a child ends with it: run this outside of children";
        return Err(Fail::Usage(why.into()));
    }
    if UnixStream::connect(door.socket()).await.is_err() {
        out::line(&format!("no broker runs; the next host or command starts one of version {VERSION}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let old = front::connect(&hello, AS_IT_IS).await?;
    let (from, old_pid) = (old.welcome.version.clone(), old.welcome.pid);
    if older(VERSION, &from) {
        return Err(Fail::Said(format!(
            "the broker is of version {from}, newer than this program ({VERSION}), and is left as it is. If you mean \
             to go back, end it with `kill {old_pid}`, and run any command of this program"
        )));
    }
    let running = Running::of(&old)?;
    let had = children(old).await;
    // Where there is none any more, another upgrade was as quick.
    if let Some(running) = running {
        running.end().await?;
    }
    let new = front::connect(&hello, VERSION).await?;
    let (to, pid) = (new.welcome.version.clone(), new.welcome.pid);
    let keeps = children(new).await?;
    out::line(&format!("{from} (process {old_pid}) has ended; {to} (process {pid}) has taken over"))?;
    out::line(&match had {
        Ok(had) if had > keeps => {
            format!("it keeps {keeps} of {had} children; the others run on, and `compere doctor` finds them")
        }
        _ => format!("it keeps {keeps} children"),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// How many children live under this broker.
async fn children(broker: Connected) -> Result<usize, Fail> {
    let client = Client::over(broker).await?;
    let list = ls::whole_list(&client).await;
    client.close().await;
    Ok(ls::children(&list?).filter(|child| !ls::ended(child)).count())
}

impl From<NoBroker> for Fail {
    fn from(error: NoBroker) -> Self {
        CallError::from(error).into()
    }
}

impl From<NotEnded> for Fail {
    fn from(error: NotEnded) -> Self {
        Fail::Said(error.to_string())
    }
}
