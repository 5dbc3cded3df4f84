//! A library above the stream, the driver's own frames, and frames that are written by hand.

use super::*;
use crate::websocket::frames::{CLOSE, Frames, PONG, Received};
use futures_util::{SinkExt as _, StreamExt as _};
use proptest::collection::vec as many;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const PING: u8 = 9;

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn agreed() -> impl Strategy<Value = Agreed> {
    let direction = || {
        (9..=15u8, any::<bool>())
            .prop_map(|(window_bits, takeover)| Direction { window_bits, takeover })
    };
    (direction(), direction()).prop_map(|(client, server)| Agreed { client, server })
}

/// A message: compressed or not, a text, and where it and its compressed bytes are cut.
type Sent = (bool, String, Vec<usize>, bool);

fn sent() -> impl Strategy<Value = Sent> {
    let text = prop_oneof!["[a-cäö]{0,60}", "(abc|xy){0,3000}"];
    (any::<bool>(), text, many(any::<usize>(), 0..3), any::<bool>())
}

/// The frames of a peer.
fn frames_of(messages: &[Sent], direction: Direction, key: Option<[u8; 4]>) -> Vec<u8> {
    let (mut deflater, mut out) = (Deflater::new(direction), Vec::new());
    for (compressed, text, cuts, ping) in messages {
        let mut payload = text.as_bytes().to_vec();
        if *compressed {
            let mut frame = Vec::new();
            deflater.append(&mut frame, TEXT, None, |plain| plain.extend_from_slice(&payload));
            payload = frame[frames::head(&frame).unwrap().unwrap().begin..].to_vec();
        }
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
        ends.push(payload.len());
        ends.sort_unstable();
        let (mut begin, last) = (0, ends.len() - 1);
        for (i, end) in ends.into_iter().enumerate() {
            let piece = &payload[begin..end];
            let begin_of = if *compressed { COMPRESSED | TEXT } else { TEXT };
            let first = if i == 0 { begin_of } else { CONTINUED };
            let fin = if i == last { FINAL } else { 0 };
            frames::append_head(&mut out, (fin | first, piece.len()), key);
            let at = out.len();
            out.extend_from_slice(piece);
            key.iter().for_each(|key| frames::mask(&mut out[at..], *key));
            if *ping {
                frames::append(&mut out, (PING, 1), key, |out| out.push(b'p'));
            }
            begin = end;
        }
    }
    out
}

/// What a library reads of these bytes above the stream, `at_once` at a time; then how it ended.
fn read_above(bytes: &[u8], at_once: usize, role: Role, agreed: Agreed) -> (Vec<String>, String) {
    run(async {
        let (near, mut far) = tokio::io::duplex(at_once);
        let feeding = async {
            let _refused = far.write_all(bytes).await;
            let (mut reads, mut writes) = tokio::io::split(far);
            let _closed = writes.shutdown().await;
            let _pongs = reads.read_to_end(&mut Vec::new()).await;
        };
        let reading = async {
            let stream = DeflateStream::new(near, &[], role, agreed);
            let mut socket = WebSocketStream::from_raw_socket(stream, role, None).await;
            let mut texts = Vec::new();
            loop {
                match socket.next().await {
                    Some(Ok(Message::Close(_))) => return (texts, "closed".to_owned()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(message)) => {
                        texts.push(String::from_utf8_lossy(&message.into_data()).into_owned());
                    }
                    Some(Err(e)) => return (texts, e.to_string()),
                    None => return (texts, "closed".to_owned()),
                }
            }
        };
        tokio::join!(feeding, reading).1
    })
}

