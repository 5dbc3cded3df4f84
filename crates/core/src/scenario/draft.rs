//! A scenario while its keys are being applied, and the checks that make it one.

use crate::guarantee::Guarantee;
use crate::scenario::path::PathDraft;
use crate::scenario::raw::plain;
use crate::scenario::shape::{Process, Shape};
use crate::scenario::{
    Blocks, Compare, Compression, Connections, Content, DesignChoice, Expectation, Faults, Flow,
    Lifetime, Load, Matters, Payload, Prices, Questions, ReadText, Scenario, Subscribers,
    TlsSettings, payload,
};
use crate::units;
use std::path::PathBuf;
use std::time::Duration;

/// More events in a trial than this would take days to send.
const MOST_EVENTS: f64 = 1e9;

/// Default size of a generated event, in bytes.
pub(super) const DEFAULT_BYTES: usize = 512;

/// The slow-down that `compare.blocks = "auto"` looks for by default.
const PRECISION: f64 = 0.10;

/// The smallest one that may be looked for.
const FINEST: f64 = 0.01;

/// Events that may be unanswered in all: each has an entry in its connection's window.
const MOST_OPEN: usize = 1 << 22;

/// Bytes of events that may be unanswered in all: they may wait in buffers at both ends.
const MOST_OPEN_BYTES: usize = 1 << 30;

/// A shorter time between two events of an idle flow does not show idle cost.
const SHORTEST_QUIET: Duration = Duration::from_millis(700);

/// What is wrong with keys that are valid by themselves.
#[derive(Debug)]
pub struct Wrong {
    /// The key to change.
    pub key: &'static str,
    /// Why, and to what.
    pub why: String,
    /// The key that it contradicts.
    pub against: Option<&'static str>,
}

impl Wrong {
    pub fn new(key: &'static str, why: impl Into<String>) -> Wrong {
        Wrong { key, why: why.into(), against: None }
    }

    pub fn against(self, key: &'static str) -> Wrong {
        Wrong { against: Some(key), ..self }
    }
}

/// Everything a scenario may say; unset keys have their defaults at the end.
#[derive(Debug, Clone)]
pub struct Draft {
    pub name: String,
    pub question: String,
    pub flow: Flow,
    pub arrivals: Process,
    pub shape: Shape,
    pub rate: Option<f64>,
    pub warmup: Duration,
    pub duration: Duration,
    pub timeout: Duration,
    pub backlog: usize,
    pub count: usize,
    pub in_flight: usize,
    /// Unlimited when `None`.
    pub lifetime: Option<usize>,
    pub bytes: Option<usize>,
    pub file: Option<String>,
    /// What `file` holds, once it was read.
    pub json: String,
    pub content: Content,
    pub headers_bytes: usize,
    pub tls: TlsSettings,
    pub compression: Compression,
    pub subscribers: Option<usize>,
    pub acknowledged: Option<bool>,
    pub poll_interval: Option<Duration>,
    pub long_poll_hold: Option<Duration>,
    /// What else there is to say about subscribers.
    pub fanout: Subscribers,
    pub questions: Questions,
    pub restart_after: Option<Duration>,
    pub faults: Faults,
    pub guarantee: Guarantee,
    /// `guarantee.delivery` is swept: what belongs to some of its values holds for those.
    pub promise_is_swept: bool,
    pub path: PathDraft,
    /// Found by the run when `None`.
    pub blocks: Option<usize>,
    pub precision: Option<f64>,
    pub arms: Vec<String>,
    pub design: DesignChoice,
    pub slice: Option<Duration>,
    pub matters: Matters,
    pub expect: Vec<Expectation>,
    pub objective: Vec<Expectation>,
    pub price: Prices,
    /// Where relative payload paths begin.
    pub folder: PathBuf,
}

