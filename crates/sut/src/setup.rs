//! Prepares targets that need it, once: shipped ones in the user's cache directory.

use crate::manifest::{Files, Manifest};
use crate::supervised::{CommandSpec, Supervised};
use include_dir::Dir;
use pushbench_core::error::{Error, Result};
use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Pause between two looks at a command or a lock.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Programs that set-ups start, and the packages of Debian and Ubuntu that hold them.
const PACKAGES: [(&str, &str); 5] = [
    ("python3", "python3 python3-venv"),
    ("pip", "python3-pip"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("cargo", "cargo"),
];

/// The folder a target runs in; none for this program's own servers. Nothing is created.
pub(super) fn folder(manifest: &Manifest) -> Result<Option<PathBuf>> {
    let base = match &manifest.files {
        Files::None => return Ok(None),
        Files::Own(folder) => folder.clone(),
        Files::Shipped(dir) => cache()?.join(name_of(manifest, |hash| hash_files(dir, hash))),
    };
    Ok(Some(manifest.cwd.as_ref().map_or(base.clone(), |cwd| base.join(cwd))))
}

/// Prepares the target if that was not done yet. `say` receives a line per step.
///
/// Two runs at once wait for one another. What was begun and not finished is begun again.
pub fn ensure(
    manifest: &Manifest,
    interrupt: &AtomicBool,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    let key = match &manifest.files {
        Files::None => return Ok(()),
        Files::Own(_) if manifest.setup.is_empty() => return Ok(()),
        Files::Own(folder) => name_of(manifest, |hash| folder.hash(hash)),
        Files::Shipped(dir) => name_of(manifest, |hash| hash_files(dir, hash)),
    };
    let cache = cache()?;
    let unusable = |e: io::Error| {
        Error::harness(format!(
            "cannot use the cache directory {}: {e}; choose another in XDG_CACHE_HOME",
            cache.display()
        ))
    };
    fs::create_dir_all(&cache).map_err(unusable)?;
    let done = cache.join(format!("{key}.complete"));
    let lock = File::create(cache.join(format!("{key}.lock"))).map_err(unusable)?;
    wait_for(&lock, interrupt, &mut || {
        say(&format!("{} is being set up by another run", manifest.name))
    })?;
    let folder = folder(manifest)?.unwrap_or_default();
    if done.exists() && works(manifest, &folder) {
        return Ok(());
    }
    if let Files::Shipped(dir) = &manifest.files {
        let _not_there = fs::remove_file(&done);
        unpack(dir, &cache.join(&key)).map_err(unusable)?;
    }
    for command in &manifest.setup {
        say(&format!("setting up {} (once): {command}", manifest.name));
        run(manifest, command, &folder, interrupt)?;
    }
    fs::write(&done, "").map_err(unusable)
}

fn cache() -> Result<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let named = || crate::CACHE.get().cloned().or_else(|| absolute("XDG_CACHE_HOME"));
    let cache = named().or_else(|| Some(absolute("HOME")?.join(".cache")));
    cache.map(|c| c.join("pushbench").join("targets")).ok_or_else(|| {
        Error::harness(
            "HOME is not set, so there is no directory for targets: set XDG_CACHE_HOME to a directory",
        )
    })
}

/// Changed files or commands are another target.
fn name_of(manifest: &Manifest, more: impl FnOnce(&mut DefaultHasher)) -> String {
    let mut hash = DefaultHasher::new();
    manifest.setup.hash(&mut hash);
    more(&mut hash);
    format!("{}-{:016x}", manifest.name, hash.finish())
}

fn hash_files(dir: &Dir<'_>, hash: &mut DefaultHasher) {
    for file in dir.files() {
        file.path().hash(hash);
        file.contents().hash(hash);
    }
    dir.dirs().for_each(|sub| hash_files(sub, hash));
}

/// A virtual environment breaks when the Python it was made with is gone, and caches are cleaned.
fn works(manifest: &Manifest, folder: &Path) -> bool {
    let program = manifest.command.as_ref().and_then(|c| c.first());
    folder.is_dir() && program.is_none_or(|p| !p.contains('/') || folder.join(p).exists())
}

fn unpack(dir: &Dir<'_>, to: &Path) -> io::Result<()> {
    match fs::remove_dir_all(to) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => fs::create_dir_all(to)?,
    }
    let base = dir.path();
    let mut folders = vec![dir];
    while let Some(dir) = folders.pop() {
        for file in dir.files() {
            let path = to.join(file.path().strip_prefix(base).unwrap_or(file.path()));
            fs::create_dir_all(path.parent().unwrap_or(to))?;
            fs::write(path, file.contents())?;
        }
        folders.extend(dir.dirs());
    }
    Ok(())
}

fn wait_for(lock: &File, interrupt: &AtomicBool, waiting: &mut dyn FnMut()) -> Result<()> {
    let mut last_lines = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut last_lines, true) {
                    waiting();
                }
                pause(interrupt)?;
            }
            Err(TryLockError::Error(e)) => {
                return Err(Error::harness(format!("cannot lock the cache directory: {e}")));
            }
        }
    }
}

fn pause(interrupt: &AtomicBool) -> Result<()> {
    if interrupt.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    std::thread::sleep(POLL_INTERVAL);
    Ok(())
}

