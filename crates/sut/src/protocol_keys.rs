//! The keys of a description for what a target speaks above its transport: `hello`, `heartbeat`, `wrap`,
//! `answer`, `delivery`.

use crate::manifest::PORT;
use crate::request_keys;
use crate::secret_text;
use crate::values;
use crate::values::message;
use hyper::Method;
use hyper::header::HeaderMap;
use pushbench_core::error::Result;
use pushbench_core::message_pattern::MessagePattern;
use pushbench_core::origin::{Origin, kind};
use pushbench_core::suggest::did_you_mean;
use pushbench_core::transport::Carrier;
use pushbench_core::wording::{EVENT, EVENT_TEXT, ID, Wording};
use pushbench_wire::hello::{Heartbeat, HelloStep, RANDOM};
use toml::de::{DeTable, DeValue};

/// The keys of a message, and those of a request.
const STEP_KEYS: [&str; 6] = ["send", "await", "url", "method", "headers", "body"];
/// Not with the text, in which there is a secret.
const NO_MESSAGE: &str =
    "with the values of its variables it is not JSON: write ${NAME} within a string";
const HEARTBEAT_KEYS: [&str; 3] = ["await", "send", "every"];

/// A request before the first event.
#[derive(Debug, Clone)]
pub struct HelloRequest {
    /// Where it goes, `{port}` not yet filled in.
    pub url: Wording,
    /// Where that was written.
    pub origin: Origin,
    /// POST where nothing else is written.
    pub method: Method,
    /// Its headers; those of the description are not sent.
    pub headers: HeaderMap,
    /// Its body, which may be none.
    pub body: Option<Wording>,
    /// What the body of its 2xx response must look like.
    pub awaited: Option<MessagePattern>,
}

impl HelloRequest {
    /// Its address with something in the place of what is captured, to be checked.
    pub(super) fn checked_url(&self) -> String {
        self.url.filled(|place| match place {
            "port" => PORT.to_owned(),
            _ => "x".to_owned(),
        })
    }
}

/// What stands in `hello`.
#[derive(Debug, Clone, Default)]
pub(super) struct HelloKeys {
    /// Once per start of the target.
    pub requests: Vec<HelloRequest>,
    /// On each WebSocket.
    pub messages: Vec<HelloStep>,
    /// What both have captured.
    pub names: Vec<String>,
}

/// Why such a key does not apply to this transport.
pub(super) fn unusable_key(key: &str, carrier: Option<Carrier>) -> Option<&'static str> {
    (key == "heartbeat" && carrier != Some(Carrier::Websocket))
        .then_some("only a WebSocket has heartbeats: remove this key")
}

/// A list of messages and requests, in their order.
pub(super) fn hello(
    value: &DeValue<'_>,
    at: &Origin,
    place: &dyn Fn(usize) -> Origin,
    messages: bool,
) -> Result<HelloKeys> {
    let DeValue::Array(steps) = value else {
        return Err(at.error(format!(
            "hello: this is {}: write a list, such as [{{ send = \"…\" }}, {{ await = \"…\" }}]",
            kind(value)
        )));
    };
    let mut found = HelloKeys { names: vec![RANDOM.to_owned()], ..HelloKeys::default() };
    for step in steps {
        let at = place(step.span().start);
        let DeValue::Table(table) = step.get_ref() else {
            return Err(at.error(format!(
                "hello: this is {}: write {{ send = \"…\" }}, {{ await = \"…\" }} or {{ url = \"…\" }}",
                kind(step.get_ref())
            )));
        };
        StepReader { table, at, place }.read(&mut found, messages)?;
    }
    Ok(found)
}

/// A step of `hello` that is being read.
struct StepReader<'a> {
    table: &'a DeTable<'a>,
    at: Origin,
    place: &'a dyn Fn(usize) -> Origin,
}

impl StepReader<'_> {
    fn read(&self, found: &mut HelloKeys, messages: bool) -> Result<()> {
        known_keys("hello", self.table, &STEP_KEYS, self.place)?;
        let has = |key: &str| self.table.contains_key(key);
        if has("url") {
            return self.request(found);
        }
        for (name, value) in self.table {
            let (key, at) = (name.get_ref(), (self.place)(value.span().start));
            match key.as_ref() {
                _ if has("send") == has("await") => {}
                "send" | "await" if !messages => {
                    return Err(at.error(format!(
                        "hello: {key}: only a WebSocket has messages before the first event: write a request, \
                         {{ url = \"http://127.0.0.1:{{port}}/…\" }}"
                    )));
                }
                "send" => {
                    let names: Vec<&str> = found.names.iter().map(String::as_str).collect();
                    let wording = sent(value.get_ref(), "hello: send", &at, &names)?;
                    found.messages.push(HelloStep::Send(wording));
                    return Ok(());
                }
                "await" => {
                    let pattern = awaited(value.get_ref(), "hello: await", &at)?;
                    found.names.extend(pattern.captures().map(str::to_owned));
                    found.messages.push(HelloStep::Await(pattern));
                    return Ok(());
                }
                _ => {
                    return Err(at.error(format!(
                        "hello: {key} belongs to a request: add url = \"http://…\""
                    )));
                }
            }
        }
        Err(self.at.error(
            "hello: a step is one message, { send = \"…\" } or { await = \"…\" }, or a request, { url = \"…\" }",
        ))
    }

    fn request(&self, found: &mut HelloKeys) -> Result<()> {
        if !found.messages.is_empty() {
            return Err(self.at.error(
                "hello: requests are sent once, before the first connection: write them before the messages",
            ));
        }
        let mut request = HelloRequest {
            url: Wording::default(),
            origin: self.at.clone(),
            method: Method::POST,
            headers: HeaderMap::new(),
            body: None,
            awaited: None,
        };
        let names = found.names.clone();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for (name, value) in self.table {
            let (at, value) = ((self.place)(value.span().start), value.get_ref());
            match name.get_ref().as_ref() {
                "url" => {
                    let url = secret_text::url(value, "hello: url", &at)?;
                    let places = [&names[..], &["port"]].concat();
                    request.url = Wording::parse(&url, &places)
                        .map_err(|why| at.error(format!("hello: url: {why}")))?;
                    request.origin = at;
                }
                "method" => request.method = method(value, &at)?,
                "headers" => request.headers = request_keys::headers(value, &at, self.place)?,
                "body" => request.body = Some(sent(value, "hello: body", &at, &names)?),
                "await" => {
                    let pattern = awaited(value, "hello: await", &at)?;
                    found.names.extend(pattern.captures().map(str::to_owned));
                    request.awaited = Some(pattern);
                }
                other => {
                    return Err(at.error(format!(
                        "hello: a request has no {other}: write body = \"…\" for what is sent"
                    )));
                }
            }
        }
        found.requests.push(request);
        Ok(())
    }
}

