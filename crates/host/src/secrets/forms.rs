//! A secret in a text, as it stands or as a program escapes it: percent-encoded, in a JSON string, in HTML, or as
//! the literal of a programming language, also twice.

use crate::secrets::SHORTEST;
use std::borrow::Cow;

/// An escape takes fewer bytes, also one that was escaped again.
const LONGEST_ESCAPE: usize = 16;

/// A value, and what is shown in its place.
#[derive(Debug, Clone)]
pub(super) struct Secret {
    pub value: String,
    pub shown: String,
}

/// The text with every secret replaced; `cut`: also one of which the text ends with the beginning.
pub(super) fn hide<'a>(text: &'a str, secrets: &[Secret], cut: bool) -> Cow<'a, str> {
    let (mut hidden, mut kept, mut at) = (String::new(), 0, 0);
    while at < text.len() {
        match longest(&text.as_bytes()[at..], secrets, cut) {
            Some((length, shown)) => {
                hidden.push_str(&text[kept..at]);
                hidden.push_str(shown);
                at += length;
                kept = at;
            }
            None => at += 1,
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    hidden.push_str(&text[kept..]);
    Cow::Owned(hidden)
}

/// The length of the longest secret with which this text begins, and what is shown for it. The first of two that
/// are equal counts.
fn longest<'s>(text: &[u8], secrets: &'s [Secret], cut: bool) -> Option<(usize, &'s str)> {
    let first = text[0];
    let escaped = is_escape(first);
    let candidates =
        secrets.iter().filter(|s| escaped || s.value.as_bytes().first() == Some(&first));
    let found = candidates.filter_map(|s| Some((length(text, &s.value, cut)?, s.shown.as_str())));
    found.reduce(|a, b| if b.0 > a.0 { b } else { a })
}

/// With which an escape begins; a plus is a space in a form.
fn is_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&' | b'+')
}

/// How many bytes of the text the secret takes with which it begins, in any form.
fn length(text: &[u8], secret: &str, cut: bool) -> Option<usize> {
    // Where the text may continue: some escapes can be read in two ways.
    let (mut ends, mut next) = (vec![0], Vec::new());
    for (index, c) in secret.char_indices() {
        let is_over = |end: &usize| {
            let rest = &text[*end..];
            rest.is_empty() || rest.len() < LONGEST_ESCAPE && is_escape(rest[0])
        };
        if cut && index >= SHORTEST && ends.iter().any(is_over) {
            return Some(text.len());
        }
        for end in &ends {
            forms_of(c, &text[*end..], |length| next.push(end + length));
        }
        next.sort_unstable();
        next.dedup();
        std::mem::swap(&mut ends, &mut next);
        next.clear();
        if ends.is_empty() {
            return None;
        }
    }
    ends.last().copied()
}

/// Calls `found` with the length of each form of a character with which this text begins.
fn forms_of(c: char, text: &[u8], mut found: impl FnMut(usize)) {
    let mut utf8 = [0; 4];
    let utf8 = c.encode_utf8(&mut utf8).as_bytes();
    if text.starts_with(utf8) {
        found(utf8.len());
    }
    let Some(&first) = text.first() else { return };
    match first {
        b'+' if c == ' ' => found(1),
        // It stays the same for each further encoding: `%25`, `%2525`.
        b'%' if c == '%' => {
            let levels = text[1..].chunks(2).take_while(|level| *level == b"25");
            (1..=levels.count()).for_each(|level| found(1 + 2 * level));
        }
        b'%' => found_some(bytes_of(utf8, text, percent), found),
        b'&' => found_some(entity(c, text), found),
        b'\\' => backslash(c, utf8, text, found),
        _ => {}
    }
}

fn found_some(length: Option<usize>, mut found: impl FnMut(usize)) {
    length.into_iter().for_each(&mut found);
}

/// All bytes of a character one after the other, each in this form.
fn bytes_of(utf8: &[u8], text: &[u8], form: impl Fn(u8, &[u8]) -> Option<usize>) -> Option<usize> {
    utf8.iter().try_fold(0, |end, byte| Some(end + form(*byte, &text[end..])?))
}

