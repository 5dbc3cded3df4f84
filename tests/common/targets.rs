//! Shipped targets, set up once for all test programs.

use super::{PUSHBENCH, turn};
use pushbench_sut::manifest::Manifest;
use pushbench_sut::setup;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// Kept between test runs, and apart from the user's own.
pub const CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/cache");
/// Lets this process start targets as the program does, with what was set up before.
pub fn host() {
    pushbench_sut::set_program(PathBuf::from(PUSHBENCH));
    pushbench_sut::set_cache(PathBuf::from(CACHE));
}

/// Sets targets up where that was not done before: one is a release build, beside which nothing is measured.
/// Call it without a turn.
pub fn set_up(manifests: &[Manifest]) {
    host();
    let mut turn = None;
    for manifest in manifests {
        let mut begins = |_: &str| {
            turn.get_or_insert_with(turn::busy);
        };
        setup::ensure(manifest, &AtomicBool::new(false), &mut begins).unwrap();
    }
}
