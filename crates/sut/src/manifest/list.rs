//! All targets, and what a file describes.

use crate::description;
use crate::description::TargetDescription;
use crate::ease_of_implementation;
use crate::manifest::find::{manifest, over_tls_name, own_files};
use crate::manifest::{BUILTIN, Files, Manifest};
use pushbench_core::arm::ArmOption;
use pushbench_core::error::Result;
use pushbench_core::record::ease::Ease;
use pushbench_core::transport::ALL;
use std::collections::BTreeMap;
use std::path::Path;

/// A target, and each transport that it serves with its ease, or with what is mistaken in its
/// description: a run of it is refused for that, too.
pub struct Listed {
    /// The target's name.
    pub name: String,
    /// By transport; one without a name for a mistake that is in the whole target.
    pub serves: Vec<(String, Result<Option<Ease>>)>,
}

/// All targets, by name.
pub fn list() -> Result<Vec<Listed>> {
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let ease = |files: &Files, d: TargetDescription| {
        d.tls_options(files)?;
        ease_of_implementation::measure(&d.ease, files, d.cwd.as_deref())
    };
    let listed = |files: &Files, (transport, read): (String, Result<TargetDescription>)| {
        let all = variants(transport, read).into_iter();
        all.map(|(t, d)| (t, d.and_then(|d| ease(files, d)))).collect::<Vec<_>>()
    };
    for name in description::shipped_names() {
        let Some((serves, dir)) = description::shipped(name)? else { continue };
        let files = Files::Shipped(dir);
        let serves = serves.into_iter().flat_map(|(t, d)| listed(&files, (t, Ok(d))));
        found.insert(name.to_owned(), serves.collect());
    }
    found.insert(BUILTIN.to_owned(), ALL.map(|t| (t.name().to_owned(), Ok(None))).into());
    let files = own_files();
    for (name, read) in description::own()? {
        let serves = match read {
            Ok(serves) => serves.into_iter().flat_map(|entry| listed(&files, entry)).collect(),
            Err(mistake) => vec![(String::new(), Err(mistake))],
        };
        found.insert(name, serves);
    }
    Ok(found.into_iter().map(|(name, serves)| Listed { name, serves }).collect())
}

/// One transport of a target that a file describes.
pub struct Described {
    /// The target's name.
    pub target: String,
    /// The left side of its arm; empty for a mistake that is in the whole target.
    pub transport: String,
    /// What it is, or every mistake in it, one a line.
    pub read: Result<Manifest>,
}

/// Everything that a file such as `pushbench.toml` describes; `file` names it in messages.
///
/// # Errors
///
/// A usage error where the text is not TOML.
pub fn described(file: &str, text: &str) -> Result<Vec<Described>> {
    let folder = Path::new(file).parent().unwrap_or(Path::new("")).to_owned();
    let mut found = Vec::new();
    for (target, read) in description::described(file, text)? {
        let transports = match read {
            Ok(transports) => transports,
            Err(mistake) => [(String::new(), Err(mistake))].into(),
        };
        for (transport, read) in transports.into_iter().flat_map(|(t, read)| variants(t, read)) {
            let read = read.and_then(|mut d| {
                if let Some(publish) = d.publishing.publish.as_ref().filter(|_| d.url.is_empty()) {
                    d.url.clone_from(&publish.url);
                }
                manifest(&target, (d, Files::Own(folder.clone())))
            });
            found.push(Described { target: target.clone(), transport, read });
        }
    }
    Ok(found)
}

/// A description, and those of the same target over TLS and over HTTP/2, by the left sides of their arms.
fn variants(
    transport: String,
    read: Result<TargetDescription>,
) -> Vec<(String, Result<TargetDescription>)> {
    let mut read = read;
    let over_tls = read.as_mut().ok().and_then(|plain| plain.over_tls.take());
    let over_tls = over_tls.map(|d| (over_tls_name(&transport), Ok(*d)));
    let mut all = Vec::new();
    for (left, read) in std::iter::once((transport, read)).chain(over_tls) {
        let http2 = read.as_ref().ok().filter(|d| d.http2).cloned();
        let http2 = http2.map(|d| (format!("{left}+{}", ArmOption::H2.name()), d));
        if http2.as_ref().is_none_or(|(_, d)| !d.http2_only) {
            all.push((left, read));
        }
        all.extend(http2.map(|(left, d)| (left, Ok(d))));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_listed_with_the_versions_of_http_that_it_speaks() {
        for (version, arms) in [
            ("1.1", &["webhook"][..]),
            ("2", &["webhook", "webhook+h2"]),
            ("2 only", &["webhook+h2"]),
        ] {
            let text = format!(
                "[target.a.webhook]\nurl = \"http://127.0.0.1:1/\"\nhttp_version = \"{version}\"\n"
            );
            let found = described("pushbench.toml", &text).unwrap();
            let listed: Vec<&str> = found.iter().map(|d| d.transport.as_str()).collect();
            assert_eq!(listed, arms, "{version}");
            assert!(found.iter().all(|d| d.read.is_ok()), "{version}");
        }
    }
}
