//! The user's configuration, and every limit that holds: what it is, and where it can be changed.

use super::finding::Finding;
use crate::{
    broker::{Config, MAX_CONNECTIONS, config_dir, read_config},
    child::{delivery::Queue, screen::Screen, typing::MAX_MESSAGE},
    ipc::lines::MAX_LINE,
    keeper::{Ring, wire::MAX_FRAME},
    registry::{Registry, inbox::Inbox},
    tools::MAX_REPORT,
};

pub(super) fn look() -> Vec<Finding> {
    let (config, first) = match read_config() {
        Ok(config) => {
            let file = config_dir().map_or_else(
                || "no place for a config.json".into(),
                |dir| dir.join("config.json").display().to_string(),
            );
            let found = format!("{file}, read when a broker begins; what it does not say is the default");
            (config, Finding::ok("config", found))
        }
        Err(error) => {
            let todo = "correct it; the default limits hold meanwhile";
            (Config::default(), Finding::fail("config", error, todo))
        }
    };
    vec![first, limits(&config), orphans(&config), nudges(&config), attention(&config), fixed()]
}

/// Those that the user sets.
fn limits(config: &Config) -> Finding {
    let limits = &config.limits;
    let lines = [
        ("limits.depth", limits.depth, "generations below a root"),
        ("limits.children", limits.children, "live children of one parent"),
        ("limits.tree", limits.tree, "live children of one tree"),
        ("limits.spawns_per_minute", limits.spawns_per_minute, "spawns of one tree within a minute"),
        ("limits.total", limits.total, "live children in all"),
    ];
    let lines = lines.map(|(name, most, what)| format!("\n        {name}: {most} {what}"));
    Finding::ok("limits", format!("set in config.json{}", lines.concat()))
}

fn orphans(config: &Config) -> Finding {
    let stop = config.orphans.stop_after_s.map_or_else(
        || "absent: a tree without a host is not stopped".into(),
        |after| format!("{after} seconds without a host, and its children are stopped"),
    );
    let after = config.orphans.no_spawn_after_s;
    let found = format!(
        "set in config.json\n        orphans.no_spawn_after_s: {after} seconds without a host, and a tree spawns \
         nothing more\n        orphans.stop_after_s: {stop}"
    );
    Finding::ok("hostless", found)
}

fn attention(config: &Config) -> Finding {
    let found = match config.on_attention.join(" ") {
        command if command.is_empty() => {
            "on_attention is absent from config.json: no command is run".to_owned()
        }
        command => {
            format!("`{command}` is run when a child begins to need you; the broker's log has its failures")
        }
    };
    Finding::ok("attention", found)
}

fn nudges(config: &Config) -> Finding {
    let found = match config.nudges.after_s {
        0 => "0: a child that does not report is never reminded".to_owned(),
        after => format!("{after} seconds idle without a report, and a child is reminded once"),
    };
    Finding::ok("nudges", format!("set in config.json\n        nudges.after_s: {found}"))
}

/// Those that are compere's own, and that nobody sets.
fn fixed() -> Finding {
    let kib = |bytes: usize| format!("{} KiB", bytes / 1024);
    let lines = [
        format!("inbox: {} unread reports, {}", Inbox::MAX_UNREAD, kib(Inbox::MAX_BYTES)),
        format!("report: {}, its data as much again", kib(MAX_REPORT)),
        format!("message: {}", kib(MAX_MESSAGE)),
        format!("held or queued for one child: {} messages, {}", Queue::MAX_JOBS, kib(Queue::MAX_BYTES)),
        format!("connections: {MAX_CONNECTIONS} hosts, nested agents and commands at once"),
        format!("a line of MCP: {}; a keeper's frame: {}", kib(MAX_LINE), kib(MAX_FRAME)),
        format!(
            "of a child: the newest {} of output on disk, {} lines above its screen in memory",
            kib(Ring::HELD),
            Screen::HISTORY
        ),
        format!("ended children that can still be read: {}", Registry::KEEP_ENDED),
    ];
    Finding::ok(
        "fixed",
        format!("cannot be changed{}", lines.map(|line| format!("\n        {line}")).concat()),
    )
}
