//! The least that an exact target must know of a transport: where an event ends, and its answer.

use pushbench_core::event::acknowledgement;
use pushbench_core::scenario::payload::{ID_DIGITS, OPEN};
use pushbench_core::transport::Carrier;
use std::io;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A WebSocket's close frame.
const CLOSE: u8 = 0x8;
/// A text frame and a whole message.
const TEXT: u8 = 0x81;

/// What a connection brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// An event, by its id.
    Event(Id),
    /// A handshake, and what goes back for it.
    Handshake(Vec<u8>),
    /// The word that nothing more comes.
    CloseAfterAnswer,
}

/// The digits of an event's id.
pub(super) type Id = [u8; ID_DIGITS];

/// An event's position in its schedule.
pub(super) fn index(id: &Id) -> io::Result<u64> {
    let digits = std::str::from_utf8(id).ok().and_then(|id| u64::from_str_radix(id, 16).ok());
    digits.ok_or_else(|| io::Error::other("no event of ours"))
}

/// The reading half of a connection.
pub(super) struct Wire {
    carrier: Carrier,
    shaken: bool,
    unread: Vec<u8>,
}

impl Wire {
    pub fn new(carrier: Carrier) -> Wire {
        Wire { carrier, shaken: false, unread: Vec::new() }
    }

    /// Bytes were read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// What has come in whole; `None` when more must be read.
    pub fn next(&mut self) -> io::Result<Option<Received>> {
        let found = match self.carrier {
            Carrier::Tcp => message(&self.unread)?,
            Carrier::Webhook => request(&self.unread)?,
            Carrier::Websocket if self.shaken => frame(&mut self.unread)?,
            Carrier::Websocket => handshake(&self.unread)?,
        };
        let Some((length, received)) = found else { return Ok(None) };
        self.unread.drain(..length);
        self.shaken = true;
        Ok(Some(received))
    }
}

/// The bytes that acknowledge an event.
pub(super) fn answer(carrier: Carrier, id: &Id) -> Vec<u8> {
    let text = acknowledgement(&String::from_utf8_lossy(id));
    let text = text.as_bytes();
    match carrier {
        Carrier::Tcp => [&(text.len() as u32).to_be_bytes()[..], text].concat(),
        Carrier::Websocket => [&[TEXT, text.len() as u8][..], text].concat(),
        Carrier::Webhook => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
            [head.as_bytes(), text].concat()
        }
    }
}

type Found = io::Result<Option<(usize, Received)>>;

fn message(unread: &[u8]) -> Found {
    let Some((length, rest)) = unread.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    let Some(event) = rest.get(..length) else { return Ok(None) };
    Ok(Some((4 + length, Received::Event(id(event)?))))
}

fn request(unread: &[u8]) -> Found {
    let Some(head) = head(unread) else { return Ok(None) };
    let length = header(head, "content-length").and_then(|v| v.parse::<usize>().ok());
    let length = length.ok_or_else(|| io::Error::other("a request without a length"))?;
    let Some(event) = unread[head.len()..].get(..length) else { return Ok(None) };
    Ok(Some((head.len() + length, Received::Event(id(event)?))))
}

fn handshake(unread: &[u8]) -> Found {
    let Some(head) = head(unread) else { return Ok(None) };
    let key = header(head, "sec-websocket-key").ok_or_else(|| io::Error::other("no key"))?;
    let accept = derive_accept_key(key.as_bytes());
    let back = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Ok(Some((head.len(), Received::Handshake(back.into_bytes()))))
}

