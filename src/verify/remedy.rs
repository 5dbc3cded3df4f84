//! From what came back to what a person does next.

use crate::verify::answer::Answer;
use crate::verify::known_events::Unacknowledged;
use crate::verify::no_answer::NoAnswer;
use crate::verify::probe_connection::{ProbeConnection as _, ProbeTarget};
use crate::verify::tcp::Tcp;
use crate::verify::websocket::Websocket;
use hyper::StatusCode;
use pushbench_core::event::Matching;
use pushbench_core::transport::Carrier;
use pushbench_wire::endpoint::{Endpoint, Scheme};
use pushbench_wire::response_diagnostics;
use pushbench_wire::response_diagnostics::Response;
use std::time::Duration;

/// How long a target is listened to before it is sent anything.
const GREETING: Duration = Duration::from_millis(500);

/// What to do about an arm that acknowledges nothing.
pub(super) fn remedy(target: &ProbeTarget<'_>, unacknowledged: &Unacknowledged) -> String {
    match unacknowledged {
        Unacknowledged::Answer(answer) => of_answer(target, answer),
        Unacknowledged::NoAnswer(NoAnswer::Http(answer)) => of_http(target, answer),
        Unacknowledged::NoAnswer(failure) => of_failure(target, failure),
    }
}

fn of_answer(target: &ProbeTarget<'_>, answer: &Answer) -> String {
    if let Some((code, _)) = &answer.status
        && answer.refuses()
    {
        return of_status(target, *code, answer);
    }
    if target.matching == Matching::Id {
        return match target.named(&answer.body) {
            None => about_id(target, answer),
            Some(_) => {
                "its answers contain other ids than the events: return the event's `id`".into()
            }
        };
    }
    of_greeting(target).unwrap_or_else(|| manual_command(target))
}

/// Perhaps the id of one of the events is elsewhere in the answer.
fn about_id(target: &ProbeTarget<'_>, answer: &Answer) -> String {
    let index = target.index_within(&answer.body);
    if index.is_none()
        && let Some(remedy) = of_greeting(target)
    {
        return remedy;
    }
    let code = answer.status.as_ref().map_or(200, |(code, _)| *code);
    let status = StatusCode::from_u16(code).unwrap_or_default();
    let response = Response { status, headers: &answer.headers, body: &answer.body };
    response_diagnostics::about_id(&response, target.request_options, index.unwrap_or_default())
}

/// What to do about a target that sends messages before it was sent any.
fn of_greeting(target: &ProbeTarget<'_>) -> Option<String> {
    let greeting = match target.carrier {
        Carrier::Webhook => return None,
        Carrier::Websocket => Websocket::open(target).ok()?.answer(GREETING).ok()?,
        Carrier::Tcp => Tcp::open(target).ok()?.answer(GREETING).ok()?,
    };
    Some(match response_diagnostics::greeting_protocol(&greeting.body) {
        Some(protocol) => format!(
            "it sends the greeting of {protocol} or a similar one, which has its own message format: describe it with hello, \
             wrap and answer (docs/protocols.md)"
        ),
        None => {
            let text = greeting.text();
            // What varies from one connection to the next is no part of a pattern.
            let pattern = match serde_json::from_slice::<serde_json::Value>(&greeting.body) {
                Ok(serde_json::Value::Object(_)) => "{}",
                _ if text.len() <= 40 && !text.contains(['\'', '…', '{']) => &text,
                _ => "{any}",
            };
            format!(
                "it sends `{text}` before any event, which counts as an answer when matched by order: write \
                 hello = [{{ await = '{pattern}' }}] (docs/protocols.md)"
            )
        }
    })
}

fn of_status(target: &ProbeTarget<'_>, code: u16, answer: &Answer) -> String {
    let Ok(status) = StatusCode::from_u16(code) else { return manual_command(target) };
    let response = Response { status, headers: &answer.headers, body: &answer.body };
    match code {
        426 => is_websocket(target),
        404 => {
            format!(
                "no service accepts events at {}: correct the path in url",
                target.address.endpoint
            )
        }
        _ => match response_diagnostics::event_remedy(&response, target.request_options, 0) {
            remedy
                if target.request_options.compression.is_some()
                    && matches!(code, 400 | 415 | 422 | 500) =>
            {
                let compressed = "it may not decompress the bodies of requests, as few servers do: decode \
                                  Content-Encoding: gzip in its code, or write the arm without +compressed";
                match remedy.is_empty() {
                    true => compressed.to_owned(),
                    false => format!("{compressed}; or {remedy}"),
                }
            }
            remedy if remedy.is_empty() => manual_command(target),
            remedy => remedy,
        },
    }
}

