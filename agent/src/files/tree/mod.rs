//! Trees of files in transit, as records: out of the guest (`send.rs`) and into it (`incoming.rs`, then `receive.rs`; patches receive
//! theirs in their own way).

pub mod incoming;
pub mod receive;
pub mod records;
pub mod send;
