//! Events whose sender is not the one that the target knows: it must refuse them.

use crate::verify::probe_connection::{ProbeConnection, ProbeTarget, WriteMode};
use crate::verify::{http2, tcp, webhook, websocket};
use hyper::header::{AUTHORIZATION, HeaderValue};
use pushbench_core::event::Matching;
use pushbench_core::record::findings::{Aspect, Finding, NOT_DEMANDED};
use pushbench_core::transport::Carrier;
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::signing::SigningKey;
use std::time::Duration;

/// How long an acknowledgement behind another message is waited for.
const QUIET: Duration = Duration::from_millis(50);
const WRONG: &str = "of another sender";

/// `how`: what the target checks, in words. It is tested in each way in which it can be wrong.
pub(super) fn authentication(target: &ProbeTarget<'_>, how: &str) -> Finding {
    // Without ids any answer would be taken for an acknowledgement.
    if target.matching == Matching::Order && target.carrier != Carrier::Webhook {
        return Finding::declared(Aspect::Authentication, how);
    }
    let is_taken = |options: &RequestOptions| {
        let sent = target.with(options);
        match target.carrier {
            Carrier::Webhook if sent.http2 => is_taken::<http2::Http2<'_>>(&sent),
            Carrier::Webhook => is_taken::<webhook::Webhook<'_>>(&sent),
            Carrier::Websocket => is_taken::<websocket::Websocket<'_>>(&sent),
            Carrier::Tcp => is_taken::<tcp::Tcp<'_>>(&sent),
        }
    };
    let taken =
        |(what, options): (&str, RequestOptions)| is_taken(&options).then(|| what.to_owned());
    let taken: Vec<String> =
        forgeries(target.request_options).into_iter().filter_map(taken).collect();
    match taken.is_empty() {
        // A target that takes nothing any more has not refused a sender.
        true if !is_taken(target.request_options) => Finding::declared(Aspect::Authentication, how),
        true => Finding::tested(Aspect::Authentication, how),
        false => Finding::tested(Aspect::Authentication, NOT_DEMANDED)
            .with(format!("it acknowledged an event with {}", taken.join(", with "))),
    }
}

/// What is wrong, and requests in which it is.
fn forgeries(genuine: &RequestOptions) -> Vec<(&'static str, RequestOptions)> {
    let mut found = Vec::new();
    if genuine.headers.contains_key(AUTHORIZATION) {
        let mut missing = genuine.clone();
        missing.headers.remove(AUTHORIZATION);
        found.push(("no token", missing));
        let mut wrong = genuine.clone();
        wrong.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer of another sender"));
        found.push(("a wrong token", wrong));
    }
    if let Some(key) = &genuine.signing {
        let signed_by = |signing| RequestOptions { signing, ..genuine.clone() };
        found.push(("no signature", RequestOptions { wrap: None, ..signed_by(None) }));
        found.push(("a wrong signature", signed_by(SigningKey::parse(WRONG).ok())));
        found.push(("a stale signature", signed_by(Some(key.stale()))));
    }
    found
}

fn is_taken<'a, T: ProbeConnection<'a>>(forged: &ProbeTarget<'a>) -> bool {
    let Ok(mut connection) = T::open(forged) else { return false };
    let (index, event) = forged.event();
    let mut time_limit = forged.time_limit();
    if connection.send(&event, WriteMode::Whole).is_err() {
        return false;
    }
    while let Ok(answer) = connection.answer(time_limit) {
        if forged.acknowledges(&answer, index) {
            return true;
        }
        if !T::PIPELINED {
            break;
        }
        time_limit = QUIET;
    }
    false
}
