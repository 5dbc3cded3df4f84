//! Server-sent events as the HTML standard writes them (section 9.2.6), at both ends.

use bytes::Bytes;
use std::io;

/// Longest event taken from a publisher: a longer one is another protocol.
const LONGEST: usize = 64 << 20;
/// A byte order mark may precede the first line.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// An event of a publication: its id, where that fits into a line, and its text, line by line.
pub fn frame(id: &str, body: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(id.len() + body.len() + 16);
    if !id.contains(['\n', '\r', '\0']) {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(id.as_bytes());
        out.push(b'\n');
    }
    append_data(body, &mut out);
    out.into()
}

/// An event of a type of its own.
pub fn named(name: &str, data: &str) -> Bytes {
    let mut out = format!("event: {name}\n").into_bytes();
    append_data(data.as_bytes(), &mut out);
    out.into()
}

fn append_data(data: &[u8], out: &mut Vec<u8>) {
    let mut rest = data;
    loop {
        let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&rest[..end]);
        out.push(b'\n');
        rest = match &rest[end..] {
            [b'\r', b'\n', more @ ..] | [_, more @ ..] => more,
            [] => break,
        };
    }
    out.push(b'\n');
}

/// An event as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its type; empty for an ordinary one.
    pub kind: &'a [u8],
    /// Its text.
    pub data: &'a [u8],
    /// The last id that was sent, with this event or an older one.
    pub id: &'a [u8],
}

/// Reads events out of bytes, wherever these are cut.
#[derive(Default)]
pub struct Decoder {
    /// The begin of a line whose end has not come.
    line: Vec<u8>,
    /// The last line ended with a carriage return: a line feed belongs to it.
    returned: bool,
    /// Lines were read.
    begun: bool,
    data: Vec<u8>,
    kind: Vec<u8>,
    id: Vec<u8>,
}

