//! Sends on schedule and records: pacer, workers, the life of one trial. Never inside a target.

pub mod block;
pub mod connections;
pub mod limits;
pub mod metered;
pub mod pacer;
pub mod shard;
pub mod validity;
