//! `${NAME}` in a text of a description or of the command line: the value of an environment variable, which is
//! registered as a secret. `$${` stands for the characters `${`.

use crate::values;
use pushbench_core::error::Result;
use pushbench_core::origin::Origin;
use pushbench_host::secrets;
use pushbench_wire::signing::SigningKey;
use std::fmt::Write as _;
use toml::de::DeValue;

/// A text value of a header or a message, with the values of its variables.
pub(super) fn text(value: &DeValue<'_>, key: &str, at: &Origin) -> Result<String> {
    filled(&values::text(value, key, at)?, key, at)
}

/// The key of signatures: the value of a variable, so that it stands in no file.
pub(super) fn signing_key(value: &DeValue<'_>, at: &Origin) -> Result<String> {
    let written = values::text(value, "secret", at)?;
    let secret = filled(&written, "secret", at)?;
    let why = match SigningKey::parse(&secret) {
        _ if secret == written => {
            "this is the key itself: write secret = \"${NAME}\", and type export NAME=… before pushbench"
                .to_owned()
        }
        Ok(_) => return Ok(secret),
        Err(why) => why,
    };
    Err(at.error(format!("secret: {why}")))
}

/// A URL, with the values of its variables.
pub(super) fn url(value: &DeValue<'_>, key: &str, at: &Origin) -> Result<String> {
    filled_url(&values::text(value, key, at)?, key, at)
}

/// A header or a message with the values of its variables: escaped between double quotes, as JSON has it,
/// elsewhere as they are.
pub fn filled(text: &str, key: &str, at: &Origin) -> Result<String> {
    replaced(text, key, at, |before, name, value| {
        if holds_placeholder(value) {
            return Err(format!(
                "the value of {name} contains a name in braces, which would be read as a placeholder: set {name} \
                 to a value without it"
            ));
        }
        let mut json = serde_json::Value::from(value).to_string();
        Ok(match is_quoted(before) {
            true => json.drain(1..json.len() - 1).collect(),
            false => value.to_owned(),
        })
    })
}

/// A URL with the values of its variables, percent-encoded: the server reads them as they are. Host and port must
/// be visible, because events are sent to another host only if it is named.
pub fn filled_url(text: &str, key: &str, at: &Origin) -> Result<String> {
    replaced(text, key, at, |before, name, value| {
        if !before.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?'])) {
            return Err(format!(
                "${{{name}}} stands before the path: write scheme, host and port as they are, and ${{{name}}} in \
                 the path or the query, for example http://127.0.0.1:8000/hook?key=${{{name}}}"
            ));
        }
        Ok(value.bytes().fold(String::new(), |mut url, byte| {
            match byte {
                b'-' | b'.' | b'_' | b'~' => url.push(byte.into()),
                byte if byte.is_ascii_alphanumeric() => url.push(byte.into()),
                byte => {
                    let _infallible = write!(url, "%{byte:02X}");
                }
            }
            url
        }))
    })
}

/// The text with something harmless of the same length in place of each `${NAME}`, to be checked and shown.
pub(super) fn masked(text: &str) -> String {
    let (mut done, mut rest) = (String::new(), text);
    while let Some(start) = rest.find("${") {
        let (before, after) = rest.split_at(start);
        done.push_str(before);
        let end = after.find('}').map_or(after.len(), |end| end + 1);
        match before.ends_with('$') {
            true => done.push('x'),
            false => done.extend(after[..end].chars().map(|_| 'x')),
        }
        rest = &after[if before.ends_with('$') { 1 } else { end }..];
    }
    done + rest
}

