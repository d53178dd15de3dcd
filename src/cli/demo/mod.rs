//! `compere demo`: what compere is for, done for real and told as it happens. Needs no agent, touches nothing of the
//! user's, and leaves nothing.

mod acts;
pub(super) mod screen;
mod stage;
mod teller;

use std::{process::ExitCode, time::Duration};

use tokio::signal::unix::{SignalKind, signal};

use self::{stage::Stage, teller::Teller};
use super::fail::Fail;

/// It takes a few seconds; a machine that is busy may need more.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn run() -> Result<ExitCode, Fail> {
    let mut teller = Teller::default();
    let stage = Stage::build()?;
    let played = tokio::select! {
        played = acts::play(&stage, &mut teller) => played,
        () = interrupted() => Err(Fail::Said("interrupted".into())),
        () = tokio::time::sleep(PATIENCE) => {
            Err(Fail::Said(format!("not done within {} s; compere doctor may tell why", PATIENCE.as_secs())))
        }
    };
    // Whatever happened before.
    let left = stage.clear().await;
    played?;
    teller.step("The demo ends its broker and removes its directory")?;
    if !left.is_empty() {
        return Err(Fail::Said(format!("left behind: {}", left.join(", "))));
    }
    teller.note("no process and no file is left")?;
    teller.end()?;
    Ok(ExitCode::SUCCESS)
}

async fn interrupted() {
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
    }
}
