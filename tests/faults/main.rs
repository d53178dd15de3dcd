//! Makes compere fail in every way we know of, and says what came of it: `cargo test --features faults --test faults --
//! [--long] [--list] [--seed N] [NAME…]`. Prints a table; ends with an error if a promise did not hold. No retries.

#![allow(clippy::unwrap_used, reason = "a fault that cannot be tried is one that deviates")]

mod fault;
mod history;

mod company;
mod host;
#[path = "../it/support/leftovers.rs"]
mod leftovers;

mod children;
mod machine;
mod points;
mod stopped;
mod storm;
mod waits;

use std::{
    io::Write,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use company::COMPERE;
use fault::{Fault, Run, Seen};

/// Companies at once: each has a handful of processes that mostly wait for each other.
const AT_ONCE: usize = 4;

/// Every fault there is: one family after the other.
fn all() -> Vec<Fault> {
    let families: [fn() -> Vec<Fault>; 6] =
        [points::all, storm::all, stopped::all, waits::all, children::all, machine::all];
    families.iter().flat_map(|family| family()).collect()
}

/// What the command line asks for.
#[derive(Default)]
struct Args {
    long: bool,
    list: bool,
    seed: Option<u64>,
    names: Vec<String>,
}

impl Args {
    fn parse(words: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut args = Args::default();
        let mut words = words;
        while let Some(word) = words.next() {
            match &*word {
                "--long" => args.long = true,
                "--list" => args.list = true,
                "--seed" => {
                    let seed = words.next().and_then(|seed| seed.parse().ok());
                    args.seed = Some(seed.ok_or("--seed takes a number")?);
                }
                // What `cargo test` hands to every test binary.
                "--nocapture" | "--quiet" | "-q" => {}
                flag if flag.starts_with('-') => return Err(format!("{flag} is unknown")),
                _ => args.names.push(word),
            }
        }
        Ok(args)
    }

    fn wants(&self, fault: &Fault) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| fault.name.contains(name.as_str()))
    }
}

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(why) => {
            say(&format!("{why}; there are --long, --list, --seed N and parts of names"));
            return ExitCode::FAILURE;
        }
    };
    // The table tells it.
    std::panic::set_hook(Box::new(|_| {}));
    let mut faults = all();
    faults.retain(|fault| args.wants(fault));
    if args.list {
        faults.iter().for_each(|fault| say(&fault.name));
        return ExitCode::SUCCESS;
    }
    let seed = args.seed.unwrap_or_else(|| rand::random::<u32>().into());
    let form = if args.long { "long" } else { "short" };
    say(&format!("{} faults, {form} form, --seed {seed}\n", faults.len()));
    say("| fault | how it is injected | tries | expected | seen | time |\n|---|---|---|---|---|---|");
    let began = Instant::now();
    // What is measured is measured alone; the rest is mostly waiting.
    let (alone, together): (Vec<&Fault>, Vec<&Fault>) = faults.iter().partition(|fault| fault.alone);
    let deviations = rows(&together, AT_ONCE, &args, seed) + rows(&alone, 1, &args, seed);
    let took = began.elapsed().as_secs_f64();
    say(&format!("\n{} faults, {deviations} deviations, {took:.0} s in all", faults.len()));
    if deviations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tries them, so many at once, and tells of each; answers how many deviate.
fn rows(faults: &[&Fault], at_once: usize, args: &Args, seed: u64) -> usize {
    let (next, deviations) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (seen, tries, took) = attempt(fault, args.long, seed);
                    let word = match seen {
                        Seen::Ok(figures) if figures.is_empty() => "ok".to_owned(),
                        Seen::Ok(figures) => format!("ok: {figures}"),
                        Seen::Deviation(what) => {
                            deviations.fetch_add(1, Ordering::Relaxed);
                            format!("**DEVIATION**: {}", what.replace('\n', " ⏎ ").replace('|', "\\|"))
                        }
                    };
                    let Fault { name, how, expected, .. } = fault;
                    let took = took.as_secs_f64();
                    say(&format!("| {name} | {how} | {tries} | {expected} | {word} | {took:.1} s |"));
                }
            });
        }
    });
    deviations.into_inner()
}

/// One fault, of which a panic is a deviation like any other.
fn attempt(fault: &Fault, long: bool, seed: u64) -> (Seen, u64, Duration) {
    let began = Instant::now();
    let mut run = Run::new(long, seed);
    let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (fault.run)(&mut run)));
    let seen = match seen {
        Ok(Ok(figures)) => Seen::Ok(figures),
        Ok(Err(what)) => Seen::Deviation(what),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
            Seen::Deviation(format!("it panicked: {}", words.unwrap_or_default()))
        }
    };
    (seen, run.tries(), began.elapsed())
}

/// A line of the table, whose reader may have gone.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
