//! How servers are described and what is read of their findings.

use crate::common::{Bench, Ended, PUSHBENCH, short};
use serde_json::Value;

pub const FAILED: i32 = 3;

/// Describes a server that is already running.
pub fn running(bench: &Bench, transport: &str, url: &str, matching: &str) {
    bench.write(
        "pushbench.toml",
        &format!("[target.t.{transport}]\nurl = \"{url}\"\nmatch = \"{matching}\"\n"),
    );
}

pub fn webhook(bench: &Bench, port: u16) {
    running(bench, "webhook", &format!("http://127.0.0.1:{port}/hooks"), "order");
}

/// One of this program's servers, started for another url than it has.
pub fn started(bench: &Bench, transport: &str, server: &str, url: &str, more: &str) {
    let command = format!("{PUSHBENCH} serve {server}");
    bench.write(
        "pushbench.toml",
        &format!(
            "[target.t.{transport}]\ncommand = {command:?}\nurl = \"{url}\"\nmatch = \"id\"\n{more}\n"
        ),
    );
}

/// The findings of `verify --arm …`, and how it ended.
pub fn verify(bench: &Bench, arm: &str) -> (Value, Ended) {
    let ended = bench.run(&["verify", "--arm", arm, "--format", "json"]);
    let found = serde_json::from_str(&ended.out).unwrap_or(Value::Null);
    (found, ended)
}

/// The value of an aspect of an arm, and its detail.
pub fn value(found: &Value, aspect: &str, arm: usize) -> (String, String) {
    let rows = found["rows"].as_array().unwrap_or_else(|| panic!("no rows in {found}"));
    let Some(row) = rows.iter().find(|r| r["aspect"] == aspect) else { return Default::default() };
    let text = |name: &str| row["arms"][arm][name].as_str().unwrap_or_default().to_owned();
    (text("value"), text("detail"))
}

#[track_caller]
pub fn expect(found: &Value, aspect: &str, wanted: &str, detail: &str) {
    let (value, observed) = value(found, aspect, 0);
    assert_eq!(value, wanted, "{aspect} in {found:#}");
    assert!(observed.contains(detail), "no {detail:?} in {observed:?}");
}

/// A run against the target `t` is refused before its pilots, with all of these in its message.
#[track_caller]
pub fn refused(bench: &Bench, arm: &str, texts: &[&str]) {
    let ended = bench.run(&short(&["--arm", arm, "--out", "r"]));
    ended.fails(FAILED, texts);
    assert!(!ended.err.contains("pilot"), "{}", ended.err);
    assert!(!bench.path("r").exists(), "a refused run leaves nothing");
    // The full form says the same, and does not ask for more.
    let (found, ended) = verify(bench, arm);
    assert_eq!(ended.code, Some(FAILED), "{}{}", ended.out, ended.err);
    let failure = found["trouble"][0].as_str().unwrap();
    texts.iter().for_each(|text| assert!(failure.contains(text), "no {text:?} in {failure}"));
    assert_eq!(value(&found, "large", 0).0, "");
}
