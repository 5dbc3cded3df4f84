//! The values of a target's keys, each checked where it stands.

use super::manifest::Ready;
use crate::error::Result;
use crate::origin::{Origin, kind};
use toml::de::DeValue;

/// Text, whatever it says.
pub(super) fn text(value: &DeValue<'_>, key: &str, at: &Origin) -> Result<String> {
    match value {
        DeValue::String(s) => Ok(s.to_string()),
        other => Err(at.error(format!("{key}: this is {}: write text in quotes", kind(other)))),
    }
}

pub(super) fn texts(value: &DeValue<'_>, key: &str, at: &Origin) -> Result<Vec<String>> {
    let DeValue::Array(items) = value else {
        return Err(at.error(format!(
            "{key}: this is {}: write a list of texts, for example [\"a\", \"b\"]",
            kind(value)
        )));
    };
    items.iter().map(|item| text(item.get_ref(), key, at)).collect()
}

/// A list of words, or one text that is split as a shell would.
pub(super) fn command(value: &DeValue<'_>, at: &Origin) -> Result<Vec<String>> {
    let words = match value {
        DeValue::String(line) => {
            shell_words::split(line).map_err(|e| at.error(format!("command: {e}")))?
        }
        _ => texts(value, "command", at)?,
    };
    if words.first().is_none_or(String::is_empty) {
        return Err(at.error("command: it is empty: write the program and its arguments"));
    }
    if words.iter().any(|word| word.contains('\0')) {
        return Err(at.error("command: it holds a NUL character"));
    }
    Ok(words)
}

pub(super) fn ready(text: &str, at: &Origin) -> Result<Ready> {
    match text.split_once(':') {
        None if text == "tcp" => Ok(Ready::Tcp),
        Some(("http", path)) if path.starts_with('/') => Ok(Ready::Http(path.to_owned())),
        Some(("line", wanted)) if !wanted.is_empty() => Ok(Ready::Line(wanted.to_owned())),
        _ => Err(at.error(format!(
            "ready: \"{text}\": write \"tcp\", \"http:/health\" or \"line:READY\""
        ))),
    }
}

pub(super) fn env(value: &DeValue<'_>, at: &Origin) -> Result<Vec<(String, String)>> {
    let DeValue::Table(table) = value else {
        return Err(at.error(format!("env: this is {}: write {{ NAME = \"value\" }}", kind(value))));
    };
    let pair =
        |(name, value): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<DeValue<'_>>)| {
            let name = name.get_ref();
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(at.error(format!("env: \"{name}\" is no name of a variable")));
            }
            Ok((name.to_string(), text(value.get_ref(), "env", at)?))
        };
    table.iter().map(pair).collect()
}
