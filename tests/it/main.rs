//! Behaviour: through MCP, with real terminals and `sh`; some through the real binary. One program, so that it is
//! linked once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is a test that failed")]

mod support;

#[path = "../faults/history.rs"]
#[allow(dead_code, reason = "only its own tests are run here: the table of faults has no harness")]
mod history;

mod adoption;
mod again;
mod asks;
mod attach;
mod attention;
mod boundary;
mod cli;
mod delivery;
mod ends;
mod explain;
mod fake_agent;
mod front;
mod frozen;
mod handback;
mod hostile;
mod idle;
mod keeper;
mod keys;
mod limits;
mod listing;
mod message;
mod nested;
mod painted;
mod read;
mod record;
mod recordings;
mod replaced;
mod rules;
mod spawn;
mod stop;
mod top;
mod tour;
mod trust;
mod turns;
mod upgrade;
mod wait;
