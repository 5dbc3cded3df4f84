//! HDR histograms of nanoseconds: three significant digits from 1 ns to an hour.

mod decode;
mod levels;
mod open;
mod packed;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use decode::Read;
use hdrhistogram::Histogram;
use hdrhistogram::iterators::IterationValue;
use hdrhistogram::serialization::{Deserializer as HdrReader, Serializer as _};
use hdrhistogram::serialization::{V2DeflateSerializer, V2Serializer};
use open::Open;
use packed::Packed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Longest value told apart; longer ones are recorded as this.
const HIGHEST_NS: u64 = 3_600_000_000_000;
/// Relative error at most 0.1 %, far below any difference a noisy machine can show.
const SIGNIFICANT_DIGITS: u8 = 3;

/// A histogram of nanoseconds. In JSON it is its HDR V2 (deflated) encoding in base64, the form that
/// every HdrHistogram port reads.
#[derive(Clone)]
pub struct Hist(Counts);

#[derive(Clone)]
enum Counts {
    /// With room for every value: 270 KB.
    Open(Open),
    /// Only what was recorded: records are read by the thousand, and figures taken from it.
    Packed(Packed),
}

/// A histogram in its HDR V2 encoding: about two bytes for a level that holds something, which has 16 in one that
/// was read and 270 KB of room for all levels in one that is recorded into.
#[derive(Debug, Clone)]
pub struct Compact(Box<[u8]>);

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

/// Values in ns with their counts.
impl fmt::Debug for Hist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.values()).finish()
    }
}

/// The same values as often.
impl PartialEq for Hist {
    fn eq(&self, other: &Hist) -> bool {
        self.count() == other.count() && self.values().eq(other.values())
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HIGHEST_NS, SIGNIFICANT_DIGITS)
        .expect("constant bounds are valid")
}

impl Hist {
    /// An empty histogram, open for values.
    pub fn new() -> Self {
        Hist(Counts::Open(Open::new()))
    }

    /// Nothing, without room: what a record of an older version lacks.
    pub(crate) fn nothing() -> Hist {
        Hist(Counts::Packed(Packed::of_levels(Vec::new())))
    }

    /// Only what was recorded, 16 bytes a level; it opens again when something is recorded. Whoever wants several
    /// figures of an open one packs it first.
    pub fn packed(&self) -> Hist {
        Hist(Counts::Packed(self.pack().into_owned()))
    }

