//! Lines of code, as tokei counts them.

use rayon::ThreadPoolBuilder;
use tokei::{Config, LanguageType};

/// Lines of a file without blank ones, comments and doc strings of several lines; `None` for an
/// unknown language.
pub(super) fn of_code(path: &str, text: &str) -> Option<usize> {
    let (_, ending) = path.rsplit_once('.')?;
    let language = LanguageType::from_file_extension(&ending.to_lowercase())?;
    let config = Config { treat_doc_strings_as_comments: Some(true), ..Config::default() };
    // tokei would start a thread for every CPU and keep them while we measure.
    let pool = ThreadPoolBuilder::new().num_threads(1).build().ok()?;
    Some(pool.install(|| language.parse_from_str(text, &config).code))
}

#[cfg(test)]
mod tests {
    use super::of_code;

    #[test]
    fn blank_lines_comments_and_doc_strings_are_no_code() {
        let python = "\"\"\"What\nit does.\n\"\"\"\n\nimport json  # why\n\n# how\nprint(json)\n";
        assert_eq!(of_code("a.py", python), Some(2));
        let rust = "//! What it does.\n\n/// How.\nfn main() {\n    // nothing\n}\n";
        assert_eq!(of_code("src/main.rs", rust), Some(2));
        assert_eq!(of_code("a.js", "// a\n/** b\n * c */\nlet a = 1;\n"), Some(1));
        assert_eq!(of_code("a.nolanguage", "x"), None);
    }
}
