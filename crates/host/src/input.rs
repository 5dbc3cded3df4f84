//! Reads the files that a user names: regular files only, up to a stated size. A device or a pipe would be
//! read without end, or never answer.

use pushbench_core::error::{Error, Result};
use pushbench_core::origin::Origin;
use pushbench_core::scenario;
use pushbench_core::scenario::{Override, Question, Source, payload};
use std::fmt;
use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The most that is read of a file that people write: `pushbench.toml`, a scenario, waivers.
pub const WRITTEN: u64 = 1 << 20;
/// The most that is read of a file that a program writes: a lockfile, code, a record of a run.
pub const GENERATED: u64 = 256 << 20;

/// Why a file could not be read, with its name and what to do.
#[derive(Debug)]
pub struct Unreadable {
    message: String,
    /// The same without the file's name.
    why: String,
    kind: io::ErrorKind,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Unreadable {
    fn new(path: &Path, kind: io::ErrorKind, why: impl fmt::Display) -> Unreadable {
        let why = why.to_string();
        Unreadable { message: format!("cannot read {}: {why}", path.display()), why, kind }
    }

    fn io(path: &Path, e: &io::Error) -> Unreadable {
        Unreadable::new(path, e.kind(), e)
    }

    /// There is no such file.
    pub fn is_missing(&self) -> bool {
        self.kind == io::ErrorKind::NotFound
    }
}

impl From<Unreadable> for Error {
    fn from(e: Unreadable) -> Error {
        Error::usage(e.message)
    }
}

impl From<Unreadable> for io::Error {
    fn from(e: Unreadable) -> io::Error {
        io::Error::new(e.kind, e.why)
    }
}

/// The text of a regular file of at most `most` bytes, without a byte order mark.
pub fn text(path: &Path, most: u64) -> std::result::Result<String, Unreadable> {
    read(path, most, false).and_then(|bytes| utf8(path, bytes))
}

/// The same of a regular file or a pipe such as `<(command)`, read to its end.
pub(crate) fn text_or_pipe(path: &Path, most: u64) -> std::result::Result<String, Unreadable> {
    read(path, most, true).and_then(|bytes| utf8(path, bytes))
}

/// The bytes of a regular file of at most `most` bytes.
pub fn bytes(path: &Path, most: u64) -> std::result::Result<Vec<u8>, Unreadable> {
    read(path, most, false)
}

/// Loads a shipped scenario by name or any by path, with overrides applied.
pub fn scenario(name_or_path: &str, overrides: &[Override]) -> Result<Question> {
    let path = Path::new(name_or_path);
    let is_path = name_or_path.contains('/') || name_or_path.ends_with(".toml") || path.is_file();
    let source = match Source::shipped(name_or_path) {
        Err(_) if is_path => {
            let text = text_or_pipe(path, WRITTEN)
                .map_err(|e| Error::usage(format!("{e}; see `pushbench list scenarios`")))?;
            let name = path.file_stem().and_then(|s| s.to_str()).unwrap_or("scenario").to_owned();
            let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
            Source { name, file: name_or_path.to_owned(), text, folder }
        }
        shipped => shipped?,
    };
    let read = |path: &Path| text(path, payload::MAX_BYTES as u64).map_err(|e| e.to_string());
    scenario::read(source, overrides, &read)
}

/// Opens a regular file; links are followed.
pub fn open(path: &Path) -> std::result::Result<File, Unreadable> {
    opened(path, false).map(|(file, _)| file)
}

fn opened(path: &Path, pipes: bool) -> std::result::Result<(File, Metadata), Unreadable> {
    let io = |e: io::Error| Unreadable::io(path, &e);
    let check = |about: &Metadata| match about.file_type() {
        t if t.is_file() || (pipes && t.is_fifo()) => Ok(()),
        t => Err(Unreadable::new(
            path,
            io::ErrorKind::InvalidInput,
            format!("it is {}, not a file: give the path of a file", name(t)),
        )),
    };
    // A device may act on being opened, so it is not.
    let before = std::fs::metadata(path).map_err(io)?;
    check(&before)?;
    // What has taken the file's place since then does not block either.
    let flags = if before.is_file() { libc::O_NONBLOCK } else { 0 };
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(io)?;
    let about = file.metadata().map_err(io)?;
    check(&about)?;
    Ok((file, about))
}

fn read(path: &Path, most: u64, pipes: bool) -> std::result::Result<Vec<u8>, Unreadable> {
    let (file, about) = opened(path, pipes)?;
    let mut bytes = Vec::new();
    if about.len() <= most {
        file.take(most + 1).read_to_end(&mut bytes).map_err(|e| Unreadable::io(path, &e))?;
    }
    if about.len() > most || bytes.len() as u64 > most {
        return Err(Unreadable::new(
            path,
            io::ErrorKind::InvalidInput,
            format!(
                "it has {} bytes, but the limit is {most}: check that it is the right file",
                about.len().max(bytes.len() as u64)
            ),
        ));
    }
    Ok(bytes)
}

fn name(kind: FileType) -> &'static str {
    match kind {
        t if t.is_dir() => "a directory",
        t if t.is_fifo() => "a pipe",
        t if t.is_socket() => "a socket",
        _ => "a device",
    }
}

