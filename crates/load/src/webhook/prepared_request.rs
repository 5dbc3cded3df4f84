//! The request that carries an event: its head is prepared once per connection.

use crate::connections::ConnectConfig;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use pushbench_core::event::Template;
use pushbench_wire::fault::Fault;
use pushbench_wire::signing::{HEADERS, SigningKey};

/// The head of every request of a connection.
pub(super) struct PreparedRequest {
    head: Box<[u8]>,
    /// The head ends with the fields of a signature.
    signing: Option<SigningKey>,
}

impl PreparedRequest {
    pub fn new(connect_config: &ConnectConfig) -> Result<PreparedRequest, Fault> {
        let target = &connect_config.address.endpoint.path;
        let mut head =
            format!("{} {target} HTTP/1.1\r\n", connect_config.request_options.method).into_bytes();
        for (name, value) in &headers(connect_config)? {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        let signing = connect_config.request_options.signing.clone();
        match signing {
            Some(_) => head.extend_from_slice(HEADERS.text().as_bytes()),
            None => head.extend_from_slice(b"\r\n"),
        }
        Ok(PreparedRequest { head: head.into(), signing })
    }

    /// Appends the request that carries an event.
    pub fn append(&self, template: &Template, index: u64, out: &mut Vec<u8>) {
        out.reserve(self.head.len() + template.len());
        out.extend_from_slice(&self.head);
        template.append(index, out);
        if let Some(key) = &self.signing {
            let begin = out.len() - template.len() - HEADERS.length();
            key.sign(&HEADERS, index, &mut out[begin..]);
        }
    }
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
    headers.insert(CONTENT_LENGTH, HeaderValue::from(connect_config.template.len()));
    Ok(headers)
}
