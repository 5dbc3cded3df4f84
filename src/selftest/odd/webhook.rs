//! HTTP/1.1, parsed by hand: it has to be broken by hand as well.

use super::deed::UNASKED;
use super::site::Site;
use super::wire::Wire;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::TcpStream;

pub(super) struct Webhook(BufReader<TcpStream>);

impl Wire for Webhook {
    const NONSENSE: &'static [u8] = b"\x16\x03\x01 this is no HTTP\r\n\r\n";
    /// One more than 64 bits hold.
    const ABSURD: &'static [u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n{";

    fn open(stream: TcpStream, _site: &Site) -> io::Result<Option<Webhook>> {
        Ok(Some(Webhook(BufReader::new(stream))))
    }

    fn event(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Some(body))
    }

    fn socket(&mut self) -> &mut TcpStream {
        self.0.get_mut()
    }

    fn message(text: &str) -> Vec<u8> {
        Self::with_status(200, text)
    }

    fn with_status(status: u16, text: &str) -> Vec<u8> {
        response(status, "", text)
    }

    fn last(text: &str) -> Vec<u8> {
        response(200, "Connection: close\r\n", text)
    }

    /// Behind the answer: before it, it would be taken for the answer.
    fn with_unasked(answer: &[u8]) -> Vec<u8> {
        let unasked = Self::message("{\"news\":true}").repeat(UNASKED as usize);
        [answer, &unasked].concat()
    }
}

fn response(status: u16, header: &str, text: &str) -> Vec<u8> {
    let length = text.len();
    format!("HTTP/1.1 {status} Odd\r\nContent-Length: {length}\r\n{header}\r\n{text}").into_bytes()
}
