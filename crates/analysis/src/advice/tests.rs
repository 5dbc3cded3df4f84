use super::*;
use proptest::prelude::*;
use pushbench_core::guarantee::Promise;
use pushbench_core::scenario::Prices;
use pushbench_core::workload::{Direction, Proxy, Sender};
use std::time::Duration;

fn shipped() -> Evidence {
    let text = include_str!("../../../../results/advice/evidence.json");
    serde_json::from_str(text).unwrap()
}

fn workload() -> impl Strategy<Value = Workload> {
    use Place::{BehindNat, Browser, Function, PublicServer, SameNetwork};
    let places = [PublicServer, SameNetwork, BehindNat, Browser, Function];
    let promises = [Promise::AtMostOnce, Promise::AtLeastOnce, Promise::ExactlyOnce];
    let proxies = [Proxy::None, Proxy::ForwardConnect, Proxy::TlsInspectingNoUpgrade, Proxy::Nginx];
    (
        (-4.0..5.0f64, 1.0..20.0f64, 64..20_000u64, 1..100_000u64),
        (0..5usize, 0..4usize, 0..3usize, any::<[bool; 4]>()),
        (-3.0..5.0f64, prop::option::of(1..100_000u64)),
    )
        .prop_map(move |(events, choices, need)| {
            let (rate, burst_factor, payload_bytes, count) = events;
            let (place, proxy, promise, [durable, ordered, both, tls]) = choices;
            let promise = promises[promise];
            let again = promise != Promise::AtMostOnce;
            Workload {
                name: "w".to_owned(),
                question: String::new(),
                rate: 10f64.powf(rate),
                burst_factor,
                payload_bytes,
                recipients: None,
                count,
                place: places[place],
                proxy: proxies[proxy],
                always_on: places[place] != Function,
                idle_cutoff: None,
                rtt: None,
                split: None,
                freshness: Duration::from_secs_f64(10f64.powf(need.0)),
                promise,
                durable: durable && again,
                outage: need.1.filter(|_| again).map(Duration::from_secs),
                ordered,
                direction: if both { Direction::Both } else { Direction::OneWay },
                tls,
                sender: Sender::Signed,
                stack: None,
                prices: Prices::default(),
            }
        })
}

fn has(advice: &Advice, transport: &str) -> bool {
    let named = advice.recommendation.iter().flat_map(|pick| pick.split('+'));
    named.chain(advice.equal.iter().map(String::as_str)).any(|name| name == transport)
}

