//! How easy a target is to write and to keep, measured: lines of its code, packages of its lockfile,
//! and the duties it declares.

mod lines;
mod lockfile;

use crate::manifest::Files;
use pushbench_core::error::Result;
use pushbench_core::origin::{Origin, kind};
use pushbench_core::record::ease::{Duty, Ease};
use pushbench_core::suggest::did_you_mean;
use pushbench_host::input;
use std::io;
use std::path::Path;
use toml::de::DeValue;

/// A list in a manifest and its position.
pub(super) type Listed = (Vec<String>, Origin);

/// The keys of a manifest about it.
#[derive(Debug, Clone, Default)]
pub(super) struct Declared {
    /// The files of the program that this transport needs.
    pub code: Option<Listed>,
    /// Which of its direct dependencies this transport needs; all when not said.
    pub packages: Option<Listed>,
    /// The duties its code takes on.
    pub duties: Option<Vec<Duty>>,
}

/// Measures what a manifest names; `None` when it names nothing.
pub(super) fn measure(
    declared: &Declared,
    files: &Files,
    cwd: Option<&str>,
) -> Result<Option<Ease>> {
    let Declared { code, packages, duties } = declared;
    if code.is_none() && packages.is_none() && duties.is_none() {
        return Ok(None);
    }
    let read = |path: &str| read(files, cwd, path);
    let lines_of_code = match code {
        Some((paths, at)) => Some(lines_of(paths, at, &read)?),
        None => None,
    };
    let place = packages.as_ref().or(code.as_ref()).map(|(_, at)| at);
    let dependencies = match place {
        Some(at) => {
            let only = packages.as_ref().map(|(names, _)| names.as_slice());
            lockfile::dependencies(only, &read).map_err(|why| at.error(why))?
        }
        None => None,
    };
    Ok(Some(Ease { lines_of_code, dependencies, duties: duties.clone() }))
}

fn lines_of(
    paths: &[String],
    at: &Origin,
    read: &dyn Fn(&str) -> io::Result<String>,
) -> Result<usize> {
    let mut sum = 0;
    for path in paths {
        let text = read(path).map_err(|e| at.error(format!("code: cannot read {path}: {e}")))?;
        sum += lines::of_code(path, &text).ok_or_else(|| {
            at.error(format!("code: {path}: the file name extension is not of a known language"))
        })?;
    }
    Ok(sum)
}

/// A file of the target, before any set-up.
fn read(files: &Files, cwd: Option<&str>, path: &str) -> io::Result<String> {
    let place = Path::new(cwd.unwrap_or("")).join(path);
    match files {
        Files::Own(folder) => Ok(input::text(&folder.join(place), input::GENERATED)?),
        Files::Shipped(dir) => dir
            .get_file(dir.path().join(place))
            .and_then(|file| file.contents_utf8())
            .map(str::to_owned)
            .ok_or_else(|| io::ErrorKind::NotFound.into()),
        Files::None => Err(io::ErrorKind::NotFound.into()),
    }
}

/// The list of duties in a manifest.
pub(super) fn duties(value: &DeValue<'_>, at: &Origin) -> Result<Vec<Duty>> {
    let names = || Duty::ALL.map(Duty::name);
    let DeValue::Array(items) = value else {
        return Err(at.error(format!(
            "duties: this is {}: write a list, for example [\"{}\"], or [] for none",
            kind(value),
            names()[0]
        )));
    };
    let duty = |item: &DeValue<'_>| {
        let name = item.as_str().unwrap_or_default();
        Duty::named(name).ok_or_else(|| {
            at.error(format!(
                "duties: there is no duty \"{name}\"{}; the duties are {}",
                did_you_mean(name, names()),
                names().join(", ")
            ))
        })
    };
    items.iter().map(|item| duty(item.get_ref())).collect()
}

#[cfg(test)]
mod tests;
