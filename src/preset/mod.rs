//! Presets: what is known of a program beforehand, so that a child can be started by one word. Says which program runs
//! with which arguments, environment and files, and carries the rules for reading and typing; starts nothing itself,
//! writes nothing but the list of what is trusted, and knows no child.

mod again;
mod check;
#[cfg(test)]
mod composers;
mod env;
mod error;
mod file;
mod placeholder;
mod resolve;
#[cfg(test)]
mod screens;
mod shape;
mod store;
mod trust;

pub use again::{OnExit, Restart, Session};
pub use error::{Distrust, Fault, PresetError};
pub use resolve::{Context, Resolved, SessionWish, Wish, resolve};
pub use shape::{Dimensions, FirstMessage, Mcp, Place, Preset, Reports, schema};
pub use store::{Listed, PresetDirs, Presets, Source, Standing};
pub use trust::{Candidate, Trust, TrustError, Trusted, place};
