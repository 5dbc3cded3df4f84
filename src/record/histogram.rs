//! HDR histograms of nanoseconds: three significant digits from 1 ns to an hour.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer as HdrReader, Serializer as _};
use hdrhistogram::serialization::{V2DeflateSerializer, V2Serializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest value told apart; longer ones are recorded as this.
const HIGHEST_NS: u64 = 3_600_000_000_000;
/// Relative error at most 0.1 %, far below any difference a noisy machine can show.
const SIGNIFICANT_DIGITS: u8 = 3;

/// A histogram of nanoseconds. In JSON it is its HDR V2 (deflated) encoding in base64, the form that
/// every HdrHistogram port reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Hist(Histogram<u64>);

/// A histogram in its HDR V2 encoding: a kilobyte or two instead of 270.
#[derive(Debug, Clone, PartialEq)]
pub struct Compact(Vec<u8>);

impl Compact {
    /// The histogram again, without loss.
    pub fn unpack(&self) -> Hist {
        Hist::read(&self.0).expect("our own encoding reads back")
    }
}

impl Default for Hist {
    fn default() -> Self {
        Self::new()
    }
}

impl Hist {
    /// An empty histogram.
    pub fn new() -> Self {
        Hist(
            Histogram::new_with_bounds(1, HIGHEST_NS, SIGNIFICANT_DIGITS)
                .expect("constant bounds are valid"),
        )
    }

    /// Counts one value; values beyond the range count at its ends.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    /// Adds every value of another histogram, without loss.
    pub fn merge(&mut self, other: &Hist) {
        self.0.add(&other.0).expect("all histograms have the same bounds");
    }

    /// Forgets every value but keeps the memory.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// True when nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Arithmetic mean in ns.
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.0.mean())
    }

    /// Smallest value in ns.
    pub fn min(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.0.min())
    }

    /// Largest value in ns.
    pub fn max(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.0.max())
    }

    /// The value at a quantile of 0 to 1, in ns.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        (!self.is_empty()).then(|| self.0.value_at_quantile(q))
    }

    /// The values at rising quantiles of 0 to 1, in ns, in one pass; as [`Hist::quantile`] gives them.
    /// Empty of nothing.
    pub fn quantiles(&self, rising: &[f64]) -> Vec<u64> {
        let total = self.count() as f64;
        let mut wanted = rising.iter().map(|q| ((q * total).ceil() as u64).max(1)).peekable();
        let (mut seen, mut found) = (0, Vec::with_capacity(rising.len()));
        for (value, count) in self.values() {
            seen += count;
            while wanted.next_if(|rank| *rank <= seen).is_some() {
                found.push(value);
            }
        }
        found
    }

    /// How many values are above `ns` (beyond its equivalent range).
    pub fn count_above(&self, ns: u64) -> u64 {
        self.count() - self.0.count_between(0, ns)
    }

    /// The values and their counts, smallest first.
    pub fn values(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter_recorded().map(|v| (v.value_iterated_to(), v.count_at_value()))
    }

    /// Standard deviation in ns.
    pub fn std_dev(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.0.stdev())
    }

    /// Values at quantiles that come closer to 1 in `ticks` steps a halving: value, quantile, values
    /// up to there. The last quantile is 1.
    pub fn spectrum(&self, ticks: u32) -> impl Iterator<Item = (u64, f64, u64)> + '_ {
        self.0.iter_quantiles(ticks).scan(0, |sum, v| {
            *sum += v.count_since_last_iteration();
            Some((v.value_iterated_to(), v.quantile_iterated_to(), *sum))
        })
    }

    fn encode(&self) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.0, &mut bytes)
            .expect("writing to memory does not fail");
        BASE64.encode(bytes)
    }

    /// Its encoding without compression.
    pub fn compact(&self) -> Compact {
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(&self.0, &mut bytes)
            .expect("writing to memory does not fail");
        Compact(bytes)
    }

    /// Reads the base64 of either encoding, as records and interval logs hold it.
    pub fn of_text(text: &str) -> Result<Self, String> {
        Hist::read(&BASE64.decode(text).map_err(|e| e.to_string())?)
    }

    /// Reads either encoding.
    fn read(mut bytes: &[u8]) -> Result<Self, String> {
        let read: Histogram<u64> =
            HdrReader::new().deserialize(&mut bytes).map_err(|e| e.to_string())?;
        let mut hist = Hist::new();
        hist.0.add(&read).map_err(|e| e.to_string())?;
        Ok(hist)
    }

    /// Hands the library's histogram to a writer of logs.
    pub(super) fn log<T>(&self, write: impl FnOnce(&Histogram<u64>) -> T) -> T {
        write(&self.0)
    }
}

impl Serialize for Hist {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Hist {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Hist::of_text(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_round_trip_loses_nothing() {
        let mut h = Hist::new();
        for i in 1..10_000u64 {
            h.record(i * 977);
        }
        let text = serde_json::to_string(&h).unwrap();
        assert_eq!(serde_json::from_str::<Hist>(&text).unwrap(), h);
    }

    #[test]
    fn merged_halves_equal_the_whole() {
        let (mut a, mut b, mut whole) = (Hist::new(), Hist::new(), Hist::new());
        for i in 0..5_000u64 {
            let v = i * i;
            if i % 3 == 0 { &mut a } else { &mut b }.record(v);
            whole.record(v);
        }
        a.merge(&b);
        assert_eq!(a, whole);
    }

    #[test]
    fn values_out_of_range_are_kept_at_its_ends() {
        let mut h = Hist::new();
        h.record(0);
        h.record(u64::MAX);
        assert_eq!(h.count(), 2);
        assert!(h.max().unwrap() >= HIGHEST_NS);
    }

    #[test]
    fn above_counts_only_what_lies_beyond() {
        let mut h = Hist::new();
        for v in [10, 20, 30, 40] {
            h.record(v);
        }
        assert_eq!(h.count_above(20), 2);
        assert_eq!(h.count_above(40), 0);
    }

    #[test]
    fn one_pass_finds_the_same_quantiles() {
        let mut h = Hist::new();
        (1..5_000u64).for_each(|i| h.record(i * i * 31));
        let rising = [0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0];
        let one_by_one: Vec<u64> = rising.iter().filter_map(|q| h.quantile(*q)).collect();
        assert_eq!(h.quantiles(&rising), one_by_one);
        assert!(Hist::new().quantiles(&rising).is_empty());
    }

    #[test]
    fn garbage_is_refused() {
        assert!(serde_json::from_str::<Hist>("\"AAAA\"").is_err());
        assert!(serde_json::from_str::<Hist>("\"not base64!\"").is_err());
    }
}
