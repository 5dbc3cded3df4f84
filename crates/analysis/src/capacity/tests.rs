use crate::capacity::search::{CONFIDENCE, Next, Range, Search, half_width};
use crate::capacity::threshold::{HOLDS, Observation, Threshold};
use crate::stats::Interval;
use crate::stats::exact_binomial;
use crate::stats::queue::{Work, first_in_first_out};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const RANGE: Range = Range { start: 100.0, lowest: 1.0, highest: None, whole: false };

/// The interval after so many windows.
fn search(windows: usize, mut margin: impl FnMut(f64) -> f64) -> Interval {
    let mut search = Search::new(RANGE);
    while search.observed().len() < windows {
        let Next::Window(load) = search.next(0.0) else { panic!("{search:?}") };
        search.add(Observation { load, margin: margin(load) });
    }
    Threshold::of(search.observed()).unwrap().capacity(CONFIDENCE)
}

fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    rng.random::<f64>()
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (-2.0 * uniform(rng).max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * uniform(rng)).cos()
}

/// How many of the intervals hold the truth, and their half-widths.
fn coverage(
    searches: u64,
    windows: usize,
    mut one: impl FnMut(u64, usize) -> (f64, Interval),
) -> (u64, Vec<f64>) {
    let all: Vec<(f64, Interval)> = (0..searches).map(|seed| one(seed, windows)).collect();
    let inside = all.iter().filter(|(truth, interval)| interval.holds(*truth)).count();
    let mut widths: Vec<f64> = all.iter().map(|(_, interval)| half_width(interval)).collect();
    widths.sort_by(f64::total_cmp);
    (inside as u64, widths)
}

/// Windows whose margins are as the model has them, and such as are only known by their side: the interval holds the
/// truth as often as it says.
#[test]
fn the_interval_holds_the_truth_as_often_as_it_says() {
    for (slope, deviation, lapse, cliff) in [
        (3.0, 0.3, 0.0, false),
        (3.0, 0.3, 0.03, false),
        (20.0, 0.2, 0.02, false),
        (8.0, 0.3, 0.0, true),
    ] {
        let (inside, widths) = coverage(40, 40, |seed, windows| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mu = 700.0_f64.ln() + uniform(&mut rng);
            let z = -std::f64::consts::SQRT_2
                * statrs::function::erf::erfc_inv(2.0 * HOLDS / (1.0 - lapse));
            let truth = (mu - deviation / slope * z).exp();
            let found = search(windows, |load| {
                let margin = slope * (load.ln() - mu) + deviation * normal(&mut rng);
                let margin = if uniform(&mut rng) < lapse { 3.0 } else { margin };
                if cliff { margin * 20.0 } else { margin }
            });
            (truth, found)
        });
        println!(
            "slope {slope} deviation {deviation} lapse {lapse} cliff {cliff}: {inside} of 40, half-width p50 {:.3}, p90 {:.3}",
            widths[20], widths[36]
        );
        assert!(
            exact_binomial(inside, 40, 0.99).high >= 0.95,
            "{slope} {deviation} {lapse}: {inside}"
        );
    }
}

/// A server of 2 ms an event, first in, first out, with Poisson arrivals: whether a window holds follows from Lindley's
/// recursion alone.
#[test]
fn the_capacity_of_a_queue_is_found() {
    const SECOND: u64 = 1_000_000_000;
    const LIMIT: u64 = 20_000_000;
    let margin = |rate: f64, rng: &mut ChaCha8Rng| {
        let (mut due, mut events) = (0.0, Vec::new());
        while due < 2.5 * SECOND as f64 {
            due += -uniform(rng).max(1e-12).ln() / rate * SECOND as f64;
            events.push(due as u64);
        }
        let work = Work { answered_ns: 2_000_000, busy_ns: 2_000_000 };
        let responses = first_in_first_out(events.iter().map(|due| (*due, work)));
        let measured = events.iter().zip(responses).filter(|(due, _)| **due >= SECOND / 2);
        let mut measured: Vec<u64> = measured.map(|(_, response)| response).collect();
        measured.sort_unstable();
        let p99 = measured[(measured.len() as f64 * 0.99).ceil() as usize - 1];
        (p99 as f64 / LIMIT as f64).ln()
    };
    // The truth: where 90 % of many windows hold.
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut low, mut high) = (200.0, 500.0);
    for _ in 0..9 {
        let middle = (low + high) / 2.0;
        let held = (0..1500).filter(|_| margin(middle, &mut rng) <= 0.0).count();
        if held as f64 >= 1500.0 * HOLDS { low = middle } else { high = middle }
    }
    let truth = (low + high) / 2.0;
    let (inside, widths) = coverage(60, 40, |seed, windows| {
        let mut rng = ChaCha8Rng::seed_from_u64(100 + seed);
        (truth, search(windows, |load| margin(load, &mut rng)))
    });
    println!(
        "truth {truth:.1}: {inside} of 60, half-width p50 {:.3} p90 {:.3}",
        widths[30], widths[54]
    );
    assert!(exact_binomial(inside, 60, 0.99).high >= 0.95, "{inside} of 60");
    assert!(widths[54] < 0.10, "{widths:?}");
}

