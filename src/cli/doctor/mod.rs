//! `compere doctor`: everything compere needs, checked, and what to do about what is wrong. Starts no broker and runs
//! no agent: it only looks.

mod broker;
mod config;
mod finding;
mod journal;
mod machine;
pub(super) mod orphans;
mod presets;
mod runtime;
mod trees;

use std::process::ExitCode;

use self::finding::{Finding, Level};
use super::{fail::Fail, out};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End children that no broker looks after, with everything they started.
    #[arg(long)]
    stop_orphans: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let mut findings = vec![program()];
    findings.extend(runtime::look(args.stop_orphans).await);
    findings.extend(config::look());
    findings.extend(presets::look());
    findings.extend(machine::look());
    let colours = out::colours();
    for finding in &findings {
        out::line(&finding.line(colours))?;
    }
    let failed = findings.iter().any(|finding| finding.level == Level::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn program() -> Finding {
    let version = env!("CARGO_PKG_VERSION");
    match std::env::current_exe() {
        // What Linux says of a program whose file was replaced while it runs.
        Ok(exe) if exe.to_string_lossy().ends_with(" (deleted)") => {
            Finding::warn("program", format!("{version}, replaced on disk meanwhile"), "run it again")
        }
        Ok(exe) => Finding::ok("program", format!("compere {version}, {}", exe.display())),
        Err(error) => {
            Finding::fail("program", format!("{version}, at an unknown path: {error}"), "is /proc mounted?")
        }
    }
}
