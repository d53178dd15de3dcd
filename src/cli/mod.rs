//! The command line: what is asked for, one call of a tool, and words for whoever asked. Decides nothing itself.

mod args;
mod client;
mod fail;
mod given;
mod out;

mod call;
mod keys;
mod ls;
mod presets;
mod read;
mod report;
mod reports;
mod send;
mod spawn;
mod stop;
mod wait;

mod completions;
mod demo;
mod doctor;

use std::{future::Future, io::IsTerminal, process::ExitCode};

use clap::Parser;

use self::{
    args::{Cli, Command},
    fail::Fail,
};

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A reader of the help that has gone has seen enough.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Fail::USAGE));
        }
    };
    let Some(command) = cli.command else { return serve() };
    let done = match command {
        // Before there is any thread: a keeper is one process of one thread.
        Command::Keeper => return crate::keeper::main(),
        Command::Broker { detach: true } => crate::broker::detach().map_err(Fail::from),
        Command::Broker { detach: false } => {
            return match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
                Ok(runtime) => runtime.block_on(crate::broker::main()),
                Err(error) => fail::exit(&error.into()),
            };
        }
        Command::DemoScreen => demo::screen::run().map_err(Fail::from),
        Command::Completions(args) => completions::run(&args),
        Command::Presets(args) => presets::run(&args),
        Command::Call(args) => alone(call::run(args)),
        Command::Ls(args) => alone(ls::run(args)),
        Command::Spawn(args) => alone(spawn::run(args)),
        Command::Send(args) => alone(send::run(args)),
        Command::Keys(args) => alone(keys::run(args)),
        Command::Read(args) => alone(read::run(args)),
        Command::Wait(args) => alone(wait::run(args)),
        Command::Report(args) => alone(report::run(args)),
        Command::Reports(args) => alone(reports::run(args)),
        Command::Stop(args) => alone(stop::run(args)),
        Command::Doctor(args) => alone(doctor::run(args)),
        Command::Demo => alone(demo::run()),
    };
    done.unwrap_or_else(|fail| fail::exit(&fail))
}

/// What a host starts; a person who does gets told what it is instead of a silence.
fn serve() -> ExitCode {
    if std::io::stdin().is_terminal() {
        return fail::exit(&Fail::Usage(args::NOT_A_HOST.into()));
    }
    alone_unless_blocked(crate::front::main()).unwrap_or_else(|fail| fail::exit(&fail))
}

fn alone(done: impl Future<Output = Result<ExitCode, Fail>>) -> Result<ExitCode, Fail> {
    alone_unless_blocked(done)?
}

fn alone_unless_blocked<T>(future: impl Future<Output = T>) -> Result<T, Fail> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(future);
    // A read of standard input cannot be interrupted, and must not hold us.
    runtime.shutdown_background();
    Ok(done)
}
