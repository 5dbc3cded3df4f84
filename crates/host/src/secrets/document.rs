//! Secrets in what is written: JSON, HTML and other text.

use crate::secrets::forms;
use crate::secrets::forms::Secret;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// Members that hold pushbench's own words, which results are read by, or names that a user chose in public: they
/// stay, though a secret may have the same text.
const NAMES: [&str; 33] = [
    "acknowledgement",
    "arm",
    "arrivals",
    "aspect",
    "baseline",
    "conduct",
    "connections.lifetime",
    "design",
    "duties",
    "ended",
    "finished",
    "flow",
    "framing",
    "kind",
    "known",
    "label",
    "lifetime",
    "matched",
    "method",
    "metric",
    "name",
    "of",
    "question",
    "scenario",
    "scheme",
    "sha256",
    "stage",
    "started",
    "target",
    "to",
    "transport",
    "verdict",
    "what",
];

/// How the texts of packed histograms begin: no other text is in them.
const HISTOGRAM: &str = "HISTFAAA";

/// The document without secrets, in its form.
pub(super) fn hide<'a>(text: &'a str, secrets: &[Secret]) -> Cow<'a, str> {
    let begin = text.trim_start().as_bytes().first();
    if matches!(begin, Some(b'{' | b'[')) && serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return json(text, secrets);
    }
    match forms::hide(text, secrets, false) {
        Cow::Owned(_) if begin == Some(&b'<') => Cow::Owned(markup(text, secrets)),
        hidden => hidden,
    }
}

/// A list or an object, and the member that is being read.
struct Level {
    object: bool,
    member: String,
}

/// JSON without secrets in its texts, nor in names of members that are sentences; everything else stays byte for
/// byte.
fn json<'a>(text: &'a str, secrets: &[Secret]) -> Cow<'a, str> {
    let (mut out, mut changed) = (String::with_capacity(text.len()), false);
    let mut levels: Vec<Level> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['"', '{', '[', '}', ']']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = if rest.starts_with('"') { string_length(rest) } else { 1 };
        let (token, after) = rest.split_at(length);
        rest = after;
        match token {
            "{" | "[" => {
                let member = levels.last().map(|l| l.member.clone()).unwrap_or_default();
                levels.push(Level { object: token == "{", member });
            }
            "}" | "]" => drop(levels.pop()),
            _ => {
                let content: String = serde_json::from_str(token).unwrap_or_default();
                let keeps = match levels.last_mut() {
                    Some(level) if level.object && after.trim_start().starts_with(':') => {
                        level.member.clone_from(&content);
                        !content.contains(' ')
                    }
                    level => {
                        let member = level.map(|level| level.member.as_str());
                        member.is_some_and(|member| NAMES.contains(&member))
                            || content.starts_with(HISTOGRAM)
                    }
                };
                match forms::hide(&content, secrets, false) {
                    Cow::Owned(hidden) if !keeps => {
                        out.push_str(&serde_json::Value::String(hidden).to_string());
                        changed = true;
                    }
                    _ => out.push_str(token),
                }
                continue;
            }
        }
        out.push_str(token);
    }
    if changed { Cow::Owned(out + rest) } else { Cow::Borrowed(text) }
}

/// The length of the string with which this valid JSON begins, its quotes included.
fn string_length(json: &str) -> usize {
    let mut escaped = false;
    let end = json.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(json.len(), |end| end + 2)
}

/// Markup without secrets in its text and in the values of attributes; styles and scripts are pushbench's own.
fn markup(text: &str, secrets: &[Secret]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut verbatim = false;
    for (number, part) in text.split('<').enumerate() {
        let (tag, content) = match part.split_once('>') {
            Some(split) if number > 0 => split,
            _ => ("", part),
        };
        if number > 0 {
            out.push('<');
        }
        if content.len() < part.len() {
            for (number, piece) in tag.split('"').enumerate() {
                if number > 0 {
                    out.push('"');
                }
                let value = number % 2 == 1;
                out.push_str(&if value {
                    forms::hide(piece, secrets, false)
                } else {
                    piece.into()
                });
            }
            out.push('>');
        }
        let name = tag.split(|c: char| c.is_whitespace()).next().unwrap_or_default();
        verbatim = match name {
            "style" | "script" => true,
            "/style" | "/script" => false,
            _ => verbatim,
        };
        out.push_str(&if verbatim { content.into() } else { forms::hide(content, secrets, false) });
    }
    out
}
