//! Reads a workload's file: its keys, their defaults, and what contradicts what.

use crate::error::Result;
use crate::guarantee::Promise;
use crate::origin::{Origin, kind, read_toml};
use crate::scenario::Prices;
use crate::suggest::did_you_mean;
use crate::units;
use crate::workload::{Direction, Place, Proxy, Recipients, Sender, Workload};
use std::collections::BTreeMap;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// A key, what to write for it, and the value that stands for it where the file has none; without one it is needed.
struct Key {
    path: &'static str,
    write: &'static str,
    otherwise: Option<&'static str>,
}

const fn key(path: &'static str, write: &'static str, otherwise: Option<&'static str>) -> Key {
    Key { path, write, otherwise }
}

const NUMBER: &str = "a number greater than 0, up to ten million";
const WHOLE: &str = "a whole number from 1 to a thousand million";
const TIME: &str = "a time such as \"250ms\", \"15m\" or \"3d\"";
const PRICE: &str = "a price such as 0.04";
const SWITCH: &str = "true or false";

/// Every key. An empty value is an unknown one.
const KEYS: [Key; 27] = [
    key("name", "text", Some("workload")),
    key("question", "text", Some("")),
    key("stack", "the name of a target, such as \"fastapi\"", Some("")),
    key("events.rate", NUMBER, None),
    key("events.burst_factor", "a number from 1 to a million", Some("1")),
    key("events.payload_bytes", WHOLE, Some("512")),
    key("events.recipients", "\"all\" or \"one\"", Some("")),
    key("receivers.count", WHOLE, None),
    key(
        "receivers.where",
        "\"public-server\", \"same-network\", \"behind-nat\", \"browser\", \"function\" or \"mixed\"",
        None,
    ),
    key(
        "receivers.proxy",
        "\"none\", \"forward-connect\", \"forward-no-connect\", \"tls-inspecting\", \"tls-inspecting-no-upgrade\", \
         \"nginx\", \"nginx-websocket\" or \"haproxy\"",
        Some("none"),
    ),
    key("receivers.always_on", SWITCH, Some("true")),
    key("receivers.idle_cutoff", TIME, Some("")),
    key("receivers.rtt", TIME, Some("")),
    key("receivers.public_server", WHOLE, Some("")),
    key("receivers.behind_nat", WHOLE, Some("")),
    key("need.freshness", TIME, None),
    key(
        "need.guarantee",
        "\"at-most-once\", \"at-least-once\" or \"exactly-once\"",
        Some("at-most-once"),
    ),
    key("need.durable", SWITCH, Some("false")),
    key("need.outage", TIME, Some("")),
    key("need.ordered", SWITCH, Some("false")),
    key("need.direction", "\"one-way\" or \"both\"", Some("one-way")),
    key("security.tls", SWITCH, Some("true")),
    key("security.sender", "\"none\", \"token\" or \"signed\"", Some("none")),
    key("price.currency", "text, such as \"USD\"", Some("")),
    key("price.core_hour", PRICE, Some("")),
    key("price.gib_hour", PRICE, Some("")),
    key("price.egress_gib", PRICE, Some("")),
];

/// Tables of the file; `answer` is for tests.
const TABLES: [&str; 5] = ["events", "receivers", "need", "security", "price"];
const ANSWER: &str = "answer";

/// The values of a file with their places.
struct Values<'a> {
    file: &'a str,
    found: BTreeMap<&'static str, (String, Origin)>,
}

/// Reads a file's text. `file` is its name in messages.
pub(super) fn read(file: &str, text: &str) -> Result<Workload> {
    let table = read_toml(file, text)?;
    let mut values = Values { file, found: BTreeMap::new() };
    let place = |offset: usize| Origin::at(file, text, offset);
    values.collect(&table, "", &place)?;
    let workload = values.workload()?;
    values.check(&workload)?;
    Ok(workload)
}

