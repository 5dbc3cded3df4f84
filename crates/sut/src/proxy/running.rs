//! A proxy as a running program: in a directory of its own, ready, watched, ended with its tree.

use crate::private_directory::PrivateDirectory;
use crate::proxy::Proxy;
use crate::ready::accepts;
use crate::run_keys::{self, RunKeys};
use crate::setup;
use crate::startup_diagnostics::last_lines;
use crate::supervised::{CommandSpec, Supervised};
use pushbench_core::error::{Error, Result};
use pushbench_core::scenario::KeyKind;
use pushbench_core::units;
use pushbench_host::input;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Pause between two looks whether it is ready, or has printed its version.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Where Debian installs servers; the PATH of a user may not have them.
const SERVERS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// What to start and where. The calling thread's network namespace is the proxy's.
pub struct ProxyLaunch<'a> {
    /// The proxy.
    pub proxy: &'a Proxy,
    /// Where it listens, and nowhere else.
    pub listen: SocketAddr,
    /// The server behind a reverse proxy.
    pub upstream: Option<SocketAddr>,
    /// It speaks TLS at both sides, with the run's certificate of this kind of key.
    pub tls: Option<KeyKind>,
    /// When it cuts a silent connection, if not after its own time.
    pub idle_cutoff: Option<Duration>,
    /// Its CPUs.
    pub cpus: &'a [usize],
    /// Set when the user wants to stop.
    pub interrupt: &'a AtomicBool,
}

/// A proxy that accepts connections. Dropping it ends its whole process tree and removes its directory.
pub struct RunningProxy {
    name: String,
    supervised: Supervised,
    directory: PrivateDirectory,
    ca: Option<String>,
}

/// Starts a proxy and waits until it accepts connections.
///
/// # Errors
/// It cannot be started so, or does not get ready: with what it printed.
pub fn start(launch: &ProxyLaunch<'_>) -> Result<RunningProxy> {
    let name = &launch.proxy.name;
    let proxy = match (launch.tls, &launch.proxy.over_tls) {
        (None, _) => launch.proxy,
        (Some(_), Some(over_tls)) => over_tls,
        (Some(_), None) => {
            return Err(Error::usage(format!(
                "proxy {name} is not described for TLS: add a table tls with its command or config, {{cert}} and {{key}}"
            )));
        }
    };
    let keys = launch.tls.map(run_keys::of).transpose()?;
    let failed = |e: io::Error| {
        Error::harness(format!(
            "cannot start proxy {name} in a directory of its own in {}: {e}; set TMPDIR to a directory that can be \
             written",
            std::env::temp_dir().display()
        ))
    };
    let directory = PrivateDirectory::make("proxy").map_err(failed)?;
    let fill = |text: &String| filled(text, launch, directory.path(), keys.as_ref());
    for (file, template) in &proxy.config {
        directory.write(file, &fill(template)).map_err(failed)?;
    }
    let words: Vec<String> = proxy.manifest.command.iter().flatten().map(fill).collect();
    let words = with_program(proxy, &words)?;
    let mut env = vec![search_path()];
    env.extend(proxy.manifest.env.iter().map(|(name, value)| (name.clone(), fill(value))));
    let command = CommandSpec {
        words: &words,
        cpus: launch.cpus,
        folder: Some(directory.path()),
        env: &env,
        wants_cgroup: false,
        wanted: None,
    };
    let supervised = Supervised::start(&command).map_err(failed)?;
    let mut running = RunningProxy { name: name.clone(), supervised, directory, ca: None };
    running.wait(proxy, launch)?;
    if let Some(file) = &proxy.ca {
        let text = input::text(&running.directory.path().join(file), input::WRITTEN);
        running.ca = Some(text.map_err(|e| Error::target(format!("proxy {name}: ca: {e}")))?);
    }
    Ok(running)
}

