//! A webhook's response: however it is cut it is the same one, it ends where it says, and hyper and the
//! first look read the same in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbench_fuzz::{Cuts, ROOM, bounded};
use pushbench_wire::webhook::response::{ResponseError, ResponseParser, headers};

#[path = "../../crates/wire/src/webhook/reference.rs"]
mod reference;
mod verify;

/// Status, body, bytes used, and whether another may follow.
type Read = Result<(u16, Vec<u8>, usize, bool), ResponseError>;

/// What is read of pieces that are followed by the end of the connection.
fn read(bytes: &[u8], cuts: Cuts) -> Read {
    let mut reading = ResponseParser::default();
    for end in cuts.ends(bytes) {
        if let Some(answer) = reading.look(&bytes[..end])? {
            assert!(answer.used <= end, "more than had come");
            let _any = headers(answer.head);
            return Ok((answer.status.as_u16(), answer.body.to_vec(), answer.used, answer.keep));
        }
    }
    let answer = reading.end(bytes)?;
    Ok((answer.status.as_u16(), answer.body.to_vec(), answer.used, answer.keep))
}

fuzz_target!(|input: &[u8]| {
    let (cuts, bytes) = Cuts::of(input);
    let whole = bounded(bytes, ROOM, || read(bytes, Cuts::NONE));
    for cuts in cuts.and_all() {
        assert_eq!(bounded(bytes, ROOM, || read(bytes, cuts)), whole, "cut at {cuts:?}");
    }
    if let Ok((.., used, true)) = whole {
        assert_eq!(read(&bytes[..used], Cuts::NONE), whole, "what follows is not its own");
        assert_eq!(read(&bytes[..used - 1], Cuts::NONE).ok(), None, "it needs its last byte");
    }
    let ours = whole.ok();
    let driver = ours.clone().map(|(status, body, _, keep)| (status, body, !keep));
    assert_eq!(driver, verify::read_response(bytes), "as the first look reads it");
    let ours = ours.map(|(status, body, ..)| (status, body));
    assert_eq!(ours, reference::hyper_response(bytes), "as hyper reads it");
});
