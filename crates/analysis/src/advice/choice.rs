//! The rule that decides among the transports that are not excluded.

use crate::advice::{Because, Cost, Excluded, TRANSPORTS, constraints, duties, evidence, load};
use pushbench_core::evidence::Evidence;
use pushbench_core::guarantee::Promise;
use pushbench_core::transport::Transport;
use pushbench_core::units::{nanos_text, span_text};
use pushbench_core::workload::{Direction, Place, Workload};

/// A difference of so many CPUs is worth deciding by …
const CPUS: f64 = 0.05;
/// … where one transport certainly takes so many times as much as another.
const TIMES: f64 = 1.5;
/// Few receivers: a team runs both sides, and either way is written once.
const FEW: u64 = 100;
/// With more events in flight than this, on average, a connection is never idle.
const BUSY: f64 = 1.0;
/// Events that may be older can be asked for at intervals, without a connection for each receiver.
const PATIENT_S: f64 = 60.0;

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen {
    /// One transport, or those of a combination; empty where nothing satisfies the workload.
    pub pick: Vec<Transport>,
    /// What does as well.
    pub equal: Vec<Transport>,
    pub does_not_matter: bool,
    pub because: Vec<Because>,
    pub excluded: Vec<Excluded>,
    pub costs: Vec<Cost>,
}

impl Chosen {
    /// Recommended, or as good.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.pick.iter().chain(&self.equal).map(|transport| transport.name())
    }
}

/// Decides.
pub(super) fn choose(workload: &Workload, known: &Evidence) -> Chosen {
    match workload.split.filter(|_| workload.place == Place::Mixed) {
        Some(split) => mixed(workload, split, known),
        None => one_place(workload, known),
    }
}

/// Each part is a workload of its own; what carries both parts alone is preferred where it is recommended for both.
fn mixed(workload: &Workload, (public, nat): (u64, u64), known: &Evidence) -> Chosen {
    // As if all were there: which part is larger decides nothing.
    let part = |place| one_place(&Workload { place, split: None, ..workload.clone() }, known);
    let (reached, hidden) = (part(Place::PublicServer), part(Place::BehindNat));
    if public == 0 || nat == 0 {
        return if public == 0 { hidden } else { reached };
    }
    let mut pick = reached.pick.clone();
    let missing = pick.is_empty() || hidden.pick.is_empty();
    pick.extend(hidden.pick.iter().filter(|other| !reached.pick.contains(other)));
    if missing {
        pick.clear();
    }
    let because = |receivers: &str, chosen: &Chosen| {
        let mut because = chosen.because.clone();
        because.iter_mut().for_each(|b| b.sentence = format!("{receivers}: {}", b.sentence));
        because
    };
    let mut reasons = because(&format!("the {public} public servers"), &reached);
    reasons.extend(because(&format!("the {nat} behind NAT"), &hidden));
    if pick.len() > 1 {
        reasons.push(said("feed both from one log of events, so that both keep the same promise"));
    }
    // What is excluded in both parts is excluded.
    let both = |e: &&Excluded| reached.excluded.iter().any(|other| other.transport == e.transport);
    let excluded = hidden.excluded.iter().filter(both).cloned().collect();
    let costs = TRANSPORTS
        .iter()
        .filter(|transport| pick.contains(transport))
        .map(|transport| load::of(*transport, workload, known))
        .collect();
    Chosen { pick, equal: Vec::new(), does_not_matter: false, because: reasons, excluded, costs }
}

fn one_place(workload: &Workload, known: &Evidence) -> Chosen {
    let excluded = constraints::excluded(workload, known);
    let out = |transport: &Transport| excluded.iter().any(|e| e.transport == transport.name());
    let viable: Vec<Transport> =
        TRANSPORTS.into_iter().filter(|transport| !out(transport)).collect();
    let costs: Vec<Cost> =
        viable.iter().map(|transport| load::of(*transport, workload, known)).collect();
    let mut decision = Decision { workload, known, viable, because: Vec::new(), costs: &costs };
    let (pick, equal, does_not_matter) = decision.decide();
    let because = decision.because;
    Chosen { pick: pick.into_iter().collect(), equal, does_not_matter, because, excluded, costs }
}

