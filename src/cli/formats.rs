//! `--format`: names and descriptions of formats, for completions and error messages.

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{Error, ErrorKind};
use pushbench_core::suggest::did_you_mean;
use pushbench_report::{ALL, Format, gate};
use std::ffi::OsStr;

/// Reads the name of one of these formats.
#[derive(Debug, Clone, Copy)]
pub struct Formats(pub &'static [Format]);

impl Formats {
    /// Every format there is.
    pub const ALL: Formats = Formats(&ALL);
    /// Those of two runs side by side.
    pub(crate) const OF_RUNS: Formats = Formats(&[Format::Text, Format::Json, Format::Markdown]);

    /// The one of that name; `what`: what it is a format of.
    pub(crate) fn find(&self, name: &str, what: &str) -> pushbench_core::error::Result<Format> {
        self.0.iter().copied().find(|f| f.name() == name).ok_or_else(|| {
            let (last, others) = self.0.split_last().expect("there is one");
            let others: Vec<&str> = others.iter().map(|f| f.name()).collect();
            pushbench_core::error::Error::usage(format!(
                "--format {name}: {what} has the formats {} and {}",
                others.join(", "),
                last.name()
            ))
        })
    }
}

impl TypedValueParser for Formats {
    type Value = Format;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Format, Error> {
        let name = value.to_string_lossy();
        self.0.iter().copied().find(|f| f.name() == name).ok_or_else(|| {
            let names = || self.0.iter().map(|f| f.name());
            let message = format!(
                "--format {name}: no such format{}; there are {}\n",
                did_you_mean(&name, names()),
                names().collect::<Vec<_>>().join(", ")
            );
            Error::raw(ErrorKind::InvalidValue, message).with_cmd(command)
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(|f| PossibleValue::new(f.name()).help(f.about()))))
    }
}

/// Those of a stored run and of a stored gate.
#[derive(Debug, Clone, Copy)]
pub struct Stored;

impl TypedValueParser for Stored {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, Error> {
        match value.to_str() {
            Some(name) if gate::Format::named(name).is_some() => Ok(name.to_owned()),
            _ => Formats::ALL.parse_ref(command, arg, value).map(|f| f.name().to_owned()),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let github = gate::Format::Github.name();
        let of_gate = PossibleValue::new(github).help("of a gate: summary and annotations");
        Some(Box::new(Formats::ALL.possible_values()?.chain([of_gate])))
    }
}
