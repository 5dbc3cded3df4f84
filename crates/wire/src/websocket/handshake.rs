//! The opening handshake of every client: the request, the requirements of its response (RFC 6455, section 4.1), and
//! what is wrong when it fails.

use crate::endpoint::Endpoint;
use crate::fault::Fault;
use crate::request_options::RequestOptions;
use crate::response_body::shown;
use crate::response_diagnostics;
use crate::response_diagnostics::Response;
use crate::webhook::response::{Answer, ResponseParser, headers};
use crate::websocket::deflate::Agreed;
use crate::websocket::negotiation;
use hyper::StatusCode;
use hyper::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use pushbench_core::scenario::Compression;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::generate_request;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Room for an answer with the usual headers.
const ANSWER_BYTES: usize = 1024;

/// A request from here on may be longer than a target takes.
const LARGE_HEAD: usize = 4096;

/// A handshake's request.
pub struct Request {
    /// As it is written.
    pub bytes: Vec<u8>,
    /// What `Sec-WebSocket-Accept` must say.
    pub accept: String,
    /// The subprotocols that were requested.
    subprotocols: Option<String>,
    /// The compression that was offered.
    compression: Option<Compression>,
}

/// Why `101 Switching Protocols` opens no WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub struct HandshakeError {
    /// What is wrong with it.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// The request with the target's headers and subprotocol.
pub fn request(endpoint: &Endpoint, request_options: &RequestOptions) -> Result<Request, Fault> {
    let url = format!("ws://{}{}", endpoint.authority, endpoint.path);
    let mut request = url.into_client_request().map_err(Fault::refused)?;
    let headers = request.headers_mut();
    for (name, value) in &request_options.headers {
        headers.insert(name, value.clone());
    }
    if let Some(subprotocol) = &request_options.subprotocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol.clone());
    }
    let compression = request_options.compression;
    if let Some(settings) = &compression {
        let offer = HeaderValue::try_from(negotiation::offer(settings)).map_err(Fault::refused)?;
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, offer);
    }
    let (bytes, key) = generate_request(request).map_err(Fault::refused)?;
    let subprotocols =
        request_options.subprotocol.as_ref().and_then(|s| s.to_str().ok()).map(str::to_owned);
    Ok(Request { bytes, accept: derive_accept_key(key.as_bytes()), subprotocols, compression })
}

/// Shakes hands over an open connection; gives what the peer has sent behind its answer, and the compression that
/// was agreed on.
pub async fn shake<S>(
    io: &mut S,
    request: &Request,
    request_options: &RequestOptions,
) -> Result<(Vec<u8>, Option<Agreed>), Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut parser = ResponseParser::default();
    let mut received = Vec::with_capacity(ANSWER_BYTES);
    // A peer that has closed may have sent the reason before.
    let written = async {
        io.write_all(&request.bytes).await?;
        io.flush().await
    };
    let written = written.await;
    loop {
        let read = io.read_buf(&mut received).await;
        let refused_with = |why: &str| {
            Fault::Refused(format!(
                "{why}{}",
                response_diagnostics::instead(&received, request_options)
            ))
        };
        match parser.begun(&received) {
            Ok(Some(answer)) => {
                let agreed = request.check_answer(&answer, request_options)?;
                let used = answer.used;
                return Ok((received.split_off(used), agreed));
            }
            Err(error) => return Err(refused_with(&error.to_string())),
            Ok(None) => {}
        }
        match written.as_ref().err().or(read.as_ref().err()) {
            Some(e) => return Err(refused_with(&e.to_string())),
            None if matches!(read, Ok(0)) => {
                let why = "the target closed the connection instead of completing the handshake";
                return Err(refused_with(&match request.bytes.len() {
                    0..LARGE_HEAD => why.to_owned(),
                    bytes => format!(
                        "{why}, whose request has {bytes} bytes: shorten headers, or lower payload.headers_bytes of the scenario"
                    ),
                }));
            }
            None => {}
        }
    }
}

impl Request {
    fn check_answer(
        &self,
        answer: &Answer<'_>,
        request_options: &RequestOptions,
    ) -> Result<Option<Agreed>, Fault> {
        let headers = headers(answer.head);
        if answer.status != StatusCode::SWITCHING_PROTOCOLS {
            let response = Response { status: answer.status, headers: &headers, body: answer.body };
            return Err(Fault::Refused(response_diagnostics::to_handshake(
                &response,
                request_options,
            )));
        }
        let old = answer.head.trim_ascii_start().starts_with(b"HTTP/1.0");
        self.check(old, &headers)
            .map_err(|HandshakeError { what, remedy }| Fault::Refused(format!("{what}: {remedy}")))
    }

