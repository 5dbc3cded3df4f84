//! A server's WebSocket frames: however they are cut they bring the same messages, and tungstenite reads
//! the same in them, or complains in the same words. What we write it reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbench_fuzz::{Cuts, ROOM, bounded};
use pushbench_wire::websocket::frames::{Frames, Received, TEXT, append};
use reference::{Transcript, error_text};
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};

#[path = "../../crates/wire/src/websocket/reference.rs"]
mod reference;

fn ours(bytes: &[u8], cuts: Cuts) -> Transcript {
    let (mut frames, mut came, mut used) = (Frames::default(), Vec::new(), 0);
    for end in cuts.ends(bytes) {
        loop {
            let (n, received) = match frames.take(&bytes[used..end]) {
                Ok(None) => break,
                Ok(Some(taken)) => taken,
                Err(e) => return (came, error_text(&e)),
            };
            used += n;
            assert!(used <= end, "more than had come");
            match received {
                Received::Message(message) => came.push(('m', message.to_vec())),
                Received::Ping(payload) => came.push(('p', payload.to_vec())),
                Received::Nothing => {}
                Received::Close(_) => return (came, "closed".to_owned()),
            }
        }
    }
    (came, Error::from(ProtocolError::ResetWithoutClosingHandshake).to_string())
}

fuzz_target!(|input: &[u8]| {
    let (cuts, bytes) = Cuts::of(input);
    let whole = bounded(bytes, ROOM, || ours(bytes, Cuts::NONE));
    for cuts in cuts.and_all() {
        assert_eq!(bounded(bytes, ROOM, || ours(bytes, cuts)), whole, "cut at {cuts:?}");
    }
    assert_eq!(whole, reference::tungstenite_transcript(bytes), "as tungstenite reads it");

    if let (Some((key, _)), Ok(text)) = (input.split_first_chunk(), std::str::from_utf8(bytes)) {
        let mut out = Vec::new();
        append(&mut out, (TEXT, text.len()), *key, |out| out.extend_from_slice(text.as_bytes()));
        assert_eq!(reference::masked(&out), bytes, "what we write is read");
    }
});
