//! How a run shows that it goes on: lines that are drawn again on a terminal, plain lines elsewhere, JSON lines for
//! other programs. All on standard error, so that standard output holds the report alone.

mod json;
mod live;
mod plain;
mod screen;
mod state;

use crate::run::{BlockEnded, PlanOutline, Progress};
use json::Event;
use pushbench_analysis::compare::Interim;
use pushbench_core::cpu_list::Cpus;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::histogram::Hist;
use pushbench_core::scenario::Setting;
use pushbench_host::console::error_line;
use pushbench_host::cpus::Placement;
use pushbench_load::trial_group::TrialObserver;
use screen::Screen;
use state::State;
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// A line for each stage
    Plain,
    /// Lines that are drawn again in their place, for a terminal
    Live,
    /// JSON lines (docs/progress.md)
    Json,
    /// Nothing before the end
    None,
}

/// `--progress`
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ProgressOptions {
    /// How progress is shown on standard error [default: live on a terminal, plain elsewhere and in CI]
    #[arg(long, value_name = "HOW", value_enum)]
    progress: Option<Kind>,
}

impl ProgressOptions {
    /// Nothing is shown until the run begins. Refuses `live` without a terminal.
    pub fn show(self) -> Result<Show> {
        let terminal = std::io::stderr().is_terminal();
        let redraws = terminal && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let ci = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
        let output = match self.progress {
            Some(Kind::Live) if !redraws => {
                return Err(Error::usage(
                    "--progress live: standard error is no terminal that draws lines again: write --progress plain, or json",
                ));
            }
            Some(Kind::Live) => Output::Live(Screen::new()),
            None if redraws && !ci => Output::Live(Screen::new()),
            Some(Kind::Plain) | None => Output::Plain,
            Some(Kind::Json) => Output::Json,
            Some(Kind::None) => Output::None,
        };
        Ok(Show { output, state: State::new(Instant::now()) })
    }
}

enum Output {
    Plain,
    Live(Screen),
    Json,
    None,
}

/// Shows a run.
pub struct Show {
    output: Output,
    state: State,
}

impl Show {
    /// Prints the CPUs in use.
    pub(crate) fn say_placement(&mut self, placement: &Placement) {
        let (driver, target) = (Cpus(&placement.driver), Cpus(&placement.target));
        let apart = placement.apart() && placement.shared_cores().is_empty();
        let shared = if apart { "" } else { " (they share a core: their times are mixed)" };
        self.say(&format!("driver on CPU {driver}, target on CPU {target}{shared}"));
    }

    /// Prints what the reader needs once the run is over, whatever is shown of its progress.
    pub(crate) fn conclusion(&mut self, line: &str) {
        match self.output {
            Output::None => error_line(line),
            _ => self.say(line),
        }
    }

    /// Removes what is drawn. The run is over.
    pub fn finish(&mut self) {
        self.seconds(true);
        self.state = State::new(Instant::now());
        if let Output::Live(screen) = &mut self.output {
            screen.clear();
        }
    }

    /// The command ends, with its results in this directory. As JSON its error is a part of the last line, and its exit
    /// code is what is left to return.
    pub fn end(&mut self, results: &Path, ended: Result<u8>) -> Result<u8> {
        self.finish();
        if !matches!(self.output, Output::Json) {
            return ended;
        }
        let exit_code = ended.as_ref().map_or_else(Error::code, |code| *code);
        let error = ended.err().map(|e| e.to_string());
        let results = results.is_dir().then_some(results);
        Event::End { exit_code, error: error.as_deref(), results }.write();
        Ok(exit_code)
    }

    /// Draws again, if it is time or something has changed that is rare.
    fn draw(&mut self, changed: bool) {
        let Output::Live(screen) = &mut self.output else { return };
        let now = Instant::now();
        if changed || screen.is_due(now) {
            let (width, rows) = Screen::room();
            screen.draw(&live::lines(&self.state, width, rows, now), now);
        }
    }

    /// Writes the seconds that have ended; `all`: no more reports of them come.
    fn seconds(&mut self, all: bool) {
        if matches!(self.output, Output::Json) {
            for arm in self.state.take_ended(all, Instant::now()) {
                Event::second(&self.state, arm).write();
            }
        }
    }
}

impl TrialObserver for Show {
    fn turns(&mut self, arms: usize, measured_in: Duration) {
        self.seconds(true);
        self.state.turns(arms, Instant::now() + measured_in);
    }

    fn second(&mut self, arm: usize, responses: &Hist) {
        self.state.second(arm, responses, Instant::now());
    }

    fn tick(&mut self) {
        self.seconds(false);
        self.draw(false);
    }
}

impl Progress for Show {
    fn begin(&mut self, plan: &PlanOutline<'_>) {
        self.state.begin(plan, Instant::now());
        match self.output {
            Output::Plain => {
                error_line(&format!("about {} s to go", plan.estimate.as_secs().max(1)));
            }
            Output::Json => Event::begin(plan).write(),
            Output::Live(_) | Output::None => {}
        }
    }

    fn extend(&mut self, by: Duration) {
        self.state.total += by;
    }

    fn point(&mut self, number: usize, setting: &Setting, labels: &[String]) {
        self.seconds(true);
        self.state.point(number, setting, labels);
        if matches!(self.output, Output::Json) {
            Event::Point { point: number, setting, arms: labels }.write();
        }
    }

    fn stage(&mut self, what: &str) {
        self.seconds(true);
        what.clone_into(&mut self.state.stage);
        let now = Instant::now();
        match self.output {
            Output::Plain => error_line(&plain::stage(&self.state, now)),
            Output::Json => Event::stage(&self.state, now).write(),
            Output::Live(_) => self.draw(true),
            Output::None => {}
        }
    }

    fn say(&mut self, line: &str) {
        match &mut self.output {
            Output::Plain => error_line(line),
            Output::Live(screen) => {
                screen.clear();
                error_line(line);
                self.draw(true);
            }
            Output::Json => Event::Message { text: line }.write(),
            Output::None => {}
        }
    }

    fn advance(&mut self, by: Duration) {
        self.state.advance(by, Instant::now());
    }

    fn block(&mut self, block: &BlockEnded) {
        self.seconds(true);
        self.state.block(block);
        if matches!(self.output, Output::Json) {
            Event::block(self.state.point, block).write();
        }
    }

    fn wants_comparison(&self) -> bool {
        matches!(self.output, Output::Live(_) | Output::Json)
    }

    fn comparison(&mut self, point: usize, interim: &Interim) {
        self.state.interim = Some(interim.clone());
        match self.output {
            Output::Json => Event::verdict(point, interim).write(),
            _ => self.draw(true),
        }
    }
}