/// Replaces each `${NAME}`; `written` gives the form of a value behind the text before it.
fn replaced(
    text: &str,
    key: &str,
    at: &Origin,
    written: impl Fn(&str, &str, &str) -> std::result::Result<String, String>,
) -> Result<String> {
    let (mut done, mut rest) = (String::new(), text);
    while let Some(start) = rest.find("${") {
        let (before, after) = (&rest[..start], &rest[start + 2..]);
        done.push_str(before);
        if before.ends_with('$') {
            done.push('{');
            rest = after;
            continue;
        }
        let error = |why: String| at.error(format!("{key}: {why}"));
        let Some((name, after)) = after.split_once('}') else {
            return Err(error(
                "`${` is not closed: write ${NAME} for the value of a variable, or $${ for the characters ${"
                    .to_owned(),
            ));
        };
        let value = value_of(name).map_err(error)?;
        done.push_str(&written(&done, name, &value).map_err(error)?);
        rest = after;
    }
    Ok(done + rest)
}

/// The value of a variable, from now on a secret.
fn value_of(name: &str) -> std::result::Result<String, String> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !name.starts_with(letter) || !name.chars().all(|c| letter(c) || c.is_ascii_digit()) {
        return Err(format!(
            "${{{}}} does not name a variable: a name has letters, digits and _, and does not begin with a digit; \
             write $${{ for the characters ${{",
            name.escape_debug()
        ));
    }
    let export = format!("type export {name}=… before pushbench");
    let unusable = |why: &str| Err(format!("the environment variable {name} {why}"));
    let Some(value) = std::env::var_os(name) else {
        return unusable(&format!("is not set: {export}, or write $${{ for the characters ${{"));
    };
    match value.to_str() {
        None => unusable(&format!("is not UTF-8: {export} with other characters")),
        Some("") => unusable(&format!("is empty: {export}")),
        Some(text) if text.contains(char::is_control) => unusable(&format!(
            "contains a line break or another control character, which is not allowed here: {export} in one line"
        )),
        Some(text) if text.trim().len() < secrets::SHORTEST => unusable(&format!(
            "has fewer than {} bytes: so short a value cannot be told from other text and hidden in what a target \
             sends back; use a longer one, or write the value itself if it is no secret",
            secrets::SHORTEST
        )),
        Some(text) => {
            secrets::register(name, text.trim());
            Ok(text.to_owned())
        }
    }
}

/// Whether a text behind this one is between double quotes.
fn is_quoted(before: &str) -> bool {
    let mut escaped = false;
    let quotes = before.chars().filter(|c| {
        let quote = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        quote
    });
    quotes.count() % 2 == 1
}

/// Whether it has a name in braces, as placeholders are.
fn holds_placeholder(value: &str) -> bool {
    value.split('{').skip(1).filter_map(|part| part.split_once('}')).any(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets no variable: `PATH` and `HOME` are those of every process, these are not.
    fn refused(text: &str) -> String {
        filled(text, "headers.X", &Origin::at("pushbench.toml", text, 0)).unwrap_err().to_string()
    }

    #[test]
    fn what_names_no_value_is_refused_with_its_place() {
        let missing = refused("${PUSHBENCH_NO_SUCH}");
        assert!(missing.starts_with("pushbench.toml:1:1: headers.X: the environment"), "{missing}");
        assert!(missing.contains("export PUSHBENCH_NO_SUCH=…"), "{missing}");
        assert!(refused("a ${NAME").contains("is not closed"));
        for name in ["", "1A", "A-B", " A", "A:-b", "é"] {
            assert!(
                refused(&format!("${{{name}}}")).contains("does not name a variable"),
                "{name}"
            );
        }
    }

    #[test]
    fn two_dollars_are_the_characters() {
        let at = Origin::named("x");
        for (written, text) in [("$${A} $ $A {a}", "${A} $ $A {a}"), ("$$${", "$${")] {
            assert_eq!(filled(written, "x", &at).unwrap(), text);
            assert_eq!(filled_url(written, "x", &at).unwrap(), text);
        }
    }

    #[test]
    fn places_are_told_apart() {
        assert!(is_quoted(r#"42["a","b\"c"#) && !is_quoted(r#"{"a\\":"#) && !is_quoted(""));
        assert!(holds_placeholder("a{id}") && holds_placeholder("{a{b_c}"));
        assert!(!holds_placeholder("a{}{A}}{1") && !holds_placeholder("{id"));
    }
}