fn utf8(path: &Path, bytes: Vec<u8>) -> std::result::Result<String, Unreadable> {
    let wide = bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff])
        || bytes.iter().take(2).any(|b| *b == 0);
    let refused = |at: Origin, what: &str| Unreadable {
        message: format!("{at}: {what}: save the file as UTF-8"),
        why: format!("{what}: save the file as UTF-8"),
        kind: io::ErrorKind::InvalidData,
    };
    let file = path.display().to_string();
    if wide {
        return Err(refused(Origin::at(&file, "", 0), "this is not UTF-8; it looks like UTF-16"));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let valid = e.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&e.as_bytes()[..valid]);
        let byte = e.as_bytes().get(valid).copied().unwrap_or_default();
        refused(
            Origin::at(&file, &before, valid),
            &format!("the byte 0x{byte:02x} is not valid UTF-8"),
        )
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn refused(path: &Path) -> String {
        text(path, WRITTEN).unwrap_err().to_string()
    }

    fn make_fifo(path: &Path) {
        use rustix::fs::{CWD, Mode, mkfifoat};
        mkfifoat(CWD, path, Mode::from(0o600)).unwrap();
    }

    #[test]
    fn only_regular_files_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("file"), "a").unwrap();
        symlink("file", path("link")).unwrap();
        assert_eq!(text(&path("link"), WRITTEN).unwrap(), "a");

        symlink("/dev/zero", path("zero")).unwrap();
        assert!(refused(&path("zero")).contains("it is a device"));
        assert!(refused(dir.path()).contains("it is a directory"));
        make_fifo(&path("fifo"));
        assert!(refused(&path("fifo")).contains("it is a pipe"));
        let _listener = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert!(refused(&path("socket")).contains("it is a socket"));
        assert!(text(&path("gone"), WRITTEN).unwrap_err().is_missing());
    }

    #[test]
    fn a_pipe_is_read_where_it_may_be_one_and_no_further_than_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let (path, most) = (dir.path().join("fifo"), 100);
        make_fifo(&path);
        for (length, fits) in [(100, true), (101, false)] {
            let there = path.clone();
            let writer = std::thread::spawn(move || std::fs::write(there, "a".repeat(length)));
            assert_eq!(text_or_pipe(&path, most).is_ok(), fits, "{length}");
            writer.join().unwrap().unwrap();
        }
    }

    #[test]
    fn a_scenario_is_a_name_or_a_file_and_its_payload_stands_beside_it() {
        assert_eq!(scenario("ingest", &[]).unwrap().name, "ingest");
        let e = scenario("no/such.toml", &[]).unwrap_err().to_string();
        assert!(e.contains("no/such.toml") && e.contains("No such file"), "{e}");
        let e = scenario("ingset", &[]).unwrap_err().to_string();
        assert!(e.contains("did you mean \"ingest\""), "{e}");

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.toml");
        let load = || scenario(path.to_str().unwrap(), &[]);
        std::fs::write(&path, "[load]\nrate = 5\n[payload]\nfile = \"e.json\"\n").unwrap();
        let e = load().unwrap_err().to_string();
        assert!(e.contains("mine.toml:4:1") && e.contains("No such file"), "{e}");
        std::fs::write(dir.path().join("e.json"), "{\"type\": \"t\", \"data\": 1}").unwrap();
        assert_eq!(load().unwrap().name, "mine");
    }

    #[test]
    fn the_size_is_limited_and_the_encoding_named_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.toml");
        let write = |bytes: &[u8]| std::fs::write(&path, bytes).unwrap();
        write(&vec![b'a'; WRITTEN as usize + 1]);
        assert!(refused(&path).contains("it has 1048577 bytes, but the limit is 1048576"));
        write(b"a = 1\nb = \"\xe9\"\n");
        assert!(
            refused(&path)
                .contains("x.toml:2:6: the byte 0xe9 is not valid UTF-8: save the file as UTF-8")
        );
        for wide in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a", b"a\0=\0", b"\0a\0="] {
            write(wide);
            assert!(refused(&path).contains("x.toml:1:1: this is not UTF-8; it looks like UTF-16"));
        }
        write("\u{feff}a = 1".as_bytes());
        assert_eq!(text(&path, WRITTEN).unwrap(), "a = 1");
    }
}
