//! Which pushbench the GitHub action runs: an installed one, a released one with its checksum, its own build.

use crate::common::{Bench, Ended, ended};
use crate::own::{skip, works};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// A program that says its version, and what cargo would install.
const PROGRAM: &str = "#!/bin/sh\necho pushbench 9.9.9\n";
const NONE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A job of CI that needs a pushbench; its cargo notes its arguments and installs `PROGRAM`.
struct Job(Bench);

impl Job {
    fn new() -> Job {
        let bench = Bench::new();
        bench.executable("program", PROGRAM);
        let cargo = "#!/bin/sh\necho \"$@\" >> cargo-was-asked\n\
                     while [ \"$1\" != --root ]; do shift; done\n\
                     mkdir -p \"$2/bin\" && cp program \"$2/bin/pushbench\"\n";
        bench.executable("bin/cargo", cargo);
        bench.executable("bin/rustc", "#!/bin/sh\necho rustc 1.91.0\n");
        Job(bench)
    }

    /// The step of that name, in a shell that finds this cargo.
    fn run(&self, step: &str, variables: &[(&str, &str)]) -> Ended {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/program.sh");
        let mut command = self.0.command(script);
        command.arg(step).env("PATH", format!("{}:/usr/bin:/bin", self.0.path("bin").display()));
        for (name, file) in
            [("TEMP", "temp"), ("GITHUB_OUTPUT", "output"), ("GITHUB_STEP_SUMMARY", "summary")]
        {
            command.env(name, self.0.path(file));
        }
        ended(command.envs(variables.iter().copied()).output().unwrap())
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.path(file)).unwrap_or_default()
    }

    fn output(&self, name: &str) -> Option<String> {
        let text = self.text("output");
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines.filter(|(n, _)| *n == name).map(|(_, value)| value.to_owned()).next_back()
    }

    /// The checksum of a file here.
    fn sha256(&self, file: &str) -> String {
        let output = self.0.command("sha256sum").arg(file).output().unwrap();
        String::from_utf8(output.stdout).unwrap()[..64].to_owned()
    }

    /// A tarball as release/build makes it.
    fn tarball(&self) -> String {
        self.0.executable("pushbench-9.9.9-x/bin/pushbench", PROGRAM);
        self.0.write("pushbench-9.9.9-x/share/doc/README.md", "text");
        let mut tar = self.0.command("tar");
        let made = tar.args(["-czf", "released.tar.gz", "pushbench-9.9.9-x"]).status().unwrap();
        assert!(made.success());
        "released.tar.gz".to_owned()
    }
}

/// Answers one request with these bytes, and returns the address.
fn served(body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let _head = client.read(&mut [0; 4096]).unwrap();
        write!(client, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
        client.write_all(&body).unwrap();
    });
    format!("http://{address}/released.tar.gz")
}

#[test]
fn a_released_program_is_run_and_the_summary_says_which() {
    let job = Job::new();
    for file in [job.tarball(), "program".to_owned()] {
        let sum = job.sha256(&file);
        for sha256 in [sum.as_str(), &sum.to_uppercase(), ""] {
            job.run("find", &[("BINARY", &file), ("SHA256", sha256)]).succeeds();
            let path = job.output("path").expect("find says where the program is");
            let version = Command::new(path).arg("--version").output().unwrap();
            assert_eq!(version.stdout, b"pushbench 9.9.9\n");
            assert_eq!(job.output("key"), None, "nothing has to be built");
            let used =
                format!("Measured with pushbench 9.9.9: the released binary {file}, SHA-256 {sum}");
            assert!(job.text("summary").contains(&used), "{}", job.text("summary"));
        }
    }
    job.run("find", &[("PUSHBENCH", "./program")]).succeeds();
    assert_eq!(job.output("path").as_deref(), Some("./program"));
    assert!(job.text("summary").contains("the installed ./program"), "{}", job.text("summary"));
}

