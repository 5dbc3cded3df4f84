//! What a shard has to know to take part in a run: the fingerprint of the coordinator's certificate, and a token that
//! the coordinator has to see. It never stands in an argument, where every user of a machine could read it.

use pushbench_core::error::{Error, Result};
use pushbench_host::input::{WRITTEN, text};
use pushbench_wire::link::Fingerprint;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{BufRead as _, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The variable that holds one.
pub const VARIABLE: &str = "PUSHBENCH_TICKET";
/// What a ticket begins with; the number is that of its form.
const BEGIN: &str = "pushbench1";
/// Others may neither read nor write the file.
const MODE: u32 = 0o600;

/// A ticket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Of the coordinator's certificate.
    pub fingerprint: Fingerprint,
    /// Random, of this run.
    pub token: [u8; 32],
}

impl Ticket {
    /// As a word.
    pub fn text(&self) -> String {
        format!("{BEGIN}:{}:{}", hex(&self.fingerprint.0), hex(&self.token))
    }

    /// Reads a word.
    fn parse(word: &str) -> Option<Ticket> {
        let mut parts = word.trim().split(':');
        let (begin, fingerprint, token) = (parts.next()?, parts.next()?, parts.next()?);
        (begin == BEGIN && parts.next().is_none()).then_some(())?;
        Some(Ticket { fingerprint: Fingerprint(unhex(fingerprint)?), token: unhex(token)? })
    }

    /// Writes it to a file of its own, which only its owner may read.
    pub fn write(&self, path: &Path) -> Result<()> {
        let cannot = |e: std::io::Error| {
            Error::usage(format!(
                "--ticket {}: {e}; name a file that does not exist",
                path.display()
            ))
        };
        // Whoever waits for the file finds all of it.
        let written = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(MODE).open(&written).map_err(cannot)?;
        let named = file
            .write_all(format!("{}\n", self.text()).as_bytes())
            .and_then(|()| Ok(renameat_with(CWD, &written, CWD, path, RenameFlags::NOREPLACE)?));
        named.map_err(|e| {
            let _never_named = std::fs::remove_file(&written);
            cannot(e)
        })
    }

    /// Takes it from the file of `--ticket`, `-` for standard input, or else from the environment.
    pub fn read(file: Option<&Path>) -> Result<Ticket> {
        let word = match file {
            Some(path) if path == Path::new("-") => {
                let mut line = String::new();
                let read = std::io::stdin().lock().take(1024).read_line(&mut line);
                read.map_err(|e| Error::usage(format!("--ticket -: standard input: {e}")))?;
                line
            }
            Some(path) => {
                let mode = std::fs::metadata(path).map(|m| m.mode() & 0o777);
                if let Some(mode) = mode.ok().filter(|mode| mode & 0o077 != 0) {
                    return Err(Error::usage(format!(
                        "--ticket {0}: others may read it (mode {mode:o}): chmod 600 {0}, and start the coordinator again for a new ticket",
                        path.display()
                    )));
                }
                text(path, WRITTEN)?
            }
            None => std::env::var(VARIABLE).map_err(|_| {
                Error::usage(format!(
                    "no ticket: the coordinator writes one to the file of its --ticket; set {VARIABLE} to its text, or name the file with --ticket FILE"
                ))
            })?,
        };
        let from = file.map_or(VARIABLE.to_owned(), |path| format!("--ticket {}", path.display()));
        Ticket::parse(&word).ok_or_else(|| {
            Error::usage(format!(
                "{from}: this is no ticket: one begins with {BEGIN}: and has three parts"
            ))
        })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    (text.len() == 64 && text.is_ascii()).then_some(())?;
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_reads_what_it_wrote_and_nothing_else() {
        let ticket = Ticket { fingerprint: Fingerprint([0xab; 32]), token: [1; 32] };
        assert!(Ticket::parse(&format!(" {}\n", ticket.text())) == Some(ticket));
        let text = ticket.text();
        for wrong in [&text[1..], &text[..text.len() - 1], &format!("{text}:"), "", "pushbench1::"]
        {
            assert!(Ticket::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_file_is_new_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ticket");
        let ticket = Ticket { fingerprint: Fingerprint([2; 32]), token: [3; 32] };
        ticket.write(&path).unwrap();
        assert!(Ticket::read(Some(&path)).ok() == Some(ticket));
        assert!(ticket.write(&path).is_err(), "it is not overwritten");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&path, open).unwrap();
        assert!(Ticket::read(Some(&path)).is_err());
    }
}
