//! WebSocket: tungstenite shakes hands and reads, answers are written as bytes.

use crate::server_fault::{ServerFault, UNSOLICITED};
use crate::site::Site;
use crate::wire::Wire;
use std::io;
use std::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::server::{
    Callback, ErrorResponse, Request, Response,
};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, accept_hdr};

pub(super) struct Websocket(WebSocket<TcpStream>);

impl Websocket {
    /// After a handshake that was performed elsewhere; `read` arrived with it.
    pub fn shaken(stream: TcpStream, read: Vec<u8>) -> Websocket {
        Websocket(WebSocket::from_partially_read(stream, read, Role::Server, None))
    }
}

impl Wire for Websocket {
    /// Reserved bits, reserved opcode.
    const INVALID_BYTES: &'static [u8] = &[0xff; 32];
    /// A text frame of 2^62 bytes.
    const HUGE_LENGTH: &'static [u8] = &[0x81, 127, 0x40, 0, 0, 0, 0, 0, 0, 0];

    fn open(mut stream: TcpStream, site: &Site) -> io::Result<Option<Websocket>> {
        if stream.peek(&mut [0])? == 0 {
            return Ok(None); // it only asked whether anybody is here
        }
        let failed_handshakes = site.tally(|t| {
            let failed_handshakes = site.fault.fails_handshake(t.handshakes);
            t.handshakes += 1;
            t.failed_handshakes += u64::from(failed_handshakes);
            failed_handshakes
        });
        if failed_handshakes && site.fault == ServerFault::Stall {
            io::copy(&mut stream, &mut io::sink())?;
            return Ok(None);
        }
        Ok(accept_hdr(stream, HandshakeCallback { open: !failed_handshakes }).ok().map(Websocket))
    }

    fn event(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Ok(Some(text.as_bytes().to_vec())),
                Ok(Message::Binary(bytes)) => return Ok(Some(bytes.to_vec())),
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed) => return Ok(None),
                Ok(_pong) => {}
                Err(e) => return Err(io::Error::other(e)),
            }
        }
    }

    fn socket(&mut self) -> &mut TcpStream {
        self.0.get_mut()
    }

    fn message(text: &str) -> Vec<u8> {
        bytes(Frame::message(text.to_owned(), OpCode::Data(Data::Text), true))
    }

    fn last(text: &str) -> Vec<u8> {
        [Self::message(text), bytes(Frame::close(None))].concat()
    }

    fn with_unsolicited(answer: &[u8]) -> Vec<u8> {
        let ping = bytes(Frame::ping("anybody there?"));
        let unsolicited = [ping, Self::message("news")].concat().repeat(UNSOLICITED as usize);
        [&unsolicited, answer].concat()
    }
}

fn bytes(frame: Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.format(&mut bytes).expect("a vector takes every byte");
    bytes
}

/// Shakes hands, or turns the handshake down.
struct HandshakeCallback {
    open: bool,
}

impl Callback for HandshakeCallback {
    fn on_request(self, _: &Request, response: Response) -> Result<Response, ErrorResponse> {
        if self.open {
            return Ok(response);
        }
        let mut response = ErrorResponse::new(Some("not now".to_owned()));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        Err(response)
    }
}
