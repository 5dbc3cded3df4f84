//! How a run shows that it goes on: a bar on a terminal, plain lines elsewhere. All on standard
//! error, so that standard output holds the report alone.

use crate::cpus::{Cpus, Placement};
use crate::drive::stretch::Watch;
use crate::record::histogram::Hist;
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
    fn interval(&mut self, _arm: usize, responses: &Hist) {
        if let (Some(bar), Some(p50)) = (&self.bar, responses.quantile(0.5)) {
            let (rate, p50) =
                (units::rate(responses.count() as f64), units::nanos_text(p50 as f64));
            bar.set_message(format!("{} · {rate} · p50 {p50}", self.stage));
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

    fn stage(&mut self, what: &str) {
        self.stage = what.to_owned();
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => {
                let left = self.total.saturating_sub(self.done).as_secs();
                eprintln!("[{:>4} s] {what}, about {left} s left", self.began.elapsed().as_secs());
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
