//! The command line: what is asked for, one call of a tool, and words for whoever asked. Decides nothing itself.

mod args;
mod client;
mod fail;
mod given;
mod out;
mod raw;

mod attach;
mod call;
mod explain;
mod keys;
mod log;
mod ls;
mod presets;
mod read;
mod record;
mod replay;
mod report;
mod reports;
mod run;
mod send;
mod spawn;
mod stop;
mod top;
mod trust;
mod upgrade;
mod wait;

mod completions;
mod demo;
mod doctor;
mod fake_agent;

use std::{future::Future, io::IsTerminal, pin::Pin, process::ExitCode};

use clap::Parser;

use self::{
    args::{Cli, Command},
    fail::Fail,
};

/// Runs the command line.
pub fn main() -> ExitCode {
    // What is started most, and stays longest, is spared all the commands there are.
    let mut given = std::env::args_os().skip(1);
    match (given.next(), given.next()) {
        (None, _) => return serve(),
        (Some(only), None) if only == "keeper" => return crate::keeper::main(),
        _ => {}
    }
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
            let run = || {
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
                Ok::<_, std::io::Error>(runtime.block_on(crate::broker::main()))
            };
            // The runtime panics where there can be no more threads. Whoever waits for a first word is told why none came.
            return match std::panic::catch_unwind(run) {
                Ok(Ok(code)) => code,
                Ok(Err(error)) => crate::broker::refuse(&error.to_string()),
                Err(panic) => {
                    let words = panic.downcast_ref::<String>().map(String::as_str);
                    crate::broker::refuse(
                        words.or_else(|| panic.downcast_ref().copied()).unwrap_or("it panicked"),
                    )
                }
            };
        }
        Command::DemoScreen => demo::screen::run().map_err(Fail::from),
        Command::FakeAgent(ways) => fake_agent::run(ways),
        Command::Completions(args) => completions::run(&args),
        Command::Presets(args) => presets::run(&args),
        Command::Trust(args) => trust::run(&args),
        Command::Attach(args) => ask(attach::run(args, attach::What::Attach)),
        Command::Run(args) => ask(run::run(args)),
        Command::Watch(args) => ask(attach::run(args, attach::What::Watch)),
        Command::Call(args) => ask(call::run(args)),
        Command::Explain(args) => explain::run(args),
        Command::Ls(args) => ask(ls::run(args)),
        Command::Top(args) => ask(top::run(args)),
        Command::Log(args) => ask(log::run(args)),
        Command::Spawn(args) => ask(spawn::run(args)),
        Command::Send(args) => ask(send::run(args)),
        Command::Keys(args) => ask(keys::run(args)),
        Command::Read(args) => ask(read::run(args)),
        Command::Record(args) => ask(record::run(args)),
        Command::Wait(args) => ask(wait::run(args)),
        Command::Replay(args) => ask(replay::run(args)),
        Command::Report(args) => ask(report::run(args)),
        Command::Reports(args) => ask(reports::run(args)),
        Command::Stop(args) => ask(stop::run(args)),
        Command::Doctor(args) => ask(doctor::run(args)),
        Command::Upgrade => ask(upgrade::run()),
        Command::Demo => ask(demo::run()),
    };
    done.unwrap_or_else(|fail| fail::exit(&fail))
}

/// What a host starts, with pipes; a person who does gets everyone at a glance, or is told what it is.
fn serve() -> ExitCode {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return ask(top::run(top::Args::default())).unwrap_or_else(|fail| fail::exit(&fail));
    }
    if std::io::stdin().is_terminal() {
        return fail::exit(&Fail::Usage(args::NOT_A_HOST.into()));
    }
    ask(async { Ok(crate::front::main().await) }).unwrap_or_else(|fail| fail::exit(&fail))
}

fn ask(answer: impl Future<Output = Result<ExitCode, Fail>>) -> Result<ExitCode, Fail> {
    on_one_thread(Box::pin(answer))
}

/// One runtime for all of them, and not a copy of it for each: that would be 5 kB of the program for every command.
fn on_one_thread(
    answer: Pin<Box<dyn Future<Output = Result<ExitCode, Fail>> + '_>>,
) -> Result<ExitCode, Fail> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(answer);
    // A read of standard input cannot be interrupted, and must not hold us.
    runtime.shutdown_background();
    done
}
