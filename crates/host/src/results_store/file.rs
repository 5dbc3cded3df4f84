//! Files and directories that are written: nothing that was there before is lost.

use crate::console;
use crate::results_store::cannot;
use crate::secrets;
use pushbench_core::error::{Error, Result};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Symbolic links that are followed, as many as Linux does.
const MOST_LINKS: usize = 40;

/// Writes a file so that readers see the old one or the new one, never half. Symbolic links are followed.
/// What is no regular file (a device, a FIFO) and what is open already (`/dev/stdout`) is written to as it
/// is; a reader that has gone is no error.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let bytes = &secrets::hide_document(bytes);
    let write = || match destination(path)? {
        Destination::Replace(path) => replace(&path, bytes),
        Destination::InPlace(file) => match console::write_all(file.as_fd(), bytes) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        },
    };
    write().map_err(|e| cannot("write", path, &e))
}

enum Destination {
    /// A regular file, or none yet.
    Replace(PathBuf),
    InPlace(OwnedFd),
}

fn destination(path: &Path) -> io::Result<Destination> {
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        let kind = match fs::symlink_metadata(&at) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Destination::Replace(at)),
            other => other?.file_type(),
        };
        if kind.is_file() {
            return Ok(Destination::Replace(at));
        }
        if !kind.is_symlink() {
            let file = OpenOptions::new().write(true).open(at)?;
            return Ok(Destination::InPlace(file.into()));
        }
        let folder = fs::canonicalize(folder(&at))?;
        // Links of /proc lead to open files, which need not have a name.
        if folder.starts_with("/proc") {
            return already_open(&folder, &at).map(Destination::InPlace);
        }
        at = folder.join(fs::read_link(&at)?);
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// The open file behind a link of /proc. Our own output is not opened again: it continues at its position.
fn already_open(folder: &Path, link: &Path) -> io::Result<OwnedFd> {
    let own = Path::new("/proc").join(std::process::id().to_string()).join("fd");
    match link.file_name().and_then(|name| name.to_str()) {
        Some("1") if *folder == own => io::stdout().as_fd().try_clone_to_owned(),
        Some("2") if *folder == own => io::stderr().as_fd().try_clone_to_owned(),
        _ => Ok(OpenOptions::new().append(true).open(link)?.into()),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // One that may not be written to is not replaced either.
    let old = match OpenOptions::new().write(true).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        other => Some(other?),
    };
    match (persist(path, bytes, old.as_ref()), old) {
        // Nothing may be made in that directory, or the file is a mount point.
        (Err(e), Some(mut old)) if is_in_the_way(&e) => {
            old.set_len(0)?;
            old.write_all(bytes)
        }
        (done, _) => done,
    }
}

fn is_in_the_way(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ResourceBusy)
}

fn persist(path: &Path, bytes: &[u8], old: Option<&File>) -> io::Result<()> {
    // Temporary files are private; results have the permissions of the user's umask.
    let mode = Permissions::from_mode(0o666);
    let mut new = tempfile::Builder::new().permissions(mode).tempfile_in(folder(path))?;
    new.write_all(bytes)?;
    if let Some(old) = old {
        let old = old.metadata()?;
        let _only_root_may = std::os::unix::fs::fchown(&new, Some(old.uid()), Some(old.gid()));
        new.as_file().set_permissions(old.permissions())?;
    }
    new.persist(path)?;
    Ok(())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses a place for results that is taken: what is there is not overwritten.
pub fn vacant(dir: &Path) -> Result<()> {
    let shown = dir.display();
    let taken = match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => return Ok(()),
            Some(_) => format!(
                "results directory {shown} already exists and is not empty; its files are not overwritten"
            ),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(dir) {
            Err(_) => return Ok(()),
            Ok(_) => format!("{shown} is a symbolic link to a directory that does not exist"),
        },
        Err(_) if dir.exists() && !dir.is_dir() => format!("{shown} is not a directory"),
        Err(e) => return Err(cannot("make the results directory", dir, &e)),
    };
    Err(Error::usage(format!("{taken}; choose another with --out")))
}

