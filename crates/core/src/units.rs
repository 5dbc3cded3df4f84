//! Quantities as people write and read them.

use crate::suggest::did_you_mean;
use std::time::Duration;

/// Longest duration taken: a typo such as `500h` for `500ms` should not start a run of weeks.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Units of time and their nanoseconds.
pub(crate) const TIME_UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];
/// Units of size and their bytes.
pub(crate) const SIZE_UNITS: [(&str, f64); 6] = [
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("KiB", 1024.0),
    ("MiB", 1048576.0),
    ("GiB", 1073741824.0),
];

/// Splits `1.5ms` into its number and its unit.
fn split(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    let digits = |c: char| c.is_ascii_digit() || "+-.".contains(c);
    let end = text.find(|c| !digits(c)).unwrap_or(text.len());
    let number: f64 =
        text[..end].parse().map_err(|_| format!("\"{text}\" does not begin with a number"))?;
    if !number.is_finite() || number < 0.0 {
        return Err(format!("\"{text}\" is negative or not finite"));
    }
    Ok((number, text[end..].trim()))
}

fn scale(unit: &str, units: &[(&str, f64)], whole: &str) -> Result<f64, String> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, f)| *f).ok_or_else(|| {
        let names: Vec<&str> = units.iter().map(|(n, _)| *n).collect();
        let hint = did_you_mean(unit, names.iter().copied());
        match unit {
            "" => format!("\"{whole}\" has no unit: write one of {}", names.join(", ")),
            _ => format!(
                "\"{whole}\" has the unknown unit \"{unit}\"{hint}: write one of {}",
                names.join(", ")
            ),
        }
    })
}

/// Reads `500ms`, `1.5s`, `80us`, `2m`. Zero is allowed; a unit is needed.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    if number == 0.0 && unit.is_empty() {
        return Ok(Duration::ZERO);
    }
    let ns = number * scale(unit, &TIME_UNITS, text.trim())?;
    if ns > LONGEST.as_nanos() as f64 {
        return Err(format!("\"{}\" is longer than a day", text.trim()));
    }
    Ok(Duration::from_nanos(ns.round() as u64))
}

/// A time to which days may be nearer than nanoseconds: `250 ms`, `15 min`, `3 d`. The second unit is left out.
pub fn span_text(ns: f64) -> String {
    const MINUTE: f64 = 60e9;
    let units = [("d", 24.0 * 60.0 * MINUTE), ("h", 60.0 * MINUTE), ("min", MINUTE)];
    let whole = |length: f64| ns >= 2.0 * length || ns == length;
    let unit = units.into_iter().find(|(_, length)| whole(*length));
    unit.map_or_else(|| nanos_text(ns), |(unit, length)| format!("{:.0} {unit}", ns / length))
}

/// Reads `512`, `64KiB`, `1.5MB`: whole bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let factor = if unit.is_empty() { 1.0 } else { scale(unit, &SIZE_UNITS, text.trim())? };
    let bytes = number * factor;
    // 2.3MB is 2299999.9999999995 in floating point, and whole bytes all the same.
    let whole = (bytes - bytes.round()).abs() <= bytes * 1e-12;
    if !whole || bytes > 2f64.powi(50) {
        return Err(format!("\"{}\" is not a whole number of bytes below 1 PiB", text.trim()));
    }
    Ok(bytes.round() as u64)
}

/// Units of a bit rate and their bits per second.
const BIT_RATE_UNITS: [(&str, f64); 3] = [("kbit/s", 1e3), ("Mbit/s", 1e6), ("Gbit/s", 1e9)];

/// Reads `10 Mbit/s`: bits per second.
pub fn parse_bit_rate(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let bits = number * scale(unit, &BIT_RATE_UNITS, text.trim())?;
    match bits <= 1e12 {
        true => Ok(bits.round() as u64),
        false => Err(format!("\"{}\" is more than 1000 Gbit/s", text.trim())),
    }
}

/// Bits per second: `10 Mbit/s`, `512 kbit/s`.
pub fn bit_rate(bits: u64) -> String {
    let (unit, factor) = match bits {
        1_000_000_000.. => ("Gbit/s", 1e9),
        1_000_000.. => ("Mbit/s", 1e6),
        _ => ("kbit/s", 1e3),
    };
    format!("{} {unit}", bits as f64 / factor)
}

/// Reads `5%` as 0.05.
pub fn parse_percent(text: &str) -> Result<f64, String> {
    match split(text)? {
        (number, "%") => Ok(number / 100.0),
        _ => Err(format!("\"{}\" is not a percentage: write for example 5%", text.trim())),
    }
}

/// A number in three significant digits.
fn digits(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = match magnitude {
        m if m >= 99.95 => 0,
        m if m >= 9.995 => 1,
        _ => 2,
    };
    format!("{magnitude:.decimals$}")
}

fn minus(value: f64, text: String) -> String {
    if value < 0.0 { format!("−{text}") } else { text }
}

/// Factor and name of the unit in which `ns` reads best.
fn time_unit(ns: f64) -> (f64, &'static str) {
    match ns.abs() {
        n if n < 999.5 => (1.0, "ns"),
        n if n < 999_500.0 => (1e3, "µs"),
        n if n < 999.5e6 => (1e6, "ms"),
        _ => (1e9, "s"),
    }
}

/// `×0.45`, `×0.006`; `–` of something to nothing.
pub fn ratio(ratio: f64) -> String {
    match ratio {
        r if !r.is_finite() => "–".to_owned(),
        r if r < 0.1 => format!("×{r:.3}"),
        r => format!("×{r:.2}"),
    }
}

