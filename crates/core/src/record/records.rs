//! What `run.json` says of `trials.jsonl` once a run has ended: a reader finds out what is missing or
//! was changed since.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Number and digest of the records of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// Lines of `trials.jsonl`.
    pub count: usize,
    /// SHA-256 of the whole file, as `sha256sum` prints it.
    pub sha256: String,
}

/// Counts records while they are written or read.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    count: usize,
    digest: Sha256,
}

impl Counter {
    /// Takes in the bytes of a line.
    pub fn add(&mut self, line: &[u8]) {
        self.count += usize::from(line.last() == Some(&b'\n'));
        self.digest.update(line);
    }

    /// What was taken in so far.
    pub fn total(&self) -> Records {
        Records { count: self.count, sha256: hex(&self.digest.clone().finalize()) }
    }
}

/// How the file differs from what `run.json` says of it.
pub fn difference(written: &Records, found: &Records) -> Option<String> {
    let (then, now) = (written.count, found.count);
    let what = match now {
        _ if written == found => return None,
        n if n < then => format!("{} missing", are(then - n)),
        n if n > then => format!("{} more than were written", are(n - then)),
        _ => "the records differ in their SHA-256".to_owned(),
    };
    Some(format!(
        "trials.jsonl holds {now} records, run.json counted {then} at the end of the run: {what}"
    ))
}

fn are(n: usize) -> String {
    if n == 1 { "1 is".to_owned() } else { format!("{n} are") }
}

/// The SHA-256 of a text.
pub fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Records {
        let mut counter = Counter::default();
        text.split_inclusive('\n').for_each(|line| counter.add(line.as_bytes()));
        counter.total()
    }

    /// The empty text and "abc" of FIPS 180-2, appendix B.1.
    #[test]
    fn the_digest_is_sha_256_of_the_whole_file() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256("abc"), abc);
        assert_eq!(records("a\nb\nc").sha256, sha256("a\nb\nc"));
        assert_eq!((records("a\nb\nc").count, records("").count), (2, 0));
    }

    #[test]
    fn what_is_missing_added_or_changed_is_reported() {
        let diff = |found: &str| difference(&records("a\nb\nc\n"), &records(found));
        assert_eq!(diff("a\nb\nc\n"), None);
        for (found, text) in [
            ("a\nb\n", "holds 2 records, run.json counted 3 at the end of the run: 1 is missing"),
            ("", "3 are missing"),
            ("a\nb\nc\nc\n", "1 is more than were written"),
            ("a\nc\nb\n", "differ in their SHA-256"),
        ] {
            assert!(diff(found).is_some_and(|s| s.contains(text)), "{found:?}: {:?}", diff(found));
        }
    }
}
