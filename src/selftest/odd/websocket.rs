//! WebSocket: tungstenite shakes hands and reads, answers are written as bytes.

use super::deed::UNASKED;
use super::site::Site;
use super::wire::Wire;
use std::io;
use std::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::server::{
    Callback, ErrorResponse, Request, Response,
};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, accept_hdr};

pub(super) struct Websocket(WebSocket<TcpStream>);

impl Wire for Websocket {
    /// Reserved bits, reserved opcode.
    const NONSENSE: &'static [u8] = &[0xff; 32];
    /// A text frame of 2^62 bytes.
    const ABSURD: &'static [u8] = &[0x81, 127, 0x40, 0, 0, 0, 0, 0, 0, 0];

    fn open(stream: TcpStream, site: &Site) -> io::Result<Option<Websocket>> {
        Ok(accept_hdr(stream, Door(site)).ok().map(Websocket))
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

    fn with_unasked(answer: &[u8]) -> Vec<u8> {
        let ping = bytes(Frame::ping("anybody there?"));
        let unasked = [ping, Self::message("news")].concat().repeat(UNASKED as usize);
        [&unasked, answer].concat()
    }
}

fn bytes(frame: Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.format(&mut bytes).expect("a vector takes every byte");
    bytes
}

/// Where handshakes are counted and some turned down.
struct Door<'a>(&'a Site);

impl Callback for Door<'_> {
    fn on_request(self, _: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let refused = self.0.tally(|t| {
            let refused = self.0.deed.turns_down(t.handshakes);
            t.handshakes += 1;
            t.turned_down += u64::from(refused);
            refused
        });
        if !refused {
            return Ok(response);
        }
        let mut response = ErrorResponse::new(Some("not now".to_owned()));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        Err(response)
    }
}
