//! The nearest known name to a mistyped one.

/// Two names further apart than this share (of the longer one's letters) are not mistaken for each
/// other.
const NEAR_SHARE: f64 = 0.5;

/// The known name nearest to `word`, if one is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let near = |name: &&str| {
        let longest = word.chars().count().max(name.chars().count());
        let edits = strsim::damerau_levenshtein(&word, &name.to_lowercase());
        (edits as f64) <= longest as f64 * NEAR_SHARE
    };
    let distance = |name: &&str| strsim::damerau_levenshtein(&word, &name.to_lowercase());
    known.into_iter().filter(near).min_by_key(distance)
}

/// ` (did you mean "rate"?)`, or nothing.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or(String::new(), |n| format!(" (did you mean \"{n}\"?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_find_their_name_and_nonsense_does_not() {
        let known = ["ingest", "saturate", "rate-sweep"];
        assert_eq!(nearest("ingset", known), Some("ingest"));
        assert_eq!(nearest("Saturate", known), Some("saturate"));
        assert_eq!(nearest("ratesweep", known), Some("rate-sweep"));
        assert_eq!(nearest("zzzzzz", known), None);
        assert_eq!(did_you_mean("zzzzzz", known), "");
    }
}
