//! The real agents' programs, offline, against a model of our own: `cargo test --test agents -- --tries N [--list]
//! [--at-once N] [--trace DIR] [--write] [PROGRAM…] [PART OF A CELL'S NAME…]`. Without --tries and names it only tests
//! what judges, and says that the programs were not tried: a plain `cargo test` has no programs. No retries. With --write
//! what is seen goes into docs/AGENTS.md.

#![allow(clippy::unwrap_used, reason = "a lock that is poisoned ends the run, as it should")]

mod docs;
mod judge;
mod table;

mod host;
#[path = "../it/support/leftovers.rs"]
#[allow(dead_code, reason = "it has more than is needed here")]
mod leftovers;
mod model;
mod programs;
mod stage;

mod bench;
mod cells;
mod hosts;
mod state;

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, ExitCode},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bench::Bench;
use cells::Cell;
use judge::Verdict;
use model::Model;
use programs::{PROGRAMS, Program};
use stage::Stage;
use table::{Matrix, Measures, Tally};

/// The program under test.
pub(crate) const COMPERE: &str = env!("CARGO_BIN_EXE_compere");

/// What the command line asks for.
struct Args {
    /// Whether any program is to be tried.
    run: bool,
    tries: usize,
    list: bool,
    at_once: usize,
    trace: Option<PathBuf>,
    write: bool,
    names: Vec<String>,
}

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut args = Args {
            run: false,
            tries: 3,
            list: false,
            at_once: 3,
            trace: None,
            write: false,
            names: Vec::new(),
        };
        while let Some(word) = words.next() {
            let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or("a number is missing");
            match &*word {
                "--tries" => {
                    args.tries = number()?;
                    args.run = true;
                }
                "--at-once" => args.at_once = number()?,
                "--list" => args.list = true,
                "--write" => args.write = true,
                "--trace" => args.trace = Some(words.next().ok_or("a directory is missing")?.into()),
                // What `cargo test` hands to every test binary.
                "--nocapture" | "--quiet" | "-q" => {}
                flag if flag.starts_with('-') => return Err(format!("{flag} is unknown")),
                _ => {
                    args.names.push(word);
                    args.run = true;
                }
            }
        }
        Ok(args)
    }

    fn wants_program(&self, program: Program) -> bool {
        let mut named = self.names.iter().filter(|name| Program::named(name).is_some()).peekable();
        named.peek().is_none() || named.any(|name| name == program.name)
    }

    fn wants_cell(&self, cell: &str) -> bool {
        let mut named = self.names.iter().filter(|name| Program::named(name).is_none()).peekable();
        named.peek().is_none() || named.any(|name| cell.contains(name.as_str()))
    }
}

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(why) => {
            say(&format!(
                "{why}; there are --tries N, --at-once N, --trace DIR, --list, --write, programs and parts of names"
            ));
            return ExitCode::FAILURE;
        }
    };
    if args.list {
        PROGRAMS.iter().for_each(|program| say(program.name));
        for family in families(0) {
            family.cells.iter().for_each(|cell| say(&format!("    {}", cell.name)));
        }
        return ExitCode::SUCCESS;
    }
    if !args.run {
        return self_test();
    }
    match run(&args) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            say(&format!("{wrong} that nobody knew of; see {}", bench::failures().display()));
            ExitCode::FAILURE
        }
        Err(why) => {
            say(&why);
            ExitCode::FAILURE
        }
    }
}

/// What a plain `cargo test` does.
fn self_test() -> ExitCode {
    judge::self_test();
    say("the judge's own test: ok");
    docs::self_test();
    say("the page's own test: ok");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agents/model.py");
    match Command::new("python3").args([script, "--self-test"]).status() {
        Ok(status) if status.success() => say("the model's own test: ok"),
        Ok(_) => return ExitCode::FAILURE,
        Err(error) => say(&format!("skipped: the model's own test (python3: {error})")),
    }
    say("skipped: the real agents' programs; `just agents` tries them");
    ExitCode::SUCCESS
}

