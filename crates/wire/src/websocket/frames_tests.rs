//! Our frames beside tungstenite's: the same messages and the same complaints, however the bytes are cut.

use super::*;
use proptest::collection::vec as many;
use proptest::prelude::*;
use reference::{Transcript, error_text, masked, tungstenite_transcript};

#[path = "reference.rs"]
mod reference;

/// Ours, when the bytes come in pieces that end at these places.
fn ours(bytes: &[u8], cuts: &[usize]) -> Transcript {
    let (mut frames, mut transcript, mut used) = (Frames::default(), Vec::new(), 0);
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    for end in ends {
        loop {
            let (n, received) = match frames.take(&bytes[used..end]) {
                Ok(None) => break,
                Ok(Some(taken)) => taken,
                Err(e) => return (transcript, error_text(&e)),
            };
            used += n;
            match received {
                Received::Message(message) => transcript.push(('m', message.to_vec())),
                Received::Ping(payload) => transcript.push(('p', payload.to_vec())),
                Received::Nothing => {}
                Received::Close(_) => return (transcript, "closed".to_owned()),
            }
        }
    }
    (transcript, Error::from(ProtocolError::ResetWithoutClosingHandshake).to_string())
}

/// A frame, mostly one that a server may send.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![
        8 => prop_oneof![Just(TEXT), Just(BINARY), Just(CONTINUED)],
        2 => prop_oneof![Just(CLOSE), Just(PING), Just(PONG)],
        1 => 0..16u8,
    ];
    let first = prop_oneof![6 => Just(FINAL), 3 => Just(0), 1 => any::<u8>()];
    let payload = prop_oneof![
        4 => "[a-zé]{0,40}".prop_map(String::into_bytes),
        1 => many(any::<u8>(), 0..130),
        1 => (any::<u8>(), 65_530..65_560usize).prop_map(|(byte, n)| vec![byte; n]),
    ];
    let masked = prop_oneof![20 => Just(false), 1 => Just(true)];
    // A longer form of the length than is needed is allowed in a frame of data.
    let form = 0..12u8;
    (first, opcode, payload, masked, form).prop_map(|(first, opcode, payload, masked, form)| {
        let mut bytes = vec![first & !OPCODE | opcode];
        let mask = if masked { MASKED } else { 0 };
        match payload.len() {
            n @ 0..=125 if form > 1 => bytes.push(mask | n as u8),
            n @ 0..=0xffff if form > 0 => {
                bytes.push(mask | 126);
                bytes.extend_from_slice(&(n as u16).to_be_bytes());
            }
            n => {
                bytes.push(mask | 127);
                bytes.extend_from_slice(&(n as u64).to_be_bytes());
            }
        }
        if masked {
            bytes.extend_from_slice(&[1, 2, 3, 4]);
        }
        [bytes, payload].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn frames_are_tungstenites(frames in many(frame(), 0..6), cuts in many(any::<usize>(), 0..6), end in 0..40usize) {
        let mut bytes = frames.concat();
        bytes.truncate(bytes.len() - end.saturating_sub(30).min(bytes.len()));
        let story = tungstenite_transcript(&bytes);
        prop_assert_eq!(&ours(&bytes, &[]), &story);
        prop_assert_eq!(&ours(&bytes, &cuts), &story);
    }

    #[test]
    fn a_cut_at_every_byte_changes_nothing(frames in many(frame(), 0..3)) {
        let mut bytes = frames.concat();
        bytes.truncate(700);
        let every: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(ours(&bytes, &every), tungstenite_transcript(&bytes));
    }

    #[test]
    fn tungstenite_reads_what_we_write(length in prop_oneof![0..300usize, 65_500..65_600usize], key: [u8; 4]) {
        let text: Vec<u8> = (0..length).map(|i| b'a' + (i % 26) as u8).collect();
        let mut out = b"before".to_vec();
        append(&mut out, (TEXT, length), key, |out| out.extend_from_slice(&text));
        prop_assert_eq!(masked(&out[6..]), text);
    }
}

proptest! {
    // Texts that are mostly no frames; `fuzz/run` tries many more.
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn garbage_is_read_as_tungstenite_reads_it(bytes in many(any::<u8>(), 0..48), cut: usize) {
        prop_assert_eq!(ours(&bytes, &[cut]), tungstenite_transcript(&bytes));
    }
}

#[test]
fn a_length_that_nobody_takes_is_refused_before_it_comes() {
    for head in [&[0x81, 127, 0x40, 0, 0, 0, 0, 0, 0, 0][..], &[0x82, 127, 0, 0, 0, 0, 1, 0, 0, 1]]
    {
        assert!(ours(head, &[]).1.contains("too long"), "{:?}", ours(head, &[]));
        assert_eq!(ours(head, &[]), tungstenite_transcript(head));
    }
}

#[test]
fn pieces_add_up_to_no_more_than_a_message() {
    let mut frames = Frames::default();
    let mut piece = vec![TEXT, 127];
    piece.extend_from_slice(&LONGEST_FRAME.to_be_bytes());
    piece.resize(piece.len() + LONGEST_FRAME as usize, b'x');
    for _ in 0..LONGEST_MESSAGE as u64 / LONGEST_FRAME {
        assert!(matches!(frames.take(&piece), Ok(Some((_, Received::Nothing)))));
        piece[0] = CONTINUED;
    }
    assert!(matches!(frames.take(&[CONTINUED, 1, b'x']), Err(Error::Capacity(_))));
}
