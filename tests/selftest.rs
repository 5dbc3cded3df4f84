//! The instrument sees a frozen target for what it is. Alone in its program: nothing else may load the
//! machine meanwhile.

mod common;

use common::{Bench, figures_agree};

#[test]
fn figures_agree_with_theory() {
    let bench = Bench::judging_lateness();
    // Five figures a transport of a target that takes events, four of one that publishes them.
    figures_agree(&bench, "freeze", 2 * (5 + 4));
    // Three searches, how many of their intervals contain the capacity, and how windows were judged.
    figures_agree(&bench, "capacity", 3 + 2);
}
