//! How processes of ours find and greet each other: the runtime directory, its lock and socket, the hello line.

pub mod door;
pub mod eof;
pub mod hello;
pub mod home;
pub mod lines;
pub mod viewer;
