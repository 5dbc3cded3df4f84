//! Compressed messages: the examples of RFC 7692, and that what is compressed is decompressed, however it is cut.

use super::*;
use proptest::collection::vec as many;
use proptest::prelude::*;

const MOST: usize = 1 << 20;
const USUAL: Direction = Direction { window_bits: 15, takeover: true };

fn inflated(inflater: &mut Inflater, message: &[u8]) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    inflater.append(message, true, MOST, &mut out).map(|()| out)
}

fn deflated(deflater: &mut Deflater, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    deflater.deflate(message, &mut out);
    out
}

/// Messages of every entropy.
pub(super) fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        many(any::<u8>(), 0..3_000),
        "[a-c]{0,400}".prop_map(String::into_bytes),
        (any::<u8>(), 0..150_000usize).prop_map(|(byte, n)| vec![byte; n]),
        (0..9_000usize).prop_map(|n| {
            (0..n).flat_map(|i| format!("{{\"id\":{}}}", i * 7_919 % 1_000).into_bytes()).collect()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_message_is_what_it_was(
        messages in many((message(), many(any::<usize>(), 0..4)), 1..8),
        window_bits in 9..=15u8,
        takeover: bool,
    ) {
        let direction = Direction { window_bits, takeover };
        let (mut deflater, mut inflater) = (Deflater::new(direction), Inflater::new(direction));
        for (message, cuts) in messages {
            let packed = deflated(&mut deflater, &message);
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (packed.len() + 1)).collect();
            ends.sort_unstable();
            let (mut out, mut begin) = (Vec::new(), 0);
            for end in ends {
                inflater.append(&packed[begin..end], false, MOST, &mut out).unwrap();
                begin = end;
            }
            inflater.append(&packed[begin..], true, MOST, &mut out).unwrap();
            prop_assert_eq!(out, message);
        }
    }

    #[test]
    fn garbage_is_refused_or_bounded(messages in many(many(any::<u8>(), 0..60), 1..4), takeover: bool) {
        let mut inflater = Inflater::new(Direction { window_bits: 15, takeover });
        for message in messages {
            let mut out = Vec::new();
            let taken = inflater.append(&message, true, 1_000, &mut out);
            prop_assert!(out.len() <= 1_000 || taken == Err(InflateError::TooLong(1_000)));
            if taken.is_err() {
                break;
            }
        }
    }
}

/// Section 7.2.3.
#[test]
fn the_examples_of_the_standard_are_read() {
    let hello: [&[u8]; 6] = [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        // With what was sent before.
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
        // A block without compression.
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        // A block that says that it is the last one.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        // Two blocks.
        &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
    ];
    let mut inflater = Inflater::new(USUAL);
    for (i, message) in hello.into_iter().enumerate() {
        assert_eq!(inflated(&mut inflater, message).as_deref(), Ok(&b"Hello"[..]), "{i}");
    }
    assert_eq!(inflated(&mut inflater, &[0]).as_deref(), Ok(&b""[..]));
    let mut deflater = Deflater::new(USUAL);
    assert_eq!(deflated(&mut deflater, b"Hello"), hello[0]);
    assert_eq!(deflated(&mut deflater, b"Hello"), hello[1]);
    assert_eq!(deflated(&mut deflater, b""), [0]);
}

#[test]
fn without_takeover_each_message_stands_alone() {
    let direction = Direction { takeover: false, ..USUAL };
    let mut deflater = Deflater::new(direction);
    let first = deflated(&mut deflater, b"Hello");
    assert_eq!(deflated(&mut deflater, b"Hello"), first);
    let mut inflater = Inflater::new(direction);
    assert!(inflated(&mut inflater, &first).is_ok());
    let refers_to_the_first = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let error = inflated(&mut inflater, &refers_to_the_first).unwrap_err().to_string();
    assert!(error.starts_with("corrupt permessage-deflate message: "), "{error}");
}

#[test]
fn a_message_that_becomes_too_long_is_refused_before_it_is_there() {
    let packed = deflated(&mut Deflater::new(USUAL), &vec![0; 50 << 20]);
    let (mut inflater, mut out) = (Inflater::new(USUAL), Vec::new());
    let refused = inflater.append(&packed, true, MOST, &mut out);
    assert_eq!(refused, Err(InflateError::TooLong(MOST)));
    assert!(out.capacity() < 4 * MOST, "{} bytes", out.capacity());
    assert!(refused.unwrap_err().to_string().contains("more than 1 MiB"));
}
