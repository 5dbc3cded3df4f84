//! A directory that lasts as long as its owner: of mode 0700, with files of mode 0600. A guard, a small process of its
//! own, removes it when it is dropped, and as soon as pushbench is gone, however it went.

use crate::program;
use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

/// The hidden subcommand of the guard.
const SUBCOMMAND: &str = "__remove";

/// The directory.
pub(super) struct PrivateDirectory {
    path: PathBuf,
    /// It reads the end of its standard input; nothing is ever written there.
    guard: Child,
}

impl PrivateDirectory {
    /// A directory among those for temporary files; `what` it is for is a part of its name.
    pub fn make(what: &str) -> io::Result<PrivateDirectory> {
        PrivateDirectory::make_in(&std::env::temp_dir(), what)
    }

    /// The same in another directory.
    pub fn make_in(parent: &Path, what: &str) -> io::Result<PrivateDirectory> {
        let path = parent.join(format!("pushbench-{what}-{}", random_name()));
        // Before the directory is made: whenever pushbench is killed, somebody knows of it.
        let guard = Command::new(program())
            .arg(SUBCOMMAND)
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let directory = PrivateDirectory { path, guard };
        DirBuilder::new().mode(0o700).create(&directory.path)?;
        Ok(directory)
    }

    /// Writes a file that is not there yet.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.path.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _it_was_ours = self.guard.wait();
    }
}

fn random_name() -> String {
    let word = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", word(), word())
}

/// Runs as the guard if the command line requests it: `pushbench __remove DIRECTORY`. It waits for the end of its
/// standard input, and removes the directory.
pub fn run_if_requested(args: &[OsString]) -> Option<ExitCode> {
    if args.get(1)? != SUBCOMMAND {
        return None;
    }
    let directory = args.get(2)?;
    let mut byte = [0];
    while !matches!(io::stdin().read(&mut byte), Ok(0) | Err(_)) {}
    let _was_never_made = std::fs::remove_dir_all(directory);
    Some(ExitCode::SUCCESS)
}
