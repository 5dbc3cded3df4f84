//! Lines that are drawn again on a terminal. They are made from the state alone; drawing is in `screen`.

use crate::cli::progress::screen::{columns, fit};
use crate::cli::progress::state::{ArmState, State};
use pushbench_analysis::compare::Comparison;
use pushbench_core::record::metrics;
use pushbench_core::{units, visible};
use std::time::{Duration, Instant};

/// The longest bar, in columns.
const BAR: usize = 60;
/// Between two columns of the table.
const GAP: usize = 2;
/// A name keeps so many columns, and percentiles are left out where they do not fit beside it.
const NAME: usize = 17;
/// Lines beside the arms and their comparisons: heading, bar, head of the table, blocks, voided block.
const OTHER_LINES: usize = 5;

/// The view in so many columns and at most so many rows.
pub fn lines(state: &State, width: usize, rows: usize, now: Instant) -> Vec<String> {
    if state.scenario.is_empty() {
        return Vec::new();
    }
    let each = rows.saturating_sub(OTHER_LINES).max(2) / 2;
    let mut lines = vec![heading(state, now), bar(state.share(), width)];
    lines.extend(table(state, width, each));
    lines.extend(comparisons(state, each));
    lines.extend(blocks(state));
    lines.truncate(rows.max(1));
    lines.iter().map(|line| fit(&visible::line(line), width)).collect()
}

/// `block 5/12 · 38 s left · ingest · each arm has 1/2 of the time · point 2 of 3: load.rate = 400`
fn heading(state: &State, now: Instant) -> String {
    let mut parts = vec![
        state.stage.clone(),
        format!("{} left", span(state.left(now))),
        state.scenario.clone(),
    ];
    if state.turns > 1 {
        parts.push(format!("each arm has 1/{} of the time", state.turns));
    }
    if state.points > 1 {
        let (point, of) = (state.point + 1, state.points);
        parts.push(format!("point {point} of {of}: {}", state.setting_text()));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" · ")
}

/// `38 s`, `4 min 05 s`
fn span(time: Duration) -> String {
    match time.as_secs() {
        s if s < 60 => format!("{s} s"),
        s => format!("{} min {:02} s", s / 60, s % 60),
    }
}

fn bar(share: f64, width: usize) -> String {
    let percent = format!(" {:>3.0} %", (share * 100.0).floor());
    let length = BAR.min(width.saturating_sub(percent.len()));
    let done = (length as f64 * share) as usize;
    format!("{}{}{percent}", "━".repeat(done), "─".repeat(length - done))
}

/// Rate and percentiles of the arms, as many as fit; nothing before the first response.
fn table(state: &State, width: usize, most: usize) -> Vec<String> {
    let shown: Vec<&ArmState> = match state.arms.len() {
        // The running one is among those that are shown.
        n if n > most => {
            state.arms.iter().skip((state.latest + 1).saturating_sub(most)).take(most).collect()
        }
        _ => state.arms.iter().collect(),
    };
    let cells: Vec<[String; 6]> = shown.iter().map(|arm| cells(arm)).collect();
    if state.arms.iter().all(ArmState::is_silent) {
        return Vec::new();
    }
    let heads = ["", "rate", "p50", "p90", "p99", "p99.9"].map(str::to_owned);
    let rows: Vec<&[String; 6]> = std::iter::once(&heads).chain(&cells).collect();
    let wide = |column: usize| rows.iter().map(|row| columns(&row[column])).max().unwrap_or(0);
    let mut name = wide(0);
    // The median and p99 stay longest.
    let mut kept = vec![1, 2, 3, 4, 5];
    let needed = |kept: &[usize]| kept.iter().map(|c| wide(*c) + GAP).sum::<usize>();
    for least in [5, 3, 1, 4] {
        if name.min(NAME) + needed(&kept) > width {
            kept.retain(|column| *column != least);
        }
    }
    name = name.min(width.saturating_sub(needed(&kept)));
    let line = |row: &&[String; 6]| {
        let label = visible::shorten(&row[0], name.max(1));
        let pad = " ".repeat(name.saturating_sub(columns(&label)));
        let cell = |c: &usize| {
            let gap = GAP + wide(*c) - columns(&row[*c]);
            format!("{}{}", " ".repeat(gap), row[*c])
        };
        format!("{label}{pad}{}", kept.iter().map(cell).collect::<String>())
    };
    rows.iter().map(line).collect()
}

fn cells(arm: &ArmState) -> [String; 6] {
    let figures = arm.figures();
    let time = |ns: Option<f64>| ns.map_or("–".to_owned(), units::nanos_text);
    [
        arm.label.clone(),
        units::rate(arm.rate()),
        time(figures.p50),
        time(figures.p90),
        time(figures.p99),
        time(figures.p99_9),
    ]
}

