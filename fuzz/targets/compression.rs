//! Compressed frames of a server: however they are cut, the driver reads the same messages in them as tungstenite does
//! above the stream that decompresses. The text of an input is also an offer, and an answer to one.
#![no_main]

use futures_util::StreamExt as _;
use libfuzzer_sys::fuzz_target;
use pushbench_core::scenario::Compression;
use pushbench_fuzz::{Cuts, Socket, polled};
use pushbench_wire::websocket::deflate::{Agreed, Direction, Inflater};
use pushbench_wire::websocket::deflate_stream::DeflateStream;
use pushbench_wire::websocket::frames::{Frames, Received};
use pushbench_wire::websocket::negotiation;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

fn driver(bytes: &[u8], cuts: Cuts, agreed: Agreed) -> Vec<Vec<u8>> {
    let mut frames = Frames::compressed(Inflater::new(agreed.server));
    let (mut came, mut used) = (Vec::new(), 0);
    for end in cuts.ends(bytes) {
        while let Some((n, received)) = match frames.take(&bytes[used..end]) {
            Ok(taken) => taken,
            Err(_) => return came,
        } {
            used += n;
            assert!(used <= end, "more than had come");
            match received {
                Received::Message(message) => came.push(message.to_vec()),
                Received::Close(_) => return came,
                Received::Ping(_) | Received::Nothing => {}
            }
        }
    }
    came
}

fn tungstenite(bytes: &[u8], cuts: Cuts, agreed: Agreed) -> Vec<Vec<u8>> {
    polled(async {
        let socket = Socket::new(cuts.pieces(bytes));
        let stream = DeflateStream::new(socket, &[], Role::Client, agreed);
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        let mut came = Vec::new();
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => came.push(text.as_bytes().to_vec()),
                Some(Ok(Message::Binary(bytes))) => came.push(bytes.to_vec()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return came,
                Some(Ok(_)) => {}
            }
        }
    })
}

fuzz_target!(|input: &[u8]| {
    let (cuts, bytes) = Cuts::of(input);
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let direction = Direction { window_bits: 9 + (kind >> 1) % 7, takeover: kind & 1 == 0 };
    let agreed = Agreed { client: direction, server: direction };
    let whole = driver(bytes, Cuts::NONE, agreed);
    for cuts in cuts.and_all() {
        assert_eq!(driver(bytes, cuts, agreed), whole, "cut at {cuts:?}");
        assert_eq!(tungstenite(bytes, cuts, agreed), whole, "above the stream, cut at {cuts:?}");
    }

    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (context_takeover, window_bits) = (direction.takeover, direction.window_bits.into());
    let settings = Compression { context_takeover, window_bits };
    if let Ok(agreed) = negotiation::agreed(text, &settings) {
        assert!(usize::from(agreed.client.window_bits) <= window_bits, "{text}: {agreed}");
        assert!(context_takeover || !agreed.server.takeover, "{text}: {agreed}");
    }
    if let Some((accepted, answer)) = negotiation::accept(text) {
        let (again, _) = negotiation::accept(&answer).expect("an answer reads as an offer");
        assert_eq!(again, accepted, "{text}: {answer}");
    }
});
