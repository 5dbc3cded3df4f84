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
    OfAnyLength(Box<BodyOfAnyLength>),
}

struct BodyOfAnyLength {
    gzip: Option<Gzip>,
    signing: Option<SigningKey>,
    /// What stands between the length and the body.
    preamble: Vec<u8>,
    /// The same and the body as it is signed.
    plain: Vec<u8>,
}

impl PreparedRequest {
    pub fn new(connect_config: &ConnectConfig) -> Result<PreparedRequest, Fault> {
        let ConnectConfig { address, request_options, template, .. } = connect_config;
        let target = address.request_target(&address.endpoint.path);
        let mut head = format!("{} {target} HTTP/1.1\r\n", request_options.method).into_bytes();
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
        let compressed = is_compressed(connect_config);
        if compressed {
            append(&CONTENT_ENCODING, &HeaderValue::from_static(GZIP));
        }
        if compressed || connect_config.spec.has(ArmOption::Batch) {
            let (preamble, plain) = (preamble.into_bytes(), Vec::new());
            let gzip = compressed.then(Gzip::default);
            let body = BodyOfAnyLength { gzip, signing, preamble, plain };
            return Ok(PreparedRequest { head: head.into(), body: Body::OfAnyLength(body.into()) });
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
            Body::OfAnyLength(body) => body.replace(begin, index, out),
        }
    }

    /// Appends the request that carries these events as an array, signed under the id of the first.
    pub fn append_batch(
        &mut self,
        template: &Template,
        (first, others): (u64, impl Iterator<Item = u64>),
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(&self.head);
        let begin = out.len();
        out.push(b'[');
        template.append(first, out);
        for index in others {
            out.push(b',');
            template.append(index, out);
        }
        out.push(b']');
        if let Body::OfAnyLength(body) = &mut self.body {
            body.replace(begin, first, out);
        }
    }
}

impl BodyOfAnyLength {
    /// Puts the length, the preamble and the body, compressed or not, in the place of the body.
    #[inline(never)]
    fn replace(&mut self, begin: usize, index: u64, out: &mut Vec<u8>) {
        let BodyOfAnyLength { gzip, signing, preamble, plain } = self;
        plain.clear();
        plain.extend_from_slice(preamble);
        plain.extend_from_slice(&out[begin..]);
        out.truncate(begin);
        if let Some(key) = signing {
            key.sign(&HEADERS, index, plain);
        }
        let (preamble, body) = plain.split_at(preamble.len());
        let body = gzip.as_mut().map_or(body, |gzip| gzip.encode(body));
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
