//! compere
pub mod id;
/// x
pub mod child { pub mod rules; pub mod state; pub mod owner; pub mod delivery; }
pub mod registry;
