//! compere
pub mod id;
pub mod keeper;
pub mod child;
pub mod preset;
pub mod registry;
pub mod tools;
pub mod ipc;
pub mod front;
pub mod broker;
pub mod cli;
