//! Certificate and key of a run, as values and as files for targets: in a directory of mode 0700, files of mode
//! 0600.

use crate::private_directory::PrivateDirectory;
use pushbench_core::error::{Error, Result};
use pushbench_core::scenario::KeyKind;
use pushbench_wire::tls::ServerTls;
use pushbench_wire::tls::certificates::Certificates;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

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
    directory: PrivateDirectory,
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
    let keys = Arc::new(make(kind).map_err(|e| {
        Error::harness(format!(
            "cannot make the certificate of this run in {}: {e}; set TMPDIR to a directory that can be \
             written",
            std::env::temp_dir().display()
        ))
    })?);
    made.push((kind, keys.clone()));
    Ok(keys)
}

fn make(kind: KeyKind) -> io::Result<RunKeys> {
    let certificates = Certificates::make(kind, &[])?;
    let server = ServerTls::new(&certificates.cert, &certificates.key)?;
    let directory = PrivateDirectory::make("keys")?;
    let texts = [&certificates.cert, &certificates.key, &certificates.ca];
    for (name, text) in NAMES.into_iter().zip(texts) {
        directory.write(name, text)?;
    }
    Ok(RunKeys { certificates, server, directory })
}

impl RunKeys {
    /// A text with the paths of the files filled in.
    pub(super) fn filled(&self, text: &str) -> String {
        FILES.into_iter().zip(NAMES).fold(text.to_owned(), |text, (placeholder, name)| {
            text.replace(placeholder, &self.directory.path().join(name).to_string_lossy())
        })
    }
}

/// Whether a text names one of the files.
pub fn are_named_in(text: &str) -> bool {
    FILES.into_iter().any(|placeholder| text.contains(placeholder))
}
