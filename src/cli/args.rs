//! The command line's shape: which commands there are, and its help. Each command's own arguments are in its file.

use clap::{Parser, Subcommand};

use super::{
    attach, call, completions, doctor, explain, fake_agent, keys, log, ls, presets, read, record, replay,
    report, reports, run, send, spawn, stop, top, trust, wait,
};

const LONG: &str = "\
compere lets one agent run other agents and programs, each in a real terminal.

Without a command it is the MCP server that an MCP host starts: add `compere` to your host's MCP servers. In a \
terminal, where no host speaks, it is `compere top`. The commands \
below are the same tools for people and scripts: they speak to the same broker, see every child, and start a broker \
if there is none.";

const AFTER: &str = "\
Examples:
  compere demo                                    see it work, with no agent installed
  claude mcp add compere -- compere               add it to Claude Code
  codex mcp add compere -- compere                add it to Codex
  compere spawn shell --name build                start a shell
  compere send build 'cargo test'                 type into it
  compere wait --idle build --timeout 10m         wait until it is done
  compere read build                              see its screen
  compere ls                                      everyone, and what they are doing
  compere top                                     the same, live, to act on
  compere stop build                              end it, with everything it started

Exit codes: 0 done, 1 the tool said no (or a wait's time was up), 2 wrong usage, 3 no broker.
Environment: COMPERE_RUNTIME_DIR puts sockets elsewhere, COMPERE_LOG sets the broker's log level, NO_COLOR is heeded.

If something does not work: `compere doctor`, then \"Troubleshooting\" in the README.";

/// What a person who starts the server by hand is told.
pub(super) const NOT_A_HOST: &str = "\
without a command, compere is an MCP server for a host to start, and standard input is a terminal.

  Add it to a host:   claude mcp add compere -- compere
                      codex mcp add compere -- compere
  or in its JSON:     {\"mcpServers\": {\"compere\": {\"command\": \"compere\"}}}

  In a terminal:      compere top (this output goes elsewhere: compere top --plain)
  See it work:        compere demo
  Everything else:    compere --help";

/// The whole of it.
#[derive(Debug, Parser)]
#[command(
    name = "compere",
    version,
    about = "One agent runs other agents and programs, each in a real terminal.",
    long_about = LONG,
    after_help = AFTER,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what compere does, for real: takes seconds, needs no agent, leaves nothing.
    Demo,
    /// Check everything compere needs, and say what to do about what is wrong.
    Doctor(doctor::Args),
    /// List all children: state, who holds the input, what waits.
    Ls(ls::Args),
    /// Show everyone, live; who needs you comes first.
    Top(top::Args),
    /// Tell why a child is in its state, or what states a recording goes through.
    Explain(explain::Args),
    /// Tell what happened: spawned, adopted, reported, ended.
    Log(log::Args),
    /// Start a program in a terminal of its own.
    Spawn(spawn::Args),
    /// Type a message into a child's program, then Enter.
    Send(send::Args),
    /// Start a program in a terminal of its own, and be there.
    Run(run::Args),
    /// Go to a child's pane in this terminal, and take its input.
    Attach(attach::Args),
    /// Look into a child's pane without touching anything.
    Watch(attach::Args),
    /// Press keys in a child's terminal.
    Keys(keys::Args),
    /// Show a child's screen, or what it wrote.
    Read(read::Args),
    /// Record what a child writes from now on, into an asciicast.
    Record(record::Args),
    /// Play a recording in this terminal; nothing in it can act on that.
    Replay(replay::Args),
    /// Wait for a report, for a child, or for a while.
    Wait(wait::Args),
    /// Inside a child: tell whoever spawned it how the task stands.
    Report(report::Args),
    /// Read the reports that were sent to you.
    Reports(reports::Args),
    /// End children with everything they started.
    Stop(stop::Args),
    /// List the programs compere knows, or print one preset.
    Presets(presets::Args),
    /// Let a workspace's preset run, having seen what it would run.
    Trust(trust::Args),
    /// Call a tool as an MCP host would.
    Call(call::Args),
    /// Put this program's broker in the place of the one that runs; it takes over.
    Upgrade,
    /// Stand in for an agent, to try compere and for tests.
    #[command(long_about = fake_agent::LONG)]
    FakeAgent(fake_agent::Ways),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// One child's keeper.
    #[command(hide = true)]
    Keeper,
    /// The broker.
    #[command(hide = true)]
    Broker {
        /// Leave it running as nobody's child, and say on standard output whether it listens.
        #[arg(long)]
        detach: bool,
    },
    /// A full-screen program for the demo.
    #[command(hide = true)]
    DemoScreen,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_contradict_nothing() {
        Cli::command().debug_assert();
    }
}
