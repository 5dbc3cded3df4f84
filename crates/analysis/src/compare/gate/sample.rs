//! Made-up gates for the tests of verdict and report.

use crate::compare::gate::{Gate, JUDGED, Look, Margin, Settings, judge};
use crate::compare::sample;
use crate::compare::sample::Block;
use pushbench_core::record::run::StoredRun;

/// What a gate is made up of. Every arm shares the machine's conditions; a little is left of its own.
#[derive(Clone)]
pub struct Recipe {
    /// Its transports.
    pub transports: Vec<&'static str>,
    /// Blocks of the run.
    pub blocks: usize,
    /// Service time of the base, ns.
    pub service: f64,
    /// The candidate's service time and CPU as parts of the base's.
    pub candidate: f64,
    /// The null's.
    pub null: f64,
    /// What is left of its own, by arm: the largest share that a block differs by.
    pub noise: [f64; 3],
}

/// Twelve blocks by webhook of a candidate that takes this part of the base's time.
pub fn recipe(candidate: f64) -> Recipe {
    Recipe {
        transports: vec!["webhook"],
        blocks: 12,
        service: 100_000.0,
        candidate,
        null: 1.0,
        noise: [0.0, 0.005, 0.005],
    }
}

impl Recipe {
    /// Base, candidate and null of each transport.
    pub fn run(&self) -> StoredRun {
        let mut run = sample::ratios(1.0, 1.0);
        run.header.scenario = "gate".to_owned();
        let point = &mut run.header.points[0];
        point.scenario.name = "gate".to_owned();
        let like = point.arms[0].clone();
        point.arms.clear();
        for transport in &self.transports {
            for part in [
                crate::compare::gate::BASE,
                crate::compare::gate::CANDIDATE,
                crate::compare::gate::NULL,
            ] {
                let mut arm = like.clone();
                arm.label = format!("{transport}@{part}");
                (*transport).clone_into(&mut arm.transport);
                part.clone_into(&mut arm.target);
                point.arms.push(arm);
            }
        }
        let labels: Vec<String> = point.arms.iter().map(|a| a.label.clone()).collect();
        run.trials.clear();
        for block in 0..self.blocks {
            for (arm, label) in labels.iter().enumerate() {
                run.trials.push(sample::trial(label, arm, block, &self.block(block, arm % 3)));
            }
        }
        run
    }

    fn block(&self, number: usize, part: usize) -> Block {
        let n = number as i32;
        let shared = 1.0 + 0.1 * f64::from((n * 7) % 5);
        let own = 1.0 + self.noise[part] * f64::from((n * (3 + part as i32)) % 5 - 2) / 2.0;
        let share = [1.0, self.candidate, self.null][part] * own * shared;
        Block::of((self.service * share) as u64, (0.4 * self.service * share) as u64)
    }

    /// The second of two looks, with the usual settings.
    pub fn gate(&self) -> Gate {
        let look = Look { number: 2, planned: 2, begun: vec![self.blocks], ..Look::only() };
        judge(&self.run(), crate::compare::gate::CANDIDATE, &settings(), &look)
    }
}

/// As `pushbench gate` has them where nothing is stored.
pub fn settings() -> Settings {
    Settings {
        margins: JUDGED.map(|metric| Margin::of(metric, &[])).to_vec(),
        min_difference_ns: 500.0,
        ratio: false,
        waivers: Vec::new(),
        today: "2026-06-01".to_owned(),
    }
}

/// The same at so many points of a sweep.
pub fn sweep(gate: &Gate, points: usize) -> Gate {
    let mut all = gate.clone();
    (all.lines, all.exact) = (Vec::new(), Vec::new());
    for point in 0..points {
        let setting = pushbench_core::scenario::Setting::from([(
            "load.rate".to_owned(),
            (100 * point).into(),
        )]);
        let line = |l: &crate::compare::gate::Line| crate::compare::gate::Line {
            setting: setting.clone(),
            ..l.clone()
        };
        all.lines.extend(gate.lines.iter().map(line));
        let exact = |e: &crate::compare::gate::Exact| crate::compare::gate::Exact {
            setting: setting.clone(),
            ..e.clone()
        };
        all.exact.extend(gate.exact.iter().map(exact));
    }
    all.sentence = crate::compare::gate::sentence::closing(&all);
    all
}
