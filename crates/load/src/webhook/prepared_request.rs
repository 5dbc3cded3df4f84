//! The request that carries an event: its head is prepared once per connection.

use crate::connections::ConnectConfig;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    USER_AGENT,
};
use pushbench_core::arm::ArmOption;
use pushbench_core::event::Template;
use pushbench_core::transport::Transport;
use pushbench_wire::fault::Fault;
use pushbench_wire::signing::{HEADERS, SigningKey};
use pushbench_wire::webhook::gzip::{GZIP, Gzip};
use std::io::Write as _;

/// The head of every request of a connection, and what is done to its body.
pub(super) struct PreparedRequest {
    head: Box<[u8]>,
    body: Body,
}

enum Body {
    /// As it is.
    Plain,
    /// The head ends with the fields of a signature.
    Signed(SigningKey),
    /// The head ends where its length follows.
    Compressed(Box<CompressedBody>),
}

struct CompressedBody {
    gzip: Gzip,
    signing: Option<SigningKey>,
    /// What stands between the length and the body.
    preamble: Vec<u8>,
    /// The same and the body before it is compressed.
    plain: Vec<u8>,
}

impl PreparedRequest {
    pub fn new(connect_config: &ConnectConfig) -> Result<PreparedRequest, Fault> {
        let ConnectConfig { address, request_options, template, .. } = connect_config;
        let mut head = format!("{} {} HTTP/1.1\r\n", request_options.method, address.endpoint.path)
            .into_bytes();
        let mut append = |name: &HeaderName, value: &HeaderValue| {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                head.extend_from_slice(part);
            }
        };
        headers(connect_config)?.iter().for_each(|(name, value)| append(name, value));
        let signing = request_options.signing.clone();
        let preamble = match signing {
            Some(_) => HEADERS.text(),
            None => "\r\n".to_owned(),
        };
        if is_compressed(connect_config) {
            append(&CONTENT_ENCODING, &HeaderValue::from_static(GZIP));
            let (preamble, plain) = (preamble.into_bytes(), Vec::new());
            let body = CompressedBody { gzip: Gzip::default(), signing, preamble, plain };
            return Ok(PreparedRequest { head: head.into(), body: Body::Compressed(body.into()) });
        }
        append(&CONTENT_LENGTH, &HeaderValue::from(template.len()));
        head.extend_from_slice(preamble.as_bytes());
        let body = signing.map_or(Body::Plain, Body::Signed);
        Ok(PreparedRequest { head: head.into(), body })
    }

    /// Appends the request that carries an event.
    pub fn append(&mut self, template: &Template, index: u64, out: &mut Vec<u8>) {
        out.reserve(self.head.len() + template.len());
        out.extend_from_slice(&self.head);
        template.append(index, out);
        let begin = out.len() - template.len();
        match &mut self.body {
            Body::Plain => {}
            Body::Signed(key) => key.sign(&HEADERS, index, &mut out[begin - HEADERS.length()..]),
            Body::Compressed(body) => body.replace(begin, index, out),
        }
    }
}

impl CompressedBody {
    /// Puts the length, the preamble and the compressed event in the place of the event.
    #[inline(never)]
    fn replace(&mut self, begin: usize, index: u64, out: &mut Vec<u8>) {
        let CompressedBody { gzip, signing, preamble, plain } = self;
        plain.clear();
        plain.extend_from_slice(preamble);
        plain.extend(out.drain(begin..));
        if let Some(key) = signing {
            key.sign(&HEADERS, index, plain);
        }
        let (preamble, event) = plain.split_at(preamble.len());
        let body = gzip.encode(event);
        let _never_fails = write!(out, "{CONTENT_LENGTH}: {}\r\n", body.len());
        out.extend_from_slice(preamble);
        out.extend_from_slice(body);
    }
}

/// Bodies are compressed. The event that a publisher is sent is not, its delivery is.
pub(super) fn is_compressed(connect_config: &ConnectConfig) -> bool {
    let spec = &connect_config.spec;
    spec.transport == Transport::Webhook && spec.has(ArmOption::Compressed)
}

/// The headers of every request of a connection.
pub(super) fn headers(connect_config: &ConnectConfig) -> Result<HeaderMap, Fault> {
    let host = HeaderValue::from_str(&connect_config.address.endpoint.authority)
        .map_err(Fault::refused)?;
    let mut headers = HeaderMap::new();
    headers.insert(HOST, host);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("pushbench"));
    for (name, value) in &connect_config.request_options.headers {
        headers.insert(name, value.clone());
    }
    Ok(headers)
}
