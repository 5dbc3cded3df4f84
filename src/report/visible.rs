//! Text from targets and files in HTML and SVG: markup is escaped, and what a browser would obey or
//! hide is shown.

use std::fmt::Write as _;

/// The text with every character that steers instead of showing made visible: `[U+202E]`. Line feeds
/// stay.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            let _ = write!(out, "[U+{:04X}]", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Controls, changes of direction, and characters without a width.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Visible, and without meaning in markup or in a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// At most so many characters, the middle left out.
pub fn shorten(text: &str, most: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= most {
        return text.to_owned();
    }
    let head = (most - 1).div_ceil(2);
    let tail = most - 1 - head;
    chars[..head].iter().chain(['…'].iter()).chain(&chars[chars.len() - tail..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_obeyed_and_nothing_is_hidden() {
        assert_eq!(
            escape("<b a=\"x\" b='y'>&\u{202e}gnp\u{7}\u{200b}"),
            "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;[U+202E]gnp[U+0007][U+200B]"
        );
        assert_eq!(visible("a\nשלום µs"), "a\nשלום µs");
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shorten("webhook@builtin", 20), "webhook@builtin");
        assert_eq!(shorten("abcdefghij", 5), "ab…ij");
    }
}
