//! Messages with their length before them: however they are cut they are those of the plainest reading,
//! and written again they are the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbench_fuzz::{Cuts, ROOM, Socket, bounded, polled};
use pushbench_wire::tcp::codec::Framed;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::iter::empty;

/// Longest message that is taken.
const LONGEST: usize = 64 << 20;

/// What came, and how it ended.
type Transcript = (Vec<Vec<u8>>, Option<ErrorKind>);

fn ours(bytes: &[u8], cuts: Cuts) -> Transcript {
    let mut framed = Framed::new(Socket::new(cuts.pieces(bytes)));
    let mut received = Vec::new();
    loop {
        match polled(poll_fn(|cx| framed.poll_message(cx).map_ok(|m| m.map(<[u8]>::to_vec)))) {
            Ok(Some(message)) => received.push(message),
            Ok(None) => return (received, None),
            Err(e) => return (received, Some(e.kind())),
        }
    }
}

fn plainly(mut bytes: &[u8]) -> Transcript {
    let mut received = Vec::new();
    loop {
        let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
            return (received, (!bytes.is_empty()).then_some(ErrorKind::UnexpectedEof));
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > LONGEST {
            return (received, Some(ErrorKind::InvalidData));
        }
        let Some((message, rest)) = rest.split_at_checked(length) else {
            return (received, Some(ErrorKind::UnexpectedEof));
        };
        received.push(message.to_vec());
        bytes = rest;
    }
}

fuzz_target!(|input: &[u8]| {
    let (cuts, bytes) = Cuts::of(input);
    let story = plainly(bytes);
    for cuts in [Cuts::NONE].into_iter().chain(cuts.and_all()) {
        assert_eq!(bounded(bytes, ROOM, || ours(bytes, cuts)), story, "cut at {cuts:?}");
    }
    let mut framed = Framed::new(Socket::new(empty()));
    for message in &story.0 {
        framed.queue_with(|out| out.extend_from_slice(message));
    }
    polled(framed.flush()).expect("the socket takes everything");
    assert!(bytes.starts_with(&framed.stream.written), "what is written is what was read");
});
