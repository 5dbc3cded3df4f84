//! The HDR V2 encoding read straight into levels. The library reads it into a histogram with room for
//! every value, which for a record of many trials is most of what a report takes.

use crate::record::histogram::levels::{LEVELS, highest};
use crate::record::histogram::packed::Packed;
use crate::record::histogram::{HIGHEST_NS, SIGNIFICANT_DIGITS};
use flate2::read::ZlibDecoder;
use std::borrow::Cow;
use std::io::Read as _;

/// First word of the encoding, and of the deflated one around it.
const V2: u32 = 0x1c84_9313;
const V2_DEFLATED: u32 = 0x1c84_9314;
/// Longest plain encoding: five digits of all 64 bits and nine bytes a level come to less.
const LONGEST_PLAIN: u64 = 32 << 20;
/// Longest number: eight bytes of seven bits and a whole one.
const LONGEST: usize = 9;

/// What was read.
pub(super) enum Read<'a> {
    /// A histogram with our bounds.
    Ours(Packed),
    /// The plain encoding of one with others, which the library knows to read.
    Other(Cow<'a, [u8]>),
}

/// Reads either encoding; `None` of bytes that are none, hold less than they announce, which the library
/// would allocate, or hold numbers that nobody can count.
pub(super) fn decode(bytes: &[u8]) -> Option<Read<'_>> {
    let plain = match Reader(bytes).word()? {
        V2_DEFLATED => Cow::Owned(inflated(bytes)?),
        _ => Cow::Borrowed(bytes),
    };
    let mut reader = Reader(&plain);
    let (cookie, length) = (reader.word()?, reader.word()? as usize);
    let (offset, digits) = (reader.word()?, reader.word()?);
    let (low, high) = (reader.long()?, reader.long()?);
    let ratio = f64::from_bits(reader.long()?);
    let counts = Reader(reader.0.get(..length).filter(|_| cookie == V2)?);
    let ours = (0, u32::from(SIGNIFICANT_DIGITS), 1, HIGHEST_NS, 1.0);
    if (offset, digits, low, high, ratio) == ours {
        return levels(counts).map(Read::Ours);
    }
    let mut unseen = counts;
    while !unseen.0.is_empty() {
        unseen.number()?;
    }
    Some(Read::Other(plain))
}

fn inflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader(bytes);
    let (_cookie, length) = (reader.word()?, reader.word()? as usize);
    let deflated = reader.0.get(..length)?;
    let mut plain = Vec::with_capacity(4 * length);
    ZlibDecoder::new(deflated).take(LONGEST_PLAIN).read_to_end(&mut plain).ok()?;
    Some(plain)
}

fn levels(mut counts: Reader<'_>) -> Option<Packed> {
    let (mut index, mut levels) = (0u64, Vec::with_capacity(counts.0.len() / 2));
    while !counts.0.is_empty() {
        // Zero or more: that many values at this level. Less: so many levels are empty.
        match counts.number()? {
            empty if empty < 0 => index = index.checked_add(empty.unsigned_abs())?,
            count => {
                if count > 0 {
                    let level = usize::try_from(index).ok().filter(|level| *level < LEVELS)?;
                    levels.push((highest(level), count.unsigned_abs()));
                }
                index = index.checked_add(1)?;
            }
        }
    }
    Packed::of_file(levels)
}

