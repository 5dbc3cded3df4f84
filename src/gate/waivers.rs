//! `waivers.toml`: slow-downs that are meant.

use pushbench_analysis::compare::gate::Waiver;
use pushbench_core::error::Result;
use pushbench_core::origin::Origin;
use pushbench_core::record::metrics;
use pushbench_core::suggest::did_you_mean;
use pushbench_core::units;
use pushbench_host::input;
use serde::Deserialize;
use std::path::Path;
use toml::Spanned;

/// Looked for in the working directory.
pub const FILE: &str = "waivers.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    waiver: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    scenario: String,
    metric: Spanned<String>,
    ceiling: Spanned<String>,
    expires: Spanned<String>,
    reason: Spanned<String>,
}

/// Reads the file. `required`: it was named, so it must be there.
pub fn read(path: &Path, required: bool) -> Result<Vec<Waiver>> {
    match input::text(path, input::WRITTEN) {
        Ok(text) => parse(&path.display().to_string(), &text),
        Err(e) if e.is_missing() && !required => Ok(Vec::new()),
        Err(e) => Err(e.into()),
    }
}

fn parse(file: &str, text: &str) -> Result<Vec<Waiver>> {
    let parsed: File = toml::from_str(text).map_err(|e| {
        let at = Origin::at(file, text, e.span().map_or(0, |s| s.start));
        at.error(format!(
            "{}; a waiver is [[waiver]] with scenario, metric, ceiling = \"15%\", expires = \"2026-12-31\" and reason",
            e.message()
        ))
    })?;
    let place = |at: usize| Origin::at(file, text, at);
    parsed.waiver.into_iter().map(|entry| waiver(entry, &place)).collect()
}

fn waiver(entry: Entry, place: &dyn Fn(usize) -> Origin) -> Result<Waiver> {
    let metric = entry.metric.get_ref();
    if metrics::named(metric).is_none() && *metric != metrics::INSTRUCTIONS.name {
        let names = metrics::METRICS.iter().map(|m| m.name);
        return Err(place(entry.metric.span().start).error(format!(
            "there is no metric \"{metric}\"{}; see `pushbench list metrics`",
            did_you_mean(metric, names)
        )));
    }
    let ceiling = units::parse_percent(entry.ceiling.get_ref())
        .map_err(|e| place(entry.ceiling.span().start).error(format!("ceiling: {e}")))?;
    let expires = entry.expires.get_ref();
    let day: jiff::civil::Date = expires.parse().map_err(|_| {
        place(entry.expires.span().start)
            .error(format!("expires \"{expires}\" is not a date: write it as 2026-12-31"))
    })?;
    if entry.reason.get_ref().trim().is_empty() {
        return Err(place(entry.reason.span().start)
            .error("reason is empty: state why the slow-down is accepted"));
    }
    Ok(Waiver {
        scenario: entry.scenario,
        metric: metric.clone(),
        ceiling,
        expires: day.to_string(),
        reason: entry.reason.into_inner(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[[waiver]]
scenario = "gate"
metric = "service.p50"
ceiling = "15%"
expires = "2026-12-31"
reason = "answers are signed now"
"#;

    #[test]
    fn a_waiver_is_read() {
        let found = parse("waivers.toml", GOOD).unwrap();
        assert_eq!(found[0].ceiling, 0.15);
        assert!(!found[0].expired("2026-12-31") && found[0].expired("2027-01-01"));
        assert!(parse("waivers.toml", "").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let refused = |old: &str, new: &str| {
            parse("waivers.toml", &GOOD.replace(old, new)).unwrap_err().to_string()
        };
        assert!(refused("service.p50", "servce.p50").contains("waivers.toml:4:"));
        assert!(refused("service.p50", "servce.p50").contains("did you mean \"service.p50\""));
        assert!(refused("15%", "much").contains("waivers.toml:5:"));
        assert!(refused("2026-12-31", "2026-13-31").contains("waivers.toml:6:"));
        assert!(refused("answers are signed now", " ").contains("reason"));
        assert!(refused("reason =", "raeson =").contains("waivers.toml:7:"));
    }
}
