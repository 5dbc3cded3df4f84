//! The instrument sees a frozen target for what it is. Alone in its program: nothing else may load the
//! machine meanwhile.

mod common;

use common::Bench;

/// What else runs on the machine may spoil one attempt; a wrong clock spoils all of them.
const ATTEMPTS: usize = 3;

/// What a check prints.
fn check(bench: &Bench, name: &str) -> String {
    let attempt = || bench.run(&["selftest", "--only", name]);
    let mut ended = attempt();
    for _ in 1..ATTEMPTS {
        if ended.code == Some(1) {
            eprintln!("once more: {}", ended.out);
            ended = attempt();
        }
    }
    ended.succeeds();
    bench.nothing_left();
    ended.out
}

#[test]
fn figures_agree_with_theory() {
    let bench = Bench::judging_lateness();
    // Five figures a transport of a target that takes events, four of one that publishes them.
    let freeze = check(&bench, "freeze");
    assert_eq!(freeze.matches(" ok\n").count(), 2 * (5 + 4), "{freeze}");
    // Three searches, how many of their intervals contain the capacity, and how windows were judged.
    let capacity = check(&bench, "capacity");
    assert_eq!(capacity.matches(" ok\n").count(), 3 + 2, "{capacity}");
}
