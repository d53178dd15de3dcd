//! compere: an MCP server with which one agent runs a company of other agents.
//!
//! One binary in three roles. A [`front`] is what an MCP host starts: a pipe to the [`broker`], which serves the
//! [`tools`] under each connection's identity and knows the company ([`registry`]). Every child has a [`keeper`], a
//! process of its own that owns its terminal. The [`cli`] is one more client of the same tools, and
//! [`attach`] a person at a child's pane.
//!
//! The modules stand in reading order, and each uses only those before it; ARCHITECTURE.md is the map.

pub mod id;
pub mod fault;
pub mod proc;
pub mod keeper;
pub mod child;
pub mod preset;
pub mod journal;
pub mod registry;
pub mod tools;
pub mod ipc;
pub mod attach;
pub mod front;
pub mod broker;
pub mod cli;
