//! Commands: who they run as, how they are found and started, what they read and print, how they end.

pub mod lookup;
pub mod script;
pub mod session;
pub mod spawn;
pub mod stdin;
pub mod users;
