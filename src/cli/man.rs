//! `pushbench man`

use crate::cli::Cli;
use clap::CommandFactory as _;
use pushbench_core::error::{Error, Result};
use pushbench_host::results_store::write_atomically;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// An existing directory, such as ~/.local/share/man/man1
    dir: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    if !args.dir.is_dir() {
        let dir = args.dir.to_string_lossy();
        let quoted = shell_words::quote(&dir);
        return Err(Error::usage(format!(
            "{dir} is no directory: make it with `mkdir -p {quoted}`"
        )));
    }
    write_pages(&args.dir)
}

/// A page for the program and one for each of its commands.
fn write_pages(dir: &Path) -> Result<()> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    for command in std::iter::once(&program).chain(program.get_subcommands()) {
        let (page, mut text) = (clap_mangen::Man::new(command.clone()), Vec::new());
        page.render(&mut text)
            .map_err(|e| Error::harness(format!("{}: {e}", page.get_filename())))?;
        // Aligned left: a line with a long list of names cannot be justified.
        let text = String::from_utf8_lossy(&text).replacen("\n.SH", "\n.ad l\n.SH", 1);
        write_atomically(&dir.join(page.get_filename()), text.as_bytes())?;
    }
    Ok(())
}
