//! `pushbench init`

use crate::cli::print;
use crate::cli::proposal;
use crate::cli::proposal::Proposal;
use pushbench_core::error::{Error, Result};
use pushbench_sut::manifest::{OWN_FILE, described};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// The example file; it works unchanged.
const TEXT: &str = include_str!("init.toml");
/// What follows the tables of the example, and of a proposal.
const MORE: &str = "# A server that is running already";

/// Describes a target in the working directory, asking nothing, executing nothing and overwriting nothing.
pub fn run() -> Result<()> {
    let found = proposal::of(Path::new("")).map(|found| (file(&found), found));
    // A proposal that is no valid description would be worse than the example.
    let valid =
        |text: &str| described(OWN_FILE, text).is_ok_and(|all| all.iter().all(|d| d.read.is_ok()));
    let (text, next) = match found.filter(|(text, _)| valid(text)) {
        Some((text, found)) => {
            let next = format!(
                "{OWN_FILE} describes a target called mine, proposed from {}; nothing was executed.\n\
                 Verify the lines marked <== (the command, how it gets its port, the paths), then type\n\n    \
                 pushbench check\n    {}\n",
                found.reason(),
                found.run()
            );
            (text, next)
        }
        None => {
            let next = format!(
                "{OWN_FILE} describes a target called mine and works unchanged.\n\
                 Change the lines marked <== to start your server, then type\n\n    \
                 pushbench run --arm webhook@mine --arm websocket@mine\n"
            );
            (TEXT.to_owned(), next)
        }
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(OWN_FILE).map_err(|e| {
        match e.kind() {
            ErrorKind::AlreadyExists => Error::usage(format!(
                "{OWN_FILE} exists and was not changed: add your server to it (`pushbench list \
                 targets` shows what it describes), or move it away and type `pushbench init` again"
            )),
            _ => Error::harness(format!(
                "cannot write {OWN_FILE}: {e}; change to a directory you may write to"
            )),
        }
    })?;
    file.write_all(text.as_bytes()).map_err(|e| {
        Error::harness(format!("cannot write {OWN_FILE}: {e}; remove it, make room and try again"))
    })?;
    print(&next)
}

fn file(found: &Proposal) -> String {
    let more = TEXT.find(MORE).map_or("", |at| &TEXT[at..]);
    found.tables() + more
}
