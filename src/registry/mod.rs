/// x
pub mod rights; pub mod inbox; pub mod limits; pub mod tree;
