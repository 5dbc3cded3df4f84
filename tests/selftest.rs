//! The instrument sees a frozen target for what it is. Alone in its program: nothing else may load the
//! machine meanwhile.

mod common;

use common::Bench;

/// What else runs on the machine may spoil one attempt; a wrong clock spoils all of them.
const ATTEMPTS: usize = 3;

#[test]
fn a_frozen_target_shows_in_the_response_as_theory_says() {
    let bench = Bench::new();
    let attempt = || bench.run(&["selftest", "--only", "freeze"]);
    let mut ended = attempt();
    for _ in 1..ATTEMPTS {
        if ended.code == Some(1) {
            eprintln!("once more: {}", ended.out);
            ended = attempt();
        }
    }
    ended.succeeds();
    // Five figures a transport of a target that takes events, four of one that publishes them.
    assert_eq!(ended.out.matches(" ok\n").count(), 2 * (5 + 4), "{}", ended.out);
    bench.nothing_left();
}
