//! The files of one target, which it keeps when it is started again.

use crate::copies::ProgramCopy;
use crate::manifest::{Manifest, SELF};
use crate::private_directory::PrivateDirectory;
use crate::program;
use pushbench_core::error::{Error, Result};

/// Stands for the file of a publisher's store, which outlives a restart, in commands.
pub(super) const STORE: &str = "{store}";

/// The files of one target. They are removed when it has ended.
#[derive(Default)]
pub(super) struct TargetFiles {
    /// Where its store is, if it has one.
    store: Option<PrivateDirectory>,
    /// What it runs from, if that is not its own executable.
    copy: Option<ProgramCopy>,
}

impl TargetFiles {
    /// Makes the directory of its store.
    pub fn make(manifest: &Manifest, copy: Option<ProgramCopy>) -> Result<TargetFiles> {
        let stores = manifest.command.iter().flatten().any(|word| word == STORE);
        let store = stores.then(|| PrivateDirectory::make("store")).transpose().map_err(|e| {
            Error::harness(format!("cannot make a directory for the store: {e}; check TMPDIR"))
        })?;
        Ok(TargetFiles { store, copy })
    }

    /// The file of its store.
    pub fn store(&self) -> String {
        self.store.as_ref().map_or(String::new(), |directory| {
            directory.path().join("events.sqlite").display().to_string()
        })
    }

    /// Puts the path of its program into its command.
    pub fn name_program(&self, words: &mut [String]) {
        match &self.copy {
            Some(copy) => copy.fill_in(words),
            None if words[0] == SELF => words[0] = program().to_string_lossy().into_owned(),
            None => {}
        }
    }
}
