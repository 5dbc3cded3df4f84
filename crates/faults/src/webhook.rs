//! A webhook's endpoint.

use crate::http::{Message, response};
use crate::server_fault::UNSOLICITED;
use crate::site::Site;
use crate::wire::Wire;
use std::io::{self, BufReader};
use std::net::TcpStream;

pub(super) struct Webhook(BufReader<TcpStream>);

impl Wire for Webhook {
    const INVALID_BYTES: &'static [u8] = b"\x16\x03\x01 this is no HTTP\r\n\r\n";
    /// One more than 64 bits hold.
    const HUGE_LENGTH: &'static [u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n{";

    fn open(stream: TcpStream, _site: &Site) -> io::Result<Option<Webhook>> {
        Ok(Some(Webhook(BufReader::new(stream))))
    }

    fn event(&mut self) -> io::Result<Option<Vec<u8>>> {
        Ok(Message::read(&mut self.0)?.map(|request| request.body))
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
    fn with_unsolicited(answer: &[u8]) -> Vec<u8> {
        let unsolicited = Self::message("{\"news\":true}").repeat(UNSOLICITED as usize);
        [answer, &unsolicited].concat()
    }
}