/// What a window says, by its lines.
#[test]
fn a_window_holds_if_every_line_does_and_counts_unless_the_machine_is_at_fault() {
    use crate::capacity::window::{broken, observation};
    use pushbench_core::capacity::Window;
    use pushbench_core::scenario::Expectation;
    let line = |what: &str, limit: f64| Expectation { what: what.to_owned(), limit };
    let objective = [line("response.p99", 50e6), line("acknowledged", 0.999)];
    let window = |values: [Option<f64>; 2]| Window {
        load: 100.0,
        values: values.to_vec(),
        ..Window::default()
    };
    let margin = |window: &Window| observation(window, &objective).unwrap().margin;
    for (values, expected, broken_lines) in [
        ([Some(25e6), Some(1.0)], 0.5_f64.ln(), vec![]),
        ([Some(50e6), Some(0.999)], 0.0, vec![]),
        ([Some(100e6), Some(1.0)], 2.0_f64.ln(), vec!["response.p99"]),
        ([Some(25e6), Some(0.9)], f64::INFINITY, vec!["acknowledged"]),
        ([None, Some(1.0)], f64::INFINITY, vec!["response.p99"]),
    ] {
        let window = window(values);
        assert_eq!((margin(&window), broken(&window, &objective)), (expected, broken_lines));
    }
    let died = Window {
        died: Some("target ended".to_owned()),
        void: Some("driver too late".to_owned()),
        ..window([None, None])
    };
    assert_eq!(margin(&died), f64::INFINITY);
    let void =
        Window { void: Some("driver too late".to_owned()), ..window([Some(1e6), Some(1.0)]) };
    assert_eq!(observation(&void, &objective), None);
}

/// The driver cannot offer more: the search ends at the highest load that it can, and says so.
#[test]
fn a_load_that_cannot_be_offered_ends_the_search_below_it() {
    let mut search = Search::new(RANGE);
    let mut windows = 0;
    let mut voids = 0;
    let end = loop {
        match search.next(0.05) {
            Next::Window(load) if load > 1_000.0 => {
                voids += 1;
                search.not_offered(load, true);
            }
            Next::Window(load) => search.add(Observation { load, margin: -1.0 }),
            end => break end,
        }
        windows += 1;
        assert!(windows < 40, "{search:?}");
    };
    assert_eq!((end, voids), (Next::AtLeast, 6));
    let (best, worst) = search.bracket();
    assert!(best.unwrap() > 900.0 && worst.is_none(), "{search:?}");
    assert!(search.is_at_drivers_limit());
    // The lowest load fails each time.
    let mut search = Search::new(RANGE);
    while let Next::Window(load) = search.next(0.05) {
        search.add(Observation { load, margin: 1.0 });
    }
    assert_eq!(search.next(0.05), Next::Below);
    assert_eq!(search.bracket(), (None, Some(1.0)));
}

#[test]
fn the_slope_of_a_line_is_found_with_its_interval() {
    // y = 1000 + 30 x with residuals of +6 and −6 that cancel.
    let points: Vec<(f64, f64)> = (0..8)
        .map(|n| {
            (
                f64::from(n),
                1000.0 + 30.0 * f64::from(n) + if n % 4 == 0 || n % 4 == 3 { 6.0 } else { -6.0 },
            )
        })
        .collect();
    let slope = crate::stats::slope(&points, 0.95).unwrap();
    assert!((slope.estimate - 30.0).abs() < 1e-9 && slope.holds(30.0), "{slope:?}");
    // Student's t with 6 degrees of freedom, 2.4469, times the root of 288 / 6 / 42.
    assert!(
        (slope.high - slope.estimate - 2.4469 * (48.0_f64 / 42.0).sqrt()).abs() < 1e-3,
        "{slope:?}"
    );
    assert_eq!(crate::stats::slope(&points[..2], 0.95), None);
    assert_eq!(crate::stats::slope(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)], 0.95), None);
}
