//! The instrument sees a frozen target for what it is. Alone in its program: nothing else may load the
//! machine meanwhile.

mod common;

use common::Bench;

#[test]
fn a_frozen_target_shows_in_the_response_as_theory_says() {
    let bench = Bench::new();
    let ended = bench.run(&["selftest", "--only", "freeze"]);
    ended.succeeds();
    assert_eq!(ended.out.matches(" ok\n").count(), 10, "five figures a transport: {}", ended.out);
    bench.nothing_left();
}
