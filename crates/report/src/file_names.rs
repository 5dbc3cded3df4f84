//! Names of files made from names of arms and settings, which may hold anything.

use std::collections::BTreeSet;

/// Longer names are no file names everywhere.
const LONGEST: usize = 120;

/// Gives no name twice.
#[derive(Debug, Default)]
pub struct FileNames(BTreeSet<String>);

impl FileNames {
    /// These words as a file name with this ending.
    pub fn of(&mut self, words: &[&str], ending: &str) -> String {
        let safe =
            |c: char| if c.is_ascii_alphanumeric() || "@#-_.=".contains(c) { c } else { '_' };
        let joined = words.iter().filter(|w| !w.is_empty()).copied().collect::<Vec<_>>().join(".");
        let stem: String = joined.replace(" = ", "=").chars().map(safe).take(LONGEST).collect();
        let numbered = |n: u32| match n {
            1 => format!("{stem}.{ending}"),
            n => format!("{stem}~{n}.{ending}"),
        };
        let name = (1..).map(numbered).find(|name| self.0.insert(name.clone()));
        name.expect("there are more numbers than files")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_harmless_and_differ() {
        let mut names = FileNames::default();
        assert_eq!(names.of(&["", "webhook@x"], "hgrm"), "webhook@x.hgrm");
        assert_eq!(names.of(&["load.rate = 500", "a/../b"], "h"), "load.rate=500.a_.._b.h");
        assert_eq!(names.of(&["a b"], "h"), "a_b.h");
        assert_eq!(names.of(&["a\u{202e}b"], "h"), "a_b~2.h");
        assert!(names.of(&[&"x".repeat(5000)], "h").len() < 200);
    }
}
