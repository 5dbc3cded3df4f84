//! How an arm looks: one colour a transport everywhere, and never by colour alone.

use crate::chart::svg::{num, through};
use pushbench_analysis::compare::ArmFigures;

/// The transports that have a colour of their own; others share one.
const COLOURS: [&str; 6] = ["webhook", "websocket", "tcp", "sse", "long-poll", "poll"];
/// Different dashes; the first is a whole line.
const DASHES: usize = 6;
/// Half the size of a mark.
const HALF: f64 = 4.0;

/// Side of a square mark.
const SIDE: f64 = 7.0;
/// The corners of all marks but the circle and the square, which are shorter to write.
const OUTLINES: [&[(f64, f64)]; 5] = [
    &[(0.0, -5.0), (4.5, 3.5), (-4.5, 3.5)],
    &[(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)],
    &[
        (-4.5, -1.5),
        (-1.5, -1.5),
        (-1.5, -4.5),
        (1.5, -4.5),
        (1.5, -1.5),
        (4.5, -1.5),
        (4.5, 1.5),
        (1.5, 1.5),
        (1.5, 4.5),
        (-1.5, 4.5),
        (-1.5, 1.5),
        (-4.5, 1.5),
    ],
    &[(-4.5, -2.0), (4.5, -2.0), (4.5, 2.0), (-4.5, 2.0)],
    &[(0.0, 5.0), (4.5, -3.5), (-4.5, -3.5)],
];

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
    let named = arms.iter().map(|a| (a.arm.as_str(), a.transport.as_str()));
    of_transports(&named.collect::<Vec<_>>())
}

/// One for each arm, of which the name alone is known.
pub(crate) fn of_names(arms: &[String]) -> Vec<Look> {
    let transport = |arm: &str| arm.split(['+', '@']).next().unwrap_or_default().to_owned();
    let named: Vec<(&str, String)> =
        arms.iter().map(|arm| (arm.as_str(), transport(arm))).collect();
    of_transports(
        &named.iter().map(|(arm, transport)| (*arm, transport.as_str())).collect::<Vec<_>>(),
    )
}

fn of_transports(arms: &[(&str, &str)]) -> Vec<Look> {
    let look = |(arm, (name, own)): (usize, &(&str, &str))| {
        let transport = COLOURS.iter().position(|c| c == own);
        let before = arms[..arm].iter().filter(|(_, other)| other == own).count();
        Look {
            arm,
            name: (*name).to_owned(),
            colour: transport.map_or("other", |t| COLOURS[t]),
            shape: transport.unwrap_or(COLOURS.len()),
            dash: before % DASHES,
        }
    };
    arms.iter().enumerate().map(look).collect()
}

impl Look {
    /// Classes of whatever belongs to the arm: its colour, and its place for showing and hiding.
    pub(crate) fn classes(&self) -> String {
        format!("c-{} a{}", self.colour, self.arm)
    }

    /// The class of its colour alone.
    pub(crate) fn colour_class(&self) -> String {
        format!("c-{}", self.colour)
    }

    /// Classes of its lines, within a group of [`Look::classes`].
    pub fn line(&self) -> String {
        format!("l d{}", self.dash)
    }

    /// The outline of its mark, so many times as large as usual: circle, square, triangle, diamond,
    /// cross, bar, and a triangle upside down.
    pub fn shape(&self, (x, y): (f64, f64), size: f64) -> String {
        if self.shape == 0 {
            let r = num(HALF * size);
            let across = num(2.0 * HALF * size);
            let left = num(x - HALF * size);
            return format!(
                "M{left} {}a{r} {r} 0 1 0 {across} 0a{r} {r} 0 1 0 -{across} 0z",
                num(y)
            );
        }
        if self.shape == 1 {
            let side = num(SIDE * size);
            let corner = |v: f64| num(v - SIDE * size / 2.0);
            return format!("M{} {}h{side}v{side}h-{side}z", corner(x), corner(y));
        }
        let corners = OUTLINES[(self.shape - 2).min(OUTLINES.len() - 1)];
        let corner = |(dx, dy): &(f64, f64)| (x + dx * size, y + dy * size);
        let corners: Vec<(f64, f64)> = corners.iter().map(corner).collect();
        format!("{}z", through(&corners))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_analysis::compare::{compare, sample};

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