/// What the driver reads of them.
fn read_by_driver(mut bytes: &[u8], agreed: Agreed) -> (Vec<String>, Option<String>) {
    let mut frames = Frames::compressed(Inflater::new(agreed.server));
    let mut texts = Vec::new();
    loop {
        match frames.take(bytes) {
            Ok(None) => return (texts, None),
            Err(e) => return (texts, Some(e.to_string())),
            Ok(Some((n, received))) => {
                match received {
                    Received::Message(message) => {
                        texts.push(String::from_utf8_lossy(message).into_owned());
                    }
                    Received::Close(_) => return (texts, None),
                    Received::Ping(_) | Received::Nothing => {}
                }
                bytes = &bytes[n..];
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn each_reader_reads_what_was_sent(
        messages in many(sent(), 0..6),
        agreed in agreed(),
        at_once in prop_oneof![1..40usize, 4_000..70_000usize],
    ) {
        let texts: Vec<String> = messages.iter().map(|(_, text, ..)| text.clone()).collect();
        let to_client = frames_of(&messages, agreed.server, None);
        prop_assert_eq!(read_above(&to_client, at_once, Role::Client, agreed).0, &texts[..]);
        prop_assert_eq!(read_by_driver(&to_client, agreed), (texts.clone(), None));
        let to_server = frames_of(&messages, agreed.client, Some([1, 2, 3, 4]));
        prop_assert_eq!(read_above(&to_server, at_once, Role::Server, agreed).0, texts);
    }

    #[test]
    fn two_libraries_speak_over_it(
        questions in many(".{0,300}", 1..6),
        agreed in agreed(),
        at_once in 1..2_000usize,
    ) {
        run(async {
            let (near, far) = tokio::io::duplex(at_once);
            let near = DeflateStream::new(near, &[], Role::Client, agreed);
            let far = DeflateStream::new(far, &[], Role::Server, agreed);
            let mut client = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
            let mut server = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
            let answering = async move {
                while let Some(Ok(message)) = server.next().await {
                    if message.is_text() && server.send(message).await.is_err() {
                        break;
                    }
                }
            };
            let asking = async {
                for question in &questions {
                    client.send(Message::text(question.as_str())).await.unwrap();
                    let answer = client.next().await.unwrap().unwrap().into_text().unwrap();
                    assert_eq!(answer.as_str(), question);
                }
                client.close(None).await.unwrap();
                while client.next().await.is_some() {}
            };
            tokio::join!(answering, asking);
        });
    }

    #[test]
    fn both_readers_take_the_same_of_what_is_wrong(
        messages in many(sent(), 0..4),
        changes in many((any::<usize>(), any::<u8>()), 0..4),
        more in many(any::<u8>(), 0..30),
        agreed in agreed(),
        at_once in 1..60usize,
    ) {
        let mut bytes = frames_of(&messages, agreed.server, None);
        bytes.truncate(4_000);
        bytes.extend(more);
        for (at, byte) in changes {
            let places = bytes.len().max(1);
            bytes.iter_mut().skip(at % places).take(1).for_each(|changed| *changed = byte);
        }
        let by_driver = read_by_driver(&bytes, agreed).0;
        prop_assert_eq!(read_above(&bytes, at_once, Role::Client, agreed).0, by_driver);
        let _no_panic = read_above(&bytes, at_once, Role::Server, agreed);
    }
}

const BOTH: Agreed = {
    let direction = Direction { window_bits: 15, takeover: true };
    Agreed { client: direction, server: direction }
};

#[test]
fn what_breaks_the_rules_is_refused_by_both_readers() {
    let hello: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let frame = |first: u8, payload: &[u8]| [&[first, payload.len() as u8], payload].concat();
    let bomb = {
        let mut out = Vec::new();
        let zeros = |plain: &mut Vec<u8>| plain.resize(LONGEST_FRAME as usize + 1, 0);
        Deflater::new(BOTH.server).append(&mut out, TEXT, None, zeros);
        out
    };
    let compressed = FINAL | COMPRESSED;
    for (what, bytes, why) in [
        ("a control frame", frame(compressed | PONG, b""), "Reserved bits are non-zero"),
        ("a close frame", frame(compressed | CLOSE, b""), "Reserved bits are non-zero"),
        (
            "a continuation",
            [frame(COMPRESSED | TEXT, hello), frame(compressed, b"")].concat(),
            "Reserved bits",
        ),
        (
            "a message in a message",
            [frame(TEXT, b"a"), frame(compressed | TEXT, hello)].concat(),
            "Reserved bits",
        ),
        ("another bit", frame(FINAL | 0x60 | TEXT, hello), "Reserved bits are non-zero"),
        (
            "corrupt",
            frame(compressed | TEXT, &[0xff; 9]),
            "corrupt permessage-deflate message: invalid block type",
        ),
        ("no UTF-8", frame(compressed | TEXT, &[0, 1, 0, 0xfe, 0xff, 0xff, 0]), "UTF-8"),
        ("a bomb", bomb, "compressed frame of more than 16 MiB when it is decompressed"),
    ] {
        let above = read_above(&bytes, 70_000, Role::Client, BOTH).1;
        let driver = read_by_driver(&bytes, BOTH).1.unwrap_or_default();
        assert!(above.contains(why), "{what} above the stream: {above}");
        assert!(driver.contains(why), "{what} by the driver: {driver}");
    }
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    let mut reader = Reader::new(BOTH.server);
    let mut frame = Vec::new();
    Deflater::new(BOTH.server).append(&mut frame, TEXT, None, |plain| plain.extend([b'x'; 900]));
    for (bytes, waiting) in [(&frame[..3], 0), (&frame[..], 904)] {
        let (_, taken) = reader.take(bytes);
        taken.unwrap();
        assert_eq!(reader.waiting().len(), waiting);
        reader.consume(waiting);
        assert_eq!(reader.frames.capacity(), 0);
    }
}
