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

/// Sets targets up where that was not done before: it takes all cores, for the set-up of one is a release
/// build, and whoever measured meanwhile would measure that. Call it without a turn.
pub fn set_up(manifests: &[Manifest]) {
    host();
    let _turn = turn::alone();
    for manifest in manifests {
        setup::ensure(manifest, &AtomicBool::new(false), &mut |_| ()).unwrap();
    }
}
