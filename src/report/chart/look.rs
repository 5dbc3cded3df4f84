//! How an arm looks: one colour a transport everywhere, and never by colour alone.

use super::svg::num;
use crate::compare::ArmFigures;

/// The transports that have a colour of their own; others share one.
const COLOURS: [&str; 6] = ["webhook", "websocket", "tcp", "sse", "long-poll", "poll"];
/// Different dashes; the first is a whole line.
const DASHES: usize = 6;
/// Half the size of a mark.
const HALF: f64 = 4.0;

/// One arm's looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The arm's place.
    pub arm: usize,
    /// Its name, for labels.
    pub name: String,
    colour: &'static str,
    shape: usize,
    dash: usize,
}

/// One for each arm.
pub fn looks(arms: &[ArmFigures]) -> Vec<Look> {
    let look = |(arm, a): (usize, &ArmFigures)| {
        let transport = COLOURS.iter().position(|c| *c == a.transport);
        let before = arms[..arm].iter().filter(|b| b.transport == a.transport).count();
        Look {
            arm,
            name: a.arm.clone(),
            colour: transport.map_or("other", |t| COLOURS[t]),
            shape: transport.unwrap_or(COLOURS.len()),
            dash: before % DASHES,
        }
    };
    arms.iter().enumerate().map(look).collect()
}

impl Look {
    /// Classes of whatever belongs to the arm: its colour, and its place for showing and hiding.
    pub fn classes(&self) -> String {
        format!("c-{} a{}", self.colour, self.arm)
    }

    /// The class of its colour alone.
    pub fn colour_class(&self) -> String {
        format!("c-{}", self.colour)
    }

    /// Classes of its lines.
    pub fn line(&self) -> String {
        format!("l {} d{}", self.classes(), self.dash)
    }

    /// The outline of its mark: circle, square, triangle, diamond, cross, bar, star.
    pub fn shape(&self, (x, y): (f64, f64)) -> String {
        let at = |dx: f64, dy: f64| format!("{} {}", num(x + dx), num(y + dy));
        let h = HALF;
        match self.shape {
            0 => format!(
                "M{}a{h} {h} 0 1 0 {} 0a{h} {h} 0 1 0 -{} 0z",
                at(-h, 0.0),
                2.0 * h,
                2.0 * h
            ),
            1 => format!("M{}h{s}v{s}h-{s}z", at(-3.5, -3.5), s = 7),
            2 => format!("M{}L{}L{}z", at(0.0, -5.0), at(4.5, 3.5), at(-4.5, 3.5)),
            3 => format!("M{}L{}L{}L{}z", at(0.0, -5.0), at(5.0, 0.0), at(0.0, 5.0), at(-5.0, 0.0)),
            4 => format!("M{}h3v-3h2v3h3v2h-3v3h-2v-3h-3z", at(-4.0, -1.0)),
            5 => format!("M{}h9v4h-9z", at(-4.5, -2.0)),
            _ => format!("M{}L{}L{}z", at(0.0, 5.0), at(4.5, -3.5), at(-4.5, -3.5)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{compare, sample};

    #[test]
    fn arms_differ_in_more_than_colour() {
        let mut arms = compare(&sample::ratios(1.0, 1.0)).points.remove(0).arms;
        arms.push(ArmFigures { arm: "webhook@x".into(), ..arms[0].clone() });
        arms.push(ArmFigures { transport: "\"><script>".into(), ..arms[0].clone() });
        let looks = looks(&arms);
        let without_colour: std::collections::HashSet<_> =
            looks.iter().map(|l| (l.shape, l.dash)).collect();
        assert_eq!(without_colour.len(), 4);
        assert_eq!(looks[0].colour, looks[2].colour);
        assert_eq!(looks[3].classes(), "c-other a3");
    }
}
