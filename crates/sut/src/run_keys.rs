//! Certificate and key of a run, as values and as files for targets: in a directory of mode 0700, files of mode
//! 0600. A guard, a small process of its own, removes the directory as soon as pushbench is gone, however it went.

use crate::program;
use pushbench_core::error::{Error, Result};
use pushbench_core::scenario::KeyKind;
use pushbench_wire::tls::ServerTls;
use pushbench_wire::tls::certificates::Certificates;
use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// The hidden subcommand of the guard.
const SUBCOMMAND: &str = "__remove";
/// Placeholders of the files in commands and environment variables.
pub(super) const FILES: [&str; 3] = ["{cert}", "{key}", CA];
/// The last of them: whom to trust.
pub(super) const CA: &str = "{ca}";
/// Their names in the directory.
const NAMES: [&str; 3] = ["cert.pem", "key.pem", "ca.pem"];

/// Those of this process, one set for each kind of key: they are made when they are first needed, and last as
/// long as the process does.
static MADE: Mutex<Vec<(KeyKind, Arc<RunKeys>)>> = Mutex::new(Vec::new());

/// Certificate, key and authority of a run.
pub struct RunKeys {
    /// As PEM texts.
    pub certificates: Certificates,
    /// Of the driver's own listeners.
    pub server: ServerTls,
    directory: PathBuf,
    /// The guard reads its end of file; nothing is ever written.
    _guarded: ChildStdin,
}

/// Those of this run.
///
/// # Errors
/// The directory for temporary files cannot be written, or the guard cannot be started.
pub fn of(kind: KeyKind) -> Result<Arc<RunKeys>> {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, keys)) = made.iter().find(|(known, _)| *known == kind) {
        return Ok(keys.clone());
    }
    let directory = std::env::temp_dir().join(format!("pushbench-keys-{}", random_name()));
    let keys = make(kind, directory.clone()).map_err(|e| {
        Error::harness(format!(
            "cannot make the certificate of this run in {}: {e}; set TMPDIR to a directory that can be \
             written",
            directory.display()
        ))
    })?;
    let keys = Arc::new(keys);
    made.push((kind, keys.clone()));
    Ok(keys)
}

fn random_name() -> String {
    let word = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", word(), word())
}

fn make(kind: KeyKind, directory: PathBuf) -> io::Result<RunKeys> {
    let certificates = Certificates::make(kind, &[])?;
    let server = ServerTls::new(&certificates.cert, &certificates.key)?;
    // Before the directory is made: whenever pushbench is killed, somebody knows of it.
    let mut guard = Command::new(program())
        .arg(SUBCOMMAND)
        .arg(&directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let guarded = guard.stdin.take().ok_or_else(|| io::Error::other("the guard has no pipe"))?;
    DirBuilder::new().mode(0o700).create(&directory)?;
    let texts = [&certificates.cert, &certificates.key, &certificates.ca];
    for (name, text) in NAMES.into_iter().zip(texts) {
        let path = directory.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
    }
    Ok(RunKeys { certificates, server, directory, _guarded: guarded })
}

impl RunKeys {
    /// A text with the paths of the files filled in.
    pub(super) fn filled(&self, text: &str) -> String {
        FILES.into_iter().zip(NAMES).fold(text.to_owned(), |text, (placeholder, name)| {
            text.replace(placeholder, &self.directory.join(name).to_string_lossy())
        })
    }
}

/// Whether a text names one of the files.
pub fn are_named_in(text: &str) -> bool {
    FILES.into_iter().any(|placeholder| text.contains(placeholder))
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
