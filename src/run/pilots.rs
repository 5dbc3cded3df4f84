//! What the pilots of a point show before its first block.

use crate::run::arms;
use crate::run::arms::Arm;
use crate::run::group_builder::GroupBuilder;
use crate::run::point::most_frequent_fault;
use pushbench_analysis::validity;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::trial::Trial;
use pushbench_sut::manifest::BuiltinOptions;
use pushbench_wire::fault::BROKEN;

/// A target that has acknowledged a few events at the head of the run and now acknowledges nothing:
/// the events of this point or their rate are beyond it.
pub(super) fn check_pilots(builder: &GroupBuilder<'_>, pilots: &[Trial]) -> Result<()> {
    let none_acknowledged = |t: &&Trial| {
        t.account.measured.due > 0
            && t.account.measured.acknowledged + t.account.warmup.acknowledged == 0
            && !validity::is_stopped_by_proxies(t)
    };
    let Some(trial) = pilots.iter().find(none_acknowledged) else {
        return Ok(());
    };
    let responses = match most_frequent_fault(trial) {
        Some(fault) => fault,
        None if trial.account.unsolicited > 0 => {
            format!("{} messages came back, none with the id of an event", trial.account.unsolicited)
        }
        None if trial.account.other_messages > 0 => {
            format!("{} messages came back, none that fits answer", trial.account.other_messages)
        }
        None if trial.account.callbacks.as_ref().is_some_and(|c| !c.accepted.is_empty()) => {
            "questions were accepted, but no answer came to the address that the header callback-url names"
                .to_owned()
        }
        None => "no answer came".to_owned(),
    };
    // A closed loop has no rate.
    let rate = if trial.offered_per_second.is_some() { "a lower --rate, " } else { "" };
    // What cannot be read is not read at a lower rate either.
    let try_this = match responses.contains(&format!("× {BROKEN}")) {
        true => {
            "targets/PROTOCOL.md, \"What an answer may hold\", lists the supported answers: correct the target"
                .to_owned()
        }
        false if builder.scenario.headers_bytes > 0 => {
            format!("try {rate}fewer --connections, a smaller --payload or a smaller payload.headers_bytes")
        }
        false => format!("try {rate}fewer --connections or a smaller --payload"),
    };
    let died = trial.judged.invalid.first().cloned().unwrap_or_default();
    let died = if died.starts_with("target ") { format!("; the {died}") } else { String::new() };
    let name = trial.label.split('#').next().unwrap_or_default();
    // `verify` does not accept the sides of a gate and the transports of subscribers, and by name it finds no
    // target that options describe.
    let url = &builder.request.arms[trial.arm].manifest.url;
    let is_it = |found: &Vec<Arm>| found[0].manifest.url == *url;
    let verify = arms::find(&[name.to_owned()], &BuiltinOptions::default(), &[], None)
        .ok()
        .filter(is_it)
        .map_or(String::new(), |_| {
            format!(", and `pushbench verify --arm {}`", shell_words::quote(name))
        });
    Err(Error::target(format!(
        "{}: none of {} events was acknowledged: {responses}{died}; it acknowledged single events before \
         the pilot: {try_this}{verify}",
        trial.label, trial.account.measured.due
    )))
}
