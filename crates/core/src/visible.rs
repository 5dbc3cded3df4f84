//! Text from targets and files, wherever it is reported: what a terminal, an editor, a browser or a reader of
//! XML would obey, hide or refuse is shown, and in HTML and SVG markup is escaped.

use std::fmt::Write as _;

/// The text with every character that steers instead of showing made visible: `[U+202E]`. Line feeds
/// stay.
pub fn visible(text: &str) -> String {
    shown(text, steers)
}

/// The same for a terminal, which may have tabs.
pub fn terminal(text: &str) -> String {
    shown(text, |c| c != '\t' && steers(c))
}

/// The same for a terminal, which may have tabs and the colours that a report brings.
pub fn coloured(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split("\u{1b}[");
    out.push_str(&terminal(parts.next().unwrap_or_default()));
    for part in parts {
        let end = part.find(|c: char| !(c.is_ascii_digit() || c == ';'));
        let colour = end.is_some_and(|end| part[end..].starts_with('m'));
        out.push_str(if colour { "\u{1b}[" } else { "[U+001B][" });
        out.push_str(&terminal(part));
    }
    out
}

/// JSON that means the same and whose strings hold no such character.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn shown(text: &str, steers: impl Fn(char) -> bool) -> String {
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

/// The same in one line.
pub fn line(text: &str) -> String {
    let spaced = |c: char| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c };
    visible(&text.chars().map(spaced).collect::<String>())
}

/// Controls, changes of direction, characters without a width, and what is no character.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
        || u32::from(c) & 0xfffe == 0xfffe
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
        assert_eq!(visible("a\nשלום µs – 日本"), "a\nשלום µs – 日本");
        assert_eq!(visible("a\u{1b}[31mb"), "a[U+001B][31mb");
        assert_eq!(
            visible("\u{feff}a\u{ad}\u{200d}\u{ffff}\n"),
            "[U+FEFF]a[U+00AD][U+200D][U+FFFF]\n"
        );
    }

    #[test]
    fn a_terminal_gets_colours_and_nothing_else_that_it_obeys() {
        let hostile = "\u{1b}[1;32mok\u{1b}[0m\t\u{1b}[2J\u{1b}]0;title\u{7}\u{202e}\u{1b}[";
        assert_eq!(
            coloured(hostile),
            "\u{1b}[1;32mok\u{1b}[0m\t[U+001B][2J[U+001B]]0;title[U+0007][U+202E][U+001B]["
        );
        assert!(!terminal(hostile).contains('\u{1b}'));
    }

    #[test]
    fn json_means_the_same() {
        let value = serde_json::json!({ "a\u{202e}": "\u{7f}\u{85}\u{e0041}\u{200b}é\n" });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = json(&text);
        assert_eq!(visible(&shown), shown, "nothing is left that steers");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(line("a\r\nb\tc\u{85}\u{2028}"), "a  b c[U+0085][U+2028]");
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shorten("webhook@builtin", 20), "webhook@builtin");
        assert_eq!(shorten("abcdefghij", 5), "ab…ij");
    }
}
