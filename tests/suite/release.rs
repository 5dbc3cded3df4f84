//! What a release consists of: the scripts that make and install it, and the versions that must agree.
//! `release/try` runs the artifacts themselves.

use crate::common::{Bench, Ended, ended};
use crate::documents::read;
use crate::own::{skip, works};
use std::path::Path;

const NAME: &str = "pushbench-9.9.9-x86_64-unknown-linux-gnu";

/// A tarball beside its checksums, and a machine that says what it is asked to say.
struct Release(Bench);

impl Release {
    fn new() -> Release {
        let bench = Bench::new();
        let program = "#!/bin/sh\necho pushbench 9.9.9\n";
        bench.executable(&format!("{NAME}/bin/pushbench"), program);
        bench.write(&format!("{NAME}/share/man/man1/pushbench.1"), ".TH pushbench 1\n");
        let sums = format!("tar -czf {NAME}.tar.gz {NAME} && sha256sum *.tar.gz > SHA256SUMS");
        assert!(bench.command("sh").args(["-c", &sums]).status().unwrap().success());
        Release(bench).on("Linux", "x86_64", "echo glibc 2.36")
    }

    fn on(self, system: &str, machine: &str, libc: &str) -> Release {
        let uname =
            format!("#!/bin/sh\ncase $1 in -s) echo {system};; -m) echo {machine};; esac\n");
        self.0.executable("machine/uname", &uname);
        self.0.executable("machine/getconf", &format!("#!/bin/sh\n{libc}\n"));
        self
    }

    fn install(&self, words: &[&str]) -> Ended {
        let mut command =
            self.0.command(Path::new(env!("CARGO_MANIFEST_DIR")).join("release/install.sh"));
        command.env("PATH", format!("{}:/usr/bin:/bin", self.0.path("machine").display()));
        ended(command.env("HOME", self.0.path("home")).args(words).output().unwrap())
    }
}

#[test]
fn a_release_is_installed_below_the_prefix() {
    let release = Release::new();
    let tarball = format!("{NAME}.tar.gz");
    let result = release.install(&[&tarball]);
    result.succeeds();
    assert!(result.out.contains("pushbench 9.9.9 is in"), "{}", result.out);
    release.install(&["--prefix", "else where", &tarball]).succeeds();
    for prefix in ["home/.local", "else where"] {
        for file in ["bin/pushbench", "share/man/man1/pushbench.1"] {
            assert!(release.0.path(prefix).join(file).is_file(), "{prefix}/{file}");
        }
    }
}