impl Draft {
    pub fn new(folder: PathBuf) -> Draft {
        Draft {
            name: String::new(),
            question: String::new(),
            flow: Flow::Ingest,
            arrivals: Process::Poisson,
            shape: Shape::default(),
            rate: None,
            warmup: Duration::from_millis(500),
            duration: Duration::from_millis(1500),
            timeout: Duration::from_secs(5),
            backlog: 20_000,
            count: 32,
            in_flight: 1,
            lifetime: None,
            bytes: None,
            file: None,
            json: String::new(),
            content: Content::default(),
            headers_bytes: 0,
            tls: TlsSettings::default(),
            compression: Compression::default(),
            subscribers: None,
            acknowledged: None,
            poll_interval: None,
            long_poll_hold: None,
            fanout: Subscribers::default(),
            questions: Questions::default(),
            restart_after: None,
            faults: Faults::default(),
            guarantee: Guarantee::default(),
            promise_is_swept: false,
            path: PathDraft::default(),
            blocks: Some(12),
            precision: None,
            arms: Vec::new(),
            design: DesignChoice::Auto,
            slice: None,
            matters: Matters { latency: Duration::from_millis(1), cpu: 0.05, throughput: 0.05 },
            expect: Vec::new(),
            objective: Vec::new(),
            price: Prices::default(),
            folder,
        }
    }

    /// Reads the payload's file, if there is one.
    pub(crate) fn read_file(&mut self, read_text: ReadText<'_>) -> Result<(), Wrong> {
        if let Some(path) = &self.file {
            let read = payload::read(&self.folder.join(path), read_text);
            self.json = read.map_err(|why| Wrong::new("payload.file", why))?;
        }
        Ok(())
    }

    /// The scenario, or the key that is wrong and why.
    pub fn finish(self) -> Result<Scenario, Wrong> {
        self.check_load()?;
        self.check_subscribers()?;
        self.check_questions()?;
        self.check_memory()?;
        self.check_quiet()?;
        self.check_wall()?;
        self.path.check(&self)?;
        self.check_guarantee()?;
        let fanout = Subscribers {
            count: self.subscribers.unwrap_or(self.fanout.count),
            acknowledged: self.acknowledged.unwrap_or(self.fanout.acknowledged),
            poll_interval: self.poll_interval.unwrap_or(self.fanout.poll_interval),
            long_poll_hold: self.long_poll_hold.unwrap_or(self.fanout.long_poll_hold),
            ..self.fanout.clone()
        };
        fanout.check(self.file.is_some(), self.bytes)?;
        let fanout = self.flow.publishes().then_some(fanout);
        let questions = (self.flow == Flow::Duplex).then_some(self.questions.clone());
        let arrivals = self.shape.arrivals(self.arrivals, self.duration)?;
        let blocks = self.blocks()?;
        payload::check_headers(self.headers_bytes)?;
        let payload = Payload::of(self.bytes, self.file, self.json, self.content)?;
        Ok(Scenario {
            name: self.name,
            question: self.question,
            flow: self.flow,
            load: Load {
                arrivals,
                rate: self.rate,
                warmup: self.warmup,
                duration: self.duration,
                timeout: self.timeout,
                backlog: self.backlog,
            },
            connections: Connections {
                count: self.count,
                in_flight: self.in_flight,
                lifetime: self.lifetime.map_or(Lifetime::Unlimited, |n| Lifetime::Events(n as u64)),
            },
            payload,
            content: self.content,
            headers_bytes: self.headers_bytes,
            tls: self.tls,
            compression: self.compression,
            subscribers: fanout,
            questions,
            restart_after: self.restart_after,
            faults: self.faults,
            guarantee: self.guarantee,
            path: self.path.settings(),
            compare: Compare {
                arms: self.arms,
                blocks,
                design: self.design,
                slice: self.slice,
                matters: self.matters,
            },
            expect: self.expect,
            objective: self.objective,
            price: self.price,
        })
    }