/// An HTTP answer where WebSocket or tcp was expected.
fn of_http(target: &ProbeTarget<'_>, answer: &Answer) -> String {
    let code = answer.status.as_ref().map_or(0, |(code, _)| *code);
    let Ok(status) = StatusCode::from_u16(code) else { return manual_command(target) };
    let response = Response { status, headers: &answer.headers, body: &answer.body };
    let http = "describe it as [target.NAME.webhook] with an http:// url";
    let listens_elsewhere = match (target.carrier, code) {
        (Carrier::Websocket, 404) => {
            format!(
                "there is no WebSocket at {}: correct the path in url, or {http}",
                target.address.endpoint
            )
        }
        (Carrier::Websocket, _) => format!(
            "{} does not complete a WebSocket handshake: correct its path, or {http}",
            target.address.endpoint
        ),
        _ if !response_diagnostics::wants_tls(&answer.body) => {
            return format!("{} speaks HTTP: {http}", target.address.endpoint);
        }
        _ => String::new(),
    };
    match response_diagnostics::handshake_remedy(
        &response,
        target.request_options,
        &listens_elsewhere,
    ) {
        remedy if remedy.is_empty() => manual_command(target),
        remedy => remedy,
    }
}

fn of_failure(target: &ProbeTarget<'_>, failure: &NoAnswer) -> String {
    match failure {
        NoAnswer::Tls => tls(),
        // It says what to do.
        NoAnswer::Greeting(_) => "docs/protocols.md describes hello".to_owned(),
        NoAnswer::TimedOut if target.not_an_answer().is_some() => format!(
            "{}; correct answer, or what the target answers",
            target.not_an_answer().unwrap_or_default()
        ),
        NoAnswer::Unreadable(_, remedy) => remedy.clone(),
        NoAnswer::Refused(_) => {
            "check that it listens on the host and port of url, {port} in its command".to_owned()
        }
        NoAnswer::OtherProtocol(_) => {
            format!("check that {} is served by {}", target.address.endpoint, target.carrier.name())
        }
        NoAnswer::Closed(_) | NoAnswer::Reset if target.carrier == Carrier::Webhook => {
            match Websocket::open(target) {
                Ok(_) => is_websocket(target),
                Err(_) => format!("it may not be an HTTP server; {}", manual_command(target)),
            }
        }
        NoAnswer::Closed(Some(close_reason)) => close_remedy(target, close_reason),
        _ => of_greeting(target).unwrap_or_else(|| manual_command(target)),
    }
}

/// A WebSocket was closed with these words.
fn close_remedy(target: &ProbeTarget<'_>, close_reason: &str) -> String {
    let code = close_reason.strip_prefix("code ").and_then(|rest| rest.split(':').next());
    match code {
        Some("1003") => "it does not accept text messages: make it accept them".to_owned(),
        Some("1008") => {
            "it refuses the connection by its policy: write what it requires in headers, such as headers = { \
                         Authorization = \"Bearer …\" }"
                .to_owned()
        }
        Some("1009") => {
            "the event is too large for it: send a smaller one (payload.bytes of the scenario)"
                .to_owned()
        }
        Some("1011") => format!("it failed: its log may show the cause; {}", manual_command(target)),
        _ => of_greeting(target).unwrap_or_else(|| manual_command(target)),
    }
}

fn is_websocket(target: &ProbeTarget<'_>) -> String {
    let url = Endpoint { scheme: Scheme::Ws, ..target.address.endpoint.clone() };
    format!("it is a WebSocket: describe it as [target.NAME.websocket] with url = \"{url}\"")
}

fn tls() -> String {
    response_diagnostics::TLS.to_owned()
}

/// The same event, sent without pushbench.
fn manual_command(target: &ProbeTarget<'_>) -> String {
    let event = r#"{"id":"0000000000000000","type":"event","data":{}}"#;
    let url = target.address.endpoint.to_string().replace('\'', "%27");
    match target.carrier {
        Carrier::Webhook => format!(
            "try it manually: curl -i -H 'Content-Type: application/json' -d '{event}' '{url}'"
        ),
        Carrier::Websocket => {
            format!("try it manually: python3 -m websockets '{url}', then type {event}")
        }
        Carrier::Tcp => "each event and each answer is preceded by four bytes of \
                           length (big endian)"
            .to_owned(),
    }
}
