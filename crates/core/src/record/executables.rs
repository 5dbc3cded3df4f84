//! Which files the programs of a comparison ran from.

use serde::{Deserialize, Serialize};

/// Which files the programs of a comparison ran from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executables {
    /// Each start ran from a fresh copy.
    Copied,
    /// All starts of a program ran from its own file, for this reason.
    InPlace(String),
}

impl Executables {
    /// In one sentence, without its full stop.
    pub fn sentence(&self) -> String {
        match self {
            Executables::Copied => {
                "each start of a program had a fresh copy of its executable".to_owned()
            }
            Executables::InPlace(why) => {
                format!("executables were not copied, so base and null shared one file: {why}")
            }
        }
    }
}
