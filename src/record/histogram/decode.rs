//! The HDR V2 encoding read straight into levels. The library reads it into a histogram with room for
//! every value, which for a record of many trials is most of what a report takes.

use super::levels::{LEVELS, highest};
use super::packed::Packed;
use super::{HIGHEST_NS, SIGNIFICANT_DIGITS};
use flate2::read::ZlibDecoder;
use std::io::Read as _;

/// First word of the encoding, and of the deflated one around it.
const V2: u32 = 0x1c84_9313;
const V2_DEFLATED: u32 = 0x1c84_9314;
/// Longest number: eight bytes of seven bits and a whole one.
const LONGEST: usize = 9;

/// Reads either encoding of a histogram with our bounds; `None` of any other bytes, about which the
/// library knows more.
pub(super) fn decode(bytes: &[u8]) -> Option<Packed> {
    let mut reader = Reader(bytes);
    if reader.word()? == V2 {
        return levels(reader);
    }
    let mut reader = Reader(bytes);
    let (cookie, length) = (reader.word()?, reader.word()? as usize);
    let deflated = reader.0.get(..length).filter(|_| cookie == V2_DEFLATED)?;
    // Some bytes a level; whoever claims more is left to the library.
    let most = 8 * LEVELS as u64;
    let mut plain = Vec::with_capacity(4 * length);
    ZlibDecoder::new(deflated).take(most).read_to_end(&mut plain).ok()?;
    let mut reader = Reader(&plain);
    (reader.word()? == V2).then(|| levels(reader)).flatten()
}

/// What follows the first word.
fn levels(mut reader: Reader<'_>) -> Option<Packed> {
    let length = reader.word()? as usize;
    let (offset, digits) = (reader.word()?, reader.word()?);
    let (low, high) = (reader.long()?, reader.long()?);
    let ratio = f64::from_bits(reader.long()?);
    let ours = (0, u32::from(SIGNIFICANT_DIGITS), 1, HIGHEST_NS, 1.0);
    if (offset, digits, low, high, ratio) != ours {
        return None;
    }
    let mut counts = Reader(reader.0.get(..length)?);
    let (mut index, mut levels) = (0u64, Vec::with_capacity(length / 2));
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
    Packed::of_levels(levels)
}

/// Bytes being read, numbers with the highest byte first.
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

    /// Seven bits a byte, the lowest first, as long as the eighth is set; signs zigzag.
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
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Hist, empty};
    use super::*;
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
                let read = decode(&bytes).expect("our own bounds");
                let whole = Packed::of(&open);
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
                if let Some(read) = decode(&bytes) {
                    let known = Deserializer::new().deserialize(&mut bytes.as_slice());
                    let known = known.expect("what we read the library reads");
                    prop_assert_eq!(level(&read), level(&Packed::of(&known)));
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        let mut bytes = encodings(&empty())[0].clone();
        // Twice the greatest count there is.
        let counts: Vec<u8> = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].repeat(3);
        bytes.truncate(40);
        bytes[4..8].copy_from_slice(&(counts.len() as u32).to_be_bytes());
        bytes.extend(counts);
        assert!(decode(&bytes).is_none());
        assert!(Hist::of_text("").is_err());
    }
}
