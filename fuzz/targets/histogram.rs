//! Histograms of a stored run: what is read is what the library reads in it, what is written again is the
//! same, and no announced length takes memory.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use libfuzzer_sys::fuzz_target;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::interval_log;
use pushbench_fuzz::bounded;

/// Of the library's histograms: five digits of all 64 bits are 25 MB.
const LARGEST: usize = 64 << 20;
/// Lowest and highest value and digits of our own: others lose digits when they are read.
const OURS: (u64, u64, u8) = (1, 3_600_000_000_000, 3);

fuzz_target!(|bytes: &[u8]| {
    let _lines = bounded(bytes, LARGEST, || interval_log::read(bytes));
    let Ok(read) = bounded(bytes, LARGEST, || Hist::of_text(&BASE64.encode(bytes))) else { return };
    let tungstenite_transcript: Histogram<u64> =
        Deserializer::new().deserialize(&mut &*bytes).expect("what we read the library reads");
    assert_eq!(read.count(), tungstenite_transcript.len());
    let text = serde_json::to_string(&read).expect("JSON");
    assert_eq!(serde_json::from_str::<Hist>(&text).expect("our own text"), read);
    if (
        tungstenite_transcript.low(),
        tungstenite_transcript.high(),
        tungstenite_transcript.sigfig(),
    ) == OURS
    {
        let levels = tungstenite_transcript
            .iter_recorded()
            .map(|v| (v.value_iterated_to(), v.count_at_value()));
        assert!(read.values().eq(levels), "as the library reads it");
    }
});
