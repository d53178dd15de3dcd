//! Whole processes beside what a user would pick instead: `just bench`, or `cargo bench --bench processes --
//! [--compere PROGRAM] [--no-write] [output] [latency] [scale] [size] [hostile]`. Prints one table, and writes it into
//! docs/BENCHMARKS.md if all of it was measured. Everything runs below one directory for temporary files, and ends with it.

#![allow(clippy::unwrap_used, reason = "what cannot be measured has no figure")]

mod actor;
#[path = "../support/clock.rs"]
mod clock;
#[path = "../support/company.rs"]
mod company;
#[path = "../support/front.rs"]
mod front;
mod hostile;
mod latency;
mod orchestrator;
mod output;
#[path = "../support/payload.rs"]
mod payload;
mod peers;
#[path = "../support/proc.rs"]
mod proc;
mod scale;
mod size;
#[path = "../support/table.rs"]
mod table;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use company::Company;
use orchestrator::Orchestrator;
use peers::{Kind, Peer};
use table::Row;

/// One run: what all of it shares.
pub(crate) struct Run {
    /// The program that is measured.
    pub(crate) compere: PathBuf,
    /// Who it is compared to.
    pub(crate) peers: Vec<Peer>,
    pub(crate) orchestrator: Option<Orchestrator>,
    /// What could not be had.
    missing: Vec<String>,
    stop: Arc<AtomicBool>,
    // The last: the others' files are in it.
    dir: tempfile::TempDir,
}

impl Run {
    fn new(compere: PathBuf) -> Run {
        let dir = tempfile::Builder::new().prefix("cmb-").tempdir_in("/tmp").unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop)).unwrap();
        }
        let (peers, missing) = Peer::all(dir.path());
        Run { compere, peers, orchestrator: None, missing, stop, dir }
    }

    /// Where files may be.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A company of its own.
    pub(crate) fn company(&self) -> Company {
        Company::new(&self.compere)
    }

    /// That one, if it could be had.
    pub(crate) fn peer(&self, kind: Kind) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.kind == kind)
    }

    /// Ends in a panic, and with it in order, when somebody has asked for that.
    pub(crate) fn still_wanted(&self) {
        assert!(!self.stop.load(Ordering::Relaxed), "stopped");
    }

    /// The orchestrator is there from here on, if it can be.
    fn with_orchestrator(&mut self) {
        match Orchestrator::start(self.dir.path()) {
            Ok(orchestrator) => self.orchestrator = Some(orchestrator),
            Err(why) => self.missing.push(format!("{} could not be had: {why}", orchestrator::PACKAGE)),
        }
    }
}

/// What the command line asks for.
struct Args {
    compere: PathBuf,
    write: bool,
    parts: Vec<String>,
}

const PARTS: [&str; 5] = ["size", "output", "latency", "scale", "hostile"];

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut args = Args { compere: env!("CARGO_BIN_EXE_compere").into(), write: true, parts: Vec::new() };
        while let Some(word) = words.next() {
            match &*word {
                "--compere" => args.compere = words.next().ok_or("--compere takes a program")?.into(),
                "--no-write" => args.write = false,
                // What `cargo bench` adds.
                "--bench" => {}
                part if PARTS.contains(&part) => args.parts.push(word),
                other => {
                    return Err(format!(
                        "{other} is unknown; there are --compere, --no-write and {}",
                        PARTS.join(", ")
                    ));
                }
            }
        }
        args.compere =
            args.compere.canonicalize().map_err(|error| format!("{}: {error}", args.compere.display()))?;
        Ok(args)
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [role, which, index, ..] = &words[..]
        && role == "role"
        && which == "hostile"
    {
        return hostile::play(index).map_or(ExitCode::FAILURE, |figures| {
            say(&figures);
            ExitCode::SUCCESS
        });
    }
    if words.first().is_some_and(|word| word == "role") {
        return actor::play(&words[1..]);
    }
    match Args::parse(words.into_iter()) {
        Ok(args) => {
            measure(&args);
            ExitCode::SUCCESS
        }
        Err(why) => {
            note(&why);
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) {
    let began = Instant::now();
    let circumstances = table::circumstances();
    let mut run = Run::new(args.compere.clone());
    let (mut rows, mut payloads) = (Vec::new(), String::new());
    let mut part = |run: &mut Run, name: &str, of: &mut dyn FnMut(&mut Run) -> Vec<Row>| {
        if args.wants(name) {
            let began = Instant::now();
            rows.extend(of(run));
            note(&format!("{name}: {:.0} s", began.elapsed().as_secs_f64()));
            run.still_wanted();
        }
    };
    part(&mut run, "output", &mut |run| {
        let (table, rows) = output::measure(run);
        payloads = format!("\n{table}\n");
        rows
    });
    part(&mut run, "scale", &mut scale::measure);
    part(&mut run, "hostile", &mut |_| hostile::measure());
    if args.wants("size") || args.wants("latency") {
        run.with_orchestrator();
    }
    part(&mut run, "size", &mut size::measure);
    part(&mut run, "latency", &mut latency::measure);
    let versions: Vec<String> = run.peers.iter().map(Peer::version).collect();
    let mut text = format!(
        "{circumstances}. Beside {}, {}. Took {:.0} s.\n",
        versions.join(", "),
        orchestrator::PACKAGE,
        began.elapsed().as_secs_f64()
    );
    run.missing.iter().for_each(|missing| text += &format!("\n**{missing}**\n"));
    text += &payloads;
    text += &format!("\n{}\n", table::HEAD);
    rows.iter().for_each(|row| text += &format!("{}\n", row.line()));
    say(&text);
    if args.write && args.parts.is_empty() {
        table::publish("bench", &text);
    }
}

/// To whoever waits for the table.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
