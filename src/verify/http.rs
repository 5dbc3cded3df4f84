//! HTTP/1.1 responses read by hand: nothing that a target sends may be smoothed over.

use super::tap::Tap;
use super::trouble::Trouble;
use hyper::header::{HeaderMap, HeaderName};
use std::io::Read as _;

/// Longest head and longest body that are read.
const HEAD_BYTES: usize = 64 << 10;
const BODY_BYTES: usize = 64 << 20;

const HEAD_END: &[u8] = b"\r\n\r\n";
const LINE_END: &[u8] = b"\r\n";

/// A response, read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub code: u16,
    /// `404 Not Found`
    pub line: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The connection ends with it.
    pub last: bool,
    /// HTTP/1.0.
    pub old: bool,
}

/// A socket and what was read of it too early.
pub(super) struct Inbox<'a> {
    pub tap: Tap<'a>,
    left: Vec<u8>,
}

/// What a head says.
struct Head {
    code: u16,
    line: String,
    headers: HeaderMap,
    old: bool,
    closes: bool,
    chunked: bool,
    length: Option<usize>,
}

impl<'a> Inbox<'a> {
    pub fn new(tap: Tap<'a>) -> Self {
        Inbox { tap, left: Vec::new() }
    }

    /// The next response, an interim one included.
    pub fn response(&mut self) -> Result<Response, Trouble> {
        let head = self.head()?;
        let mut last = head.closes;
        let body = match head.length {
            _ if matches!(head.code, 100..=199 | 204 | 304) => Vec::new(),
            _ if head.chunked => self.chunks()?,
            Some(length) => self.take(length)?,
            None => {
                last = true;
                self.rest()?
            }
        };
        let Head { code, line, headers, old, .. } = head;
        Ok(Response { code, line, headers, body, last, old })
    }

    fn head(&mut self) -> Result<Head, Trouble> {
        let text = loop {
            let begun = self.left.len().min(5);
            if self.left[..begun] != b"HTTP/"[..begun] || self.left.len() > HEAD_BYTES {
                return Err(Trouble::alien(&self.left));
            }
            if let Some(end) = find(&self.left, HEAD_END) {
                let head: Vec<u8> = self.left.drain(..end + HEAD_END.len()).collect();
                break String::from_utf8_lossy(&head).into_owned();
            }
            self.more()?;
        };
        Head::parse(&text).ok_or_else(|| Trouble::alien(text.as_bytes()))
    }

    fn more(&mut self) -> Result<(), Trouble> {
        let mut buffer = [0; 16 * 1024];
        match self.tap.read(&mut buffer) {
            Ok(0) if self.left.is_empty() => Err(Trouble::Closed(None)),
            Ok(0) => Err(Trouble::Closed(Some("amid an answer".to_owned()))),
            Ok(n) => {
                self.left.extend_from_slice(&buffer[..n]);
                Ok(())
            }
            Err(e) => Err(Trouble::of(&e)),
        }
    }

    fn take(&mut self, bytes: usize) -> Result<Vec<u8>, Trouble> {
        if bytes > BODY_BYTES {
            return Err(Trouble::Alien(format!("a body of {bytes} bytes was announced")));
        }
        while self.left.len() < bytes {
            self.more()?;
        }
        Ok(self.left.drain(..bytes).collect())
    }

    fn rest(&mut self) -> Result<Vec<u8>, Trouble> {
        while self.left.len() <= BODY_BYTES {
            match self.more() {
                Ok(()) => {}
                Err(Trouble::Closed(_)) => break,
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(std::mem::take(&mut self.left))
    }

    fn line(&mut self) -> Result<String, Trouble> {
        loop {
            if let Some(end) = find(&self.left, LINE_END) {
                let line: Vec<u8> = self.left.drain(..end + LINE_END.len()).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.left.len() > HEAD_BYTES {
                return Err(Trouble::alien(&self.left));
            }
            self.more()?;
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16)
                .map_err(|_| Trouble::Alien(format!("a chunk has the size `{size}`")))?;
            if body.len() > BODY_BYTES {
                return Err(Trouble::Alien("its body does not end".to_owned()));
            }
            if size == 0 {
                // Trailers, up to an empty line.
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size)?);
            self.line()?;
        }
    }
}

impl Head {
    fn parse(text: &str) -> Option<Head> {
        let mut lines = text.lines();
        let (version, line) = lines.next()?.split_once(' ')?;
        let code = line.get(..3)?.parse().ok()?;
        let old = version == "HTTP/1.0";
        let line = line.trim().to_owned();
        let headers = HeaderMap::new();
        let mut head = Head { code, line, headers, old, closes: old, chunked: false, length: None };
        for (name, value) in lines.filter_map(|l| l.split_once(':')) {
            if let (Ok(name), Ok(value)) = (name.trim().parse::<HeaderName>(), value.trim().parse())
            {
                head.headers.append(name, value);
            }
            let (name, value) = (name.to_ascii_lowercase(), value.trim().to_ascii_lowercase());
            match name.as_str() {
                "content-length" => head.length = Some(value.parse().ok()?),
                "transfer-encoding" => head.chunked = value.ends_with("chunked"),
                "connection" if value.contains("close") => head.closes = true,
                "connection" if value.contains("keep-alive") => head.closes = false,
                _ => {}
            }
        }
        Some(head)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|w| w == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    static NEVER: AtomicBool = AtomicBool::new(false);

    /// What is read of a peer that sends these bytes, one by one, and closes.
    fn read(bytes: &'static [u8]) -> Vec<Result<Response, Trouble>> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            bytes.iter().for_each(|byte| stream.write_all(&[*byte]).unwrap());
        });
        let mut inbox = Inbox::new(Tap::connect(address, &NEVER).unwrap());
        inbox.tap.may_take(Duration::from_secs(60));
        // What a head says is seen in what was made of it.
        let bare = |r: Response| Response { headers: HeaderMap::new(), ..r };
        let found = [inbox.response().map(bare), inbox.response().map(bare)].into();
        server.join().unwrap();
        found
    }

    fn ok(code: u16, line: &str, body: &[u8], last: bool) -> Result<Response, Trouble> {
        let headers = HeaderMap::new();
        Ok(Response { code, line: line.into(), headers, body: body.into(), last, old: false })
    }

    #[test]
    fn bodies_end_as_their_heads_say() {
        let two = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 204 No\r\n\r\n";
        assert_eq!(read(two), [ok(200, "200 OK", b"ok", false), ok(204, "204 No", b"", false)]);
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        assert_eq!(read(chunks), [ok(200, "200 OK", b"ok", false), Err(Trouble::Closed(None))]);
        let until_closed = b"HTTP/1.1 400 Bad\r\n\r\nno";
        assert_eq!(read(until_closed)[0], ok(400, "400 Bad", b"no", true));
        let closes = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: Close\r\n\r\n";
        assert_eq!(read(closes)[0], ok(200, "200 OK", b"", true));
    }

    #[test]
    fn what_is_no_response_is_told() {
        assert_eq!(read(b"\x15\x03\x03\x00\x02\x02\x46")[0], Err(Trouble::Tls));
        assert!(matches!(read(b"what?")[0], Err(Trouble::Alien(_))));
        assert_eq!(read(b"")[0], Err(Trouble::Closed(None)));
        let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok";
        assert!(matches!(read(half)[0], Err(Trouble::Closed(Some(_)))));
        let absurd = b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n";
        assert!(read(absurd)[0].is_err());
    }
}