    fn blocks(&self) -> Result<Blocks, Wrong> {
        let wrong = |why: String| Wrong::new("compare.precision", why);
        match (self.blocks, self.precision) {
            (Some(n), None) => Ok(Blocks::Fixed(n)),
            (Some(n), Some(_)) => {
                let why = format!(
                    "the blocks are fixed to {n}: leave it out, or write compare.blocks = \"auto\""
                );
                Err(wrong(why).against("compare.blocks"))
            }
            (None, Some(p)) if p < FINEST => {
                let (given, finest) = (plain(p * 100.0), plain(FINEST * 100.0));
                Err(wrong(format!(
                    "{given}%: no machine is that repeatable; write {finest}% or more"
                )))
            }
            (None, precision) => Ok(Blocks::Auto { precision: precision.unwrap_or(PRECISION) }),
        }
    }

    fn check_load(&self) -> Result<(), Wrong> {
        let closed = self.arrivals == Process::Closed;
        let whole = match self.arrivals {
            Process::Closed => Some("a closed loop runs sequentially"),
            Process::Ramp | Process::Burst => {
                Some("slices would cut a ramp or a burst into pieces")
            }
            Process::Constant | Process::Poisson => None,
        };
        if let (Some(why), DesignChoice::Sliced) = (whole, self.design) {
            let why = format!("sliced: {why}; write auto");
            return Err(Wrong::new("compare.design", why).against("load.arrivals"));
        }
        if self.slice.is_some() && (whole.is_some() || self.design == DesignChoice::Sequential) {
            let other = if whole.is_some() { "load.arrivals" } else { "compare.design" };
            let why = "blocks that run sequentially have no slices: leave it out";
            return Err(Wrong::new("compare.slice", why).against(other));
        }
        if closed && self.flow != Flow::Ingest {
            let why = match self.flow {
                Flow::Duplex => {
                    "closed: a slot would send again before its callback has arrived: write poisson"
                }
                _ => {
                    "closed: publishing needs due instants, which a closed loop has not: write poisson"
                }
            };
            return Err(Wrong::new("load.arrivals", why).against("flow"));
        }
        let wrong = |why: String| Err(Wrong::new("load.rate", why));
        match self.rate {
            Some(rate) if closed => wrong(format!(
                "{rate}: a closed loop has no rate; leave it out, or set load.arrivals to poisson"
            ))
            .map_err(|e| e.against("load.arrivals")),
            None if closed => Ok(()),
            None => wrong("missing: write the events per second, for example 2000".into()),
            Some(rate) => self.check_rate(rate).or_else(wrong),
        }
    }

    /// Keys that would be without effect are refused.
    fn check_subscribers(&self) -> Result<(), Wrong> {
        let given = [
            ("subscribers.count", self.subscribers.is_some()),
            ("delivery.acknowledged", self.acknowledged.is_some()),
            ("delivery.poll_interval", self.poll_interval.is_some()),
            ("delivery.long_poll_hold", self.long_poll_hold.is_some()),
        ];
        let given = given.into_iter().find_map(|(key, given)| given.then_some(key));
        match given.or_else(|| self.fanout.given()).filter(|_| !self.flow.publishes()) {
            None => Ok(()),
            Some(key) => {
                let why = "it belongs to flow = \"fanout\" or \"idle\", see `pushbench run fanout`: leave it out";
                Err(Wrong::new(key, why).against("flow"))
            }
        }
    }

    /// The same for `[duplex]`.
    fn check_questions(&self) -> Result<(), Wrong> {
        if self.flow == Flow::Duplex {
            return self.questions.check(self.timeout);
        }
        match self.questions.given() {
            None => Ok(()),
            Some(key) => {
                let why =
                    "it belongs to flow = \"duplex\", see `pushbench run duplex`: leave it out";
                Err(Wrong::new(key, why).against("flow"))
            }
        }
    }

    fn check_rate(&self, rate: f64) -> Result<(), String> {
        let (seconds, shown) = (self.duration.as_secs_f64(), plain(rate));
        // Of an idle flow it is not the number of events that counts.
        if rate * seconds < 1.0 && self.flow != Flow::Idle {
            return Err(format!(
                "{shown}: no event falls into {seconds} s: raise load.rate or load.duration"
            ));
        }
        let events = rate.max(self.shape.peak(rate)) * (seconds + self.warmup.as_secs_f64());
        if events > MOST_EVENTS {
            return Err(format!(
                "{shown}: {events:.0} events a trial, at most 1e9 are possible: lower load.rate, load.duration or load.warmup"
            ));
        }
        Ok(())
    }

