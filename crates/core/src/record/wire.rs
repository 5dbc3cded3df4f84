//! Bytes and segments on the wire, from the kernel's `TCP_INFO`.

use serde::{Deserialize, Serialize};

/// What the driver's ends of the connections have carried. Bytes are those inside TCP segments
/// (HTTP heads, WebSocket frames, payload), without IP and TCP headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Bytes sent to the target.
    pub bytes_out: u64,
    /// Bytes received from it.
    pub bytes_in: u64,
    /// TCP segments sent, acknowledgements included.
    pub segments_out: u64,
    /// TCP segments received, acknowledgements included.
    pub segments_in: u64,
    /// Of the segments sent, those that carried data; 0 in runs of older versions.
    #[serde(default)]
    pub data_segments_out: u64,
    /// Of the segments received, those that carried data; 0 in runs of older versions.
    #[serde(default)]
    pub data_segments_in: u64,
}

impl Traffic {
    /// Adds another connection's.
    pub fn add(&mut self, other: &Traffic) {
        self.bytes_out += other.bytes_out;
        self.bytes_in += other.bytes_in;
        self.segments_out += other.segments_out;
        self.segments_in += other.segments_in;
        self.data_segments_out += other.data_segments_out;
        self.data_segments_in += other.data_segments_in;
    }

    /// What came after an earlier reading of the same connection.
    pub fn since(&self, earlier: &Traffic) -> Traffic {
        Traffic {
            bytes_out: self.bytes_out.saturating_sub(earlier.bytes_out),
            bytes_in: self.bytes_in.saturating_sub(earlier.bytes_in),
            segments_out: self.segments_out.saturating_sub(earlier.segments_out),
            segments_in: self.segments_in.saturating_sub(earlier.segments_in),
            data_segments_out: self.data_segments_out.saturating_sub(earlier.data_segments_out),
            data_segments_in: self.data_segments_in.saturating_sub(earlier.data_segments_in),
        }
    }
}