/// 2: alone, 1: with another one, 0: not at all.
fn rank(advice: &Advice) -> u8 {
    match &advice.recommendation[..] {
        [pick] if pick == "webhook" => 2,
        [pick] if pick.split('+').any(|name| name == "webhook") => 1,
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn more_receivers_behind_nat_never_make_a_webhook_more_recommended(w in workload(), parts in [0..100u64, 0..100u64]) {
        let known = shipped();
        let of = |nat: u64| {
            let nat = w.count * nat / 100;
            let split = Some((w.count - nat, nat));
            advise(&Workload { place: Place::Mixed, split, ..w.clone() }, &known)
        };
        let [less, more] = [parts[0].min(parts[1]), parts[0].max(parts[1])];
        prop_assert!(rank(&of(more)) <= rank(&of(less)));
    }

    #[test]
    fn a_tighter_guarantee_never_removes_a_duty(w in workload()) {
        let loose = Workload { promise: Promise::AtMostOnce, durable: false, outage: None, ..w.clone() };
        let again = Workload { promise: Promise::AtLeastOnce, ..w.clone() };
        let once = Workload { promise: Promise::ExactlyOnce, ..w };
        for transport in TRANSPORTS {
            for pair in [[&loose, &again], [&again, &once]] {
                let [less, more] = pair.map(|w| duties::of(transport, w));
                let within = |less: &[&str], more: &[&str]| less.iter().all(|duty| more.contains(duty));
                prop_assert!(within(&less.sender, &more.sender), "{less:?} {more:?}");
                prop_assert!(within(&less.receiver, &more.receiver), "{less:?} {more:?}");
            }
        }
    }

    #[test]
    fn what_is_excluded_is_not_recommended_and_something_is_said(w in workload()) {
        let advice = advise(&w, &shipped());
        for excluded in &advice.excluded {
            prop_assert!(!has(&advice, excluded.transport), "{advice:?}");
        }
        prop_assert!(advice.recommendation.is_empty() || !advice.because.is_empty());
        // Without a recommendation everything is excluded.
        prop_assert_eq!(advice.recommendation.is_empty(), advice.excluded.len() == TRANSPORTS.len());
        let equal = advice.equal.iter().filter(|_| advice.does_not_matter);
        let own: Vec<&String> = advice.recommendation.iter().chain(equal).collect();
        for change in &advice.would_change {
            prop_assert_ne!(change.to.iter().collect::<Vec<_>>(), own.clone());
        }
    }

    #[test]
    fn who_cannot_be_reached_gets_no_webhook_and_who_holds_nothing_no_connection(w in workload()) {
        let known = shipped();
        for place in [Place::Browser, Place::BehindNat] {
            let advice = advise(&Workload { place, ..w.clone() }, &known);
            prop_assert!(!has(&advice, "webhook"));
        }
        let function = advise(&Workload { place: Place::Function, ..w }, &known);
        for transport in ["websocket", "sse", "long-poll"] {
            prop_assert!(!has(&function, transport));
        }
    }

    #[test]
    fn what_no_figure_is_known_of_is_not_decided_by_cost(w in workload()) {
        let advice = advise(&w, &Evidence::default());
        prop_assert!(advice.costs.iter().all(|cost| cost.cpus.is_none() && cost.run.is_none()));
        prop_assert!(advice.because.iter().all(|because| because.run.is_none()));
    }
}

/// A figure that moves takes its sentence with it.
#[test]
fn sentences_follow_their_figures() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workloads/two-services-fast.toml");
    let fast = Workload::parse("fast", &std::fs::read_to_string(file).unwrap()).unwrap();
    let known = shipped();
    let advised = |metrics: &[&str], transport: &str, factor: f64| {
        let mut known = known.clone();
        for figure in &mut known.figures {
            if metrics.contains(&figure.metric.as_str()) && figure.transport == transport {
                figure.value *= factor;
                figure.ci95 = figure.ci95.map(|ends| ends.map(|end| end * factor));
            }
        }
        advise(&fast, &known)
    };
    let said =
        |advice: &Advice, text: &str| advice.because.iter().any(|b| b.sentence.contains(text));
    let before = advise(&fast, &known);
    assert_eq!(before.recommendation, ["websocket"]);
    assert!(said(&before, "in flight to each receiver"), "{:?}", before.because);
    // The response of a webhook decides how many of its events are in flight.
    let slower = advised(&evidence::P50, "webhook", 2.0);
    assert_ne!(slower.because, before.because);
    // Its cost decides whether that matters.
    let costly = advised(&evidence::CPU, "webhook", 10.0);
    assert!(said(&costly, "times as much"), "{:?}", costly.because);
    // A WebSocket that costs ten times as much is left out.
    let other = advised(&evidence::CPU, "websocket", 10.0);
    assert_eq!(other.recommendation, ["webhook"], "{:?}", other.because);
}

proptest! {
    /// A price changes no recommendation, and a cost is the sum of its parts.
    #[test]
    fn prices_add_up_and_decide_nothing(workload in workload(), core in 0.001..1.0f64, gib in 0.001..1.0f64) {
        let known = shipped();
        let with = |core_hour, gib_hour| {
            let prices = Prices { core_hour, gib_hour, ..Prices::default() };
            advise(&Workload { prices, ..workload.clone() }, &known)
        };
        let (without, both) = (with(None, None), with(Some(core), Some(gib)));
        prop_assert_eq!(&without.recommendation, &both.recommendation);
        let parts = [with(Some(core), None), with(None, Some(gib))];
        for (index, cost) in both.costs.iter().enumerate() {
            prop_assert_eq!(without.costs[index].month, None);
            let sum: Option<f64> = parts.iter().map(|advice| advice.costs[index].month).sum();
            match (cost.month, sum) {
                (Some(whole), Some(sum)) => prop_assert!((whole - sum).abs() <= 1e-9 * whole.max(1e-12)),
                (whole, sum) => prop_assert_eq!(whole, sum),
            }
        }
    }
}