/// Unmasks in place what of a frame is looked at.
fn frame(unread: &mut [u8]) -> Found {
    let Some((head, rest)) = unread.split_first_chunk_mut::<2>() else { return Ok(None) };
    let [first, second] = *head;
    let (at, length) = match second & 0x7f {
        126 if rest.len() >= 2 => (2, usize::from(u16::from_be_bytes([rest[0], rest[1]]))),
        126 => return Ok(None),
        127 => return Err(io::Error::other("a longer frame than the self-test sends")),
        short => (0, usize::from(short)),
    };
    if rest.len() < at + 4 + length {
        return Ok(None);
    }
    let whole = 2 + at + 4 + length;
    if first & 0x0f == CLOSE {
        return Ok(Some((whole, Received::CloseAfterAnswer)));
    }
    let mask: [u8; 4] = std::array::from_fn(|i| rest[at + i]);
    let looked_at = length.min(OPEN.len() + ID_DIGITS);
    let event = &mut rest[at + 4..][..looked_at];
    event.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(Some((whole, Received::Event(id(event)?))))
}

/// A head with its empty line.
fn head(unread: &[u8]) -> Option<&[u8]> {
    let end = unread.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(&unread[..end + 4])
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = head.split(|b| *b == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let mut found = lines.filter_map(|line| line.split_once(':'));
    Some(found.find(|(n, _)| n.eq_ignore_ascii_case(name))?.1.trim())
}

/// The id of an event as this program makes them.
fn id(event: &[u8]) -> io::Result<Id> {
    let digits = event.strip_prefix(OPEN.as_bytes()).and_then(|rest| rest.first_chunk());
    digits.copied().ok_or_else(|| io::Error::other("no event of ours"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_core::event::{Template, acknowledged_index};
    use pushbench_core::scenario::Payload;

    fn wire_of(carrier: Carrier) -> Wire {
        Wire { shaken: true, ..Wire::new(carrier) }
    }

    fn masked(event: &[u8]) -> Vec<u8> {
        let mut bytes = vec![TEXT, 0x80 | 126];
        bytes.extend((event.len() as u16).to_be_bytes());
        bytes.extend([1, 2, 3, 4]);
        bytes.extend(event.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(b, m)| b ^ m));
        bytes
    }

    #[test]
    fn events_are_found_however_their_bytes_come() {
        let event = Template::new(&Payload::Bytes(512)).render(0xfe);
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\ncontent-length: {}\r\n\r\n", 512);
        let cases = [
            (Carrier::Tcp, [&512u32.to_be_bytes()[..], &event].concat()),
            (Carrier::Webhook, [request.as_bytes(), &event].concat()),
            (Carrier::Websocket, masked(&event)),
        ];
        for (carrier, bytes) in cases {
            let mut wire = wire_of(carrier);
            let (rest, last) = bytes.split_at(bytes.len() - 1);
            for byte in rest {
                wire.feed(&[*byte]);
                assert_eq!(wire.next().unwrap(), None, "{carrier:?}");
            }
            // The last byte, and all of a second event.
            wire.feed(&[last, &bytes].concat());
            for _ in 0..2 {
                assert_eq!(wire.next().unwrap(), Some(Received::Event(*b"00000000000000fe")));
            }
            assert_eq!(wire.next().unwrap(), None);
        }
    }

    #[test]
    fn a_handshake_is_shaken_as_the_standard_has_it() {
        let mut wire = Wire::new(Carrier::Websocket);
        // The example of RFC 6455, 1.3.
        wire.feed(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
        let Some(Received::Handshake(back)) = wire.next().unwrap() else { panic!("no handshake") };
        let back = String::from_utf8(back).unwrap();
        assert!(back.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{back}");
        wire.feed(&[0x88, 0x80, 0, 0, 0, 0]);
        assert_eq!(wire.next().unwrap(), Some(Received::CloseAfterAnswer));
    }

    #[test]
    fn answers_name_their_event_and_garbage_is_refused() {
        for carrier in pushbench_core::transport::CARRIERS {
            let answer = answer(carrier, b"00000000000000fe");
            let text = answer.iter().position(|b| *b == b'{').unwrap();
            assert_eq!(acknowledged_index(&answer[text..]), Some(0xfe));
        }
        let mut wire = Wire::new(Carrier::Tcp);
        wire.feed(&[0, 0, 0, 2, b'{', b'}']);
        assert!(wire.next().is_err());
    }
}
