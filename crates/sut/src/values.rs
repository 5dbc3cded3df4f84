//! The values of a target's keys, with the position of errors.

use crate::manifest::Ready;
use pushbench_core::error::Result;
use pushbench_core::origin::{Origin, kind};
use pushbench_core::units;
use std::time::Duration;
use toml::de::DeValue;

/// No program, variable, path or address can hold one.
const NUL: &str = "it contains a NUL character: remove it";

/// A text value.
pub(super) fn text(value: &DeValue<'_>, key: &str, at: &Origin) -> Result<String> {
    match value {
        DeValue::String(s) if s.contains('\0') => Err(at.error(format!("{key}: {NUL}"))),
        DeValue::String(s) => Ok(s.to_string()),
        other => Err(at.error(format!("{key}: this is {}: write text in quotes", kind(other)))),
    }
}

/// A message, which may have any character.
pub(super) fn message(value: &DeValue<'_>, key: &str, at: &Origin) -> Result<String> {
    match value {
        DeValue::String(s) => Ok(s.to_string()),
        _ => text(value, key, at),
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
            let words = shell_words::split(&text(value, "command", at)?);
            words.map_err(|_| {
                at.error(format!(
                    "command: \"{line}\": a quote is not closed: close it, or write a list of words, \
                     [\"program\", \"argument\"]"
                ))
            })?
        }
        _ => texts(value, "command", at)?,
    };
    let Some(program) = words.first().filter(|program| !program.is_empty()) else {
        return Err(at.error("command: it is empty: write the program and its arguments"));
    };
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if let Some((variable, value)) = program.split_once('=')
        && !variable.is_empty()
        && variable.chars().all(name)
    {
        return Err(at.error(format!(
            "command: \"{program}\" sets a variable and is no program: write env = {{ {variable} = \"{value}\" }}"
        )));
    }
    Ok(words)
}

pub(super) fn ready(text: &str, at: &Origin) -> Result<Ready> {
    match text.split_once(':') {
        None if text == "tcp" => Ok(Ready::Tcp),
        Some(("http", path))
            if path.starts_with('/')
                && !path.starts_with("//")
                && path.chars().all(|c| c.is_ascii_graphic()) =>
        {
            Ok(Ready::Http(path.to_owned()))
        }
        Some(("line", wanted)) if !wanted.is_empty() => Ok(Ready::Line(wanted.to_owned())),
        _ => Err(at.error(format!(
            "ready: \"{text}\": write \"tcp\", \"http:/health\" or \"line:READY\""
        ))),
    }
}

/// More than zero.
pub(super) fn duration(key: &str, value: &DeValue<'_>, at: &Origin) -> Result<Duration> {
    let text = match value {
        DeValue::Integer(n) => n.as_str().to_owned(),
        DeValue::Float(n) => n.as_str().to_owned(),
        _ => text(value, key, at)?,
    };
    let why = match units::parse_duration(&text) {
        Ok(time) if !time.is_zero() => return Ok(time),
        Ok(_) => format!("\"{text}\" is not a positive duration"),
        Err(why) => why,
    };
    let name = key.rsplit(' ').next().unwrap_or(key);
    Err(at.error(format!("{key}: {why}; for example {name} = \"20s\"")))
}

pub(super) fn env(value: &DeValue<'_>, at: &Origin) -> Result<Vec<(String, String)>> {
    let DeValue::Table(table) = value else {
        return Err(at.error(format!("env: this is {}: write {{ NAME = \"value\" }}", kind(value))));
    };
    let pair = |(name, value): (
        &toml::Spanned<toml::de::DeString<'_>>,
        &toml::Spanned<DeValue<'_>>,
    )| {
        let name = name.get_ref();
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(at.error(format!(
                    "env: \"{}\" is not a valid name of a variable: it must not be empty and must not contain = \
                     or NUL",
                    name.escape_debug()
                )));
        }
        Ok((name.to_string(), text(value.get_ref(), &format!("env.{name}"), at)?))
    };
    table.iter().map(pair).collect()
}
