//! The keys of a description for publishing: `publish`, `subscribe`, `status`, `id`, `acknowledge`.

use crate::manifest::PORT;
use crate::protocol_keys;
use crate::request_keys;
use crate::secret_text;
use crate::values::text;
use hyper::Method;
use pushbench_core::error::Result;
use pushbench_core::message_pattern::MessagePattern;
use pushbench_core::origin::{Origin, kind};
use pushbench_core::suggest::did_you_mean;
use pushbench_core::transport::Transport;
use pushbench_core::wording::{EVENT, ID, SUBSCRIBER_URL, SUBSCRIBER_URLS, Wording};
use std::sync::Arc;
use toml::de::DeValue;

/// The keys of a request.
const KEYS: [&str; 3] = ["url", "method", "body"];

/// A request in the user's own words.
#[derive(Debug, Clone)]
pub(super) struct RequestSpec {
    /// Where it goes, `{port}` not yet filled in.
    pub url: String,
    /// Where that was written.
    pub origin: Origin,
    pub method: Method,
    /// Its body; none for the one that pushbench writes.
    pub body: Option<Wording>,
}

/// The keys of publishing; all empty for a target that only accepts events.
#[derive(Debug, Clone, Default)]
pub(super) struct Publishing {
    pub publish: Option<RequestSpec>,
    pub subscribe: Option<RequestSpec>,
    pub status: Option<String>,
    /// Where a delivered event carries its id.
    pub id_at: Option<String>,
    pub acknowledgement: Option<Wording>,
    /// Subscribers can acknowledge, where the description says so.
    acknowledges: Option<bool>,
    /// Which messages are delivered events, where not all of them are.
    pub delivery: Option<Arc<MessagePattern>>,
    /// The first of `status`, `id` and `acknowledge`, which mean nothing alone.
    other_key: Option<(String, Origin)>,
}

/// Why such a key does not apply to this transport.
pub(super) fn unusable_key(key: &str, transport: Transport) -> Option<&'static str> {
    match (key, transport) {
        ("acknowledge", Transport::Webhook) => {
            Some("a webhook acknowledges by its status 2xx: remove this key")
        }
        ("acknowledge", Transport::LongPoll) => Some(
            "a long-poll's request states the last event and acknowledges nothing: remove this key",
        ),
        ("url", _) if transport.carrier().is_none() => Some(
            "over this transport events are only delivered to subscribers: write publish, where events \
             are published, and subscribe, where subscribers request them",
        ),
        ("method", _) if transport.carrier().is_none() => {
            Some("write publish = { url = …, method = … }")
        }
        _ => None,
    }
}

impl Publishing {
    /// Reads one value; false when the key is not one of publishing.
    pub fn take(
        &mut self,
        (key, transport): (&str, Transport),
        value: &DeValue<'_>,
        at: &Origin,
        place: &dyn Fn(usize) -> Origin,
    ) -> Result<bool> {
        let reading = TableReader { key, at, place };
        match key {
            "publish" => {
                let own = reading.request(value, &KEYS, &[EVENT, ID])?;
                self.publish = Some(own);
                return Ok(true);
            }
            "subscribe" => {
                let keys = if transport == Transport::Webhook { &KEYS[..] } else { &KEYS[..1] };
                let mut own = reading.request(value, keys, &[SUBSCRIBER_URL, SUBSCRIBER_URLS])?;
                if transport.carrier().is_none() {
                    own.method = Method::GET;
                }
                self.subscribe = Some(own);
                return Ok(true);
            }
            "status" => self.status = Some(path(value, at)?),
            "id" => {
                let pointer = text(value, key, at)?;
                if !request_keys::is_pointer(&pointer) {
                    return Err(at.error(format!(
                        "id: \"{pointer}\" is not a JSON pointer: write where a delivered event contains \
                         its id, /data/id for example"
                    )));
                }
                self.id_at = Some(pointer).filter(|pointer| pointer != "/id");
            }
            "delivery" => {
                let delivery = protocol_keys::pattern(value, key, at)?;
                if !delivery.has_id() {
                    return Err(
                        at.error("delivery: it has no {id}: write it where the event's id is")
                    );
                }
                self.delivery = Some(delivery.into());
            }
            "acknowledge" => match value {
                DeValue::Boolean(can) => self.acknowledges = Some(*can),
                _ if transport == Transport::Sse => {
                    return Err(at.error(
                        "acknowledge: write true if the first event of a stream states where \
                         acknowledgements are posted, as the built-in publisher's does; otherwise remove \
                         this key",
                    ));
                }
                _ => self.acknowledgement = Some(reading.wording(value, &[ID])?),
            },
            _ => return Ok(false),
        }
        self.other_key.get_or_insert_with(|| (key.to_owned(), at.clone()));
        Ok(true)
    }

    /// Whether subscribers can acknowledge.
    pub fn acknowledges(&self, transport: Transport) -> bool {
        self.acknowledges.unwrap_or(transport.carrier().is_some())
    }

