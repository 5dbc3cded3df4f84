//! The file of a workload: what is refused is refused with the file's name, and what is taken is within its bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbench_core::workload::Workload;
use pushbench_fuzz::{ROOM, bounded};

const FILE: &str = "fuzz.toml";

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match bounded(input, ROOM, || Workload::parse(FILE, text)) {
        Ok(workload) => {
            assert!(workload.rate.is_finite() && workload.rate > 0.0);
            assert!(workload.burst_factor >= 1.0);
            assert!(workload.count > 0 && workload.payload_bytes > 0);
            assert!(workload.deliveries().is_finite());
            assert!(!workload.freshness.is_zero());
            let prices = workload.prices.all().filter_map(|(_, price)| price);
            assert!(prices.into_iter().all(|price| price.is_finite() && price >= 0.0));
            assert!(serde_json::to_string(&workload).is_ok());
        }
        Err(e) => assert!(e.to_string().contains(FILE), "{e}"),
    }
});
