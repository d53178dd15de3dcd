//! The machine fails: no room, no right, no descriptors, another clock, another boot.

mod boot;
mod calls;
mod disk;
mod elsewhere;
mod limits;
mod stage;
mod strace;

use crate::fault::Fault;

pub(crate) fn all() -> Vec<Fault> {
    let families: [fn() -> Vec<Fault>; 5] = [calls::all, disk::all, limits::all, boot::all, elsewhere::all];
    families.iter().flat_map(|family| family()).collect()
}
