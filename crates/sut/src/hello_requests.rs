//! The requests of `hello`: a challenge that a target must answer, a login whose token later requests carry. They
//! are sent once per start, when the target is ready.

use crate::http;
use crate::http::Request;
use crate::manifest::Manifest;
use crate::process::Running;
use crate::protocol_keys::HelloRequest;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use pushbench_core::error::{Error, Result};
use pushbench_core::message_pattern::Captured;
use pushbench_host::secrets;
use pushbench_wire::endpoint::{Endpoint, Scheme, percent_encoded};
use pushbench_wire::hello::{HelloStep, LIMIT, RANDOM, random};
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::response_body::shown;

/// Shorter values that are captured may be ordinary words.
const TOKEN_BYTES: usize = 12;

/// Sends the requests, and fills in what they have captured.
pub(super) fn send(manifest: &Manifest, running: &mut Running) -> Result<()> {
    if manifest.hello_requests.is_empty() {
        return Ok(());
    }
    let mut captured = vec![random()];
    for request in &manifest.hello_requests {
        let sent = exchange(request, &manifest.request_options, running, &mut captured);
        sent.map_err(|why| {
            Error::target(format!("target {}: {}: hello: {why}", manifest.name, request.origin))
        })?;
    }
    // What a login gives is as secret as what it was given.
    for (name, value) in
        captured.iter().filter(|(name, value)| name != RANDOM && value.len() >= TOKEN_BYTES)
    {
        secrets::register(name, value);
    }
    let (options, address) = running.filled_in(&captured);
    for (name, value) in &mut options.headers {
        let Ok(text) = value.to_str() else { continue };
        let filled = HeaderValue::from_str(&replaced(text, &captured, str::to_owned));
        *value = filled.map_err(|_| {
            Error::target(format!(
                "target {}: hello has captured what no header can hold: correct await, or the header {name}",
                manifest.name
            ))
        })?;
        value.set_sensitive(true);
    }
    for step in &mut options.hello {
        if let HelloStep::Send(wording) = step {
            *wording = wording.with(&captured);
        }
    }
    if let Some(wrap) = &mut options.wrap {
        *wrap = wrap.with(&captured);
    }
    address.endpoint.path = replaced(&address.endpoint.path, &captured, percent_encoded);
    Ok(())
}

/// A text with the captured values in the place of their names.
pub(super) fn replaced(
    text: &str,
    captured: &Captured,
    written: impl Fn(&str) -> String,
) -> String {
    captured.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), &written(value))
    })
}

fn exchange(
    request: &HelloRequest,
    options: &RequestOptions,
    running: &Running,
    captured: &mut Captured,
) -> std::result::Result<(), String> {
    let url = running.filled(&replaced(&request.url.written(), captured, percent_encoded));
    let endpoint = Endpoint::parse_as(Scheme::Http, &url).map_err(|why| format!("url: {why}"))?;
    let there = running.address();
    let socket = match (endpoint.host == there.endpoint.host, endpoint.port) {
        (true, port) if port == there.endpoint.port => there.socket,
        _ => {
            *endpoint.addresses().map_err(|e| e.to_string())?.first().ok_or("it has no address")?
        }
    };
    let tls = running.tls().filter(|_| endpoint.scheme.is_tls()).map(|tls| {
        // `server_name` is that of the target.
        if endpoint.host == there.endpoint.host { Ok(tls.clone()) } else { tls.to(&endpoint.host) }
    });
    let tls = tls.transpose().map_err(|e| format!("url: {e}"))?;
    let mut hidden = options.clone();
    hidden.headers.extend(request.headers.clone());
    let mut headers = HeaderMap::new();
    if request.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &request.headers {
        let text = replaced(value.to_str().unwrap_or_default(), captured, str::to_owned);
        headers.insert(name, HeaderValue::from_str(&text).map_err(|e| e.to_string())?);
    }
    let body = request.body.as_ref().map(|body| body.with(captured).written());
    let wanted = Request {
        method: request.method.clone(),
        path: &endpoint.path,
        host: &endpoint.authority,
        headers: &headers,
        body: body.as_deref().unwrap_or_default(),
    };
    let what = format!("{} {}", request.method, request.url.written());
    let (status, body) = http::exchange((socket, tls.as_ref()), &wanted, true, (LIMIT, LIMIT))
        .map_err(|e| format!("{what}: {e}; check that the target serves it"))?;
    let answered = || match shown(&body, &hidden) {
        text if text.is_empty() => format!("{what} was answered {status}"),
        text => format!("{what} was answered {status}: {text}"),
    };
    if !status.is_success() {
        return Err(format!("{}; correct url, method, headers or body", answered()));
    }
    let Some(awaited) = &request.awaited else { return Ok(()) };
    if awaited.capture(&body, captured).is_some() {
        return Ok(());
    }
    let why = awaited.difference(&body).unwrap_or_else(|| "it is another value".to_owned());
    Err(format!(
        "{}, but `{}` is awaited ({why}); correct await, or what the target answers",
        answered(),
        awaited.shown()
    ))
}