/// The headline metric of each arm against the first.
fn comparisons(state: &State, most: usize) -> Vec<String> {
    let Some(interim) = &state.interim else { return Vec::new() };
    let Some(first) = interim.comparisons.first() else { return Vec::new() };
    if !interim.is_enough() {
        let (have, need) = (interim.blocks_valid, interim.blocks_needed);
        return vec![format!("{}: not yet, {have} of {need} blocks", name(first.metric))];
    }
    interim.comparisons.iter().take(most).map(comparison).collect()
}

/// `response p50 ×0.62 [0.58, 0.66] websocket@builtin against webhook@builtin`
fn comparison(c: &Comparison) -> String {
    let arms = format!("{} against {}", c.candidate, c.baseline);
    match (c.ratio, c.ci95) {
        (Some(ratio), Some([low, high])) => {
            let bound = |v| units::ratio(v).trim_start_matches('×').to_owned();
            let (ratio, low, high) = (units::ratio(ratio), bound(low), bound(high));
            format!("{} {ratio} [{low}, {high}] {arms}", name(c.metric))
        }
        _ => {
            let why = c.why.as_deref().unwrap_or("not measured");
            format!("{}: {why}: {arms}", name(c.metric))
        }
    }
}

/// `response p50` of `response.p50`.
fn name(metric: &str) -> String {
    metrics::named(metric).map_or(metric, |m| m.name).replace(['.', '_'], " ")
}

/// `4 blocks valid, 1 voided, 12 wanted`, and why the last one was voided.
fn blocks(state: &State) -> Vec<String> {
    let Some(block) = &state.block else { return Vec::new() };
    let (valid, voided, wanted) = (block.blocks_valid, block.blocks_voided, block.blocks_wanted);
    let mut lines = vec![format!("blocks: {valid} valid, {voided} voided, {wanted} wanted")];
    if let Some(block) = &state.voided {
        let why = block.reasons.first().map_or("", String::as_str);
        lines.push(format!("block {} of the plan voided: {why}", block.number + 1));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::state::sample;

    #[test]
    fn the_view_shows_arms_ratio_and_blocks() {
        let now = Instant::now();
        let mut state = sample::state(9, now);
        state.block(&sample::block(false));
        let shown = lines(&state, 80, 24, now).join("\n");
        assert!(include_str!("../../../docs/progress.md").contains(&shown), "the page shows it");
        insta::assert_snapshot!("live_80", shown);
    }

    #[test]
    fn a_narrow_terminal_keeps_median_p99_and_the_names_of_the_arms() {
        let now = Instant::now();
        let mut state = sample::state(9, now);
        state.block(&sample::block(false));
        insta::assert_snapshot!("live_40", lines(&state, 40, 24, now).join("\n"));
    }

    #[test]
    fn too_few_blocks_have_no_ratio_yet() {
        let now = Instant::now();
        let shown = lines(&sample::state(3, now), 80, 24, now).join("\n");
        assert!(shown.contains("response p50: not yet, 3 of 8 blocks"), "{shown}");
        assert!(!shown.contains('×'), "{shown}");
    }

    #[test]
    fn no_line_is_wider_and_no_view_is_higher_than_the_terminal() {
        let now = Instant::now();
        let mut state = sample::state(9, now);
        state.block(&sample::block(false));
        state.stage = "pilot of webhook@日本語\u{1b}[2J\nこんにちは".to_owned();
        let labels: Vec<String> = (0..30).map(|n| format!("webhook@長い名前{n}")).collect();
        for arms in [2, 30] {
            if arms == 30 {
                state.point(1, &state.setting.clone(), &labels);
                let mut responses = pushbench_core::record::histogram::Hist::new();
                responses.record(1);
                state.second(29, &responses, now);
            }
            for width in [1, 2, 3, 10, 17, 25, 31, 39, 40, 50, 79, 120] {
                for rows in [1, 2, 3, 5, 6, 8, 12, 23, 40] {
                    let shown = lines(&state, width, rows, now);
                    assert!(shown.len() <= rows, "{} lines in {rows} rows", shown.len());
                    for line in shown {
                        assert!(columns(&line) <= width, "{line:?} in {width} columns");
                        assert!(!line.contains(['\u{1b}', '\n']), "{line:?}");
                    }
                }
            }
        }
        let shown = lines(&state, 100, 24, now).join("\n");
        assert!(shown.contains("webhook@長い名前29"), "the running arm is shown: {shown}");
    }
}
