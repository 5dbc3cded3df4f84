//! Server-sent events: however a stream is cut its events are those of the plainest reading, and what we
//! write comes out as it went in, line ends apart.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbench_fuzz::{Cuts, ROOM, bounded};
use pushbench_wire::sse::codec::{Decoder, frame};

/// Type, text and id of each event.
type Events = Vec<[Vec<u8>; 3]>;

fn ours(bytes: &[u8], cuts: Cuts) -> Events {
    let (mut decoder, mut events) = (Decoder::default(), Events::new());
    for piece in cuts.pieces(bytes) {
        let read = decoder.push(piece, |event| {
            events.push([event.kind, event.data, event.id].map(<[u8]>::to_vec));
        });
        read.expect("no event is too long here");
    }
    events
}

/// Line by line, as the standard says.
fn plainly(bytes: &[u8]) -> Events {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let ended = with_line_feeds(bytes);
    let mut lines: Vec<&[u8]> = ended.split(|b| *b == b'\n').collect();
    lines.pop(); // the end of this one has not come
    let (mut events, mut kind, mut data, mut id) = (Events::new(), vec![], vec![], vec![]);
    for line in lines {
        if line.is_empty() {
            if data.pop().is_some() {
                events.push([kind.clone(), data.clone(), id.clone()]);
            }
            (kind, data) = (vec![], vec![]);
            continue;
        }
        let mut halves = line.splitn(2, |b| *b == b':');
        let (field, value) = (halves.next(), halves.next().unwrap_or_default());
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field.unwrap_or_default() {
            b"event" => kind = value.to_vec(),
            b"data" => data = [&data, value, b"\n"].concat(),
            b"id" if !value.contains(&0) => id = value.to_vec(),
            _ => {}
        }
    }
    events
}

/// Every end of a line as a line feed.
fn with_line_feeds(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if i > 0 && bytes[i - 1] == b'\r' => {}
            b'\r' => out.push(b'\n'),
            byte => out.push(*byte),
        }
    }
    out
}

fuzz_target!(|input: &[u8]| {
    let (cuts, bytes) = Cuts::of(input);
    let events = plainly(bytes);
    for cuts in [Cuts::NONE].into_iter().chain(cuts.and_all()) {
        assert_eq!(bounded(bytes, ROOM, || ours(bytes, cuts)), events, "cut at {cuts:?}");
    }
    let text = String::from_utf8_lossy(bytes);
    let (id, body) = text.split_once('\n').unwrap_or_default();
    let fits = !id.contains(['\r', '\0']);
    let wanted = [vec![], with_line_feeds(body.as_bytes()), if fits { id.into() } else { vec![] }];
    assert_eq!(ours(&frame(id, body.as_bytes()), cuts), [wanted], "what we write is read");
});