    /// Whether a 101 with these headers opens a WebSocket, and the compression of its messages; `old`: by HTTP/1.0.
    pub fn check(&self, old: bool, headers: &HeaderMap) -> Result<Option<Agreed>, HandshakeError> {
        let send = |remedy: &str| format!("the target must send {remedy} (RFC 6455, 4.2.2)");
        if old {
            return handshake_error(
                "the response 101 uses HTTP/1.0".to_owned(),
                send("101 by HTTP/1.1"),
            );
        }
        if !all(headers, &UPGRADE).eq_ignore_ascii_case("websocket") {
            return handshake_error(header_problem(headers, UPGRADE), send("Upgrade: websocket"));
        }
        if !words(&all(headers, &CONNECTION)).any(|word| word.eq_ignore_ascii_case("upgrade")) {
            return handshake_error(
                header_problem(headers, CONNECTION),
                send("Connection: Upgrade"),
            );
        }
        if all(headers, &SEC_WEBSOCKET_ACCEPT) != self.accept {
            let remedy = send("the value derived from the Sec-WebSocket-Key of the same request");
            return handshake_error(header_problem(headers, SEC_WEBSOCKET_ACCEPT), remedy);
        }
        let agreed = self.check_extensions(headers)?;
        self.check_subprotocol(headers).map(|()| agreed)
    }

    fn check_extensions(&self, headers: &HeaderMap) -> Result<Option<Agreed>, HandshakeError> {
        let named = all(headers, &SEC_WEBSOCKET_EXTENSIONS);
        let names_none = words(&named).all(str::is_empty);
        let Some(settings) = &self.compression else {
            return match names_none {
                true => Ok(None),
                false => handshake_error(
                    header_problem(headers, SEC_WEBSOCKET_EXTENSIONS),
                    "the target must send no extension that was not requested (RFC 6455, 4.2.2)"
                        .to_owned(),
                ),
            };
        };
        if names_none {
            return handshake_error(
                "the target does not agree on permessage-deflate".to_owned(),
                "switch it on in the server, or write the arm without +compressed".to_owned(),
            );
        }
        negotiation::agreed(&named, settings).map(Some).or_else(|why| {
            handshake_error(
                format!("{}, but {why}", header_problem(headers, SEC_WEBSOCKET_EXTENSIONS)),
                format!(
                    "the target must answer the offer `{}` (RFC 7692, 7.1)",
                    negotiation::offer(settings)
                ),
            )
        })
    }

    fn check_subprotocol(&self, headers: &HeaderMap) -> Result<(), HandshakeError> {
        let chosen = headers.get(SEC_WEBSOCKET_PROTOCOL).map(|v| plain(v.as_bytes()));
        match (&self.subprotocols, chosen) {
            (None, None) => Ok(()),
            (Some(requested), Some(chosen)) if words(requested).any(|word| word == chosen) => {
                Ok(())
            }
            (Some(requested), None) => handshake_error(
                format!(
                    "the response to the handshake has no subprotocol, but {requested} was requested"
                ),
                "leave subprotocol out, or check its spelling".to_owned(),
            ),
            (Some(requested), Some(chosen)) => handshake_error(
                format!(
                    "the response to the handshake has the subprotocol {chosen}, but {requested} was requested"
                ),
                format!("write subprotocol = \"{chosen}\""),
            ),
            (None, Some(chosen)) => handshake_error(
                format!(
                    "the response to the handshake has the subprotocol {chosen}, but none was requested"
                ),
                format!("add subprotocol = \"{chosen}\""),
            ),
        }
    }
}

/// The server's part in the negotiation of compression: adds to the headers of its answer what it accepts of the
/// client's offers.
pub fn accept_compression(request: &HeaderMap, answer: &mut HeaderMap) -> Option<Agreed> {
    let (agreed, accepted) = negotiation::accept(&all(request, &SEC_WEBSOCKET_EXTENSIONS))?;
    answer.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::try_from(accepted).ok()?);
    Some(agreed)
}

fn handshake_error<T>(what: String, remedy: String) -> Result<T, HandshakeError> {
    Err(HandshakeError { what, remedy })
}

/// Describes a header with a wrong value.
fn header_problem(headers: &HeaderMap, name: HeaderName) -> String {
    match headers.contains_key(&name) {
        true => {
            let value = plain(all(headers, &name).as_bytes());
            format!("the response to the handshake has `{name}: {value}`")
        }
        false => format!("the response to the handshake has no {name}"),
    }
}

/// The lines of a header as one list.
fn all(headers: &HeaderMap, name: &HeaderName) -> String {
    let lines = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()));
    lines.collect::<Vec<_>>().join(", ")
}

/// For a person.
fn plain(value: &[u8]) -> String {
    shown(value, &RequestOptions::default())
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}
