//! The opening handshake: the request, and what is wrong when it fails.

use crate::transport::came_back::{self, Response};
use crate::transport::dial::Address;
use crate::transport::fault::Fault;
use crate::transport::terms::Terms;
use hyper::Request;
use hyper::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::{ProtocolError, SubProtocolError};

/// The request with the target's headers and subprotocol.
pub fn request(address: &Address, terms: &Terms) -> Result<Request<()>, Fault> {
    let url = format!("ws://{}{}", address.authority, address.path);
    let mut request = url.into_client_request().map_err(Fault::refused)?;
    let headers = request.headers_mut();
    for (name, value) in &terms.headers {
        headers.insert(name, value.clone());
    }
    if let Some(subprotocol) = &terms.subprotocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol.clone());
    }
    Ok(request)
}

/// Why there is no WebSocket; `heard` is what came back.
pub fn fault(error: &WsError, heard: &[u8], terms: &Terms) -> Fault {
    match error {
        WsError::Http(response) => {
            let (status, headers) = (response.status(), response.headers());
            let body = response.body().as_deref().unwrap_or_default();
            let response = Response { status, headers, body };
            Fault::Refused(came_back::to_handshake(&response, terms))
        }
        WsError::Protocol(ProtocolError::SecWebSocketSubProtocolError(why)) => {
            Fault::Refused(about_subprotocol(*why, heard, terms))
        }
        WsError::Protocol(ProtocolError::HandshakeIncomplete) => {
            let came = came_back::instead(heard, terms);
            Fault::Refused(format!("the target closed it instead of shaking hands{came}"))
        }
        other => Fault::Refused(format!("{other}{}", came_back::instead(heard, terms))),
    }
}

fn about_subprotocol(why: SubProtocolError, heard: &[u8], terms: &Terms) -> String {
    let asked = terms.subprotocol.as_ref().and_then(|s| s.to_str().ok()).unwrap_or_default();
    let chosen = chosen(heard);
    match why {
        SubProtocolError::NoSubProtocol => format!(
            "the handshake came back without a subprotocol, {asked} was asked for: leave subprotocol \
             out, or check its spelling"
        ),
        SubProtocolError::InvalidSubProtocol => format!(
            "the handshake came back with the subprotocol {chosen}, {asked} was asked for: write \
             subprotocol = \"{chosen}\""
        ),
        SubProtocolError::ServerSentSubProtocolNoneRequested => format!(
            "the handshake came back with the subprotocol {chosen}, none was asked for: add \
             subprotocol = \"{chosen}\""
        ),
    }
}

/// The subprotocol in the head of a response.
fn chosen(heard: &[u8]) -> String {
    let head = String::from_utf8_lossy(heard);
    let value = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case(SEC_WEBSOCKET_PROTOCOL.as_str()).then_some(value)
    });
    came_back::shown(value.unwrap_or_default().as_bytes(), &Terms::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_subprotocol_is_read_from_the_head() {
        let head = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: v2.events\r\n\r\n";
        assert_eq!(chosen(head), "v2.events");
        let why = SubProtocolError::ServerSentSubProtocolNoneRequested;
        let said = about_subprotocol(why, head, &Terms::default());
        assert!(said.contains("add subprotocol = \"v2.events\""), "{said}");
    }
}
