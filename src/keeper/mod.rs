//! One small process per child: it owns the child's terminal, is its parent and subreaper, and holds what it
//! wrote, so that whoever listens may come and go. No emulator, no async, no threads, no policy: so little
//! that it does not fail. It knows neither who its broker is nor what the child is for.
//!
//! The broker's side of it: [`launch`] starts one, [`wire`] is what is said over its socket, and when it is
//! gone, [`Ring::open`] reads what it left behind.

// What the broker uses.
pub mod files;
pub mod heap;
pub mod image;
mod launch;
mod spec;
pub mod wire;

// What is kept of the output and of what was typed, and what is left of it.
mod ring;

mod checkpoint;
mod map;
mod record;
mod typed;

// The process: how it starts, then how it lives.
mod start;

mod check;
mod pty;
mod signals;

mod serve;

mod connection;
mod decoder;
mod input;
mod terminal;
mod tree;

pub use self::{
    launch::{LaunchError, Launched, connect, launch},
    record::Record,
    ring::{Ring, RingError},
    spec::{Spec, StartError},
    start::main,
    typed::Typed,
};