/// Makes a results directory, or takes an empty one; true when it was made.
pub fn create_dir(dir: &Path) -> Result<bool> {
    vacant(dir)?;
    let made = !dir.is_dir();
    fs::create_dir_all(dir).map_err(|e| cannot("make the results directory", dir, &e))?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{FromRawFd as _, RawFd};
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("folder")).unwrap();
        fs::write(path("folder/file"), "old").unwrap();
        symlink("folder/file", path("link")).unwrap();
        symlink("link", path("second")).unwrap();
        symlink("folder/new", path("dangling")).unwrap();
        write_atomically(&path("second"), b"new").unwrap();
        write_atomically(&path("dangling"), b"made").unwrap();
        for link in ["link", "second", "dangling"] {
            assert!(path(link).is_symlink(), "{link} was replaced");
        }
        assert_eq!(
            (read(&path("folder/file")), read(&path("folder/new"))),
            ("new".into(), "made".into())
        );
        symlink("loop", path("loop")).unwrap();
        assert!(write_atomically(&path("loop"), b"x").is_err());
        assert!(path("loop").is_symlink());
    }

    #[test]
    fn a_fifo_gets_the_text_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (fifo, link) = (dir.path().join("fifo"), dir.path().join("link"));
        let mode = rustix::fs::Mode::from(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        symlink("fifo", &link).unwrap();
        for path in [&fifo, &link] {
            let fifo = fifo.clone();
            let reader = std::thread::spawn(move || read(&fifo));
            write_atomically(path, b"for the reader").unwrap();
            assert_eq!(reader.join().unwrap(), "for the reader");
        }
        assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
    }

    /// A pseudo-terminal is a device that is the test's own, in a directory in which nothing can be made.
    #[test]
    fn a_device_gets_the_text_and_stays() {
        let (mut ours, mut theirs): (RawFd, RawFd) = (-1, -1);
        let none = std::ptr::null_mut();
        // SAFETY: both places are valid, and no name and no settings are wanted.
        let opened =
            unsafe { libc::openpty(&mut ours, &mut theirs, none, none.cast(), none.cast()) };
        assert_eq!(opened, 0);
        // SAFETY: both were just opened and have no other owner.
        let (mut ours, theirs) = unsafe { (File::from_raw_fd(ours), File::from_raw_fd(theirs)) };
        let number = std::os::fd::AsRawFd::as_raw_fd(&theirs);
        let device = fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
        write_atomically(&device, b"to the terminal").unwrap();
        let mut bytes = [0; 64];
        let length = io::Read::read(&mut ours, &mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"to the terminal");
        assert!(fs::symlink_metadata(&device).unwrap().file_type().is_char_device());
    }

    #[test]
    fn an_open_file_is_written_behind_what_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"before, ").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        write_atomically(Path::new(&format!("/dev/fd/{number}")), b"behind").unwrap();
        assert_eq!(read(&path), "before, behind");
    }

    #[test]
    fn a_file_keeps_its_mode_and_a_protected_one_its_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        write_atomically(&path, b"one").unwrap();
        let usual = dir.path().join("usual");
        File::create(&usual).unwrap();
        assert_eq!(mode(&path), mode(&usual), "as any program makes a file");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!((mode(&path), read(&path)), (0o600, "two".into()));
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        let protected = OpenOptions::new().write(true).open(&path).is_err(); // not from root
        assert_eq!(write_atomically(&path, b"three").is_err(), protected);
        assert_eq!(read(&path), if protected { "two" } else { "three" });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file is left");
    }

    #[test]
    fn an_empty_directory_is_taken_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        assert!(!create_dir(dir.path()).unwrap());
        assert!(create_dir(&path("a/b")).unwrap());
        let refused = |name: &str| create_dir(&path(name)).unwrap_err().to_string();
        assert!(refused("a").contains("is not empty"), "{}", refused("a"));
        symlink("nowhere", path("dangling")).unwrap();
        assert!(refused("dangling").contains("symbolic link"), "{}", refused("dangling"));
        fs::write(path("file"), "").unwrap();
        assert!(refused("file").contains("not a directory"), "{}", refused("file"));
        assert!(refused("file/below").contains("part of that path"), "{}", refused("file/below"));
    }
}
