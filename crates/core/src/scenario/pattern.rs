//! Regular expressions of the quantities that `units` reads, for the schema. They are made from the
//! same units and limits, and a test keeps them inside what is read.

use crate::units::{LONGEST, SIZE_UNITS, TIME_UNITS};

/// Durations that `units::parse_duration` reads.
pub fn duration() -> String {
    let longest = LONGEST.as_nanos() as f64;
    let unit = |(name, ns): &(&str, f64)| quantity((longest / ns) as u64, r"\.[0-9]*", name);
    either(TIME_UNITS.iter().map(unit))
}

/// Sizes up to `most` bytes that `units::parse_size` reads.
pub fn size(most: u64) -> String {
    let unit = |(name, factor): &(&str, f64)| {
        let factor = *factor as u64;
        // A fraction of a unit must be whole bytes.
        let fraction = match factor {
            1 => r"\.0*".to_owned(),
            thousands if thousands % 1000 == 0 => format!(r"\.[0-9]{{0,{}}}", factor.ilog10()),
            _ => r"\.(0|25|5|75)".to_owned(),
        };
        (most >= factor).then(|| quantity(most / factor, &fraction, name))
    };
    either([("", 1.0)].iter().chain(&SIZE_UNITS).filter_map(unit))
}

/// Percentages up to `most` that `units::parse_percent` reads.
pub fn percent(most: u64) -> String {
    quantity(most, r"\.[0-9]*", "%")
}

fn either(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join("|")
}

/// A number from 0 to `most`, with a fraction below it, and its unit.
fn quantity(most: u64, fraction: &str, unit: &str) -> String {
    let most = most.to_string();
    let mut below = Vec::new();
    if most.len() > 1 {
        below.push(format!("[0-9]{{1,{}}}", most.len() - 1));
    }
    for (i, digit) in most.char_indices() {
        // The same digits up to here, a smaller one, then any.
        if let Some(smaller) = digit.to_digit(10).and_then(|d| d.checked_sub(1)) {
            let (same, rest) = (&most[..i], most.len() - i - 1);
            below.push(format!("{same}[0-{smaller}][0-9]{{{rest}}}"));
        }
    }
    format!(r"0*(({})({fraction})?|{most}(\.0*)?) *{unit}", below.join("|"))
}
