//! The five factors, the claim about each, and the questions whose answers decide it.
//!
//! The factors are those of the article *Webhooks vs. Websockets: choosing the right approach in Python*. The claims
//! are what is usually said under these headings, in our words; they quote nobody.

use pushbench_core::scorecard::Role;

/// A factor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factor {
    pub name: &'static str,
    pub question: &'static str,
    /// What is usually said.
    pub claim: &'static str,
    pub questions: &'static [Question],
}

/// What decides a claim, or belongs beside it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    /// A metric of a measurement.
    Compared {
        /// The measurement.
        of: &'static str,
        metric: &'static str,
        /// What it is, as it is read in a sentence.
        called: &'static str,
        /// Baseline and candidate.
        roles: [Role; 2],
        /// Which one is better by the claim, where that says so.
        favours: Option<Role>,
    },
    /// Which of the two transports gets through a path.
    Passage {
        path: &'static str,
        /// Which one does by the claim, where the other does not.
        favours: Option<Role>,
    },
    /// Time from subscribing to the first event, without a claim.
    FirstEvent,
    /// Lines of code of each stack; fewer for a webhook by the claim.
    LinesOfCode,
    /// Packages of each stack; fewer for a webhook by the claim.
    Packages,
    /// What has to be built beside sending and receiving; less for a webhook by the claim.
    Duties,
}

use Role::{Callback, ClosingWebhook, Poll, Webhook, Websocket};

const PAIR: [Role; 2] = [Webhook, Websocket];

const fn sooner(of: &'static str, metric: &'static str, called: &'static str) -> Question {
    Question::Compared { of, metric, called, roles: PAIR, favours: Some(Websocket) }
}

const fn scales(of: &'static str, metric: &'static str, called: &'static str) -> Question {
    Question::Compared { of, metric, called, roles: PAIR, favours: Some(Webhook) }
}

/// The same of silent subscribers, where the WebSocket comes first.
const fn silent(webhook: Role, metric: &'static str, called: &'static str) -> Question {
    let roles = [Websocket, webhook];
    Question::Compared { of: "idle", metric, called, roles, favours: Some(webhook) }
}

const fn push(pushed: Role, metric: &'static str, called: &'static str) -> Question {
    Question::Compared {
        of: "polling",
        metric,
        called,
        roles: [Poll, pushed],
        favours: Some(pushed),
    }
}

const fn both_ways(metric: &'static str, called: &'static str) -> Question {
    let roles = [Callback, Websocket];
    Question::Compared { of: "callback", metric, called, roles, favours: Some(Websocket) }
}

const fn passes(path: &'static str, favours: Role) -> Question {
    Question::Passage { path, favours: Some(favours) }
}

/// The claim does not say.
const fn also(path: &'static str) -> Question {
    Question::Passage { path, favours: None }
}

/// The factors, in the order of the article.
pub(super) const FACTORS: [Factor; 5] = [
    Factor {
        name: "real-time updates",
        question: "Does an event arrive sooner over a WebSocket than by a webhook?",
        claim: "A WebSocket is the choice for real-time updates: its connection is open already, so events arrive sooner than by webhooks.",
        questions: &[
            sooner("rest", "response.p50", "median response"),
            sooner("loaded", "response.p50", "median response"),
            sooner("loaded", "response.p99", "99th percentile of responses"),
            sooner("both-ways", "response.p50", "median time to an answer"),
            sooner("fan-out", "delivery.p50", "median delivery"),
            sooner("fan-out", "last.p50", "median time to the last subscriber"),
            sooner("distance-20ms", "response.p50", "median response"),
            sooner("distance-100ms", "response.p50", "median response"),
            sooner("silence", "delivery.p50", "median delivery"),
        ],
    },
    Factor {
        name: "scalability",
        question: "Does a webhook carry more, and cost less of CPU and memory?",
        claim: "Webhooks scale more easily: each event is a request of its own, while every WebSocket is a connection that a server has to hold.",
        questions: &[
            scales("saturation", "throughput", "throughput"),
            scales("capacity", "capacity", "capacity"),
            scales("loaded", "target_usage.cpu_ns_per_event", "target CPU per event"),
            scales("fan-out", "target_usage.cpu_ns_per_delivery", "target CPU per delivery"),
            scales("fan-out", "target_usage.bytes_per_subscriber", "memory per subscriber"),
            silent(Webhook, "target_usage.bytes_per_subscriber", "memory per silent subscriber"),
            silent(
                ClosingWebhook,
                "target_usage.bytes_per_subscriber",
                "memory per silent subscriber",
            ),
            silent(
                Webhook,
                "target_usage.cpu_ns_per_subscriber_minute",
                "target CPU per silent subscriber and minute",
            ),
        ],
    },
    Factor {
        name: "ease of implementation",
        question: "Does a webhook take less code, fewer packages and fewer duties?",
        claim: "Webhooks are easier to implement: one HTTP endpoint is enough, while a WebSocket needs code for connections and for their ends.",
        questions: &[Question::LinesOfCode, Question::Packages, Question::Duties],
    },
    Factor {
        name: "push against pull",
        question: "Is an event that is pushed fresher and cheaper than one that is asked for, and which transport goes both ways?",
        claim: "Both push events as they happen, so nobody has to ask for them; a WebSocket also carries what receivers send, for which webhooks need requests of their own.",
        questions: &[
            push(Webhook, "delivery.p50", "median age of an event"),
            push(Websocket, "delivery.p50", "median age of an event"),
            push(Webhook, "total_usage.cpu_ns_per_delivery", "CPU of both sides per delivery"),
            push(Websocket, "total_usage.cpu_ns_per_delivery", "CPU of both sides per delivery"),
            both_ways("response.p50", "median time to an answer"),
            both_ways("total_usage.cpu_ns_per_event", "CPU of both sides per answer"),
            Question::Compared {
                of: "filter",
                metric: "total_usage.cpu_ns_per_delivery",
                called: "CPU of both sides per wanted event",
                roles: PAIR,
                favours: None,
            },
            Question::FirstEvent,
        ],
    },
    Factor {
        name: "firewall and proxy restrictions",
        question: "Which of the two gets through?",
        claim: "A webhook needs a receiver that can be reached from outside, which NAT and firewalls prevent; proxies let its requests through, but may refuse a WebSocket.",
        questions: &[
            passes("receiver-behind-nat", Websocket),
            passes("inbound-dropped", Websocket),
            passes("forward-proxy", Webhook),
            passes("forward-proxy-no-connect", Webhook),
            passes("nginx", Webhook),
            passes("haproxy", Webhook),
            passes("tls-inspection", Webhook),
            also("sender-behind-nat"),
            also("only-443"),
            also("nginx-websocket"),
        ],
    },
];

/// The metrics that questions take from a measurement.
pub fn metrics(measurement: &str) -> Vec<&'static str> {
    let questions = FACTORS.iter().flat_map(|factor| factor.questions);
    let of = |question: &Question| match question {
        Question::Compared { of, metric, .. } if *of == measurement => Some(*metric),
        _ => None,
    };
    questions.filter_map(of).collect()
}
