//! Length-prefixed messages on a bare socket: the reference for the cost of the machine itself.

pub mod codec;
mod messages;

use serde::{Deserialize, Serialize};

/// The first message of a subscriber.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The run's token.
    pub token: String,
    /// Types it wants; all where there are none.
    #[serde(default)]
    pub types: Vec<String>,
}
