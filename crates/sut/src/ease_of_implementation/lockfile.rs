//! Packages counted from a lockfile: npm's, Cargo's or pip's.

use pushbench_core::record::ease::Dependencies;
use pushbench_core::suggest::did_you_mean;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io;

type Read<'a> = &'a dyn Fn(&str) -> io::Result<String>;
type Counted<T> = Result<T, String>;
type Parse = fn(&str, Read<'_>) -> Counted<Lock>;

/// The packages of the first lockfile there is; `None` without one. `only`: the direct ones to
/// start from.
pub(super) fn dependencies(
    only: Option<&[String]>,
    read: Read<'_>,
) -> Counted<Option<Dependencies>> {
    let kinds: [(&str, Parse); 3] = [
        ("package-lock.json", |text, _| npm(text)),
        ("Cargo.lock", cargo),
        ("requirements.txt", |text, read| Ok(pip(text, read))),
    ];
    for (file, parse) in kinds {
        let text = match read(file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(format!("cannot read {file}: {e}")),
        };
        let lock = parse(&text, read).map_err(|why| format!("{file}: {why}"))?;
        return lock.count(only).map(Some).map_err(|why| format!("packages: {file} {why}"));
    }
    Ok(None)
}

/// The content of a lockfile, packages by number.
struct Lock {
    /// The direct ones; `None` if the lockfile does not mark them.
    direct: Option<Vec<(String, usize)>>,
    /// What each needs; `None` where the lockfile does not say.
    needs: Option<Vec<Vec<usize>>>,
    /// Every package, named as in `direct`.
    names: Vec<String>,
}

impl Lock {
    fn count(&self, only: Option<&[String]>) -> Counted<Dependencies> {
        let known: Vec<(String, usize)> = match &self.direct {
            Some(direct) => direct.clone(),
            None => self.names.iter().cloned().zip(0..).collect(),
        };
        let find = |name: &String| {
            let found = known.iter().find(|(known, _)| known == name).map(|(_, number)| *number);
            let names = known.iter().map(|(name, _)| name.as_str());
            found.ok_or_else(|| format!("has no \"{name}\"{}", did_you_mean(name, names)))
        };
        let direct: Option<Vec<usize>> = match only {
            Some(only) => Some(only.iter().map(find).collect::<Counted<_>>()?),
            None => self.direct.as_ref().map(|d| d.iter().map(|(_, number)| *number).collect()),
        };
        let all = match (&direct, &self.needs) {
            (Some(direct), Some(needs)) => reached(direct, needs),
            _ => self.names.len(),
        };
        Ok(Dependencies { direct: direct.map(|d| d.len()), all })
    }
}

/// How many packages the given ones lead to, themselves included.
fn reached(from: &[usize], needs: &[Vec<usize>]) -> usize {
    let mut visited = BTreeSet::new();
    let mut open = from.to_vec();
    while let Some(next) = open.pop() {
        if visited.insert(next) {
            open.extend(&needs[next]);
        }
    }
    visited.len()
}

/// `packages` of a package-lock.json: by folder, the program itself under the empty name.
fn npm(text: &str) -> Counted<Lock> {
    let lock: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
    let packages = lock["packages"]
        .as_object()
        .ok_or("it has no \"packages\": write it with npm 7 or later")?;
    let folders: Vec<&String> = packages.keys().filter(|k| k.contains("node_modules/")).collect();
    // Node looks next to the requiring package, then in each parent folder.
    let resolve = |from: &str, name: &str| {
        let mut folder = from;
        loop {
            let slash = if folder.is_empty() { "" } else { "/" };
            let wanted = format!("{folder}{slash}node_modules/{name}");
            if let Some(found) = folders.iter().position(|f| **f == wanted) {
                return Some(found);
            }
            folder = match folder.rfind("node_modules/") {
                Some(at) => folder[..at].trim_end_matches('/'),
                None => return None,
            };
        }
    };
    let named = |folder: &str, kinds: &[&str]| -> Vec<(String, usize)> {
        let names = kinds.iter().filter_map(|kind| packages.get(folder)?[kind].as_object());
        let names = names.flat_map(serde_json::Map::keys);
        // An optional one that does not fit this system was left out of the lockfile.
        names.filter_map(|name| Some((name.clone(), resolve(folder, name)?))).collect()
    };
    let kinds = ["dependencies", "optionalDependencies", "peerDependencies"];
    let needs =
        folders.iter().map(|folder| named(folder, &kinds).into_iter().map(|(_, n)| n).collect());
    Ok(Lock {
        direct: Some(named("", &kinds[..2])),
        needs: Some(needs.collect()),
        names: folders.iter().map(|folder| (*folder).clone()).collect(),
    })
}

/// A Cargo.lock, and the Cargo.toml next to it for the direct ones: the lockfile does not distinguish those
/// of tests apart.
fn cargo(text: &str, read: Read<'_>) -> Counted<Lock> {
    let lock: toml::Table = text.parse().map_err(|e| format!("not TOML: {e}"))?;
    let manifest = read("Cargo.toml").map_err(|e| format!("no Cargo.toml next to it: {e}"))?;
    let manifest: toml::Table = manifest.parse().map_err(|e| format!("Cargo.toml: {e}"))?;
    let packages = lock.get("package").and_then(|p| p.as_array()).ok_or("it lists no packages")?;
    let word = |package: &toml::Value, key: &str| {
        package.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned()
    };
    // `name`, or `name version` where there are several.
    let resolve = |needed: &str| {
        let mut words = needed.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        let fits = |p: &toml::Value| {
            word(p, "name") == name && version.is_none_or(|v| word(p, "version") == v)
        };
        packages.iter().position(fits)
    };
    let needs = |package: &toml::Value| -> Vec<usize> {
        let listed = package.get("dependencies").and_then(|d| d.as_array());
        listed.into_iter().flatten().filter_map(|d| resolve(d.as_str()?)).collect()
    };
    let needs: Vec<Vec<usize>> = packages.iter().map(needs).collect();
    let names: Vec<String> = packages.iter().map(|p| word(p, "name")).collect();
    let name = manifest.get("package").map(|p| word(p, "name")).unwrap_or_default();
    let program = names.iter().position(|n| *n == name).ok_or("it does not list the program")?;
    let declared = manifest.get("dependencies").and_then(|d| d.as_table());
    let real = |(key, value): (&String, &toml::Value)| {
        value.get("package").and_then(|p| p.as_str()).unwrap_or(key).to_owned()
    };
    let direct = declared.into_iter().flatten().map(real).filter_map(|name| {
        let number = needs[program].iter().find(|n| names[**n] == name)?;
        Some((name, *number))
    });
    let direct = direct.collect();
    Ok(Lock { direct: Some(direct), needs: Some(needs), names })
}

/// A requirements.txt with everything pinned, and the requirements.in that it was made from.
fn pip(text: &str, read: Read<'_>) -> Lock {
    let names = requirements(text);
    let direct = read("requirements.in").ok().map(|text| {
        let number = |name: &String| names.iter().position(|n| n == name);
        let named = requirements(&text).into_iter();
        named.filter_map(|name| Some((name.clone(), number(&name)?))).collect()
    });
    Lock { direct, needs: None, names }
}

/// The packages of a requirements file. One with a marker (`; python_version < "3.10"`) is for some
/// systems only and left out.
fn requirements(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let counted = lines.filter(|l| !l.is_empty() && !l.starts_with('-') && !l.contains(';'));
    let name = |line: &str| -> String {
        let end = line.find(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)));
        line[..end.unwrap_or(line.len())].to_lowercase().replace(['_', '.'], "-")
    };
    counted.map(name).collect()
}
