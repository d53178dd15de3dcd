//! compere
pub mod broker;
pub mod child;
pub mod cli;
pub mod front;
pub mod id;
pub mod ipc;
pub mod keeper;
pub mod preset;
pub mod registry;
pub mod tools;
