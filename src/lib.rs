//! compere
pub mod id;
pub mod keeper;
/// x
pub mod child { pub mod rules; pub mod state; pub mod owner; pub mod delivery; }
