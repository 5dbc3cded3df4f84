//! Length-prefixed messages on a bare socket.

use crate::server_fault::UNSOLICITED;
use crate::site::Site;
use crate::wire::Wire;
use std::io::{self, Read as _};
use std::net::TcpStream;

pub(super) struct Tcp(TcpStream);

impl Tcp {
    pub fn new(stream: TcpStream) -> Tcp {
        Tcp(stream)
    }
}

impl Wire for Tcp {
    /// Four bytes that announce 1.2 GB.
    const INVALID_BYTES: &'static [u8] = b"HTTP/1.1 200 OK\r\n\r\n";
    const HUGE_LENGTH: &'static [u8] = &[0xff; 4];

    fn open(stream: TcpStream, _site: &Site) -> io::Result<Option<Tcp>> {
        Ok(Some(Tcp::new(stream)))
    }

    fn event(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut length = [0; 4];
        match self.0.read_exact(&mut length) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let mut event = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut event)?;
        Ok(Some(event))
    }

    fn socket(&mut self) -> &mut TcpStream {
        &mut self.0
    }

    fn message(text: &str) -> Vec<u8> {
        [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat()
    }

    fn with_unsolicited(answer: &[u8]) -> Vec<u8> {
        let mut bytes = Self::message("news").repeat(UNSOLICITED as usize);
        bytes.extend_from_slice(answer);
        bytes
    }
}