/// Tries what is asked for; answers how many cells did not hold.
fn run(args: &Args) -> Result<usize, String> {
    let programs: Vec<Program> =
        PROGRAMS.into_iter().filter(|program| args.wants_program(*program)).collect();
    if let Some(missing) = programs.iter().find(|program| program.version().is_none()) {
        return Err(format!("{} is not installed: tests/agents/install", missing.name));
    }
    if let Some(dir) = &args.trace {
        std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
    }
    stage::watch_signals().map_err(|error| error.to_string())?;
    let _ = std::fs::remove_dir_all(bench::failures());
    let model = Model::start(args.trace.as_deref())?;
    let began = Instant::now();
    let tried = Tried::default();
    let families = families(args.tries);
    // What takes longest first.
    let jobs: Vec<(&Family, Program)> =
        families.iter().flat_map(|family| programs.iter().map(move |program| (family, *program))).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..args.at_once {
            scope.spawn(|| {
                while let Some((family, program)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = try_program(family, *program, &model, args, &tried) {
                        let why = format!("{}, {}: {why}", program.name, family.name);
                        say(&why);
                        tried.troubles.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    let seen = table::Seen {
        tallies: tried.tallies.into_inner().unwrap(),
        measures: tried.measures.into_inner().unwrap(),
        troubles: tried.troubles.into_inner().unwrap(),
    };
    let families: Vec<(&str, Vec<&str>)> = families
        .iter()
        .map(|family| {
            (family.name, family.cells.iter().map(|cell| cell.name).filter(|cell| args.wants_cell(cell)))
        })
        .map(|(name, cells)| (name, cells.collect()))
        .collect();
    let lines = seen.lines(&families, &programs);
    say("");
    lines.iter().for_each(|line| say(line));
    let took = began.elapsed();
    say(&format!("\n{} s in all", took.as_secs()));
    if args.write {
        let run = docs::Run { tries: args.tries, at_once: args.at_once, took, names: &args.names };
        docs::write(&lines, &run, &programs)?;
    }
    Ok(seen.deviations())
}

/// Cells that are tried on one stage.
struct Family {
    name: &'static str,
    cells: &'static [Cell],
    tries: usize,
}

/// All there is, and how often each is tried when a message is tried so often: what takes long is tried less.
fn families(tries: usize) -> [Family; 3] {
    [
        Family { name: "a message", cells: &cells::CELLS, tries },
        Family { name: "a state", cells: &state::CELLS, tries: tries.div_ceil(3) },
        Family { name: "a host", cells: &hosts::CELLS, tries: tries.div_ceil(7) },
    ]
}

/// What came of what was tried.
#[derive(Default)]
struct Tried {
    tallies: Mutex<Matrix>,
    measures: Mutex<Measures>,
    troubles: Mutex<Vec<String>>,
}

/// All cells of a family with one program.
fn try_program(
    family: &Family,
    program: Program,
    model: &Model,
    args: &Args,
    tried: &Tried,
) -> Result<(), String> {
    let wanted = |cell: &&Cell| args.wants_cell(cell.name) && (cell.fits)(program);
    let cells: Vec<&Cell> = family.cells.iter().filter(wanted).collect();
    if cells.is_empty() {
        return Ok(());
    }
    let mut bench = Bench::new(program, Stage::new(model, &[program])?);
    for cell in cells {
        let mut tally = Tally::default();
        let began = Instant::now();
        for number in 1..=family.tries {
            bench.begin();
            let verdict = (cell.run)(&mut bench).unwrap_or_else(Verdict::Wrong);
            tally.add(&verdict);
            if let Verdict::Lied(why) | Verdict::Wrong(why) = &verdict {
                bench.failed(cell.name, number, why);
            }
        }
        let took = began.elapsed().as_secs_f64();
        let why = tally.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        say(&format!("{:9} {:25} {} ({took:.0} s){why}", program.name, cell.name, tally.word()));
        tried.tallies.lock().unwrap().insert((cell.name.to_owned(), program.name.to_owned()), tally);
    }
    for (what, times) in std::mem::take(&mut bench.measures) {
        tried.measures.lock().unwrap().insert((what.to_owned(), program.name.to_owned()), times);
    }
    let late = bench.afterwards();
    bench.end()?;
    if late.is_empty() { Ok(()) } else { Err(late.join("; ")) }
}

/// A line of the table, whose reader may have gone.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
