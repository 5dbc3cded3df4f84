//! Fresh copies of executables. Starts of one file share its pages in memory: how they lie there is the same luck
//! for all of them, and another luck for a second file. Where every start has a file of its own, that luck is drawn
//! anew for each program in each block, and is a part of the deviation between blocks.

use crate::executable::Executable;
use crate::manifest::Manifest;
use crate::private_directory::PrivateDirectory;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::executables::Executables;
use rustix::fs::{StatVfsMountFlags, statvfs};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Digits in the name of a copy's folder, more where the name of the executable is shorter than others.
const DIGITS: usize = 6;
/// Bytes that are read and written at once. The kernel is not asked to copy: it may share the data instead.
const CHUNK: usize = 1 << 20;

/// The place of all copies. It is removed when the last manifest that is copied is gone.
struct Place {
    directory: PrivateDirectory,
    /// Copies made so far.
    copies: AtomicUsize,
    /// Groups of targets that were started so far.
    groups: AtomicUsize,
}

/// Makes a copy of one executable for each start.
#[derive(Clone)]
pub(super) struct Copies {
    place: Arc<Place>,
    executable: Arc<Executable>,
    /// Digits in the name of the folder.
    digits: usize,
}

impl std::fmt::Debug for Copies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "copies of {}", self.executable.path.display())
    }
}

/// A copy that one target runs from. Dropping it removes it.
pub(super) struct ProgramCopy {
    path: PathBuf,
    word: usize,
}

/// From now on each start of these targets has a fresh copy of its executable, at paths of one length; or none of
/// them, where one cannot be copied. The copies lie in the directory for temporary files, or in `fallback` where
/// nothing may be executed there.
///
/// # Errors
/// The directory cannot be made, or there is no room for a copy for each of them.
pub fn give(manifests: &mut [&mut Manifest], fallback: &Path) -> Result<Executables> {
    let temporary = std::env::temp_dir();
    let Some(parent) = [temporary.as_path(), fallback].into_iter().find(|dir| may_execute(dir))
    else {
        return Ok(Executables::InPlace(format!(
            "{} and {} are mounted noexec; TMPDIR may name another directory",
            temporary.display(),
            fallback.display()
        )));
    };
    give_in(manifests, parent)
}

fn give_in(manifests: &mut [&mut Manifest], parent: &Path) -> Result<Executables> {
    let found = manifests.iter().map(|manifest| Executable::of(manifest));
    let executables = match found.collect::<std::result::Result<Vec<_>, String>>() {
        Ok(executables) => executables,
        Err(why) => return Ok(Executables::InPlace(why)),
    };
    check_room(parent, executables.iter().map(Executable::copied_bytes).sum())?;
    let made =
        std::path::absolute(parent).and_then(|dir| PrivateDirectory::make_in(&dir, "programs"));
    let directory = made.map_err(|e| {
        Error::harness(format!(
            "cannot make a directory for copies of executables in {}: {e}; name another directory in TMPDIR",
            parent.display()
        ))
    })?;
    let (copies, groups) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let place = Arc::new(Place { directory, copies, groups });
    let longest = executables.iter().map(|e| e.name.len()).max().unwrap_or(0);
    for (manifest, executable) in manifests.iter_mut().zip(executables) {
        let digits = DIGITS + longest - executable.name.len();
        let executable = Arc::new(executable);
        manifest.copies = Some(Copies { place: place.clone(), executable, digits });
    }
    Ok(Executables::Copied)
}

/// Files there may be executed, as far as the mount tells.
fn may_execute(dir: &Path) -> bool {
    statvfs(dir).is_ok_and(|of| !of.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

fn check_room(dir: &Path, bytes: u64) -> Result<()> {
    let Ok(of) = statvfs(dir) else { return Ok(()) };
    let free = of.f_bavail.saturating_mul(of.f_frsize);
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    match free < bytes {
        true => Err(Error::harness(format!(
            "{} has {} MiB free, and copies of the executables need {} MiB: free some space, or name a directory \
             with more in TMPDIR",
            dir.display(),
            free >> 20,
            mib(bytes)
        ))),
        false => Ok(()),
    }
}

impl Manifest {
    /// Whether each of its starts has a copy of its executable.
    pub fn is_copied(&self) -> bool {
        self.copies.is_some()
    }

    /// Its starts have no copies of their executable any more.
    pub fn run_in_place(&mut self) {
        self.copies = None;
    }
}

/// Makes the copies of targets that are started together, in an order that rotates from one group to the next: no
/// target of a gate always has the first one.
pub(super) fn make_all(manifests: &[&Manifest]) -> Result<Vec<Option<ProgramCopy>>> {
    let mut made: Vec<Option<ProgramCopy>> = manifests.iter().map(|_| None).collect();
    let Some(copies) = manifests.iter().find_map(|manifest| manifest.copies.as_ref()) else {
        return Ok(made);
    };
    let first = copies.place.groups.fetch_add(1, Ordering::Relaxed);
    for i in rotated(first, manifests.len()) {
        made[i] = manifests[i].copies.as_ref().map(Copies::make).transpose()?;
    }
    Ok(made)
}

fn rotated(first: usize, count: usize) -> impl Iterator<Item = usize> {
    (first..first + count).map(move |i| i % count)
}

impl Copies {
    fn make(&self) -> Result<ProgramCopy> {
        let Copies { place, executable, digits } = self;
        let number = place.copies.fetch_add(1, Ordering::Relaxed);
        let folder = place.directory.path().join(format!("{number:0digits$}"));
        let copy = ProgramCopy { path: folder.join(&executable.name), word: executable.word };
        write(executable, &folder, &copy.path).map_err(|e| {
            Error::harness(format!(
                "cannot copy {} to {}: {e}; name a directory with more room in TMPDIR",
                executable.path.display(),
                copy.path.display()
            ))
        })?;
        Ok(copy)
    }
}

fn write(executable: &Executable, folder: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(folder)?;
    let to = OpenOptions::new().write(true).create_new(true).mode(0o700).open(path)?;
    let mut chunk = vec![0; CHUNK];
    for part in executable.copied() {
        let mut at = part.start;
        while at < part.end {
            let most = chunk.len().min((part.end - at) as usize);
            match executable.file.read_at(&mut chunk[..most], at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    to.write_all_at(&chunk[..read], at)?;
                    at += read as u64;
                }
            }
        }
    }
    to.set_len(executable.bytes)
}

impl ProgramCopy {
    /// Puts its path in the place of the program.
    pub fn fill_in(&self, words: &mut [String]) {
        words[self.word] = self.path.to_string_lossy().into_owned();
    }
}

impl Drop for ProgramCopy {
    fn drop(&mut self) {
        // What is left goes with the directory of all copies.
        let _removed = fs::remove_file(&self.path)
            .and_then(|()| self.path.parent().map_or(Ok(()), fs::remove_dir));
    }
}

#[cfg(test)]
#[path = "copies_tests.rs"]
mod tests;