    fn pack(&self) -> Cow<'_, Packed> {
        match &self.0 {
            Counts::Open(open) => Cow::Owned(open.pack()),
            Counts::Packed(packed) => Cow::Borrowed(packed),
        }
    }

    /// With room for every value.
    #[inline]
    fn opened(&mut self) -> &mut Open {
        if let Counts::Packed(packed) = &self.0 {
            self.0 = Counts::Open(packed.open());
        }
        match &mut self.0 {
            Counts::Open(open) => open,
            Counts::Packed(_) => unreachable!("it was opened above"),
        }
    }

    /// Counts one value; values beyond the range count at its ends.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.opened().record(ns);
    }

    /// Counts a value so many times.
    #[inline]
    pub fn record_times(&mut self, ns: u64, times: u64) {
        self.opened().add(ns, times);
    }

    /// Adds every value of another histogram, without loss.
    pub fn merge(&mut self, other: &Hist) {
        match &other.0 {
            Counts::Open(open) => self.opened().merge(open),
            Counts::Packed(packed) => packed.add_to(self.opened()),
        }
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.pack().count()
    }

    /// True when nothing was recorded.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Counts::Open(open) => open.is_empty(),
            Counts::Packed(packed) => packed.count() == 0,
        }
    }

    /// Arithmetic mean in ns.
    pub fn mean(&self) -> Option<f64> {
        self.pack().mean()
    }

    /// Smallest value in ns.
    pub fn min(&self) -> Option<u64> {
        self.pack().min()
    }

    /// Largest value in ns.
    pub fn max(&self) -> Option<u64> {
        self.pack().max()
    }

    /// The value at a quantile of 0 to 1, in ns.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        self.pack().quantile(q)
    }

    /// The values at rising quantiles of 0 to 1, in ns, in one pass; as [`Hist::quantile`] gives them.
    /// Empty of nothing.
    pub fn quantiles(&self, rising: &[f64]) -> Vec<u64> {
        self.pack().quantiles(rising)
    }

    /// How many values are above `ns` (beyond its equivalent range).
    pub fn count_above(&self, ns: u64) -> u64 {
        self.pack().count_above(ns)
    }

    /// The values and their counts, smallest first.
    pub fn values(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (open, packed) = match &self.0 {
            Counts::Open(open) => (Some(open.values()), None),
            Counts::Packed(packed) => (None, Some(packed.values())),
        };
        open.into_iter().flatten().chain(packed.into_iter().flatten())
    }

    /// Standard deviation in ns.
    pub fn std_dev(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.pack().library().stdev())
    }

    /// Values at quantiles that come closer to 1 in `ticks` steps a halving: value, quantile, values
    /// up to there. The last quantile is 1.
    pub fn spectrum(&self, ticks: u32) -> Vec<(u64, f64, u64)> {
        let mut sum = 0;
        let step = |v: IterationValue<u64>| {
            sum += v.count_since_last_iteration();
            (v.value_iterated_to(), v.quantile_iterated_to(), sum)
        };
        self.pack().library().iter_quantiles(ticks).map(step).collect()
    }

    fn encode(&self) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.pack().library(), &mut bytes)
            .expect("writing to memory does not fail");
        BASE64.encode(bytes)
    }

    /// Its encoding without compression.
    pub fn compact(&self) -> Compact {
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(&self.pack().library(), &mut bytes)
            .expect("writing to memory does not fail");
        Compact(bytes.into())
    }

    /// Reads the base64 of either encoding, as records and interval logs hold it.
    pub fn of_text(text: &str) -> Result<Self, String> {
        Hist::read(&BASE64.decode(text).map_err(|e| e.to_string())?)
    }

    /// Reads either encoding.
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let plain = match decode::decode(bytes).ok_or("no histogram, or not all of one")? {
            Read::Ours(packed) => return Ok(Hist(Counts::Packed(packed))),
            Read::Other(plain) => plain,
        };
        let read: Histogram<u64> =
            HdrReader::new().deserialize(&mut &*plain).map_err(|e| e.to_string())?;
        let mut ours = empty();
        ours.add(&read).map_err(|e| e.to_string())?;
        let packed = Packed::of_file(recorded(&ours).collect());
        Ok(Hist(Counts::Packed(packed.ok_or("more values than can be counted")?)))
    }

    /// Hands the library's histogram to a writer of logs.
    pub(super) fn log<T>(&self, write: impl FnOnce(&Histogram<u64>) -> T) -> T {
        write(&self.pack().library())
    }
}

/// The levels in which something was recorded: highest value and count.
fn recorded(open: &Histogram<u64>) -> impl Iterator<Item = (u64, u64)> + '_ {
    open.iter_recorded().map(|v| (v.value_iterated_to(), v.count_at_value()))
}

impl Serialize for Hist {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Hist {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
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

    /// Not nearly: a report is the same digit for digit, whoever wrote the record.
    fn agree(library: &Histogram<u64>, ours: &Hist) {
        let some = |of: f64| (!library.is_empty()).then_some(of);
        assert_eq!(ours.count(), library.len());
        assert_eq!(ours.is_empty(), library.is_empty());
        assert_eq!(ours.mean(), some(library.mean()));
        assert_eq!(ours.std_dev(), some(library.stdev()));
        let ends = (library.min(), library.max());
        assert_eq!(
            (ours.min(), ours.max()),
            match library.is_empty() {
                true => (None, None),
                false => (Some(ends.0), Some(ends.1)),
            }
        );
        for q in [0.0, 1e-9, 0.1, 0.5, 0.99, 0.9999, 1.0, 1.5] {
            let theirs = (!library.is_empty()).then(|| library.value_at_quantile(q));
            assert_eq!(ours.quantile(q), theirs, "at {q}");
        }
        for ns in [0, 1, 2_047, 2_048, 5_000, 1_000_000, HIGHEST_NS, u64::MAX] {
            let theirs = library.len() - library.count_between(0, ns);
            assert_eq!(ours.count_above(ns), theirs, "above {ns}");
        }
        assert!(ours.values().eq(recorded(library)));
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(library, &mut bytes).unwrap();
        assert_eq!(ours.encode(), BASE64.encode(bytes));
    }