struct Decision<'a> {
    workload: &'a Workload,
    known: &'a Evidence,
    viable: Vec<Transport>,
    because: Vec<Because>,
    costs: &'a [Cost],
}

/// The pick, what does as well, and whether it matters.
type Answer = (Option<Transport>, Vec<Transport>, bool);

/// Which of two takes less CPU, by an amount that matters.
enum Cheaper {
    Certainly(Transport),
    /// The difference is certainly too small to matter.
    Neither,
    CannotTell,
}

impl Decision<'_> {
    fn decide(&mut self) -> Answer {
        let w = self.workload;
        if self.viable.is_empty() {
            return (None, Vec::new(), false);
        }
        if let [only] = self.viable[..] {
            self.say(format!("nothing but {} remains", only.name()));
            return (Some(only), Vec::new(), false);
        }
        self.drop_expensive();
        if let [only] = self.viable[..] {
            return (Some(only), Vec::new(), false);
        }
        let reachable = self.viable.contains(&Transport::Webhook);
        if w.direction == Direction::Both
            && self.viable.contains(&Transport::Websocket)
            && !(reachable && w.place == Place::PublicServer)
        {
            self.say("events go both ways: one WebSocket carries both, and everything else needs a request for what comes back");
            return (Some(Transport::Websocket), Vec::new(), false);
        }
        if reachable { self.reachable() } else { self.connecting() }
    }

    /// Leaves out what certainly takes more CPU than another one, by an amount that matters.
    fn drop_expensive(&mut self) {
        // A poll brings many events at once and is cheap at the price of their age: it sets no standard for the others.
        let viable = |cost: &&Cost| {
            let mut compared = self.viable.iter().filter(|t| **t != Transport::Poll);
            compared.any(|t| t.name() == cost.transport)
        };
        let known =
            self.costs.iter().filter(viable).filter_map(|cost| Some((cost, cost.cpus_ci95?)));
        let Some((cheapest, [_, most])) = known.clone().min_by(|a, b| a.1[1].total_cmp(&b.1[1]))
        else {
            self.say("what an event costs is not known well enough: costs decide nothing");
            return;
        };
        let expensive: Vec<&Cost> = known
            .filter(|(_, [least, _])| *least > most * TIMES && *least - most > CPUS)
            .map(|(cost, _)| cost)
            .collect();
        for cost in expensive {
            self.viable.retain(|transport| transport.name() != cost.transport);
            self.because.push(Because {
                sentence: format!(
                    "in a burst {} takes {:.2} CPUs, and {} takes {:.2}, sender and receivers together: more than {TIMES} times as much",
                    cost.transport,
                    cost.cpus.unwrap_or_default(),
                    cheapest.transport,
                    cheapest.cpus.unwrap_or_default()
                ),
                figure: cost.cpus.zip(cheapest.cpus).map(|(more, less)| more / less),
                unit: Some("times"),
                run: cost.run.clone(),
            });
        }
    }

    /// Receivers that the sender can connect to.
    fn reachable(&mut self) -> Answer {
        let w = self.workload;
        let in_flight = load::in_flight(w, self.known);
        if let Some(mean) = in_flight.filter(|mean| *mean > BUSY)
            && self.viable.contains(&Transport::Websocket)
        {
            self.because.push(Because {
                sentence: format!(
                    "on average {} events are in flight to each receiver: a webhook keeps as many connections busy, a WebSocket one",
                    round(mean)
                ),
                figure: Some(mean),
                unit: Some("events in flight"),
                run: None,
            });
            return (Some(Transport::Websocket), Vec::new(), false);
        }
        let few = w.place == Place::SameNetwork && w.count <= FEW;
        if few && self.viable.contains(&Transport::Websocket) {
            let both = [Transport::Webhook, Transport::Websocket];
            self.say_small(&both);
            match self.cheaper(both) {
                Cheaper::Certainly(cheaper) => return (Some(cheaper), Vec::new(), false),
                Cheaper::CannotTell => {
                    self.say("it cannot be told which takes less CPU; both sides are yours, and there are few: a webhook is the smaller program");
                    return (Some(Transport::Webhook), vec![Transport::Websocket], false);
                }
                Cheaper::Neither => {}
            }
            self.say("both sides are yours, and there are few: choose what your team knows; a webhook is the smaller program");
            return (Some(Transport::Webhook), vec![Transport::Websocket], true);
        }
        if !self.viable.contains(&Transport::Websocket) {
            self.say("a request reaches the receivers, and no connection has to be kept");
            return (Some(Transport::Webhook), Vec::new(), false);
        }
        let [webhook, websocket] = [Transport::Webhook, Transport::Websocket]
            .map(|transport| duties::of(transport, w).receiver);
        let more: Vec<&str> =
            websocket.into_iter().filter(|duty| !webhook.contains(duty)).collect();
        self.because.push(Because {
            sentence: format!(
                "with a webhook the sender connects; a WebSocket leaves more to each receiver: {}",
                more.join("; ")
            ),
            figure: Some(more.len() as f64),
            unit: Some("duties of a receiver"),
            run: None,
        });
        let each = w.deliveries_each();
        self.because.push(Because {
            sentence: format!(
                "an open connection to each receiver would carry {}",
                match each < 1.0 {
                    true => format!("one event every {}", span_text(1e9 / each)),
                    false => format!("{} events a second", round(each)),
                }
            ),
            figure: Some(each),
            unit: Some("events a second to a receiver"),
            run: None,
        });
        if let Some(outage) = w.outage {
            let outage = span_text(outage.as_nanos() as f64);
            self.say(format!("a receiver may be away for {outage}: the sender keeps its events and retries, and the receiver needs no client that reconnects"));
        }
        (Some(Transport::Webhook), Vec::new(), false)
    }

    /// Which takes less CPU, by an amount that matters.
    fn cheaper(&mut self, both: [Transport; 2]) -> Cheaper {
        let ends = |transport: Transport| {
            let cost = self.costs.iter().find(|c| c.transport == transport.name())?;
            Some((transport, cost.cpus?, cost.cpus_ci95?))
        };
        let mut known: Vec<_> = both.into_iter().filter_map(ends).collect();
        known.sort_by(|a, b| a.1.total_cmp(&b.1));
        let [(less, cpus, [least, high]), (_, more, [low, most])] = known[..] else {
            return Cheaper::CannotTell;
        };
        if low - high <= CPUS {
            let neither = most.max(high) - least.min(low) <= CPUS;
            return if neither { Cheaper::Neither } else { Cheaper::CannotTell };
        }
        self.because.push(Because {
            sentence: format!(
                "{} takes {:.2} CPUs less in a burst, which is worth choosing it for",
                less.name(),
                more - cpus
            ),
            figure: Some(more - cpus),
            unit: Some("CPUs"),
            run: None,
        });
        Cheaper::Certainly(less)
    }

    /// Receivers that have to connect by themselves.
    fn connecting(&mut self) -> Answer {
        let w = self.workload;
        self.say(match w.place {
            Place::BehindNat | Place::Browser => {
                "receivers have to open the connection: they cannot be reached"
            }
            _ => "without a webhook, the receivers open the connection",
        });
        let viable = self.viable.clone();
        let has = |transport| viable.contains(&transport);
        let kept = [Transport::Websocket, Transport::Sse].into_iter().find(|t| has(*t));
        if has(Transport::Poll) && w.freshness.as_secs_f64() >= PATIENT_S {
            let polls = load::upkeep(Transport::Poll, w);
            let pings = load::upkeep(kept.unwrap_or(Transport::LongPoll), w);
            if polls < pings {
                self.because.push(Because {
                    sentence: format!(
                        "polling every {} is {} a second; {} kept connections need {} pings or requests a second to stay open",
                        span_text(load::poll_interval(w) * 1e9),
                        requests(polls),
                        w.count,
                        round(pings)
                    ),
                    figure: Some(polls),
                    unit: Some("requests a second"),
                    run: None,
                });
                return (Some(Transport::Poll), Vec::new(), false);
            }
        }
        if has(Transport::Poll) {
            let polls = load::upkeep(Transport::Poll, w);
            self.because.push(Because {
                sentence: format!(
                    "polling would take {} a second to be current, and most events would wait for the next one",
                    requests(polls)
                ),
                figure: Some(polls),
                unit: Some("requests a second"),
                run: None,
            });
        }
        let both = [Transport::Websocket, Transport::Sse].map(has);
        let acknowledged = w.promise != Promise::AtMostOnce;
        match (both, acknowledged) {
            ([true, true], true) => {
                self.compare(evidence::REQUESTS, "requests per delivery");
                self.say("a receiver acknowledges over the WebSocket itself; server-sent events need a request for it");
                (Some(Transport::Websocket), Vec::new(), false)
            }
            ([true, true], false) => {
                self.say("events go one way and are not acknowledged: server-sent events are plain HTTP, and browsers connect again by themselves; a WebSocket does as well");
                (Some(Transport::Sse), vec![Transport::Websocket], false)
            }
            ([true, false], _) => (Some(Transport::Websocket), Vec::new(), false),
            ([false, true], _) => (Some(Transport::Sse), Vec::new(), false),
            ([false, false], _) => {
                self.say("neither a WebSocket nor an event stream remains: a request that is held until there is an event does");
                let mut rest = [Transport::LongPoll, Transport::Poll].into_iter();
                let pick = rest.find(|t| has(*t));
                (pick, Vec::new(), false)
            }
        }
    }

    /// The latencies and costs of transports that do not differ by anything that matters.
    fn say_small(&mut self, transports: &[Transport]) {
        for transport in transports {
            let Some(cost) = self.costs.iter().find(|c| c.transport == transport.name()) else {
                continue;
            };
            let (Some(age), Some(cpus)) = (cost.age_ns, cost.cpus) else { continue };
            self.because.push(Because {
                sentence: format!(
                    "over {} 99 % of events arrive within {}, where {} are allowed, and a burst takes {} of a CPU, sender and receivers together",
                    transport.name(),
                    nanos_text(age),
                    nanos_text(self.workload.freshness.as_nanos() as f64),
                    share(cpus)
                ),
                figure: Some(age),
                unit: Some("ns"),
                run: cost.run.clone(),
            });
        }
    }

    /// The same figure of a WebSocket and of server-sent events.
    fn compare(&mut self, metric: &str, what: &'static str) {
        for transport in [Transport::Websocket, Transport::Sse] {
            let found = load::figure(self.known, transport, self.workload, &[metric]);
            self.because.extend(found.map(|figure| Because {
                sentence: format!("{} takes {} {what}", transport.name(), round(figure.value)),
                figure: Some(figure.value),
                unit: Some(what),
                run: Some(self.known.runs[figure.run].dir.clone()),
            }));
        }
    }

    fn say(&mut self, sentence: impl Into<String>) {
        self.because.push(said(sentence));
    }
}

fn said(sentence: impl Into<String>) -> Because {
    Because { sentence: sentence.into(), figure: None, unit: None, run: None }
}

/// Two significant digits, or three of large numbers.
fn round(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 1.0 => format!("{}", (v * 10.0).round() / 10.0),
        v if v > 0.0 => format!("{v:.0$}", (1.0 - v.log10().floor()).min(9.0) as usize),
        _ => "0".to_owned(),
    }
}

fn requests(rate: f64) -> String {
    let rate = round(rate);
    if rate == "1" { "1 request".to_owned() } else { format!("{rate} requests") }
}

fn share(cpus: f64) -> String {
    match cpus * 100.0 {
        percent if percent < 0.01 => "less than 0.01 %".to_owned(),
        percent if percent < 1.0 => format!("{percent:.2} %"),
        percent => format!("{percent:.0} %"),
    }
}
