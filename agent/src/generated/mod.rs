//! Made from `src/protocol/schema/` by `npm run generate`; only this file is written by hand.

pub mod limits;
pub mod messages;
pub mod modules;
pub mod services;