/// Nanoseconds in their best unit: `118 µs`, `−2.50 ms`, `0 ns`.
pub fn nanos_text(ns: f64) -> String {
    let (factor, unit) = time_unit(ns);
    let number = if factor == 1.0 { format!("{:.0}", ns.abs()) } else { digits(ns / factor) };
    minus(ns, format!("{number} {unit}"))
}

/// A difference and its interval in one unit: `−21.0 µs [−25.1, −17.2]`.
pub fn nanos_interval(ns: f64, interval: [f64; 2]) -> String {
    let widest = [ns, interval[0], interval[1]].into_iter().fold(0f64, |m, v| m.max(v.abs()));
    let (factor, unit) = time_unit(widest);
    let number = |v: f64| {
        let text = if factor == 1.0 { format!("{:.0}", v.abs()) } else { digits(v / factor) };
        let sign = if v < 0.0 { "−" } else { "+" };
        format!("{sign}{text}")
    };
    format!("{} {unit} [{}, {}]", number(ns), number(interval[0]), number(interval[1]))
}

/// Large counts shortened: `950`, `36.0k`, `1.20M`.
pub fn count(n: f64) -> String {
    match n {
        n if n < 10_000.0 => format!("{n:.0}"),
        n if n < 999_500.0 => format!("{}k", digits(n / 1e3)),
        n => format!("{}M", digits(n / 1e6)),
    }
}

/// An amount of money in three significant digits: `0.00123`, `12.3`, `1234`.
pub fn money(amount: f64) -> String {
    let magnitude = amount.abs();
    let rounded = format!("{magnitude:.2e}");
    let exponent = rounded.split_once('e').map_or(0, |(_, e)| e.parse().unwrap_or(0));
    let decimals = if magnitude > 0.0 { (2 - exponent).clamp(0, 12) as usize } else { 0 };
    minus(amount, format!("{magnitude:.decimals$}"))
}

/// Bytes in their best unit: `512 B`, `64 KiB`, `1.50 MiB`.
pub fn bytes(n: f64) -> String {
    let (factor, unit) = match n {
        n if n < 1024.0 => return format!("{n:.0} B"),
        n if n < 1048576.0 => (1024.0, "KiB"),
        n if n < 1073741824.0 => (1048576.0, "MiB"),
        _ => (1073741824.0, "GiB"),
    };
    let scaled = n / factor;
    if scaled.fract() == 0.0 {
        format!("{scaled:.0} {unit}")
    } else {
        format!("{} {unit}", digits(scaled))
    }
}

/// Events a second: `2000/s`, `12.3k/s`.
pub fn rate(per_second: f64) -> String {
    format!("{}/s", count(per_second))
}

/// Serialises a [`Duration`] as whole nanoseconds, the unit of every stored record.
pub mod nanos {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    /// Writes the duration as a number of nanoseconds.
    pub fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Reads a number of nanoseconds.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn money_has_three_significant_digits_at_any_size() {
        for (amount, text) in [
            (0.0, "0"),
            (0.000_000_999_7, "0.00000100"),
            (0.001_234, "0.00123"),
            (0.9996, "1.00"),
            (12.34, "12.3"),
            (-1234.5, "−1234"),
        ] {
            assert_eq!(money(amount), text);
        }
    }

    #[test]
    fn durations_read_as_written() {
        for (text, ns) in [
            ("500ms", 500_000_000),
            ("1.5s", 1_500_000_000),
            ("80us", 80_000),
            ("80 µs", 80_000),
            ("2m", 120_000_000_000),
            ("0", 0),
            ("7ns", 7),
        ] {
            assert_eq!(parse_duration(text).unwrap().as_nanos(), ns, "{text}");
        }
    }

    #[test]
    fn bad_durations_say_what_to_write() {
        for (text, says) in [
            ("5", "no unit"),
            ("5sec", "unknown unit"),
            ("-5ms", "negative"),
            ("ms", "number"),
            ("NaN", "number"),
            ("inf s", "number"),
            ("99h", "longer"),
            ("", "number"),
            ("1e400s", "unknown unit"),
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(parse_duration("5mss").unwrap_err().contains("did you mean \"ms\""));
    }

    #[test]
    fn sizes_are_whole_bytes() {
        assert_eq!(parse_size("512"), Ok(512));
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("1.5kB"), Ok(1_500));
        assert_eq!(parse_size("2.3MB"), Ok(2_300_000));
        for bad in ["1.5", "-1", "KiB", "1 Gib", "9999999GiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn people_read_three_digits() {
        let shown = [
            (118_400.0, "118 µs"),
            (940_000.0, "940 µs"),
            (2_500_000.0, "2.50 ms"),
            (999_600.0, "1.00 ms"),
            (12.0, "12 ns"),
            (-21_000.0, "−21.0 µs"),
            (0.0, "0 ns"),
            (1.25e9, "1.25 s"),
        ];
        for (ns, text) in shown {
            assert_eq!(nanos_text(ns), text);
        }
        assert_eq!(nanos_interval(-21_000.0, [-25_000.0, 1_000.0]), "−21.0 µs [−25.0, +1.00]");
        assert_eq!(count(36_000.0), "36.0k");
        assert_eq!(bytes(65_536.0), "64 KiB");
        assert_eq!(rate(2000.0), "2000/s");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
            let _ = parse_percent(&text);
        }

        #[test]
        fn whole_microseconds_survive(us in 0u64..86_400_000_000) {
            prop_assert_eq!(parse_duration(&format!("{us}us")).unwrap().as_micros() as u64, us);
        }
    }
}
