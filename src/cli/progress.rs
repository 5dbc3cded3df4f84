//! How a run shows that it goes on: a bar on a terminal, plain lines elsewhere. All on standard
//! error, so that standard output holds the report alone.

use crate::run::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pushbench_core::cpu_list::Cpus;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::metrics::supported_quantile;
use pushbench_core::units;
use pushbench_core::visible;
use pushbench_host::console::error_line;
use pushbench_host::cpus::Placement;
use pushbench_load::trial_group::TrialObserver;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// The bar or the lines.
pub struct Show {
    bar: Option<ProgressBar>,
    terminal: bool,
    done: Duration,
    total: Duration,
    began: Instant,
    live: Vec<Live>,
    /// The arm of the latest report.
    latest: usize,
    /// Arms that take turns.
    turns: usize,
}

/// More arms than this do not fit on a line: then only the running one is shown.
const FIT: usize = 3;

/// The responses of one arm since its point began.
struct Live {
    label: String,
    responses: Hist,
    /// Responses in the second before the last one, and in the last one, which a trial's end may cut.
    rates: [u64; 2],
}

impl Live {
    fn second(&mut self, responses: &Hist) {
        self.responses.merge(responses);
        self.rates = [self.rates[1], responses.count()];
    }

    /// `webhook@builtin 2000/s 118 µs / 0.94 ms`: rate, median and p99, the latter two once enough
    /// samples support them. For an arm that alternates with others, also its share of the time.
    fn shown(&self, turns: usize) -> Option<String> {
        let quantile = |q| supported_quantile(&self.responses, q).map(units::nanos_text);
        let rate = units::rate(self.rates[0].max(self.rates[1]) as f64);
        let p99 = quantile(0.99).map_or(String::new(), |p99| format!(" / {p99}"));
        let part = if turns > 1 { format!(" in 1/{turns} of the time,") } else { String::new() };
        Some(format!("{} {rate}{part} {}{p99}", self.label, quantile(0.5)?))
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
            began: Instant::now(),
            live: Vec::new(),
            latest: 0,
            turns: 1,
        }
    }

    /// Rate, p50 and p99 of every arm; empty while nothing is known.
    fn live(&self) -> String {
        let shown = match self.live.len() {
            n if n > FIT => &self.live[self.latest..=self.latest],
            _ => &self.live[..],
        };
        shown.iter().filter_map(|live| live.shown(self.turns)).collect::<Vec<_>>().join(" · ")
    }

    /// Prints the CPUs in use.
    pub(crate) fn say_placement(&mut self, placement: &Placement) {
        let (driver, target) = (Cpus(&placement.driver), Cpus(&placement.target));
        let apart = placement.apart() && placement.shared_cores().is_empty();
        let shared = if apart { "" } else { " (they share a core: their times are mixed)" };
        self.say(&format!("driver on CPU {driver}, target on CPU {target}{shared}"));
    }

    /// Removes the bar.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl TrialObserver for Show {
    fn turns(&mut self, arms: usize) {
        self.turns = arms;
    }

    fn second(&mut self, arm: usize, responses: &Hist) {
        if let Some(live) = self.live.get_mut(arm) {
            live.second(responses);
            self.latest = arm;
        }
        if let Some(bar) = &self.bar {
            bar.set_message(visible::line(&self.live()));
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
        self.done = Duration::ZERO;
        self.began = Instant::now();
        if self.terminal {
            let style = ProgressStyle::with_template(
                "{bar:30} {percent:>3} % · {eta} left · {prefix}\n{wide_msg}",
            )
            .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::with_draw_target(
                Some(estimate.as_millis() as u64),
                ProgressDrawTarget::stderr_with_hz(4),
            );
            self.bar = Some(bar.with_style(style));
        } else {
            error_line(&format!("about {} s to go", estimate.as_secs().max(1)));
        }
    }

    fn extend(&mut self, by: Duration) {
        self.total += by;
        if let Some(bar) = &self.bar {
            bar.set_length(self.total.as_millis() as u64);
        }
    }

    fn point(&mut self, labels: &[String]) {
        let live =
            |label: &String| Live { label: label.clone(), responses: Hist::new(), rates: [0; 2] };
        self.live = labels.iter().map(live).collect();
        self.latest = 0;
    }

    fn stage(&mut self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_prefix(visible::line(what)),
            None => {
                let left = self.total.saturating_sub(self.done).as_secs();
                let passed = self.began.elapsed().as_secs();
                let live = Some(self.live()).filter(|live| !live.is_empty());
                let live = live.map_or(String::new(), |live| format!(" · {live}"));
                error_line(&format!("[{passed:>4} s] {what}, about {left} s left{live}"));
            }
        }
    }

    fn say(&mut self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| error_line(line)),
            None => error_line(line),
        }
    }

    fn advance(&mut self, by: Duration) {
        self.done += by;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done.as_millis() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_an_arm_says_what_part_of_the_time_it_has() {
        let mut responses = Hist::new();
        (0..1000).for_each(|_| responses.record(100_000));
        let mut show = Show::new();
        show.point(&["webhook@builtin".to_owned(), "websocket@builtin".to_owned()]);
        show.turns(1);
        show.second(0, &responses);
        assert!(show.live().starts_with("webhook@builtin 1000/s 100 µs"), "{}", show.live());
        show.turns(2);
        assert!(show.live().contains("1000/s in 1/2 of the time, 100 µs"), "{}", show.live());
    }
}
