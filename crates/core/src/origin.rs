//! Where a value was written, for error messages.

use crate::error::{Error, Result};
use std::fmt;
use toml::de::{DeTable, DeValue};

/// `file:line:column`, or the option on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Origin {
    /// On the command line, or a file as a whole.
    pub fn named(text: &str) -> Origin {
        Origin(text.to_owned())
    }

    /// The character at `offset` bytes into a file's text; lines and columns count from 1.
    pub fn at(file: &str, text: &str, offset: usize) -> Origin {
        let before = &text[..text.floor_char_boundary(offset)];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        Origin(format!("{file}:{line}:{column}"))
    }

    /// A usage error at this place.
    pub fn error(&self, what: impl fmt::Display) -> Error {
        Error::usage(format!("{self}: {what}"))
    }
}

/// Reads TOML with the positions of keys and values; invalid TOML is refused with its position.
pub fn read_toml<'a>(file: &str, text: &'a str) -> Result<DeTable<'a>> {
    let table = DeTable::parse(text).map_err(|e| {
        let offset = e.span().map_or(0, |s| s.start);
        let what = e.span().and_then(|s| text.get(s)).unwrap_or_default();
        let remedy = match e.message() {
            "duplicate key" => format!(" \"{}\": keep one of the two", what.escape_debug()),
            m if m.starts_with("invalid unquoted key") => {
                ": write a key with other characters in quotes".to_owned()
            }
            _ => String::new(),
        };
        Origin::at(file, text, offset).error(format!("not TOML: {}{remedy}", e.message()))
    })?;
    Ok(table.into_inner())
}

/// What kind of value this is, in words.
pub fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a = 1\nö = = 2\n";
        let error = read_toml("x.toml", text).unwrap_err().to_string();
        assert!(error.starts_with("x.toml:2:5: not TOML"), "{error}");
        let twice = read_toml("x.toml", "a = 1\nb = 2\na = 3\n").unwrap_err().to_string();
        assert_eq!(twice, "x.toml:3:1: not TOML: duplicate key \"a\": keep one of the two");
    }
}