impl Decoder {
    /// Hands every event that these bytes complete to `each`.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Message<'_>)) -> io::Result<()> {
        let mut rest = bytes;
        if std::mem::take(&mut self.returned) {
            self.returned = rest.is_empty();
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = rest.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            match self.line.is_empty() {
                true => self.take(&rest[..end], &mut each),
                false => {
                    let mut line = std::mem::take(&mut self.line);
                    line.extend_from_slice(&rest[..end]);
                    self.take(&line, &mut each);
                    line.clear();
                    self.line = line;
                }
            }
            rest = match &rest[end..] {
                [b'\r', b'\n', more @ ..] => more,
                [b'\r'] => {
                    self.returned = true;
                    &[]
                }
                [_, more @ ..] => more,
                [] => &[],
            };
        }
        self.line.extend_from_slice(rest);
        match self.line.len() + self.data.len() > LONGEST {
            true => {
                let why = format!("an event of more than {LONGEST} bytes");
                Err(io::Error::new(io::ErrorKind::InvalidData, why))
            }
            false => Ok(()),
        }
    }

    /// A whole line.
    fn take(&mut self, line: &[u8], each: &mut impl FnMut(Message<'_>)) {
        let line = match self.begun {
            true => line,
            false => line.strip_prefix(MARK).unwrap_or(line),
        };
        self.begun = true;
        if line.is_empty() {
            return self.dispatch(each);
        }
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let (field, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => value.clone_into(&mut self.kind),
            b"id" if !value.contains(&0) => value.clone_into(&mut self.id),
            // A comment, such as a heartbeat, or what only a browser heeds.
            _ => {}
        }
    }

    fn dispatch(&mut self, each: &mut impl FnMut(Message<'_>)) {
        if let [data @ .., b'\n'] = &self.data[..] {
            each(Message { kind: &self.kind, data, id: &self.id });
        }
        self.data.clear();
        self.kind.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Read = (String, String, String);

    fn read(pieces: &[&[u8]]) -> Vec<Read> {
        let (mut decoder, mut found) = (Decoder::default(), Vec::new());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        for piece in pieces {
            let each = |m: Message<'_>| found.push((text(m.kind), text(m.data), text(m.id)));
            decoder.push(piece, each).unwrap();
        }
        found
    }

    fn event(kind: &str, data: &str, id: &str) -> Read {
        (kind.into(), data.into(), id.into())
    }

    /// Each with what the standard says comes of it.
    fn streams() -> Vec<(&'static str, Vec<Read>)> {
        vec![
            ("data: a\n\n", vec![event("", "a", "")]),
            ("data: a\ndata:b\ndata:  c\n\n", vec![event("", "a\nb\n c", "")]),
            (
                "id: 7\r\ndata: a\r\n\r\ndata: b\r\n\r\n",
                vec![event("", "a", "7"), event("", "b", "7")],
            ),
            ("data: a\r\rdata: b\r\r", vec![event("", "a", ""), event("", "b", "")]),
            (": heartbeat\n\n:\n\ndata: a\n: within\n\n", vec![event("", "a", "")]),
            ("event: x\ndata: a\n\ndata: b\n\n", vec![event("x", "a", ""), event("", "b", "")]),
            // No data, no event; its id stays and its type does not.
            ("id: 1\nevent: x\n\ndata: a\n\n", vec![event("", "a", "1")]),
            ("id: 1\ndata: a\n\nid\ndata: b\n\n", vec![event("", "a", "1"), event("", "b", "")]),
            ("id: 1\nid: 2\0\ndata\n\n", vec![event("", "", "1")]),
            ("data\ndata\n\n", vec![event("", "\n", "")]),
            ("\u{feff}data: a\n\n\u{feff}data: b\n\n", vec![event("", "a", "")]),
            ("retry: 10\nother: x\nData: y\ndata: a\n\n", vec![event("", "a", "")]),
            // The end came first.
            ("data: a\n\ndata: b\n", vec![event("", "a", "")]),
            ("data: a\n\ndata: b", vec![event("", "a", "")]),
            ("data: {\"a\": \"b:c\"}\n\n", vec![event("", "{\"a\": \"b:c\"}", "")]),
        ]
    }

    #[test]
    fn streams_are_read_as_the_standard_says_wherever_they_are_cut() {
        for (stream, wanted) in streams() {
            let bytes = stream.as_bytes();
            assert_eq!(read(&[bytes]), wanted, "{stream:?}");
            for cut in 0..=bytes.len() {
                let (a, b) = bytes.split_at(cut);
                assert_eq!(read(&[a, b]), wanted, "{stream:?} cut at {cut}");
                assert_eq!(read(&[a, b"", b]), wanted, "{stream:?} cut twice at {cut}");
            }
            let each: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read(&each), wanted, "{stream:?} byte by byte");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for (id, body, data) in [
            ("7", "{}", "{}"),
            ("ü", "{\n  \"id\": \"ü\"\r\n}", "{\n  \"id\": \"ü\"\n}"),
            ("a", "\r\r\n\n", "\n\n\n"),
            ("", "", ""),
        ] {
            let frame = frame(id, body.as_bytes());
            assert_eq!(read(&[&frame]), [event("", data, id)], "{body:?}");
        }
        let frame = frame("two\nlines", b"{}");
        assert_eq!(read(&[&frame]), [event("", "{}", "")], "such an id would break the frame");
        assert_eq!(read(&[&named("subscribed", "{}")]), [event("subscribed", "{}", "")]);
    }

    #[test]
    fn an_event_that_does_not_end_is_an_error() {
        let mut decoder = Decoder::default();
        let piece = vec![b'x'; LONGEST / 2];
        assert!(decoder.push(&piece, |_| ()).is_ok());
        assert!(decoder.push(&piece, |_| ()).is_ok());
        assert!(decoder.push(b"x", |_| ()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_alike_however_they_are_cut(
            bytes in proptest::collection::vec(prop_oneof![
                Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(b'd'), Just(b'x'),
            ], 0..60),
            cut in 0_usize..60,
        ) {
            let text: Vec<u8> =
                bytes.iter().flat_map(|b| if *b == b'd' { &b"data"[..] } else { std::slice::from_ref(b) }).copied().collect();
            let (a, b) = text.split_at(cut.min(text.len()));
            prop_assert_eq!(read(&[&text]), read(&[a, b]));
        }
    }
}
