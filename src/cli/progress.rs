//! How a run shows that it goes on: a bar on a terminal, plain lines elsewhere. All on standard
//! error, so that standard output holds the report alone.

use crate::cpus::{Cpus, Placement};
use crate::drive::stretch::Watch;
use crate::record::histogram::Hist;
use crate::record::metrics::supported_quantile;
use crate::run::Progress;
use crate::units;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// The bar or the lines.
pub struct Show {
    bar: Option<ProgressBar>,
    terminal: bool,
    done: Duration,
    total: Duration,
    stage: String,
    began: Instant,
    live: Vec<Live>,
}

/// The responses of one arm since its point began.
struct Live {
    label: String,
    responses: Hist,
}

impl Live {
    /// `webhook@builtin 118 µs / 0.94 ms`: median and p99, each once enough samples support it.
    fn shown(&self) -> Option<String> {
        let quantile = |q| supported_quantile(&self.responses, q).map(units::nanos_text);
        let p99 = quantile(0.99).map_or(String::new(), |p99| format!(" / {p99}"));
        Some(format!("{} {}{p99}", self.label, quantile(0.5)?))
    }
}

impl Show {
    /// Nothing is shown until the run begins.
    pub fn new() -> Show {
        Show {
            bar: None,
            terminal: std::io::stderr().is_terminal(),
            done: Duration::ZERO,
            total: Duration::ZERO,
            stage: String::new(),
            began: Instant::now(),
            live: Vec::new(),
        }
    }

    /// ` · p50 / p99: webhook@builtin 118 µs / 0.94 ms, …`; empty while nothing is known.
    fn live(&self) -> String {
        match self.live.iter().filter_map(Live::shown).collect::<Vec<_>>() {
            shown if shown.is_empty() => String::new(),
            shown => format!(" · p50 / p99: {}", shown.join(", ")),
        }
    }

    /// Says which CPUs are used.
    pub fn say_placement(&mut self, placement: &Placement) {
        let (driver, target) = (Cpus(&placement.driver), Cpus(&placement.target));
        let shared = if placement.apart() { "" } else { " (shared: their times are mixed)" };
        self.say(&format!("driver on CPU {driver}, target on CPU {target}{shared}"));
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Show {
    fn second(&mut self, arm: usize, responses: &Hist) {
        if let Some(live) = self.live.get_mut(arm) {
            live.responses.merge(responses);
        }
        if let Some(bar) = &self.bar {
            let rate = units::rate(responses.count() as f64);
            bar.set_message(format!("{} · {rate}{}", self.stage, self.live()));
        }
    }

    fn tick(&mut self) {
        if let Some(bar) = &self.bar {
            bar.tick();
        }
    }
}

impl Progress for Show {
    fn begin(&mut self, estimate: Duration) {
        self.total = estimate;
        self.began = Instant::now();
        if self.terminal {
            let style =
                ProgressStyle::with_template("{bar:30} {percent:>3} % · {eta} left · {wide_msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::with_draw_target(
                Some(estimate.as_millis() as u64),
                ProgressDrawTarget::stderr_with_hz(4),
            );
            self.bar = Some(bar.with_style(style));
        } else {
            eprintln!("about {} s to go", estimate.as_secs().max(1));
        }
    }

    fn point(&mut self, labels: &[String]) {
        let live = |label: &String| Live { label: label.clone(), responses: Hist::new() };
        self.live = labels.iter().map(live).collect();
    }

    fn stage(&mut self, what: &str) {
        self.stage = what.to_owned();
        let live = self.live();
        match &self.bar {
            Some(bar) => bar.set_message(format!("{what}{live}")),
            None => {
                let left = self.total.saturating_sub(self.done).as_secs();
                let passed = self.began.elapsed().as_secs();
                eprintln!("[{passed:>4} s] {what}, about {left} s left{live}");
            }
        }
    }

    fn say(&mut self, line: &str) {
        let line = crate::report::text::clean(line);
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn advance(&mut self, by: Duration) {
        self.done += by;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done.as_millis() as u64);
        }
    }
}