    /// What must hold of all of it together; `program_inputs` is the command and its environment, with its
    /// place.
    pub fn check(
        &self,
        name: &str,
        transport: Transport,
        program_inputs: &[&str],
        at: &Origin,
    ) -> Result<()> {
        if self.delivery.is_some() && self.id_at.is_some() {
            return Err(at.error(format!(
                "[{name}] has id and delivery: delivery says where the id is, so remove id"
            )));
        }
        let all = format!("{{{SUBSCRIBER_URLS}}}");
        let handed_over = program_inputs.iter().any(|text| text.contains(&all));
        if program_inputs.iter().any(|text| text.contains(&format!("{{{SUBSCRIBER_URL}}}"))) {
            return Err(at.error(format!(
                "[{name}] command and env receive the addresses of all subscribers together: write {all}"
            )));
        }
        match (&self.publish, &self.subscribe) {
            (Some(publish), None) if !handed_over => Err(publish.origin.error(format!(
                "[{name}] has publish, but it does not state how subscribers receive its events: add subscribe{}",
                match transport {
                    Transport::Webhook => format!(", or write {all} in command or env"),
                    _ => String::new(),
                }
            ))),
            (None, Some(subscribe)) => Err(subscribe.origin.error(format!(
                "[{name}] has subscribe, but it does not state where events are published: add publish = \
                 \"http://127.0.0.1:{PORT}/publish\""
            ))),
            (None, None) if handed_over => Err(at.error(format!(
                "[{name}] passes {all} to the program, but it does not state where events are published: add publish"
            ))),
            (Some(_), Some(subscribe)) if handed_over => Err(subscribe.origin.error(format!(
                "[{name}] has subscribe, and also {all} in command or env: subscribers would be registered \
                 twice; keep one of them"
            ))),
            (Some(publish), None) if transport != Transport::Webhook => {
                Err(publish.origin.error(format!(
                    "[{name}] passes {all} to the program, but subscribers of {} open the connections: \
                     write the address in subscribe",
                    transport.name()
                )))
            }
            (None, None) => match &self.other_key {
                Some((key, at)) => Err(at.error(format!(
                    "[{name}] {key} applies only to publishers: add publish and subscribe, or remove {key}"
                ))),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The addresses of its requests, with their keys.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, &RequestSpec)> {
        let publish = self.publish.as_ref().map(|own| ("publish", own));
        publish.into_iter().chain(self.subscribe.as_ref().map(|own| ("subscribe", own)))
    }
}

/// A value that is being read.
struct TableReader<'a> {
    key: &'a str,
    at: &'a Origin,
    place: &'a dyn Fn(usize) -> Origin,
}

impl TableReader<'_> {
    /// `"URL"` or `{ url = …, method = …, body = … }`.
    fn request(
        &self,
        value: &DeValue<'_>,
        keys: &[&str],
        places: &[&'static str],
    ) -> Result<RequestSpec> {
        let key = self.key;
        let mut own = RequestSpec {
            url: String::new(),
            origin: self.at.clone(),
            method: Method::POST,
            body: None,
        };
        let table = match value {
            DeValue::String(_) => {
                own.url = secret_text::url(value, key, self.at)?;
                return Ok(own);
            }
            DeValue::Table(table) => table,
            other => {
                return Err(self.at.error(format!(
                    "{key}: this is {}: write an address in quotes, or {{ url = \"…\" }}",
                    kind(other)
                )));
            }
        };
        for (name, value) in table {
            let (name, at) = (name.get_ref().as_ref(), (self.place)(value.span().start));
            let inner = TableReader { key: &format!("{key}.{name}"), at: &at, ..*self };
            if !keys.contains(&name) {
                let why = match KEYS.contains(&name) {
                    true => {
                        "subscribers open a connection here; only a webhook subscribes by a request"
                            .to_owned()
                    }
                    false => format!("the keys are {}", keys.join(", ")),
                };
                let near = did_you_mean(name, keys.iter().copied());
                return Err(at.error(format!("{key} has no key \"{name}\"{near}: {why}")));
            }
            match name {
                "url" => {
                    own.url = secret_text::url(value.get_ref(), inner.key, &at)?;
                    own.origin = at.clone();
                }
                "method" => own.method = request_keys::method(value.get_ref(), &at)?,
                _ => own.body = Some(inner.wording(value.get_ref(), places)?),
            }
        }
        if own.url.is_empty() {
            return Err(self.at.error(format!("{key} has no url: add url = \"http://…\"")));
        }
        Ok(own)
    }

    fn wording(&self, value: &DeValue<'_>, places: &[&'static str]) -> Result<Wording> {
        let text = secret_text::text(value, self.key, self.at)?;
        let wording = Wording::parse_with_place(&text, places)
            .map_err(|why| self.at.error(format!("{}: {why}", self.key)))?;
        if wording.has(SUBSCRIBER_URL) && wording.has(SUBSCRIBER_URLS) {
            return Err(self.at.error(format!(
                "{}: it has both {{{SUBSCRIBER_URL}}} and {{{SUBSCRIBER_URLS}}}: keep one of them",
                self.key
            )));
        }
        Ok(wording)
    }
}

fn path(value: &DeValue<'_>, at: &Origin) -> Result<String> {
    let path = text(value, "status", at)?;
    let plain = |c: char| c.is_ascii_graphic();
    match path.starts_with('/') && path.chars().all(plain) {
        true => Ok(path),
        false => Err(at.error(format!(
            "status: \"{path}\" is not a path: write \"/status\"; it is read from the address where events are published"
        ))),
    }
}
