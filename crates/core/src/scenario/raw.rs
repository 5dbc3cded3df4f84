//! A value as written, before its key's type is known.

/// A value as written, whether in TOML or on the command line.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// A bare number.
    Number(f64),
    /// Text, quoted or not.
    Text(String),
    /// A bare `true` or `false`.
    Switch(bool),
    /// Anything else, by what it is called.
    Other(&'static str),
}

impl Raw {
    /// From the command line: a number if it reads as one.
    pub(crate) fn from_option(text: &str) -> Raw {
        let bare = text.trim();
        let unquoted = bare.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        match (unquoted, bare.parse::<f64>()) {
            (Some(text), _) => Raw::Text(text.to_owned()),
            (None, Ok(n)) => Raw::Number(n),
            (None, Err(_)) => Raw::Text(bare.to_owned()),
        }
    }

    /// As a finite number that is not negative.
    pub fn number(&self) -> Result<f64, String> {
        match self {
            Raw::Number(n) if n.is_finite() && *n >= 0.0 => Ok(*n),
            Raw::Number(_) => Err("write a number that is neither negative nor infinite".into()),
            _ => Err("write a bare number".into()),
        }
    }

    /// As text; numbers become their text.
    pub fn text(&self) -> Result<String, String> {
        match self {
            Raw::Text(t) => Ok(t.clone()),
            Raw::Number(n) if n.is_finite() => Ok(n.to_string()),
            Raw::Number(_) => Err("this is not a finite number: write text in quotes".into()),
            Raw::Switch(_) => Err("this is a boolean: write text or a number".into()),
            Raw::Other(what) => Err(format!("this is {what}: write text or a number")),
        }
    }

    /// As it is shown in messages.
    pub fn shown(&self) -> String {
        match self {
            Raw::Text(t) => format!("\"{t}\""),
            Raw::Number(n) => plain(*n),
            Raw::Switch(on) => on.to_string(),
            Raw::Other(what) => (*what).to_owned(),
        }
    }

    /// As it is stored in a record.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Raw::Number(n) if n.fract() == 0.0 && n.abs() < 9e15 => serde_json::json!(*n as i64),
            Raw::Number(n) => serde_json::json!(n),
            Raw::Text(t) => serde_json::json!(t),
            Raw::Switch(on) => serde_json::json!(on),
            Raw::Other(what) => serde_json::json!(what),
        }
    }
}

/// A number as people write it: `2000`, `0.5`, `1e-300`.
pub fn plain(number: f64) -> String {
    let text = format!("{number:?}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}
