//! The parts on the hot paths, timed: `cargo bench --bench parts`. Times on a shared machine are noise by half; what guards
//! them is benches/instructions.

#![allow(clippy::unwrap_used, reason = "what cannot be measured has no figure")]

#[path = "../support/parts.rs"]
mod parts;
#[path = "../support/payload.rs"]
mod payload;

use divan::{Bencher, counter::BytesCount};

fn main() {
    divan::main();
}

/// One read of a PTY into the ring.
#[divan::bench]
fn ring_append(bencher: Bencher<'_, '_>) {
    let mut append = parts::Append::new();
    bencher.counter(BytesCount::new(4095usize)).bench_local(|| append.once());
}

/// Output through guard and emulator.
#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let mut parse = parts::Parse::new();
    bencher.counter(BytesCount::new(parts::mixed().len())).bench_local(|| parse.once());
}

/// The screen as text.
#[divan::bench]
fn screen_text(bencher: Bencher<'_, '_>) {
    let parse = parts::Parse::new();
    bencher.bench_local(|| parse.text());
}

/// The screen and its history as bytes, at their dearest.
#[divan::bench]
fn checkpoint(bencher: Bencher<'_, '_>) {
    let mut checkpoint = parts::Checkpoint::new();
    bencher.bench_local(|| checkpoint.once());
}

/// A look at the screen, to the state.
#[divan::bench]
fn state(bencher: Bencher<'_, '_>) {
    let mut state = parts::State::new();
    bencher.bench_local(|| state.once());
}

/// A tool call, from line to line.
#[divan::bench]
fn tool_call(bencher: Bencher<'_, '_>) {
    let mut call = parts::Call::new();
    bencher.bench_local(|| call.once());
}
