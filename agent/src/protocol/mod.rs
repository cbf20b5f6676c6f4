//! The wire to the supervisor: the port, frames on it, streams in those, and how fields are encoded.

pub mod frame;
pub mod port;
pub mod stream;
pub mod wire;
