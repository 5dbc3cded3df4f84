//! Programs under test: what they serve, how they are set up, started, watched and ended.
//!
//! The walk of one target: [`manifest::find`] reads what it is, [`setup::ensure`] prepares it once in
//! the user's cache directory, [`process::start_all`] runs it under a [`supervisor`] and waits until it
//! is ready. The supervisor is a small process of its own, so that nothing outlives pushbench, however
//! pushbench ends.

#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

mod client_tls;
pub mod copies;
mod description;
pub mod ease_of_implementation;
mod elsewhere;
mod executable;
pub mod given;
mod hello_requests;
mod http;
pub mod instructions;
mod listening;
pub mod manifest;
mod memory_cgroup;
mod output;
mod port;
pub mod private_directory;
pub mod process;
pub mod protocol_keys;
pub mod proxy;
pub mod publisher;
mod publishing_keys;
mod ready;
mod receiver;
mod request_keys;
pub mod run_keys;
pub mod secret_text;
pub mod setup;
mod shipped_files;
mod startup_diagnostics;
mod subscriber_urls;
mod supervised;
pub mod supervisor;
mod target_files;
mod tls;
mod tls_keys;
mod tree;
mod values;

use std::path::PathBuf;
use std::sync::OnceLock;

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
static CACHE: OnceLock<PathBuf> = OnceLock::new();

/// Names the pushbench binary, for programs that use this library: supervisors and built-in servers are
/// started from it. Only the first call counts.
pub fn set_program(path: PathBuf) {
    let _already_named = PROGRAM.set(path);
}

/// Names the folder to cache in, for programs that use this library: it replaces XDG_CACHE_HOME.
/// Only the first call counts.
pub fn set_cache(path: PathBuf) {
    let _already_named = CACHE.set(path);
}

/// The pushbench binary: the one running, unless another was named.
fn program() -> &'static PathBuf {
    PROGRAM.get_or_init(|| match std::env::current_exe() {
        Ok(path) if path.exists() => path,
        // The file was replaced while it runs; the kernel still has the old one.
        _ => PathBuf::from("/proc/self/exe"),
    })
}