#[test]
fn an_address_needs_the_checksum_of_what_it_leads_to() {
    if !works("curl", &["--version"]) && skip("curl is missing: apt install curl") {
        return;
    }
    let job = Job::new();
    let tarball = std::fs::read(job.0.path(&job.tarball())).unwrap();
    let sum = job.sha256("released.tar.gz");
    let address = served(tarball.clone());
    job.run("find", &[("BINARY", &address), ("SHA256", &sum)]).succeeds();
    assert!(job.text("summary").contains(&format!("{address}, SHA-256 {sum}")));
    let job = Job::new();
    for (address, sha256, code, text) in [
        (served(tarball.clone()), "", 64, "sha256 is missing"),
        (served(tarball), NONE, 64, sum.as_str()),
        ("http://127.0.0.1:1/nothing".to_owned(), NONE, 3, "cannot be downloaded"),
    ] {
        let result = job.run("find", &[("BINARY", &address), ("SHA256", sha256)]);
        assert_eq!(result.code, Some(code), "{}{}", result.out, result.err);
        assert!(result.out.contains("::error") && result.out.contains(text), "{}", result.out);
        assert!(job.text("summary").contains(text), "{}", job.text("summary"));
        assert_eq!(job.output("path"), None);
    }
}

#[test]
fn what_is_no_released_program_is_refused() {
    let job = Job::new();
    job.0.write("page.html", "<html>");
    job.0.write("folder/file", "");
    let mut tar = job.0.command("tar");
    assert!(tar.args(["-czf", "other.tar.gz", "folder"]).status().unwrap().success());
    std::fs::write(job.0.path("damaged"), [0x1f, 0x8b, 8, 0]).unwrap();
    for (binary, sha256, pushbench, code, text) in [
        ("damaged", "", "", 64, "a damaged tarball: download it again"),
        ("nowhere", "", "", 64, "there is no such file"),
        ("ftp://a/b", "", "", 64, "begins with https://"),
        ("program", "abc", "", 64, "64 hexadecimal digits, and 'abc'"),
        ("program", NONE, "", 64, "is not the file that sha256 pins"),
        ("", NONE, "", 64, "the input binary, which is missing"),
        ("program", "", "./program", 64, "give one of them"),
        ("page.html", "", "", 64, "neither a tarball nor a program"),
        ("other.tar.gz", "", "", 64, "has no bin/pushbench"),
        ("", "", "./nowhere", 3, "does not start on"),
    ] {
        let variables = [("BINARY", binary), ("SHA256", sha256), ("PUSHBENCH", pushbench)];
        let result = job.run("find", &variables);
        assert_eq!(result.code, Some(code), "{binary}: {}{}", result.out, result.err);
        assert!(result.out.contains(text), "{binary}: {}", result.out);
        assert!(job.text("summary").contains(text), "{binary}: {}", job.text("summary"));
        assert_eq!((job.output("path"), job.output("key")), (None, None));
    }
}

#[test]
fn its_own_build_is_cached_by_compiler_machine_and_sources() {
    let job = Job::new();
    let key = |variables: &[(&str, &str)]| {
        job.run("find", variables).succeeds();
        job.output("key").expect("a build is needed")
    };
    let linux = key(&[("RUNNER_OS", "Linux"), ("RUNNER_ARCH", "X64")]);
    assert_eq!(linux, key(&[("RUNNER_OS", "Linux"), ("RUNNER_ARCH", "X64")]));
    assert_ne!(linux, key(&[("RUNNER_OS", "Linux"), ("RUNNER_ARCH", "ARM64")]));
    job.0.executable("bin/rustc", "#!/bin/sh\necho rustc 1.92.0\n");
    assert_ne!(linux, key(&[("RUNNER_OS", "Linux"), ("RUNNER_ARCH", "X64")]));

    let built = |hit: &str, text: &str| {
        job.run("build", &[("CACHE_HIT", hit)]).succeeds();
        assert!(job.output("path").unwrap().ends_with("/built/bin/pushbench"));
        assert!(job.text("summary").ends_with(&format!("{text}.\n\n")), "{}", job.text("summary"));
        job.text("cargo-was-asked").lines().count()
    };
    assert_eq!(built("", "by this job"), 1);
    assert!(job.text("cargo-was-asked").starts_with("install --quiet --locked --path "));
    assert_eq!(built("true", "by an earlier job, from the cache"), 1, "it was built again");
    std::fs::remove_dir_all(job.0.path("temp/built")).unwrap();
    assert_eq!(built("true", "by this job"), 2, "an empty cache is no program");
}
