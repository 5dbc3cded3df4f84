//! Lines of code: what is neither blank nor a comment.

use Kind::{Doc, Long, Raw, Short};

/// How far a quoted text goes.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// To the end of its line at most.
    Short,
    /// Over several lines.
    Long,
    /// The same, and a backslash is nothing special.
    Raw,
    /// A doc string; one that spans lines is no code.
    Doc,
}

/// Kind, opening and closing mark of a quoted text: what it holds is no comment.
type Quote = (Kind, &'static str, &'static str);

struct Language {
    endings: &'static [&'static str],
    /// What begins a comment up to the end of the line.
    comments: &'static [&'static str],
    block: Option<(&'static str, &'static str)>,
    /// A block comment may hold another one.
    nested: bool,
    /// Longer marks first.
    quotes: &'static [Quote],
}

const DOUBLE: Quote = (Short, "\"", "\"");
const SINGLE: Quote = (Short, "'", "'");
const TRIPLE: Quote = (Long, "\"\"\"", "\"\"\"");

/// A language whose comments are those of C.
const fn like_c(endings: &'static [&'static str], quotes: &'static [Quote]) -> Language {
    Language { endings, comments: &["//"], block: Some(("/*", "*/")), nested: false, quotes }
}

static LANGUAGES: &[Language] = &[
    Language {
        endings: &["py", "pyw", "pyi"],
        comments: &["#"],
        block: None,
        nested: false,
        quotes: &[(Doc, "\"\"\"", "\"\"\""), (Doc, "'''", "'''"), DOUBLE, SINGLE],
    },
    like_c(
        &["js", "cjs", "mjs", "jsx", "ts", "cts", "mts", "tsx"],
        &[DOUBLE, SINGLE, (Long, "`", "`")],
    ),
    Language {
        nested: true,
        ..like_c(
            &["rs"],
            &[
                (Raw, "r##\"", "\"##"),
                (Raw, "r#\"", "\"#"),
                (Raw, "r\"", "\""),
                (Short, "'\"", "'"),
                (Long, "\"", "\""),
            ],
        )
    },
    like_c(&["go"], &[DOUBLE, SINGLE, (Raw, "`", "`")]),
    like_c(&["java", "scala"], &[TRIPLE, DOUBLE, SINGLE]),
    Language { nested: true, ..like_c(&["kt", "kts", "swift"], &[TRIPLE, DOUBLE, SINGLE]) },
    like_c(&["c", "h"], &[DOUBLE, SINGLE]),
    like_c(&["cc", "cpp", "cxx", "hh", "hpp", "hxx"], &[(Raw, "R\"(", ")\""), DOUBLE, SINGLE]),
    like_c(&["cs"], &[(Raw, "@\"", "\""), TRIPLE, DOUBLE, SINGLE]),
    Language {
        comments: &["#", "//"],
        ..like_c(&["php"], &[(Long, "\"", "\""), (Long, "'", "'")])
    },
    Language {
        endings: &["rb"],
        comments: &["#"],
        block: Some(("=begin", "=end")),
        nested: false,
        quotes: &[(Long, "\"", "\""), (Long, "'", "'")],
    },
    Language {
        endings: &["sh", "bash", "zsh", "conf"],
        comments: &["#"],
        block: None,
        nested: false,
        quotes: &[(Long, "\"", "\""), (Raw, "'", "'")],
    },
];

/// What is open at a place of a file.
#[derive(Clone, Copy)]
enum Open {
    Nothing,
    /// So many block comments.
    Comments(usize),
    Quoted(Quote),
}

impl Language {
    /// What is open behind a line.
    fn after(&self, line: &str, mut open: Open) -> Open {
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            let begins = |mark: &str| rest.starts_with(mark);
            let block = |of: fn((&'static str, &'static str)) -> &'static str| {
                self.block.map(of).filter(|mark| begins(mark))
            };
            let escape = || 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            let taken = match open {
                Open::Quoted((_, _, end)) if begins(end) => {
                    open = Open::Nothing;
                    end.len()
                }
                Open::Quoted((kind, ..)) if c == '\\' && kind != Raw => escape(),
                Open::Quoted(_) => c.len_utf8(),
                Open::Nothing if self.comments.iter().any(|mark| begins(mark)) => break,
                Open::Nothing if c == '\\' => escape(),
                Open::Nothing | Open::Comments(_) => {
                    let depth = if let Open::Comments(depth) = open { depth } else { 0 };
                    let quote = self.quotes.iter().find(|(_, mark, _)| depth == 0 && begins(mark));
                    if let Some(quote) = quote {
                        open = Open::Quoted(*quote);
                        quote.1.len()
                    } else if let Some(mark) = block(|b| b.0).filter(|_| depth == 0 || self.nested)
                    {
                        open = Open::Comments(depth + 1);
                        mark.len()
                    } else if let Some(mark) = block(|b| b.1).filter(|_| depth > 0) {
                        open = if depth > 1 { Open::Comments(depth - 1) } else { Open::Nothing };
                        mark.len()
                    } else {
                        c.len_utf8()
                    }
                }
            };
            rest = &rest[taken..];
        }
        match open {
            Open::Quoted((Short, ..)) => Open::Nothing,
            open => open,
        }
    }

    fn begins_with_comment(&self, line: &str, after: Open) -> bool {
        let block = |(start, end): (&str, &str)| {
            let whole = line.find(end).is_some_and(|at| at + end.len() == line.len());
            line.starts_with(start) && (whole || matches!(after, Open::Comments(_)))
        };
        self.comments.iter().any(|mark| line.starts_with(mark)) || self.block.is_some_and(block)
    }
}

