//! What the data of generated events is made of. How far an event can be compressed depends on nothing else.

use crate::scenario::payload::{CLOSE, ID_DIGITS, OPEN, PAD, TYPE};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// `payload.content`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// One letter, again and again.
    #[default]
    Padding,
    /// Characters drawn at random from those that stand for themselves in JSON.
    Random,
    /// Orders: ids, times, names, amounts, addresses.
    Events,
    /// The same order, in which a counter, a time and a measured value change.
    Repeats,
}

/// All texts together are at least so long: deflate looks back 32 KiB at most, from wherever an event went.
const POOL_BYTES: usize = 128 * 1024;
/// The last member of the data takes what is left.
const LAST: &str = r#""pad":""#;
/// The same texts in every run.
const SEED: u64 = 23;

const NAMES: [&str; 16] = [
    "Alice", "James", "Maria", "Peter", "Laura", "David", "Sarah", "Lukas", "Elena", "Oscar",
    "Nadia", "Simon", "Clara", "Felix", "Irene", "Tomas",
];
const FAMILIES: [&str; 16] = [
    "Miller", "Wagner", "Garcia", "Jensen", "Walker", "Kumari", "Suzuki", "Moreau", "Harris",
    "Cooper", "Martin", "Lehman", "Fisher", "Alonso", "Petrov", "Nguyen",
];
const CITIES: [&str; 16] = [
    "London", "Berlin", "Madrid", "Lisbon", "Dublin", "Athens", "Warsaw", "Prague", "Vienna",
    "Zurich", "Munich", "Geneva", "Boston", "Austin", "Denver", "Dallas",
];
const STATES: [&str; 6] = ["created", "pending", "shipped", "settled", "expired", "refused"];
const CURRENCIES: [&str; 4] = ["EUR", "USD", "GBP", "JPY"];
const WORDS: [&str; 16] = [
    "please",
    "deliver",
    "before",
    "noon",
    "ring",
    "twice",
    "leave",
    "with",
    "the",
    "neighbour",
    "second",
    "floor",
    "call",
    "customer",
    "first",
    "gift",
];

impl Content {
    /// Nothing else was chosen.
    pub fn is_default(&self) -> bool {
        *self == Content::default()
    }

    /// What stands behind the size of an event; nothing behind that of the default.
    pub fn words(self) -> &'static str {
        match self {
            Content::Padding => "",
            Content::Random => " (random)",
            Content::Events => " (events)",
            Content::Repeats => " (repeats)",
        }
    }

    /// The texts of events of so many bytes and that type, one after the other, and how many there are. Their ids
    /// are zero.
    pub(crate) fn texts(self, bytes: usize, kind: &str) -> (String, u64) {
        let head = format!("{OPEN}{:0ID_DIGITS$x}{TYPE}{kind}{}", 0, PAD.trim_end_matches(LAST));
        let room = bytes.saturating_sub(head.len() + LAST.len() + CLOSE.len());
        let count = if self == Content::Padding { 1 } else { prime(POOL_BYTES.div_ceil(bytes)) };
        let begin = Writer { rng: ChaCha8Rng::seed_from_u64(SEED), seconds: 0.0 };
        let mut writer = begin.clone();
        let mut texts = String::with_capacity(bytes * count);
        for number in 0..count {
            texts += &head;
            let end = texts.len() + room;
            if self == Content::Repeats {
                writer.reading(number, &mut texts, end);
            }
            let again = &mut begin.clone();
            let writer = if self == Content::Repeats { again } else { &mut writer };
            if matches!(self, Content::Events | Content::Repeats) {
                writer.order(&mut texts, end);
            }
            texts += LAST;
            let end = end + LAST.len();
            match self {
                Content::Padding => texts.extend(std::iter::repeat_n('x', end - texts.len())),
                Content::Random => writer.characters(&mut texts, end),
                Content::Events | Content::Repeats => writer.words(&mut texts, end),
            }
            texts += CLOSE;
        }
        (texts, count as u64)
    }
}