/// What a user has there stays: a link to another directory, and who may read one.
#[test]
fn directories_that_are_there_stay_what_they_are() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let release = Release::new();
    std::fs::create_dir_all(release.0.path("p/share")).unwrap();
    std::fs::create_dir_all(release.0.path("elsewhere")).unwrap();
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(release.0.path("p/share"), private).unwrap();
    symlink("../elsewhere", release.0.path("p/bin")).unwrap();
    release.install(&["--prefix", "p", &format!("{NAME}.tar.gz")]).succeeds();
    assert!(release.0.path("elsewhere/pushbench").is_file());
    assert!(release.0.path("p/bin").is_symlink());
    let mode = std::fs::metadata(release.0.path("p/share")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn what_is_no_release_is_refused_and_nothing_is_installed() {
    let tarball = format!("{NAME}.tar.gz");
    let change = |name: &str, text: &str| {
        let release = Release::new();
        release.0.write(name, text);
        release
    };
    let without_sums = Release::new();
    std::fs::remove_file(without_sums.0.path("SHA256SUMS")).unwrap();
    for (release, words, texts) in [
        (
            change(&tarball, "other"),
            &[tarball.as_str()][..],
            &["is not the file of the release"][..],
        ),
        (change("SHA256SUMS", "abc  other\n"), &[&tarball], &["does not name", &tarball]),
        (without_sums, &[&tarball], &["SHA256SUMS is missing"]),
        (Release::new(), &["nowhere.tar.gz"], &["nowhere.tar.gz is no file"]),
        (Release::new(), &[], &["name the tarball: sh install.sh [--prefix DIR]"]),
        (Release::new(), &["--prefix"], &["--prefix needs a directory"]),
        (Release::new(), &["--force", &tarball], &["--force is no option"]),
        (Release::new(), &[&tarball, "b"], &["one tarball is installed"]),
    ] {
        release.install(words).fails(64, texts);
        assert!(!release.0.path("home").exists(), "{words:?} installed something");
    }
}

/// Where the loader would end with a message that names a symbol, or the kernel with "Exec format error".
#[test]
fn a_machine_that_cannot_run_it_is_told_so() {
    for (system, machine, libc, texts) in [
        (
            "Linux",
            "aarch64",
            "echo glibc 2.36",
            &["Linux on x86_64, and this is Linux on aarch64"][..],
        ),
        ("Darwin", "x86_64", "exit 1", &["this is Darwin on x86_64"]),
        ("Linux", "x86_64", "echo glibc 2.12", &["needs glibc 2.17 or newer", "has glibc 2.12"]),
        ("Linux", "x86_64", "echo glibc 2.5.1", &["has glibc 2.5.1"]),
        ("Linux", "x86_64", "exit 1", &["another C library"]),
    ] {
        let release = Release::new().on(system, machine, libc);
        let result = release.install(&[&format!("{NAME}.tar.gz")]);
        result.fails(3, texts);
        assert!(result.err.contains("cargo install --path ."), "{}", result.err);
        assert!(!release.0.path("home").exists(), "{system} {machine} {libc}");
    }
    for libc in ["echo glibc 2.17", "echo glibc 3.0"] {
        let release = Release::new().on("Linux", "x86_64", libc);
        release.install(&[&format!("{NAME}.tar.gz")]).succeeds();
    }
}

#[test]
fn scripts_of_a_release_refuse_what_they_do_not_know() {
    let bench = Bench::new();
    for (script, words, texts) in [
        ("build", &["--target", "x"][..], &["--target is no option", "[--out DIR]"][..]),
        ("build", &["--out"], &["--out needs a value"]),
        ("try", &["a", "b"], &["takes one directory"]),
        ("try", &["nowhere"], &["nowhere has no SHA256SUMS", "release/build --out"]),
    ] {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("release").join(script);
        ended(bench.command(script).args(words).output().unwrap()).fails(64, texts);
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let bench = Bench::new();
    bench.run(&["man", "nowhere"]).fails(64, &["nowhere is no directory", "mkdir -p nowhere"]);
    bench.write("pages/keep", "");
    bench.run(&["man", "pages"]).succeeds();
    let page = |name: &str| {
        let path = bench.path("pages").join(format!("{name}.1"));
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    assert!(page("pushbench").contains("pushbench\\-run(1)"), "{}", page("pushbench"));
    let help = bench.run(&["--help"]).out;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let names = commands.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names.iter().filter(|name| **name != "help") {
        assert!(page(&format!("pushbench-{name}")).contains(".SH OPTIONS"), "{name}");
    }
}

#[test]
fn manual_pages_are_rendered_without_a_warning() {
    if !works("groff", &["--version"]) && skip("groff is missing: apt install groff-base") {
        return;
    }
    let bench = Bench::new();
    bench.write("pages/keep", "");
    bench.run(&["man", "pages"]).succeeds();
    std::fs::remove_file(bench.path("pages/keep")).unwrap();
    for page in std::fs::read_dir(bench.path("pages")).unwrap() {
        let path = page.unwrap().path();
        // -ww: with every warning.
        let mut groff = bench.command("groff");
        groff.args(["-Kutf8", "-man", "-Tutf8", "-ww", "-P-c"]).arg(&path);
        let rendered = ended(groff.output().unwrap());
        assert!(rendered.err.is_empty(), "{}", rendered.err);
        let title = path.file_stem().unwrap().to_str().unwrap();
        assert!(rendered.out.contains(&format!("{title}(1)")), "{title}: {}", rendered.out);
    }
}

/// A value of a TOML or YAML line such as `rust-version = "1.91"`.
fn value_after<'a>(text: &'a str, key: &str) -> &'a str {
    let rest = text.split_once(key).unwrap_or_else(|| panic!("no {key}")).1;
    rest.split(['"', '\n', ' ', ']']).next().unwrap()
}

#[test]
fn versions_that_must_agree_do() {
    let (manifest, project) = (read("Cargo.toml"), read("pyproject.toml"));
    let (tools, ci) = (read("release/requirements.txt"), read(".github/workflows/ci.yml"));
    assert_eq!(value_after(&tools, "maturin=="), value_after(&project, "maturin=="));
    let oldest = value_after(&manifest, "rust-version = \"");
    assert!(ci.contains(&format!("rustup toolchain install {oldest} ")), "CI checks Rust {oldest}");
    // Every tool has its checksum, or pip refuses all of them.
    assert_eq!(tools.matches("==").count(), tools.matches("--hash=sha256:").count());
}

/// Read by a parser of YAML that is not ours; actions are named with a version.
#[test]
fn workflows_can_be_read() {
    for workflow in ["ci", "release"] {
        let text = read(format!(".github/workflows/{workflow}.yml"));
        let parsed: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        for (name, job) in parsed["jobs"].as_object().unwrap() {
            assert!(job["timeout-minutes"].is_number(), "{workflow}: {name} may run for hours");
            for step in job["steps"].as_array().unwrap() {
                let uses = step["uses"].as_str();
                assert!(uses.is_some() != step["run"].is_string(), "{workflow}: {step}");
                assert!(uses.is_none_or(|uses| uses.contains("@v")), "{workflow}: {step}");
                let run = step["run"].as_str().unwrap_or_default();
                assert!(!run.contains("${{"), "{workflow}: {run}");
            }
        }
    }
}

/// clippy knows which functions of the standard library are newer; crates say it themselves.
#[test]
fn no_crate_needs_a_newer_compiler_than_the_oldest_supported_one() {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["metadata", "--format-version", "1"]);
    cargo.args(["--locked", "--offline", "--filter-platform", "x86_64-unknown-linux-gnu"]);
    let metadata = ended(cargo.output().unwrap());
    metadata.succeeds();
    let metadata: serde_json::Value = serde_json::from_str(&metadata.out).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let version = |package: &serde_json::Value| -> Vec<u32> {
        let text = package["rust_version"].as_str().unwrap_or("0");
        text.split('.').map(|number| number.parse().unwrap()).collect()
    };
    let oldest = version(packages.iter().find(|p| p["name"] == "pushbench").unwrap());
    assert!(packages.len() > 100 && oldest.len() == 2, "{oldest:?}");
    for package in packages {
        assert!(version(package)[..] <= [&oldest[..], &[0]].concat()[..], "{package}");
    }
}