/// Lines of a file without blank ones, comments and doc strings of several lines; `None` for an
/// unknown language.
pub(super) fn of_code(path: &str, text: &str) -> Option<usize> {
    let (_, ending) = path.rsplit_once('.')?;
    let ending = ending.to_lowercase();
    let language = LANGUAGES.iter().find(|l| l.endings.contains(&ending.as_str()))?;
    let (mut code, mut open) = (0, Open::Nothing);
    for line in text.lines().map(str::trim) {
        if line.is_empty() && matches!(open, Open::Nothing) {
            continue;
        }
        let within = matches!(open, Open::Comments(_) | Open::Quoted((Doc, ..)));
        open = language.after(line, open);
        let comment = match open {
            Open::Quoted((kind, ..)) => kind == Doc,
            open => within || language.begins_with_comment(line, open),
        };
        code += usize::from(!comment);
    }
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::of_code;
    use std::path::Path;
    use tokei::{Config, LanguageType};

    #[test]
    fn blank_lines_comments_and_doc_strings_are_no_code() {
        let python = "\"\"\"What\nit does.\n\"\"\"\n\nimport json  # why\n\n# how\nprint(json)\n";
        assert_eq!(of_code("a.py", python), Some(2));
        let rust = "//! What it does.\n\n/// How.\nfn main() {\n    // nothing\n}\n";
        assert_eq!(of_code("src/main.rs", rust), Some(2));
        assert_eq!(of_code("a.js", "// a\n/** b\n * c */\nlet a = 1;\n"), Some(1));
        assert_eq!(of_code("a.nolanguage", "x"), None);
        // A regular expression with a quote, a character, digits in groups.
        assert_eq!(of_code("a.js", "s.match(/[\"]/);\n// a\nf();\n"), Some(2));
        assert_eq!(of_code("a.rs", "let c = '\"';\n// a\nf();\n"), Some(2));
        assert_eq!(of_code("a.cpp", "int n = 1'000;\n// a\nf();\n"), Some(2));
    }

    fn referee(path: &str, text: &str) -> usize {
        let ending = path.rsplit('.').next().unwrap();
        let language = LanguageType::from_file_extension(ending).unwrap();
        let config = Config { treat_doc_strings_as_comments: Some(true), ..Config::default() };
        language.parse_from_str(text, &config).code
    }

    fn targets(folder: &Path, check: &mut dyn FnMut(&str, &str)) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let known =
                path.extension().is_some_and(|e| ["py", "js", "rs"].iter().any(|k| e == *k));
            if path.is_dir() && !path.ends_with("node_modules") {
                targets(&path, check);
            } else if known {
                check(path.to_str().unwrap(), &std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn tokei_counts_the_same() {
        let mut files = 0;
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../targets");
        targets(Path::new(folder), &mut |path, text| {
            assert_eq!(of_code(path, text), Some(referee(path, text)), "{path}");
            files += 1;
        });
        assert!(files > 15, "{files}");
        for (path, text) in [
            (
                "a.py",
                "a = '#'  # b\n'''one line'''\nb = \"\"\"\n\n# c\n\"\"\"\nc = 'it\\'s' # d\n#\n",
            ),
            ("a.py", "def f():\n    \"\"\"A.\n\n    B 'c'.\n    \"\"\"\n\n    return '\"\"\"'\n"),
            (
                "a.js",
                "let a = '/*'; // b\nlet c = \"*/\";\n/* d\n\n e */\nlet f = `\n// g\n/* h */\n\n`;\n",
            ),
            ("a.ts", "/* a */ let b = 1; /* c\nd */\n/* e */\nlet f = 'it\\'s /*';\n"),
            (
                "a.rs",
                "/* a /* b */\nc */\nlet d = \"// e\n// f\n\";\nlet g = r#\"\n/* \"h\"\n\"#;\n",
            ),
            ("a.rs", "fn a<'b>(c: &'b str) {} // it's\n/// ```\n/// d();\n/// ```\n\ne();\n"),
            ("a.go", "// a\nb := \"/* c\"\n/*\n\nd */\n\ne := 1 // f\n"),
            ("a.java", "/** a\n * b\n */\nString c = \"// d\"; /* e */\nint f; // g\n"),
            ("a.c", "#include <a.h> /* b\n */\nchar *c = \"/*\";\n// d\n"),
            ("a.cpp", "auto a = R\"(\n// b\n)\";\n// c\nint d = 0; /* e */\n"),
            ("a.cs", "var a = @\"\\\";\n// b\nvar c = \"/*\";\n/* d */\n"),
            ("a.rb", "# a\n=begin\nb\n=end\nc = '#'\nd = \"#{e} # f\"\n"),
            ("a.php", "<?php\n// a\n# b\n$c = '// d';\n/* e\n*/\n$f = \"#\";\n"),
            ("a.sh", "#!/bin/sh\n# a\necho \"# b\nc\" # d\n\necho '# e'\n"),
        ] {
            assert_eq!(of_code(path, text), Some(referee(path, text)), "{path}: {text}");
        }
    }
}
