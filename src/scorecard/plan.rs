//! What a card measures, in which order, and for how long.

use pushbench_core::scorecard::{Form, Role};
use std::collections::BTreeMap;

/// A measurement of a card.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its conditions, in words.
    pub conditions: String,
    /// Its scenario; without one it is `pushbench reach`.
    pub scenario: &'static str,
    /// Keys that are set.
    pub set: Vec<(&'static str, String)>,
    /// Its arms, the first one the baseline.
    pub roles: Vec<Role>,
}

/// What is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A run.
    Run,
    /// A search for capacities.
    Capacity,
    /// A matrix of paths.
    Reach,
}

/// Why a measurement that was not asked for was not made.
pub const LEFT_OUT: &str = "left out by --only";
/// The same of one of the other form.
pub const OTHER_FORM: &str = "measured with --long";
/// The measurement whose throughput decides the rate of others.
pub const SATURATION: &str = "saturation";
/// No more events a second than this are sent where a card is about latency.
const HIGHEST_RATE: f64 = 2000.0;
/// The part of the throughput of the slower server that is a load.
const LOAD: f64 = 0.5;
/// What is sent where no throughput is known, events a second.
const UNKNOWN_RATE: f64 = 100.0;
/// Blocks of the short form: the fewest that a verdict needs.
const BLOCKS: usize = 8;

/// The rate of a load, for servers that carry so much: half of it, in one digit.
pub fn rate(lowest_throughput: Option<f64>) -> f64 {
    let half = lowest_throughput.map_or(UNKNOWN_RATE, |t| (t * LOAD).clamp(1.0, HIGHEST_RATE));
    let step = 10f64.powf(half.log10().floor());
    (half / step).floor() * step
}

/// The arms of a pair, by role. Not every target has those that only some questions need.
pub fn arms(webhook: &str, websocket: &str) -> BTreeMap<Role, String> {
    let mut arms = BTreeMap::from([
        (Role::Webhook, webhook.to_owned()),
        (Role::Websocket, websocket.to_owned()),
        (Role::Callback, webhook.replacen('@', "+callback@", 1)),
    ]);
    if let Some((transport, target)) = webhook.split_once('@') {
        arms.insert(Role::Poll, format!("{}@{target}", transport.replacen("webhook", "poll", 1)));
        if target == "builtin" {
            arms.insert(Role::ClosingWebhook, format!("{transport}@builtin-close"));
        }
    }
    arms
}

use Role::{Callback, ClosingWebhook, Poll, Webhook, Websocket};

