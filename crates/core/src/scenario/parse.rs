//! Reads a scenario file into key–value pairs with their positions.

use crate::error::Result;
use crate::origin::{Origin, kind, read_toml};
use crate::scenario::raw::Raw;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One value of a file: its dotted path, its value and its position.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `load.rate`
    pub path: String,
    /// The value; several in a sweep, each with its own place.
    pub values: Vec<(Raw, Origin)>,
    /// True for `[…]`.
    pub(crate) is_list: bool,
    /// The position of its key.
    pub origin: Origin,
}

/// Sections a scenario may have; a table elsewhere is an unknown key.
const SECTIONS: [&str; 18] = [
    "load",
    "connections",
    "payload",
    "tls",
    "compression",
    "subscribers",
    "delivery",
    "duplex",
    "guarantee",
    "faults",
    "faults.status",
    "path",
    "compare",
    "compare.matters",
    "price",
    "expect",
    "objective",
    "sweep",
];

/// Reads TOML text. `file` is its name in messages.
pub fn entries(file: &str, text: &str) -> Result<Vec<Entry>> {
    let place = |offset: usize| Origin::at(file, text, offset);
    let table = read_toml(file, text)?;
    let mut found = Vec::new();
    collect(&table, "", &place, &mut found)?;
    Ok(found)
}

fn collect(
    table: &DeTable<'_>,
    prefix: &str,
    place: &dyn Fn(usize) -> Origin,
    found: &mut Vec<Entry>,
) -> Result<()> {
    let below = |section: &str| prefix.split('.').next() == Some(section);
    let has_paths = below("expect") || below("objective") || below("sweep");
    for (key, value) in table {
        let path = match prefix {
            "" => key.get_ref().to_string(),
            // The keys of a sweep are paths themselves: `"load.rate" = […]`.
            _ => format!("{prefix}.{}", key.get_ref()),
        };
        let origin = place(key.span().start);
        match value.get_ref() {
            DeValue::Table(inner) if SECTIONS.contains(&path.as_str()) => {
                collect(inner, &path, place, found)?;
            }
            DeValue::Table(inner) if inner.is_empty() && has_paths => {
                return Err(origin.error(format!(
                    "key \"{path}\": this is an empty table: write one value, or leave it out"
                )));
            }
            // `expect.response.p99` and a sweep's dotted keys without quotes.
            DeValue::Table(inner) if has_paths => {
                collect(inner, &path, place, found)?;
            }
            DeValue::Table(_) if crate::scenario::keys::named(&path).is_some() => {
                return Err(
                    origin.error(format!("key \"{path}\": this is a table: write one value"))
                );
            }
            DeValue::Array(_) | DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_)
                if SECTIONS.contains(&path.as_str()) =>
            {
                return Err(origin.error(format!(
                    "[{path}] is a section, and this is {}: write [{path}] once, and its keys below it",
                    kind(value.get_ref())
                )));
            }
            DeValue::Table(_) => {
                let hint = crate::suggest::did_you_mean(&path, SECTIONS);
                return Err(origin.error(format!(
                    "unknown section [{path}]{hint}: there are {}",
                    SECTIONS.join(", ")
                )));
            }
            DeValue::Array(items) => {
                let own = |v: &Spanned<DeValue<'_>>| (raw(v.get_ref()), place(v.span().start));
                let values = items.iter().map(own).collect();
                found.push(Entry { path, values, is_list: true, origin });
            }
            one => {
                let values = vec![(raw(one), origin.clone())];
                found.push(Entry { path, values, is_list: false, origin });
            }
        }
    }
    Ok(())
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(s) => Raw::Text(s.to_string()),
        DeValue::Integer(i) => match i64::from_str_radix(i.as_str(), i.radix()) {
            Ok(n) => Raw::Number(n as f64),
            // Out of range for every key, which says so.
            Err(_) => Raw::Number(i.as_str().parse().unwrap_or(f64::INFINITY)),
        },
        DeValue::Float(f) => {
            f.as_str().parse().map_or(Raw::Other("a number out of range"), Raw::Number)
        }
        DeValue::Boolean(on) => Raw::Switch(*on),
        other => Raw::Other(kind(other)),
    }
}
