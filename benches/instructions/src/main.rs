//! Does one part on the hot paths so many times, and nothing else, for an instrument to count: `instructions PART TIMES`.
//! `benches/instructions/check` runs it under valgrind's callgrind and compares with the budget.

#![allow(clippy::unwrap_used, reason = "what cannot be done has no count")]

#[path = "../../support/parts.rs"]
mod parts;
#[path = "../../support/payload.rs"]
mod payload;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [part, times] = &words[..] else {
        return ExitCode::FAILURE;
    };
    let Ok(times) = times.parse::<usize>() else { return ExitCode::FAILURE };
    match &**part {
        "ring_append" => {
            let mut append = parts::Append::new();
            (0..times).for_each(|_| append.once());
        }
        "parse" => {
            let mut parse = parts::Parse::new();
            (0..times).for_each(|_| parse.once());
        }
        "screen_text" => {
            let parse = parts::Parse::new();
            (0..times).for_each(|_| parse.text());
        }
        "checkpoint" => {
            let mut checkpoint = parts::Checkpoint::new();
            (0..times).for_each(|_| checkpoint.once());
        }
        "state" => {
            let mut state = parts::State::new();
            (0..times).for_each(|_| state.once());
        }
        "tool_call" => {
            let mut call = parts::Call::new();
            (0..times).for_each(|_| call.once());
        }
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}