/// A hello may ask as well as tell.
fn method(value: &DeValue<'_>, at: &Origin) -> Result<Method> {
    match value {
        DeValue::String(text) if text == "GET" => Ok(Method::GET),
        _ => request_keys::method(value, at),
    }
}

/// `{ await = …, send = … }`, with `every` where pushbench begins.
pub(super) fn heartbeat(
    value: &DeValue<'_>,
    at: &Origin,
    place: &dyn Fn(usize) -> Origin,
) -> Result<Heartbeat> {
    let usage = "write { await = \"…\", send = \"…\" } if the target sends it and pushbench answers, with every = \
                 \"25s\" if pushbench sends it and the target answers";
    let DeValue::Table(table) = value else {
        return Err(at.error(format!("heartbeat: this is {}: {usage}", kind(value))));
    };
    known_keys("heartbeat", table, &HEARTBEAT_KEYS, place)?;
    let find = |key: &str| {
        let found = table.get(key)?;
        Some((found.get_ref(), place(found.span().start)))
    };
    let (Some((wanted, wanted_at)), Some((reply, reply_at))) = (find("await"), find("send")) else {
        return Err(at.error(format!("heartbeat: it has no await or no send: {usage}")));
    };
    let every = find("every").map(|(value, at)| values::duration("heartbeat: every", value, &at));
    Ok(Heartbeat {
        awaited: awaited(wanted, "heartbeat: await", &wanted_at)?,
        sent: sent(reply, "heartbeat: send", &reply_at, &[])?.written(),
        every: every.transpose()?,
    })
}

/// How an event is wrapped, once it is known what a hello captures.
pub(super) fn wrap(written: &str, at: &Origin, names: &[String]) -> Result<Wording> {
    let names = names.iter().map(String::as_str);
    let places: Vec<&str> = [EVENT, EVENT_TEXT, ID].into_iter().chain(names).collect();
    let wording = template(written, "wrap", at, &places)?;
    match [EVENT, EVENT_TEXT].iter().any(|place| wording.has(place)) {
        true => Ok(wording),
        false => {
            Err(at.error("wrap: the event is not in it: write {event} where it belongs, or \"{event_text}\" within a string"))
        }
    }
}

/// Which messages are answers, or deliveries.
pub(super) fn pattern(value: &DeValue<'_>, key: &str, at: &Origin) -> Result<MessagePattern> {
    let pattern = awaited(value, key, at)?;
    if let Some(name) = pattern.captures().next() {
        return Err(at.error(format!(
            "{key}: {{{name}}} is not a placeholder here{}: write {{id}} for the event's id, or {{any}}",
            did_you_mean(name, ["id", "any"])
        )));
    }
    Ok(pattern)
}

fn awaited(value: &DeValue<'_>, key: &str, at: &Origin) -> Result<MessagePattern> {
    let written = message(value, key, at)?;
    // An error shows a part of the text: before a secret is in it.
    let masked = MessagePattern::parse(&secret_text::masked(&written));
    let masked = masked.map_err(|why| at.error(format!("{key}: {why}")))?;
    if let Some(name) = masked.captures().find(|name| [EVENT, EVENT_TEXT, "port"].contains(name)) {
        return Err(at.error(format!(
            "{key}: {{{name}}} stands for something else and cannot be captured: choose another name"
        )));
    }
    MessagePattern::parse(&secret_text::filled(&written, key, at)?)
        .map_err(|_| at.error(format!("{key}: {NO_MESSAGE}")))
}

fn sent(value: &DeValue<'_>, key: &str, at: &Origin, places: &[&str]) -> Result<Wording> {
    template(&message(value, key, at)?, key, at, places)
}

fn template(written: &str, key: &str, at: &Origin, places: &[&str]) -> Result<Wording> {
    let parse = |text: &str| {
        Wording::parse(text, places).and_then(|wording| wording.check_json().map(|()| wording))
    };
    parse(&secret_text::masked(written)).map_err(|why| at.error(format!("{key}: {why}")))?;
    parse(&secret_text::filled(written, key, at)?)
        .map_err(|_| at.error(format!("{key}: {NO_MESSAGE}")))
}

fn known_keys(
    of: &str,
    table: &DeTable<'_>,
    keys: &[&str],
    place: &dyn Fn(usize) -> Origin,
) -> Result<()> {
    let unknown = table.keys().find(|key| !keys.contains(&key.get_ref().as_ref()));
    let Some(key) = unknown else { return Ok(()) };
    let name = key.get_ref();
    let near = did_you_mean(name, keys.iter().copied());
    let keys = keys.join(", ");
    Err(place(key.span().start)
        .error(format!("{of} has no key \"{name}\"{near}; the keys are {keys}")))
}
