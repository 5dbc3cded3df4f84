//! What an event is.

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Event {
    id: String,
    r#type: String,
    /// Checked to be there and to be JSON.
    #[serde(rename = "data")]
    _data: IgnoredAny,
}

#[derive(Serialize)]
pub struct Acknowledgement {
    id: String,
}

/// The acknowledgement of an event, or why it is none.
pub fn acknowledge(text: &[u8]) -> serde_json::Result<Acknowledgement> {
    let event: Event = serde_json::from_slice(text)?;
    if event.id.is_empty() || event.r#type.is_empty() {
        return Err(serde_json::Error::custom("id and type must not be empty"));
    }
    Ok(Acknowledgement { id: event.id })
}
