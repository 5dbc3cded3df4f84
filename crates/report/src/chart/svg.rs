//! Writes SVG. Whatever is text is escaped here and nowhere else.

use crate::chart::look::Look;
use crate::visible::escape;
use std::fmt::Write as _;

/// A drawing being made.
#[derive(Debug, Clone)]
pub struct Svg {
    out: String,
    /// Units from left to right.
    pub width: f64,
    /// Units from top to bottom.
    pub height: f64,
}

/// Size of marks where there are many.
const SMALL: f64 = 0.7;

/// On which side of its place a text lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// It is centred there.
    Middle,
    /// It ends there.
    End,
}

/// A number in as few digits as the eye can use.
pub(crate) fn num(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

impl Svg {
    /// An empty drawing.
    pub fn new(width: f64, height: f64) -> Svg {
        Svg { out: String::new(), width, height }
    }

    /// What was drawn, without the element around it.
    pub fn into_body(self) -> String {
        self.out
    }

    /// A group of this class, until [`Svg::end`].
    pub fn begin(&mut self, class: &str) {
        let _ = write!(self.out, "<g class=\"{class}\">");
    }

    /// Ends a group.
    pub fn end(&mut self) {
        self.out.push_str("</g>");
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ = write!(
            self.out,
            "<path class=\"{class}\" d=\"M{} {}L{} {}\"/>",
            num(from.0),
            num(from.1),
            num(to.0),
            num(to.1)
        );
    }

    /// A path of whatever shape.
    pub fn path(&mut self, class: &str, d: &str) {
        if !d.is_empty() {
            let _ = write!(self.out, "<path class=\"{class}\" d=\"{d}\"/>");
        }
    }

    /// A line through all of these.
    pub(crate) fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        if points.len() > 1 {
            self.path(class, &through(points));
        }
    }

    /// The area between two lines with the same places.
    pub fn band(&mut self, class: &str, upper: &[(f64, f64)], lower: &[(f64, f64)]) {
        if upper.len() > 1 {
            let round: Vec<(f64, f64)> = upper.iter().chain(lower.iter().rev()).copied().collect();
            self.path(class, &format!("{}z", through(&round)));
        }
    }

    /// A rectangle; `tip` is what hovering says, after the name of the arm whose group it is in.
    pub(crate) fn rect(&mut self, class: &str, x: (f64, f64), y: (f64, f64), tip: Option<&str>) {
        let (left, top) = (x.0.min(x.1), y.0.min(y.1));
        let _ = write!(
            self.out,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{}/>",
            num(left),
            num(top),
            num((x.1 - x.0).abs()),
            num((y.1 - y.0).abs()),
            title(tip)
        );
    }

    /// A word or two.
    pub fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let _ = write!(
            self.out,
            "<text class=\"{class}\" x=\"{}\" y=\"{}\"{anchor}>{}</text>",
            num(at.0),
            num(at.1),
            escape(text)
        );
    }

    /// The mark of an arm, within a group of its classes.
    pub fn mark(&mut self, look: &Look, at: (f64, f64), tip: Option<&str>) {
        self.sized_mark(look, at, 1.0, tip);
    }

    /// The mark of an arm where there are many.
    pub(crate) fn small_mark(&mut self, look: &Look, at: (f64, f64), tip: &str) {
        self.sized_mark(look, at, SMALL, Some(tip));
    }

    fn sized_mark(&mut self, look: &Look, at: (f64, f64), size: f64, tip: Option<&str>) {
        let shape = look.shape(at, size);
        let _ = write!(self.out, "<path class=\"m\" d=\"{shape}\"{}/>", title(tip));
    }

    /// An invisible area with a tooltip.
    pub fn hint(&mut self, at: (f64, f64), tip: &str) {
        let (x, y) = (num(at.0), num(at.1));
        let _ = write!(self.out, "<path class=\"h\" d=\"M{x} {y}h0\"{}/>", title(Some(tip)));
    }
}

fn title(tip: Option<&str>) -> String {
    tip.map_or(String::new(), |tip| format!(" data-tip=\"{}\"", escape(tip)))
}

/// The data of a line through points; points in the order given.
pub fn through(points: &[(f64, f64)]) -> String {
    let mut d = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        let _ = write!(d, "{}{} {}", if i == 0 { 'M' } else { 'L' }, num(*x), num(*y));
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([num(1.0), num(-0.04), num(12.34), num(-7.25)], ["1", "0", "12.3", "-7.2"]);
    }

    #[test]
    fn text_stays_text() {
        let mut svg = Svg::new(1.0, 1.0);
        svg.text("t", (0.0, 0.0), Anchor::End, "<script>\u{202e}");
        svg.rect("r", (0.0, 1.0), (0.0, 1.0), Some("\"onload=\"x"));
        let body = svg.into_body();
        assert!(body.contains("&lt;script&gt;[U+202E]") && body.contains("&quot;onload"), "{body}");
    }
}