impl RunningProxy {
    fn wait(&mut self, proxy: &Proxy, launch: &ProxyLaunch<'_>) -> Result<()> {
        let (began, name) = (Instant::now(), &self.name);
        while !accepts(launch.listen) {
            if launch.interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            if let Some(how) = self.supervised.ended() {
                let how = how.unwrap_or_else(|why| format!("cannot be executed: {why}"));
                let printed = last_lines(&self.supervised.final_output());
                return Err(Error::target(format!(
                    "proxy {name} {how} before it was ready{printed}\nits command: {}",
                    proxy.command_line()
                )));
            }
            if began.elapsed() > proxy.manifest.ready_timeout {
                return Err(Error::target(format!(
                    "proxy {name} was not ready after {}: it accepts no connections at {}{}\ncheck {{listen}} in its \
                     config, or raise ready_timeout",
                    units::nanos_text(proxy.manifest.ready_timeout.as_nanos() as f64),
                    launch.listen,
                    last_lines(&self.supervised.output().tail())
                )));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its processes.
    pub fn pids(&self) -> Vec<u32> {
        self.supervised.pids()
    }

    /// The authority that clients must trust, in PEM, where it encrypts connections anew.
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// How it ended, with its last lines, if it did.
    pub fn exited(&mut self) -> Option<String> {
        let how = self.supervised.ended()?.unwrap_or_else(|why| format!("failed: {why}"));
        Some(format!("{how}{}", last_lines(&self.supervised.final_output())))
    }
}

fn filled(
    text: &str,
    launch: &ProxyLaunch<'_>,
    directory: &Path,
    keys: Option<&Arc<RunKeys>>,
) -> String {
    let text = keys.map_or(text.to_owned(), |keys| {
        let pem = &keys.certificates;
        keys.filled(text).replace("{cert_pem}", &pem.cert).replace("{key_pem}", &pem.key)
    });
    let cutoff = launch.idle_cutoff.or(launch.proxy.idle_cutoff).unwrap_or_default();
    let upstream = launch.upstream.unwrap_or(launch.listen);
    [
        ("{listen}", launch.listen.to_string()),
        ("{host}", launch.listen.ip().to_string()),
        ("{port}", launch.listen.port().to_string()),
        ("{upstream}", upstream.to_string()),
        ("{upstream_host}", upstream.ip().to_string()),
        ("{upstream_port}", upstream.port().to_string()),
        ("{dir}", directory.to_string_lossy().into_owned()),
        // What is started as root may drop to a user who cannot read its directory.
        ("{user}", if rustix::process::getuid().is_root() { "root" } else { "nobody" }.to_owned()),
        ("{idle_cutoff}", cutoff.as_millis().max(1).to_string()),
        ("{idle_cutoff_s}", cutoff.as_millis().div_ceil(1000).to_string()),
    ]
    .into_iter()
    .fold(text, |text, (placeholder, value)| text.replace(placeholder, &value))
}

/// The command with the whole path of a program that was set up.
fn with_program(proxy: &Proxy, words: &[String]) -> Result<Vec<String>> {
    let mut words = words.to_vec();
    if let Some(program) = words.first_mut().filter(|program| program.contains('/'))
        && let Some(folder) = setup::folder(&proxy.manifest)?
    {
        *program = folder.join(&*program).to_string_lossy().into_owned();
    }
    Ok(words)
}

/// The version in what a command of the proxy prints: its first word that begins with a number.
pub(super) fn version(proxy: &Proxy, words: &[String], interrupt: &AtomicBool) -> Result<String> {
    let words = with_program(proxy, words)?;
    let failed = |why: String| {
        let line = shell_words::join(&words);
        Error::target(format!("proxy {}: its version: \"{line}\" {why}", proxy.name))
    };
    let command = CommandSpec {
        words: &words,
        cpus: &[],
        folder: None,
        env: &[search_path()],
        wants_cgroup: false,
        wanted: None,
    };
    let mut supervised = Supervised::start(&command).map_err(|e| failed(e.to_string()))?;
    let how = loop {
        match supervised.ended() {
            Some(how) => break how.map_err(|why| failed(format!("cannot be executed: {why}")))?,
            None if interrupt.load(Ordering::Relaxed) => return Err(Error::Interrupted),
            None => std::thread::sleep(POLL_INTERVAL),
        }
    };
    let printed = supervised.final_output();
    if how != "exited with code 0" {
        return Err(failed(format!("{how}{}", last_lines(&printed))));
    }
    let mut words = printed.split(|c: char| c.is_whitespace() || c == '/');
    let number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    match words.find(number) {
        Some(version) => Ok(version.to_owned()),
        None => Err(failed(format!("prints no number{}", last_lines(&printed)))),
    }
}

/// The variable PATH with the folders of servers.
fn search_path() -> (String, String) {
    let path = std::env::var_os("PATH").unwrap_or_default().to_string_lossy().into_owned();
    ("PATH".to_owned(), format!("{path}:{SERVERS}"))
}

/// Whether a program is installed.
pub(super) fn on_path(program: &str) -> bool {
    let found = |folder: PathBuf| folder.join(program).is_file();
    std::env::split_paths(&OsString::from(search_path().1)).any(found)
}
