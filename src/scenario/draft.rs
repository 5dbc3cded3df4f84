//! A scenario while its keys are being applied, and the checks that make it one.

use super::shape::{Process, Shape};
use super::{
    Compare, Connections, DesignChoice, Expectation, Flow, Lifetime, Load, Matters, Payload,
    Scenario, payload,
};
use std::path::PathBuf;
use std::time::Duration;

/// More events in a trial than this would take days to send.
const MOST_EVENTS: f64 = 1e9;

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
    pub blocks: usize,
    pub design: DesignChoice,
    pub slice: Option<Duration>,
    pub matters: Matters,
    pub expect: Vec<Expectation>,
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
            blocks: 12,
            design: DesignChoice::Auto,
            slice: None,
            matters: Matters { latency: Duration::from_millis(1), cpu: 0.05, throughput: 0.05 },
            expect: Vec::new(),
            folder,
        }
    }

    /// Reads the payload's file, if there is one.
    pub fn read_file(&mut self) -> Result<(), (&'static str, String)> {
        if let Some(path) = &self.file {
            let read = payload::read(&self.folder.join(path));
            self.json = read.map_err(|why| ("payload.file", why))?;
        }
        Ok(())
    }

    /// The scenario, or the key that is wrong and why.
    pub fn finish(self) -> Result<Scenario, (&'static str, String)> {
        self.check_load()?;
        let arrivals = self.shape.arrivals(self.arrivals, self.duration)?;
        let payload = match (self.bytes, self.file) {
            (Some(_), Some(_)) => {
                return Err((
                    "payload.file",
                    "payload.bytes is given, too: keep one of them".into(),
                ));
            }
            (_, Some(path)) => Payload::File { path, json: self.json },
            (bytes, None) => Payload::Bytes(bytes.unwrap_or(512)),
        };
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
            compare: Compare {
                blocks: self.blocks,
                design: self.design,
                slice: self.slice,
                matters: self.matters,
            },
            expect: self.expect,
        })
    }

    fn check_load(&self) -> Result<(), (&'static str, String)> {
        if self.count.saturating_mul(self.in_flight) > 1 << 22 {
            let n = self.count.saturating_mul(self.in_flight);
            return Err((
                "connections.in_flight",
                format!("{n} events in flight in all: at most 4194304 fit"),
            ));
        }
        match (self.arrivals, self.rate) {
            (Process::Closed, Some(rate)) => Err((
                "load.rate",
                format!(
                    "{rate}: a closed loop has no rate; leave it out, or set load.arrivals to poisson"
                ),
            )),
            (Process::Closed, None) if self.design == DesignChoice::Sliced => Err((
                "compare.design",
                "sliced: a closed loop runs sequentially; write auto".into(),
            )),
            (Process::Closed, None) => Ok(()),
            (_, None) => {
                Err(("load.rate", "missing: write the events per second, for example 2000".into()))
            }
            (Process::Ramp | Process::Burst, _) if self.design == DesignChoice::Sliced => Err((
                "compare.design",
                "sliced: slices would cut a ramp or a burst into pieces; write auto".into(),
            )),
            (_, Some(rate)) => {
                let seconds = self.duration.as_secs_f64();
                let events = rate * (seconds + self.warmup.as_secs_f64());
                if rate * seconds < 1.0 {
                    let why = format!(
                        "{rate}: no event falls into {seconds} s: raise load.rate or load.duration"
                    );
                    return Err(("load.rate", why));
                }
                if events > MOST_EVENTS {
                    return Err((
                        "load.rate",
                        format!("{rate}: {events:.0} events a trial: at most 1e9 are possible"),
                    ));
                }
                Ok(())
            }
        }
    }
}