/// Bytes being read, numbers with the highest byte first.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn word(&mut self) -> Option<u32> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*word))
    }

    fn long(&mut self) -> Option<u64> {
        let (long, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*long))
    }

    /// Seven bits a byte, the lowest first, as long as the eighth is set; signs zigzag. Not the one number
    /// that cannot be negated.
    fn number(&mut self) -> Option<i64> {
        let mut number = 0;
        for place in 0..LONGEST {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let last = place + 1 == LONGEST;
            let bits = if last { *byte } else { byte & 0x7f };
            number |= u64::from(bits) << (7 * place);
            if last || byte & 0x80 == 0 {
                break;
            }
        }
        let number = (number >> 1) as i64 ^ -((number & 1) as i64);
        (number != i64::MIN).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::histogram::{BASE64, Hist, empty, recorded};
    use base64::Engine as _;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::{Deserializer, Serializer as _};
    use hdrhistogram::serialization::{V2DeflateSerializer, V2Serializer};
    use proptest::prelude::*;

    fn encodings(open: &Histogram<u64>) -> [Vec<u8>; 2] {
        let mut both = [Vec::new(), Vec::new()];
        V2Serializer::new().serialize(open, &mut both[0]).unwrap();
        V2DeflateSerializer::new().serialize(open, &mut both[1]).unwrap();
        both
    }

    fn ours(bytes: &[u8]) -> Option<Packed> {
        match decode(bytes)? {
            Read::Ours(packed) => Some(packed),
            Read::Other(_) => None,
        }
    }

    fn packed(library: &Histogram<u64>) -> Packed {
        Packed::of_levels(recorded(library).collect())
    }

    fn level(packed: &Packed) -> Vec<(u64, u64)> {
        packed.values().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_the_library_writes_is_read_as_it_reads_it(
            values in prop::collection::vec((0u64..42, any::<u64>(), 1u64..1 << 40), 0..60)
        ) {
            let mut open = empty();
            for (bits, value, count) in values {
                open.saturating_record_n(value & ((1 << bits) - 1), count);
            }
            for bytes in encodings(&open) {
                let read = ours(&bytes).expect("our own bounds");
                let whole = packed(&open);
                prop_assert_eq!(level(&read), level(&whole));
                prop_assert_eq!(read.count(), whole.count());
            }
        }

        #[test]
        fn damaged_bytes_are_the_librarys_to_judge(
            value in 1u64..1 << 40, at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()
        ) {
            let mut open = empty();
            (0..50).for_each(|n| open.saturating_record_n(value * n, n + 1));
            for mut bytes in encodings(&open) {
                let at = at.index(bytes.len());
                bytes[at] = to;
                bytes.truncate(cut.index(bytes.len() + 1).max(8));
                if let Some(read) = ours(&bytes) {
                    let known = Deserializer::new().deserialize(&mut bytes.as_slice());
                    let known = known.expect("what we read the library reads");
                    prop_assert_eq!(level(&read), level(&packed(&known)));
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        for high in [HIGHEST_NS, 1_000_000] {
            let other = Histogram::<u64>::new_with_bounds(1, high, SIGNIFICANT_DIGITS).unwrap();
            let mut bytes = encodings(&other)[0].clone();
            // Thrice the greatest count there is.
            let counts: Vec<u8> = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].repeat(3);
            bytes.truncate(40);
            bytes[4..8].copy_from_slice(&(counts.len() as u32).to_be_bytes());
            bytes.extend(counts);
            assert!(Hist::of_text(&BASE64.encode(bytes)).is_err());
        }
        assert!(Hist::of_text("").is_err());
    }

    #[test]
    fn a_run_that_the_library_cannot_negate_is_refused() {
        let longest = [0xff; LONGEST];
        for high in [HIGHEST_NS, 1_000_000] {
            let other = Histogram::<u64>::new_with_bounds(1, high, SIGNIFICANT_DIGITS).unwrap();
            let mut bytes = encodings(&other)[0].clone();
            bytes.truncate(40);
            bytes[4..8].copy_from_slice(&(LONGEST as u32).to_be_bytes());
            bytes.extend(longest);
            assert!(Hist::of_text(&BASE64.encode(bytes)).is_err());
        }
    }

    #[test]
    fn what_is_only_announced_is_refused() {
        let mut other = Histogram::<u64>::new_with_bounds(1, 1_000_000, 2).unwrap();
        other.record_n(7, 3).unwrap();
        let [open, deflated] = encodings(&other);
        let is_other = |bytes: &[u8]| matches!(decode(bytes), Some(Read::Other(_)));
        assert!(is_other(&open) && is_other(&deflated));
        for bytes in [open, deflated] {
            assert!(decode(&bytes[..bytes.len() - 1]).is_none());
            let mut long = bytes.clone();
            long[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
            assert!(decode(&long).is_none());
            assert!(Hist::of_text(&BASE64.encode(long)).is_err());
        }
    }
}