/// The next prime number, so that whoever takes every n-th event takes all texts by turns.
fn prime(least: usize) -> usize {
    let is_prime = |n: &usize| (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (least.max(2)..).find(is_prime).unwrap_or(least)
}

/// Writes data, each member as long as the one of that name in any other text.
#[derive(Clone)]
struct Writer {
    rng: ChaCha8Rng,
    /// Since a certain midnight.
    seconds: f64,
}

impl Writer {
    /// All members of an order that fit, and a list of further orders.
    fn order(&mut self, out: &mut String, end: usize) {
        for member in self.members() {
            if out.len() + member.len() + 1 > end {
                return;
            }
            out.extend([&member, ","]);
        }
        let mut opened = false;
        loop {
            let next = format!("{{{}}}", self.members().join(","));
            let around = if opened { 1 } else { r#""others":[],"#.len() };
            if out.len() + next.len() + around + if opened { 2 } else { 0 } > end {
                break;
            }
            *out += if opened { "," } else { r#""others":["# };
            *out += &next;
            opened = true;
        }
        if opened {
            *out += "],";
        }
    }

    fn members(&mut self) -> [String; 8] {
        let at = self.time(2.0);
        let name = self.one_of(&NAMES);
        let family = self.one_of(&FAMILIES);
        let account = self.rng.random_range(1_000_000..10_000_000);
        let mail = format!(
            "{}.{}{:02}@mail.example",
            name.to_lowercase(),
            family.to_lowercase(),
            self.rng.random_range(0..100)
        );
        let item = |w: &mut Writer| {
            format!(
                r#"{{"sku":"{}-{:05}","quantity":{},"price":{:05.2}}}"#,
                w.token(2).to_uppercase(),
                w.rng.random_range(0..100_000),
                w.rng.random_range(1..10),
                w.rng.random_range(10.0..99.9)
            )
        };
        let (first, second) = (item(self), item(self));
        [
            format!(r#""order":"ord_{}""#, self.token(14)),
            format!(r#""at":"{at}""#),
            format!(r#""status":"{}""#, self.one_of(&STATES)),
            format!(r#""amount":"{:07.2}""#, self.rng.random_range(10.0..9_999.9)),
            format!(r#""currency":"{}""#, self.one_of(&CURRENCIES)),
            format!(
                r#""customer":{{"account":{account},"name":"{name} {family}","email":"{mail}","city":"{}"}}"#,
                self.one_of(&CITIES)
            ),
            format!(
                r#""url":"https://shop.example/orders/{}?ref={}""#,
                self.token(10),
                self.token(6)
            ),
            format!(r#""items":[{first},{second}]"#),
        ]
    }

    /// What changes between two near-repeats.
    fn reading(&mut self, number: usize, out: &mut String, end: usize) {
        let members = [
            format!(r#""count":{:08},"#, 10_000_000 + number),
            format!(r#""read":"{}","#, self.time(1.0)),
            format!(r#""value":{:07.3},"#, self.rng.random_range(100.0..999.9)),
        ];
        for member in members {
            if out.len() + member.len() <= end {
                *out += &member;
            }
        }
    }

    /// The time of the next event, up to so many seconds later.
    fn time(&mut self, gap: f64) -> String {
        self.seconds += self.rng.random_range(0.0..gap);
        let (day, second) = (self.seconds as u64 / 86_400 % 28 + 1, self.seconds % 86_400.0);
        let (hour, minute) = (second as u64 / 3600, second as u64 / 60 % 60);
        format!("2026-03-{day:02}T{hour:02}:{minute:02}:{:06.3}Z", (second % 60.0).min(59.999))
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        words[self.rng.random_range(0..words.len())]
    }

    fn token(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        (0..length).map(|_| char::from(LETTERS[self.rng.random_range(0..36)])).collect()
    }

    /// Words and numbers up to there.
    fn words(&mut self, out: &mut String, end: usize) {
        while out.len() < end {
            let word = self.one_of(&WORDS);
            let _infallible = write!(out, "{word} {} ", self.rng.random_range(0..1000));
        }
        out.truncate(end);
    }

    /// Printable ASCII without the quotation mark and the backslash, which JSON would escape: 6.5 bits a byte.
    fn characters(&mut self, out: &mut String, end: usize) {
        while out.len() < end {
            let character = char::from(self.rng.random_range(b' '..=b'~'));
            if !['"', '\\'].contains(&character) {
                out.push(character);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    const COMPRESSIBLE: [Content; 3] = [Content::Random, Content::Events, Content::Repeats];

    fn each(content: Content, bytes: usize) -> Vec<String> {
        let (texts, count) = content.texts(bytes, "event");
        assert_eq!(texts.len(), bytes * count as usize, "{content:?}, {bytes} B");
        (0..count as usize).map(|n| texts[n * bytes..][..bytes].to_owned()).collect()
    }

    #[test]
    fn texts_are_events_of_that_length_that_are_escaped_alike() {
        for content in COMPRESSIBLE {
            for bytes in [58, 59, 80, 97, 128, 200, 397, 512, 700, 1000, 4096, 65_536, 100_000] {
                let texts = each(content, bytes);
                assert!(texts.len() * bytes >= POOL_BYTES, "{content:?}");
                for text in &texts {
                    let event: serde_json::Value = serde_json::from_str(text)
                        .unwrap_or_else(|e| panic!("{content:?}, {bytes} B: {e}: {text}"));
                    assert_eq!(
                        (&event["type"], event["data"].is_object()),
                        (&"event".into(), true)
                    );
                    let escaped = |text: &String| text.matches(['"', '\\']).count();
                    assert_eq!(escaped(text), escaped(&texts[0]), "{text}");
                }
                if bytes > 100 {
                    let mut different = texts.clone();
                    different.sort();
                    different.dedup();
                    assert_eq!(different.len(), texts.len(), "{content:?}, {bytes} B");
                }
            }
        }
    }

    /// Bytes an event takes: by itself, and behind the events before it.
    fn compressed(content: Content, bytes: usize) -> (usize, usize) {
        let texts = each(content, bytes);
        let (mut alone, mut behind) = (0, 0);
        let mut context = Compress::new(Compression::default(), false);
        for text in &texts {
            let mut room = Vec::with_capacity(2 * bytes + 64);
            let mut fresh = Compress::new(Compression::default(), false);
            fresh.compress_vec(text.as_bytes(), &mut room, FlushCompress::Finish).unwrap();
            alone += room.len();
            room.clear();
            context.compress_vec(text.as_bytes(), &mut room, FlushCompress::Sync).unwrap();
            behind += room.len();
        }
        (alone / texts.len(), behind / texts.len())
    }

    #[test]
    fn entropy_falls_from_random_text_over_events_to_near_repeats() {
        for bytes in [512, 4096] {
            let [random, events, repeats] = COMPRESSIBLE.map(|content| compressed(content, bytes));
            println!(
                "{bytes} B, alone and behind others: random {random:?}, events {events:?}, repeats {repeats:?}"
            );
            assert!(random.0 > events.0 && random.1 > events.1 && events.1 > repeats.1);
            // A near-repeat by itself is an event like any other.
            assert!(random.0 * 10 > bytes * 7 && repeats.1 * 10 < bytes, "{random:?}, {repeats:?}");
        }
    }
}