    #[test]
    fn it_tells_what_the_library_tells_open_and_packed() {
        let (mut library, mut open) = (empty(), Hist::new());
        let all = |library: &Histogram<u64>, open: &Hist| {
            let packed = open.packed();
            agree(library, open);
            agree(library, &packed);
            assert_eq!(packed.spectrum(5), open.spectrum(5));
            let (mut more, mut twice, mut again) = (library.clone(), open.clone(), packed.clone());
            more.add(library).unwrap();
            more.record(77).unwrap();
            for (sum, with) in [(&mut twice, &packed), (&mut again, open)] {
                sum.merge(with);
                sum.record(77);
                agree(&more, sum);
            }
        };
        all(&library, &open);
        for n in 0..3_000u64 {
            open.record(n.pow(3) * 7);
            library.saturating_record(n.pow(3) * 7);
            if n % 500 == 0 {
                all(&library, &open);
            }
        }
        open.record(u64::MAX);
        library.saturating_record(u64::MAX);
        all(&library, &open);
    }

    #[test]
    fn other_bounds_are_read_too() {
        let mut other = Histogram::<u64>::new_with_bounds(1, 1_000_000, 2).unwrap();
        (1..900).for_each(|n| other.record(n * 1_000).unwrap());
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&other, &mut bytes).unwrap();
        let read = Hist::of_text(&BASE64.encode(bytes)).unwrap();
        assert_eq!(read.count(), 899);
        let apart = read.quantile(0.5).unwrap().abs_diff(450_000);
        assert!(apart < 450_000 / 50, "{apart}");
    }

    #[test]
    fn garbage_is_refused() {
        assert!(serde_json::from_str::<Hist>("\"AAAA\"").is_err());
        assert!(serde_json::from_str::<Hist>("\"not base64!\"").is_err());
    }

    #[test]
    fn the_highest_counts_of_files_add_up() {
        let of_file =
            |count| Packed::of_file(vec![(1_000, count)]).map(|p| Hist(Counts::Packed(p)));
        assert!(of_file((1 << 53) + 1).is_none());
        let (most, mut sum) = (of_file(1 << 53).unwrap(), of_file(1 << 53).unwrap());
        sum.merge(&most);
        assert_eq!((sum.count(), sum.quantile(0.99)), (1 << 54, Some(1_000)));
        assert!(sum.mean() > Some(999.0) && sum.std_dev() < Some(1.0));
        (0..3_000).for_each(|_| sum.merge(&most));
        sum.merge(&sum.clone());
        assert_eq!((sum.count(), sum.quantile(1.0)), (u64::MAX, Some(1_000)));
    }

    /// A busy second has thousands of levels, and a long trial thousands of seconds.
    #[test]
    fn a_compact_histogram_takes_few_bytes_and_loses_nothing() {
        let mut h = Hist::new();
        (0..3_000_u64).for_each(|i| (0..=i % 40).for_each(|_| h.record(200_000 + i * 1_000)));
        let compact = h.compact();
        let levels = h.values().count();
        assert!(levels > 2_000, "{levels}");
        assert!(compact.0.len() < 3 * levels, "{} bytes for {levels} levels", compact.0.len());
        assert_eq!(compact.unpack(), h);
        assert!(Hist::new().compact().unpack().is_empty());
    }
}