    /// An idle flow measures what lies between two events, so it must be known where they are.
    fn check_quiet(&self) -> Result<(), Wrong> {
        let (Flow::Idle, Some(rate)) = (self.flow, self.rate) else { return Ok(()) };
        if self.arrivals != Process::Constant {
            let why = "an idle flow measures the time between two events: write constant";
            return Err(Wrong::new("load.arrivals", why).against("flow"));
        }
        if self.design == DesignChoice::Sliced {
            let why = "sliced: the cost of idle subscribers is measured one arm at a time; write sequential";
            return Err(Wrong::new("compare.design", why).against("flow"));
        }
        let restarts = self.restart_after.map(|_| "faults.restart_after");
        if let Some(key) = restarts.or_else(|| self.fanout.unsteady()) {
            let why = "an idle flow measures the cost of subscribers that stay connected and respond: leave it out";
            return Err(Wrong::new(key, why).against("flow"));
        }
        // Of the first event after the warm-up, which ends the idle interval.
        let warmup = self.warmup.as_secs_f64();
        let next = (warmup * rate).ceil() / rate;
        if next - warmup < SHORTEST_QUIET.as_secs_f64()
            || next >= warmup + self.duration.as_secs_f64()
        {
            let why = format!(
                "{}: an idle flow has its first event at the head of the warm-up, and a measured one at \
                 least {SHORTEST_QUIET:?} after the warm-up: with load.warmup 2s and load.duration 4s \
                 write 0.25",
                plain(rate)
            );
            return Err(Wrong::new("load.rate", why).against("flow"));
        }
        Ok(())
    }

    /// What goes by the clock on the wall happens within the window, and not in slices.
    fn check_wall(&self) -> Result<(), Wrong> {
        let restarts = self.restart_after.map(|_| "faults.restart_after");
        if let Some(after) = self.restart_after.filter(|after| *after >= self.duration) {
            let why = format!(
                "{}: the measured window is over by then: write less than load.duration",
                units::nanos_text(after.as_nanos() as f64)
            );
            return Err(Wrong::new("faults.restart_after", why).against("load.duration"));
        }
        let faults = self.faults.any().then_some("faults.at");
        let path = self.path.given().then_some("path.rtt");
        match restarts.or(faults).or_else(|| self.fanout.lives_by_the_wall()).or(path) {
            Some(key) if self.design == DesignChoice::Sliced => {
                let why = format!(
                    "sliced: {key} needs wall-clock time, which slices interrupt; write auto"
                );
                Err(Wrong::new("compare.design", why).against(key))
            }
            Some(key) if self.slice.is_some() => {
                let why =
                    format!("{key} needs wall-clock time, which slices interrupt: leave it out");
                Err(Wrong::new("compare.slice", why).against(key))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn bytes_of_an_event(&self) -> usize {
        match &self.file {
            Some(_) => payload::OPEN.len() + payload::ID_DIGITS + self.json.len(),
            None => self.bytes.unwrap_or(DEFAULT_BYTES),
        }
    }

    /// What may be unanswered at the same time must fit into memory.
    fn check_memory(&self) -> Result<(), Wrong> {
        let bytes = self.bytes_of_an_event();
        let fit = MOST_OPEN.min(MOST_OPEN_BYTES / bytes);
        let open = self.count.saturating_mul(self.in_flight);
        if open <= fit {
            return Ok(());
        }
        let many = format!("{open} events of {bytes} bytes may be unanswered at the same time");
        let (key, remedy) = match fit / self.count {
            0 => ("connections.count", format!("write at most {fit}, with 1 in flight")),
            each => ("connections.in_flight", format!("write at most {each}")),
        };
        let (size, most) =
            (units::bytes((open * bytes) as f64), units::bytes(MOST_OPEN_BYTES as f64));
        Err(Wrong::new(key, format!("{many}, {size}; {most} and {MOST_OPEN} events fit: {remedy}")))
    }
}
