//! Sends on schedule and records: pacer, workers, the life of one trial. Never inside a target.

mod agenda;
mod assemble;
mod attendance;
pub mod block;
mod bursts;
pub mod connections;
pub mod effort;
mod fanout;
pub mod limits;
mod lives;
mod memory;
pub mod metered;
mod neighbors;
pub mod pacer;
mod quiet;
pub mod shard;
mod silence;
pub mod stretch;
pub mod subscribers;
mod tasks;
mod timeline;
mod turns;
pub mod validity;
