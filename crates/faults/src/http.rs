//! HTTP/1.1, parsed by hand: it has to be broken by hand as well.

use std::io::{self, BufRead};

/// A request or a response with a body of known length.
pub(super) struct Message {
    /// Its first line.
    pub start: String,
    /// Its headers, names in lower case.
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Message {
    /// The next one; `None` when the peer has closed.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Message>> {
        let Some(start) = line(from)? else { return Ok(None) };
        let mut message = Message { start, headers: Vec::new(), body: Vec::new() };
        loop {
            let Some(line) = line(from)? else { return Ok(None) };
            match line.split_once(':') {
                _ if line.is_empty() => break,
                Some((name, value)) => {
                    message.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                None => return Err(io::Error::other("a header without a colon")),
            }
        }
        let length = message.header("content-length").map_or(Ok(0), str::parse);
        message.body = vec![0; length.map_err(io::Error::other)?];
        from.read_exact(&mut message.body)?;
        Ok(Some(message))
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The word of the first line with this number: of a request its method and its target, of a
    /// response its status.
    pub fn start_word(&self, number: usize) -> &str {
        self.start.split(' ').nth(number).unwrap_or_default()
    }
}

fn line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = from.read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The bytes of a response; `header` ends its lines itself.
pub(super) fn response(status: u16, header: &str, text: &str) -> Vec<u8> {
    let length = text.len();
    format!("HTTP/1.1 {status} Faulty\r\nContent-Length: {length}\r\n{header}\r\n{text}")
        .into_bytes()
}