impl Values<'_> {
    fn collect(
        &mut self,
        table: &DeTable<'_>,
        prefix: &str,
        place: &dyn Fn(usize) -> Origin,
    ) -> Result<()> {
        for (name, value) in table {
            let origin = place(name.span().start);
            let path = match prefix {
                "" => name.get_ref().to_string(),
                _ => format!("{prefix}.{}", name.get_ref()),
            };
            match value.get_ref() {
                DeValue::Table(_) if prefix.is_empty() && path == ANSWER => {}
                DeValue::Table(inner) if prefix.is_empty() && TABLES.contains(&path.as_str()) => {
                    self.collect(inner, &path, place)?;
                }
                DeValue::Table(_) if prefix.is_empty() => {
                    let hint = did_you_mean(&path, TABLES);
                    let tables = TABLES.join(", ");
                    return Err(
                        origin.error(format!("unknown table [{path}]{hint}: there are {tables}"))
                    );
                }
                value => {
                    let Some(key) = KEYS.iter().find(|key| key.path == path) else {
                        let hint = did_you_mean(&path, KEYS.iter().map(|key| key.path));
                        return Err(origin.error(format!("unknown key \"{path}\"{hint}")));
                    };
                    let text = match value {
                        DeValue::String(text) => text.to_string(),
                        DeValue::Integer(number) => number.as_str().to_owned(),
                        DeValue::Float(number) => number.as_str().to_owned(),
                        DeValue::Boolean(on) => on.to_string(),
                        other => {
                            let kind = kind(other);
                            let write = key.write;
                            return Err(
                                origin.error(format!("{path}: this is {kind}: write {write}"))
                            );
                        }
                    };
                    self.found.insert(key.path, (text, origin));
                }
            }
        }
        Ok(())
    }

    /// The value of a key as `read` understands it; `None` where it is not known.
    fn optional<T>(
        &self,
        path: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(key) = KEYS.iter().find(|key| key.path == path) else { return Ok(None) };
        let write = key.write;
        match (self.found.get(path), key.otherwise) {
            (Some((text, origin)), _) => read(text)
                .map(Some)
                .ok_or_else(|| origin.error(format!("{path} = {text}: write {write}"))),
            (None, Some("")) => Ok(None),
            (None, Some(otherwise)) => Ok(read(otherwise)),
            (None, None) => {
                Err(Origin::named(self.file).error(format!("{path} is missing: write {write}")))
            }
        }
    }

    fn value<T>(&self, path: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T> {
        self.optional(path, read)?
            .ok_or_else(|| Origin::named(self.file).error(format!("{path} is missing")))
    }

    fn workload(&self) -> Result<Workload> {
        let [public, nat] = ["receivers.public_server", "receivers.behind_nat"]
            .map(|path| self.optional(path, whole));
        let text = |text: &str| Some(text.to_owned());
        Ok(Workload {
            name: self.value("name", text)?,
            question: self.optional("question", text)?.unwrap_or_default(),
            rate: self
                .value("events.rate", |text| number(text).filter(|n| (1e-9..=1e7).contains(n)))?,
            burst_factor: self.value("events.burst_factor", |text| {
                number(text).filter(|n| (1.0..=1e6).contains(n))
            })?,
            payload_bytes: self.value("events.payload_bytes", whole)?,
            recipients: self.optional("events.recipients", Recipients::read)?,
            count: self.value("receivers.count", whole)?,
            place: self.value("receivers.where", Place::read)?,
            proxy: self.value("receivers.proxy", Proxy::read)?,
            always_on: self.value("receivers.always_on", switch)?,
            idle_cutoff: self
                .optional("receivers.idle_cutoff", |text| time(text).filter(|t| !t.is_zero()))?,
            rtt: self.optional("receivers.rtt", time)?,
            split: public?.zip(nat?),
            freshness: self.value("need.freshness", |text| time(text).filter(|t| !t.is_zero()))?,
            promise: self.value("need.guarantee", Promise::read)?,
            durable: self.value("need.durable", switch)?,
            outage: self.optional("need.outage", time)?,
            ordered: self.value("need.ordered", switch)?,
            direction: self.value("need.direction", Direction::read)?,
            tls: self.value("security.tls", switch)?,
            sender: self.value("security.sender", Sender::read)?,
            stack: self.optional("stack", |text| {
                Some(text.to_owned()).filter(|name| !name.trim().is_empty())
            })?,
            prices: Prices {
                currency: self.optional("price.currency", text)?.unwrap_or_default(),
                core_hour: self.optional("price.core_hour", price)?,
                gib_hour: self.optional("price.gib_hour", price)?,
                egress_gib: self.optional("price.egress_gib", price)?,
                ..Prices::default()
            },
        })
    }

    /// Where two keys contradict each other, both are shown.
    fn check(&self, w: &Workload) -> Result<()> {
        let once = w.promise == Promise::AtMostOnce;
        if once && w.durable {
            return self.contradiction(
                "need.durable",
                "need.guarantee",
                "what is sent once at most is not sent again from a disk: write durable = false, or guarantee = \"at-least-once\"",
            );
        }
        if once && w.outage.is_some_and(|outage| !outage.is_zero()) {
            return self.contradiction(
                "need.outage",
                "need.guarantee",
                "what is sent once at most is lost in an outage: leave outage out, or write guarantee = \"at-least-once\"",
            );
        }
        if w.place == Place::Function
            && self.found.contains_key("receivers.always_on")
            && w.always_on
        {
            return self.contradiction(
                "receivers.always_on",
                "receivers.where",
                "a function runs while it handles a request only: write always_on = false, or where = \"public-server\" for a program that keeps running",
            );
        }
        match (w.place, w.split) {
            (Place::Mixed, None) => Err(self.at("receivers.where").error(
                "receivers.where = \"mixed\": write public_server and behind_nat as well, how many there are of each",
            )),
            (Place::Mixed, Some((public, nat))) if public + nat != w.count => self.contradiction(
                "receivers.public_server",
                "receivers.count",
                &format!("{public} public servers and {nat} behind NAT are {}", public + nat),
            ),
            (Place::Mixed, _) => Ok(()),
            _ => {
                let parts = ["receivers.public_server", "receivers.behind_nat"];
                let given = parts.into_iter().find(|path| self.found.contains_key(path));
                given.map_or(Ok(()), |path| {
                    let why = "write where = \"mixed\", or leave public_server and behind_nat out";
                    self.contradiction(path, "receivers.where", why)
                })
            }
        }
    }

    fn at(&self, path: &str) -> Origin {
        let found = self.found.get(path).map(|(_, origin)| origin.clone());
        found.unwrap_or_else(|| Origin::named(self.file))
    }

    fn contradiction(&self, one: &str, other: &str, why: &str) -> Result<()> {
        let shown = |path: &str| {
            let found = self.found.get(path).map(|(text, _)| text.as_str());
            let usual = KEYS.iter().find(|key| key.path == path).and_then(|key| key.otherwise);
            match found {
                Some(text) => format!("{}: {path} = {text}", self.at(path)),
                None => format!("{path} = {}, as it is not written", usual.unwrap_or_default()),
            }
        };
        Err(crate::error::Error::usage(format!(
            "{} contradicts {}: {why}",
            shown(one),
            shown(other)
        )))
    }
}

fn number(text: &str) -> Option<f64> {
    text.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite())
}

fn price(text: &str) -> Option<f64> {
    number(text).filter(|price| (0.0..=1e6).contains(price))
}

fn whole(text: &str) -> Option<u64> {
    text.replace('_', "").parse().ok().filter(|number| (1..=1_000_000_000).contains(number))
}

fn switch(text: &str) -> Option<bool> {
    text.parse().ok()
}

/// As elsewhere, and days.
fn time(text: &str) -> Option<Duration> {
    const DAY: f64 = 24.0 * 3600.0;
    match text.trim().strip_suffix('d').and_then(|days| days.trim().parse::<f64>().ok()) {
        Some(days) => Duration::try_from_secs_f64(days * DAY).ok(),
        None => units::parse_duration(text).ok(),
    }
}