/// `%2F`, or `%252F` where it was encoded twice.
fn percent(byte: u8, text: &[u8]) -> Option<usize> {
    let mut digits = text.strip_prefix(b"%")?;
    while number(digits, 2, 16) != Some(byte.into()) {
        digits = digits.strip_prefix(b"25")?;
    }
    Some(text.len() - digits.len() + 2)
}

/// `&quot;`, `&#34;` or `&#x22;`, also with `&amp;` for its first character.
fn entity(c: char, text: &[u8]) -> Option<usize> {
    let mut rest = text.strip_prefix(b"&")?;
    let plain = rest;
    while let Some(inner) = rest.strip_prefix(b"amp;") {
        rest = inner;
    }
    if c == '&' && rest.len() < plain.len() {
        return Some(text.len() - rest.len());
    }
    let end = rest.iter().take(10).position(|b| *b == b';')?;
    let name = std::str::from_utf8(&rest[..end]).ok()?;
    let code = match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => digits.parse().ok()?,
        },
        None => match name {
            "quot" => u32::from('"'),
            "apos" => u32::from('\''),
            "lt" => u32::from('<'),
            "gt" => u32::from('>'),
            "nbsp" => u32::from('\u{a0}'),
            _ => return None,
        },
    };
    (code == u32::from(c)).then(|| text.len() - rest.len() + end + 1)
}

/// An escape of JSON or of a programming language, with one or more backslashes where it was escaped again.
fn backslash(c: char, utf8: &[u8], text: &[u8], mut found: impl FnMut(usize)) {
    let run = text.iter().take_while(|b| **b == b'\\').count();
    if c == '\\' {
        [2, 4, 8].into_iter().filter(|length| *length <= run).for_each(&mut found);
    }
    let rest = &text[run..];
    if c.is_ascii_punctuation() && rest.starts_with(utf8) {
        found(run + 1);
    }
    match rest.first() {
        Some(b'x') => {
            let hex = |byte: u8, text: &[u8]| {
                let slashes = text.iter().take_while(|b| **b == b'\\').count();
                let digits = text[slashes..].strip_prefix(b"x")?;
                (number(digits, 2, 16)? == u32::from(byte)).then_some(slashes + 3)
            };
            // As bytes, or as a character of Latin-1.
            found_some(bytes_of(utf8, text, hex), &mut found);
            if let Some(latin) = u8::try_from(u32::from(c)).ok().filter(|code| *code >= 0x80) {
                found_some(hex(latin, text), found);
            }
        }
        Some(b'u') => found_some(unicode(c, text), found),
        _ => {}
    }
}

/// `\u002f`, a pair of them beyond the first plane, or `\u{2f}`.
fn unicode(c: char, text: &[u8]) -> Option<usize> {
    let digits = |text: &[u8]| {
        let slashes = text.iter().take_while(|b| **b == b'\\').count();
        (slashes > 0 && text.get(slashes) == Some(&b'u')).then_some(slashes + 1)
    };
    let start = digits(text)?;
    if let Some(inner) = text[start..].strip_prefix(b"{") {
        let end = inner.iter().take(8).position(|b| *b == b'}')?;
        let fits = number(inner, end, 16) == Some(u32::from(c));
        return fits.then_some(start + end + 2);
    }
    let mut units = [0; 2];
    c.encode_utf16(&mut units).iter().try_fold(0, |end, unit| {
        let rest = &text[end..];
        let start = digits(rest)?;
        let fits = number(&rest[start..], 4, 16) == Some(u32::from(*unit));
        fits.then_some(end + start + 4)
    })
}

/// The number in the first digits.
fn number(text: &[u8], digits: usize, radix: u32) -> Option<u32> {
    let text = std::str::from_utf8(text.get(..digits)?).ok()?;
    u32::from_str_radix(text, radix).ok()
}
