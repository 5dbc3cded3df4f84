//! `pushbench init`

use crate::cli::print;
use pushbench_core::error::{Error, Result};
use pushbench_sut::manifest::OWN_FILE;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};

/// The example file; it works unchanged.
const TEXT: &str = include_str!("init.toml");

/// Describes a target in the working directory, asking nothing and overwriting nothing.
pub fn run() -> Result<()> {
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
    file.write_all(TEXT.as_bytes()).map_err(|e| {
        Error::harness(format!("cannot write {OWN_FILE}: {e}; remove it, make room and try again"))
    })?;
    print(&format!(
        "{OWN_FILE} describes a target called mine and works unchanged.\n\
         Change the lines marked <== to start your server, then type\n\n    \
         pushbench run --arm webhook@mine --arm websocket@mine\n"
    ))
}