/// The measurements of a form; those that the other form has alone are left out. `rate`: of a load, events a second.
pub fn measurements(form: Form, rate: f64) -> Vec<Planned> {
    let short = form == Form::Short;
    let run = |name,
               scenario,
               conditions: String,
               times: [&str; 2],
               set: &[(&'static str, &str)],
               roles: &[Role]| {
        let mut all: Vec<(&'static str, String)> =
            set.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        if short {
            all.push(("compare.blocks", BLOCKS.to_string()));
            all.push(("load.warmup", times[0].to_owned()));
            all.push(("load.duration", times[1].to_owned()));
        }
        Planned { name, kind: Kind::Run, conditions, scenario, set: all, roles: roles.to_vec() }
    };
    let loaded = rate.to_string();
    let asked = rate.min(1000.0).to_string();
    let pair = [Webhook, Websocket];
    let distance = |name, rtt: &str, words: &str| {
        let set = [
            ("path.rtt", rtt),
            ("connections.lifetime", "unlimited"),
            ("connections.count", "16"),
            ("load.rate", "40"),
        ];
        let conditions =
            format!("a round trip of {words}, connections kept where the server keeps them");
        run(name, "distance", conditions, ["500ms", "800ms"], &set, &pair)
    };
    let mut all = vec![
        run(
            SATURATION,
            "saturate",
            "as many events as it takes over 32 connections".to_owned(),
            ["300ms", "700ms"],
            &[],
            &pair,
        ),
        run(
            "rest",
            "ingest",
            "50 events a second on one connection".to_owned(),
            ["200ms", "1500ms"],
            &[("load.rate", "50"), ("connections.count", "1")],
            &pair,
        ),
        run(
            "loaded",
            "ingest",
            format!("{loaded} events a second over 32 connections"),
            ["300ms", "1500ms"],
            &[("load.rate", &loaded)],
            &pair,
        ),
        run(
            "both-ways",
            "duplex",
            format!("{asked} questions a second, a webhook's answer in its response"),
            ["300ms", "1s"],
            &[("load.rate", &asked)],
            &pair,
        ),
        run(
            "callback",
            "duplex",
            format!("{asked} questions a second, a webhook's answer in a request of its own"),
            ["300ms", "1s"],
            &[("load.rate", &asked)],
            &[Callback, Websocket],
        ),
        run(
            "fan-out",
            "fanout",
            "20 events a second to each of 200 subscribers".to_owned(),
            ["400ms", "1600ms"],
            &[],
            &pair,
        ),
        distance("distance-20ms", "20ms", "20 ms"),
        distance("distance-100ms", "100ms", "100 ms"),
        run(
            "silence",
            "sparse",
            "an event after a silence at a round trip of 20 ms: a webhook's connection was closed, a WebSocket is kept".to_owned(),
            ["600ms", "1s"],
            &[
                ("path.rtt", "20ms"),
                ("subscribers.count", "40"),
                ("load.rate", "40"),
                ("delivery.keep_alive", "500ms"),
            ],
            &pair,
        ),
        run(
            "idle",
            "idle",
            "500 subscribers without events".to_owned(),
            ["800ms", "1600ms"],
            // An event every two seconds: one in the warm-up, one after the quiet period.
            &[("subscribers.count", "500"), ("load.rate", if short { "0.5" } else { "0.2" })],
            &[Websocket, Webhook, ClosingWebhook],
        ),
        run(
            "polling",
            "fanout",
            "2 events a second to each of 100 subscribers, which may be 500 ms old: pushed, or asked for every 500 ms".to_owned(),
            ["500ms", "1500ms"],
            &[
                ("subscribers.count", "100"),
                ("load.rate", "2"),
                ("delivery.poll_interval", "500ms"),
            ],
            &[Poll, Webhook, Websocket],
        ),
        Planned {
            name: "reach",
            kind: Kind::Reach,
            conditions: "paths with NAT, firewalls and proxies".to_owned(),
            scenario: "",
            set: Vec::new(),
            roles: pair.to_vec(),
        },
    ];
    if !short {
        all.push(run(
            "filter",
            "filter",
            "one of four types of event wanted, filtered by the publisher".to_owned(),
            ["", ""],
            &[("delivery.filter", "true")],
            &pair,
        ));
        all.push(Planned {
            name: "capacity",
            kind: Kind::Capacity,
            conditions: "the highest rate with 99 % of responses within 50 ms".to_owned(),
            scenario: "ingest",
            set: Vec::new(),
            roles: pair.to_vec(),
        });
    }
    all
}

/// Measurements of the other form alone.
pub fn left_out(form: Form) -> Vec<Planned> {
    let own: Vec<&str> = measurements(form, 1.0).iter().map(|m| m.name).collect();
    let mut all = measurements(Form::Long, 1.0);
    all.retain(|m| !own.contains(&m.name));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_analysis::scorecard::metrics;
    use pushbench_core::scenario::Override;
    use pushbench_host::input;

    #[test]
    fn the_rate_of_a_load_is_round_and_half_of_what_is_carried() {
        assert_eq!(rate(Some(1_900.0)), 900.0);
        assert_eq!(rate(Some(120_000.0)), 2_000.0);
        assert_eq!(rate(Some(7.0)), 3.0);
        assert_eq!(rate(Some(0.2)), 1.0);
        assert_eq!(rate(None), UNKNOWN_RATE);
    }

    #[test]
    fn every_measurement_is_a_scenario_of_one_point_that_a_question_needs() {
        for form in [Form::Short, Form::Long] {
            for m in measurements(form, 900.0).iter().filter(|m| m.kind == Kind::Run) {
                assert!(!metrics(m.name).is_empty(), "{}: no question needs it", m.name);
                let set = |(key, value): &(&str, String)| Override {
                    origin: m.name.to_owned(),
                    key: (*key).to_owned(),
                    value: value.clone(),
                };
                let set: Vec<Override> = m.set.iter().map(set).collect();
                let question = input::scenario(m.scenario, &set).unwrap();
                assert_eq!(question.points.len(), 1, "{}", m.name);
            }
        }
        assert_eq!(left_out(Form::Long).len(), 0);
        assert!(!left_out(Form::Short).is_empty());
    }

    #[test]
    fn roles_have_arms_where_there_can_be_one() {
        let builtin = arms("webhook+tls@builtin", "websocket+tls@builtin");
        assert_eq!(builtin[&Role::Callback], "webhook+tls+callback@builtin");
        assert_eq!(builtin[&Role::Poll], "poll+tls@builtin");
        assert_eq!(builtin[&Role::ClosingWebhook], "webhook+tls@builtin-close");
        assert!(!arms("webhook@flask", "websocket@websockets").contains_key(&Role::ClosingWebhook));
    }
}