fn run(manifest: &Manifest, command: &str, folder: &Path, interrupt: &AtomicBool) -> Result<()> {
    let name = &manifest.name;
    let words = shell_words::split(command).unwrap_or_default();
    let Some(program) = words.first() else { return Ok(()) };
    if !program.contains('/') && !on_path(program) {
        return Err(Error::target(format!(
            "setting up {name} needs {program}, which is not installed{}",
            package(program)
        )));
    }
    let command_spec = CommandSpec {
        words: &words,
        cpus: &[],
        folder: Some(folder),
        env: &manifest.env,
        wants_cgroup: false,
        wanted: None,
    };
    let mut supervised = Supervised::start(&command_spec)
        .map_err(|e| Error::harness(format!("setting up {name} in {}: {e}", folder.display())))?;
    let how = loop {
        match supervised.ended() {
            Some(Ok(how)) if how == "exited with code 0" => return Ok(()),
            Some(Ok(how)) => break format!("\"{command}\" {how}"),
            Some(Err(why)) => break format!("cannot execute \"{program}\": {why}"),
            None => pause(interrupt)?,
        }
    };
    let tail = supervised.final_output();
    Err(Error::target(format!(
        "setting up {name} failed: {how}{}\n  {}\ntry it manually: cd {} && {command}",
        remedy(&tail),
        tail.replace('\n', "\n  "),
        folder.display()
    )))
}

/// What failed set-ups print, and what to do about it; the first that fits is said.
const CAUSES: [(&[&str], &str); 10] = [
    (
        &["ensurepip is not", "No module named venv", "No module named ensurepip"],
        "Python's venv module is missing: install it (Debian, Ubuntu: sudo apt install python3-venv)",
    ),
    (
        &["require a different python version"],
        "a pinned package does not support this Python: use another version as python3, 3.11 or later",
    ),
    (
        &["NewConnectionError", "Temporary failure in name resolution", "from versions: none"],
        "the package index cannot be reached: check the network, or set a mirror in PIP_INDEX_URL",
    ),
    (
        &["No matching distribution found", "Failed building wheel", "Failed to build"],
        "a pinned package is not available for this Python: use another version as python3, \
         3.11 or later",
    ),
    (
        &["EAI_AGAIN", "ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "ERR_SOCKET_TIMEOUT"],
        "npm's registry cannot be reached: check the network, or set a mirror in \
         NPM_CONFIG_REGISTRY",
    ),
    (
        &["EBADENGINE", "lockfileVersion"],
        "Node.js or npm is too old: install Node.js 20 or later, which brings its npm",
    ),
    (
        &["Could not resolve host", "download of config.json failed", "offline mode"],
        "the registry of crates cannot be reached: check the network, or set a mirror in Cargo's \
         configuration",
    ),
    (
        &["requires rustc", "edition2024", "lock file version"],
        "Rust is too old: install the current one (rustup update stable)",
    ),
    (
        &["linker `cc` not found"],
        "a C linker is missing: install it (Debian, Ubuntu: sudo apt install gcc libc6-dev)",
    ),
    (&["No space left", "ENOSPC"], "the disk is full"),
];

/// Known causes and what to do about them.
fn remedy(tail: &str) -> String {
    let known = |(texts, _): &&(&[&str], &str)| texts.iter().any(|text| tail.contains(text));
    CAUSES.iter().find(known).map_or(String::new(), |(_, remedy)| format!("; {remedy}"))
}

fn package(program: &str) -> String {
    PACKAGES.iter().find(|(name, _)| *name == program).map_or(String::new(), |(_, package)| {
        format!(": install it (Debian, Ubuntu: sudo apt install {package})")
    })
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::{shipped, shipped_names};

    #[test]
    fn known_causes_have_a_remedy() {
        for (text, wanted) in [
            (
                "The virtual environment was not created successfully because ensurepip is not\navailable.",
                "python3-venv",
            ),
            ("/usr/bin/python3: No module named venv", "python3-venv"),
            ("Temporary failure in name resolution", "PIP_INDEX_URL"),
            ("(from versions: none)\nERROR: No matching distribution found", "PIP_INDEX_URL"),
            ("ERROR: No matching distribution found for aiohttp==3.0", "3.11 or later"),
            ("npm error code EAI_AGAIN\nnpm error syscall getaddrinfo", "NPM_CONFIG_REGISTRY"),
            ("npm warn EBADENGINE Unsupported engine", "Node.js 20"),
            ("Caused by: Could not resolve host: example.invalid", "Cargo's configuration"),
            ("error: package `a v1.0.0` cannot be built because it requires rustc 1.99", "rustup"),
            ("error: linker `cc` not found", "gcc"),
        ] {
            assert!(remedy(text).contains(wanted), "{text}");
        }
        assert_eq!(remedy("SyntaxError"), "");
        assert!(package("python3").contains("apt install python3 "));
    }

    #[test]
    fn nothing_that_a_set_up_makes_is_embedded() {
        let made = ["node_modules", "target", ".venv", "__pycache__"];
        let mut folders: Vec<&Dir<'_>> =
            shipped_names().filter_map(|name| shipped(name).unwrap().map(|(_, dir)| dir)).collect();
        while let Some(folder) = folders.pop() {
            let name = folder.path().file_name().unwrap().to_str().unwrap();
            assert!(!made.contains(&name), "remove targets/{}", folder.path().display());
            folders.extend(folder.dirs());
        }
    }
}
