use crate::description;
use crate::ease_of_implementation::*;
use include_dir::{Dir, File};
use pushbench_core::record::ease::Dependencies;
use std::collections::BTreeMap;

type Counted = std::result::Result<Option<Dependencies>, String>;

fn counted(files: &[(&str, &str)], only: Option<&[&str]>) -> Counted {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let read = |path: &str| {
        let found = files.get(path).map(|text| (*text).to_owned());
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    let only: Option<Vec<String>> = only.map(|o| o.iter().map(|n| (*n).to_owned()).collect());
    lockfile::dependencies(only.as_deref(), &read)
}

fn numbers(direct: usize, all: usize) -> Counted {
    Ok(Some(Dependencies { direct: Some(direct), all }))
}

const NPM: &str = r#"{"lockfileVersion": 3, "packages": {
    "": {"dependencies": {"web": "^1", "ws": "^8"}, "devDependencies": {"lint": "1"}},
    "node_modules/web": {"version": "1.0.0", "dependencies": {"parse": "^1", "inner": "^2"}},
    "node_modules/parse": {"version": "1.0.0", "dependencies": {"web": "^1"}},
    "node_modules/inner": {"version": "1.0.0"},
    "node_modules/web/node_modules/inner": {"version": "2.0.0", "dependencies": {"parse": "^1"}},
    "node_modules/lint": {"version": "1.0.0", "dev": true, "dependencies": {"inner": "^1"}},
    "node_modules/ws": {"version": "8.0.0", "peerDependencies": {"native": "^4"}}}}"#;

#[test]
fn packages_of_npm_are_those_that_the_program_leads_to() {
    let lock = [("package-lock.json", NPM)];
    assert_eq!(counted(&lock, None), numbers(2, 4));
    assert_eq!(counted(&lock, Some(&["ws"])), numbers(1, 1));
    assert_eq!(counted(&lock, Some(&["web"])), numbers(1, 3));
    let wrong = counted(&lock, Some(&["wbe"])).unwrap_err();
    assert!(wrong.contains("did you mean \"web\""), "{wrong}");
}

#[test]
fn packages_of_cargo_are_those_that_the_program_leads_to() {
    let lock = r#"
        [[package]]
        name = "mine"
        version = "0.0.0"
        dependencies = ["a", "renamed", "test-only"]
        [[package]]
        name = "a"
        version = "1.0.0"
        dependencies = ["b 2.0.0"]
        [[package]]
        name = "b"
        version = "1.0.0"
        [[package]]
        name = "b"
        version = "2.0.0"
        [[package]]
        name = "renamed"
        version = "1.0.0"
        [[package]]
        name = "test-only"
        version = "1.0.0"
        dependencies = ["b 1.0.0"]"#;
    let manifest = r#"
        [package]
        name = "mine"
        [dependencies]
        a = "1"
        r = { package = "renamed", version = "1" }
        [dev-dependencies]
        test-only = "1""#;
    let files = [("Cargo.lock", lock), ("Cargo.toml", manifest)];
    assert_eq!(counted(&files, None), numbers(2, 3));
    assert_eq!(counted(&files, Some(&["a"])), numbers(1, 2));
    assert!(counted(&files[..1], None).unwrap_err().contains("Cargo.toml"));
}

#[test]
fn packages_of_pip_are_all_that_are_pinned() {
    let pinned = "# made by hand\nFlask==3.1.3\nMarkup_Safe==3.0.3  # via jinja\n\
                  zipp==3.23.0; python_version < \"3.10\"\n--no-binary :all:\n";
    let files = [("requirements.txt", pinned), ("requirements.in", "flask>=3\n")];
    assert_eq!(counted(&files, None), numbers(1, 2));
    assert_eq!(counted(&files[..1], Some(&["markup-safe"])), numbers(1, 2));
    assert_eq!(counted(&files[..1], None), Ok(Some(Dependencies { direct: None, all: 2 })));
    assert_eq!(counted(&[], None), Ok(None));
}

fn files_of(dir: &'static Dir<'static>) -> Vec<&'static File<'static>> {
    dir.files().chain(dir.dirs().flat_map(files_of)).collect()
}

#[test]
fn shipped_targets_declare_everything_and_every_file_of_code_counts() {
    for name in description::shipped_names() {
        let (serves, dir) = description::shipped(name).unwrap().unwrap();
        let mut declared: Vec<String> = Vec::new();
        let with_tls = |(transport, mut d): (String, description::TargetDescription)| {
            let over_tls = d.over_tls.take().map(|d| (format!("{transport}+tls"), *d));
            std::iter::once((transport, d)).chain(over_tls)
        };
        for (transport, d) in serves.into_iter().flat_map(with_tls) {
            let ease = measure(&d.ease, &Files::Shipped(dir), None).unwrap().unwrap();
            assert!(ease.lines_of_code > Some(0), "{transport}@{name}");
            // Packages of the system are in no lockfile.
            assert_eq!(ease.dependencies.is_none(), name == "nchan", "{transport}@{name}");
            if let Some(packages) = ease.dependencies {
                // A target without dependencies declares that.
                let none = d.ease.packages.as_ref().is_some_and(|(names, _)| names.is_empty());
                assert_eq!(packages.direct == Some(0), none, "{transport}@{name}");
                assert!(packages.direct.is_some_and(|direct| direct <= packages.all), "{name}");
            }
            assert!(ease.duties.is_some(), "{transport}@{name}");
            declared.extend(d.ease.code.unwrap().0);
        }
        for file in files_of(dir) {
            let path = file.path().strip_prefix(name).unwrap().to_str().unwrap();
            let code = [".py", ".js", ".rs"].iter().any(|ending| path.ends_with(ending));
            assert!(!code || declared.iter().any(|d| d == path), "{name}: {path} is not counted");
        }
    }
}

#[test]
fn what_nobody_declares_is_not_known() {
    assert_eq!(measure(&Declared::default(), &Files::None, None).unwrap(), None);
    let at = Origin::named("x.toml:1:1");
    let code = Some((vec!["gone.py".to_owned()], at));
    let gone = measure(&Declared { code, ..Declared::default() }, &Files::None, None);
    assert!(gone.unwrap_err().to_string().contains("x.toml:1:1: code: cannot read gone.py"));
}
