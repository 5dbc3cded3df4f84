//! A target as a running program: started on a free port, ready, watched, stopped.

use crate::client_tls::client_tls;
use crate::copies::{self, ProgramCopy};
use crate::manifest::{HOST, LOCAL, Manifest, PORT, Ready};
use crate::startup_diagnostics::{cannot_execute, last_lines, manual_command, never_ready};
use crate::supervised::{CommandSpec, Supervised};
use crate::target_files::{STORE, TargetFiles};
use crate::{hello_requests, listening, port, program, ready, setup, subscriber_urls, tls};
use pushbench_core::error::{Error, Result};
use pushbench_core::message_pattern::Captured;
use pushbench_core::wording::DRIVER_ADDRESS;
use pushbench_wire::endpoint::{Endpoint, Resolved, percent_encoded};
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::tls::ClientTls;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Another program may take the port between our look and the target's start.
const ATTEMPTS: usize = 3;
/// Pause between two looks whether a target is ready.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// What to start and where.
pub struct Launch<'a> {
    /// The target.
    pub manifest: &'a Manifest,
    /// Its CPUs.
    pub cpus: &'a [usize],
    /// Set when the user wants to stop.
    pub interrupt: &'a AtomicBool,
    /// Where it reaches the driver, if that is in another network namespace; it is started in the caller's.
    pub driver: Option<Ipv4Addr>,
}

/// A target that takes events. Dropping it ends its whole process tree.
pub struct Running {
    /// None when the server was already running and is not ours.
    supervised: Option<Supervised>,
    /// Where it takes events: at the first of its addresses until it is ready.
    address: Resolved,
    /// How connections there are encrypted.
    tls: Option<ClientTls>,
    port: u16,
    /// The addresses that the host of its url has.
    pub(super) addresses: Vec<SocketAddr>,
    /// The port of its subscribers, if it received their addresses at its start; otherwise 0.
    subscriber_port: u16,
    /// What it wants of requests and handshakes, with what `hello` has captured.
    request_options: RequestOptions,
    /// What `hello` has captured.
    captured: Captured,
    /// Its store and the copy of its executable.
    files: TargetFiles,
}

/// Starts targets and waits until all are ready. When one fails, none is left running.
pub fn start_all(launches: &[Launch<'_>]) -> Result<Vec<Running>> {
    // All begin before the first is waited for: a slow start is paid once.
    let manifests: Vec<&Manifest> = launches.iter().map(|launch| launch.manifest).collect();
    let copies = copies::make_all(&manifests)?;
    let begin =
        |(at, (launch, copy))| Starting::begin(launch, copy).map_err(|e| Error::of_target(e, at));
    let each = launches.iter().zip(copies).enumerate();
    let mut starting = each.map(begin).collect::<Result<Vec<_>>>()?;
    for (at, one) in starting.iter_mut().enumerate() {
        let ready = one.wait();
        ready
            .and_then(|()| hello_requests::send(one.launch.manifest, &mut one.running))
            .map_err(|e| e.of_target(at))?;
    }
    Ok(starting.into_iter().map(|one| one.running).collect())
}

/// Ends a target and starts it again on the port it had, for the subscribers it had, with its store; back when it is
/// ready.
pub fn restart(target: &mut Running, launch: &Launch<'_>) -> Result<()> {
    drop(target.supervised.take());
    let ports = Some(Ports { own: target.port, subscribers: target.subscriber_port });
    let running = start(launch, ports, std::mem::take(&mut target.files))?;
    // Connections are made again where they were.
    let running = Running {
        addresses: vec![target.address.socket],
        address: target.address.clone(),
        request_options: target.request_options.clone(),
        captured: target.captured.clone(),
        ..running
    };
    let mut starting = Starting { launch, running, began: Instant::now(), attempt: 1, ports };
    starting.wait()?;
    *target = starting.running;
    Ok(())
}

/// Ends targets at once: each may take its grace period.
pub fn stop_all(targets: Vec<Running>) {
    std::thread::scope(|scope| {
        for target in targets {
            scope.spawn(move || target.stop());
        }
    });
}

struct Starting<'a> {
    launch: &'a Launch<'a>,
    running: Running,
    began: Instant,
    attempt: usize,
    /// The ports it must have; any where there are none.
    ports: Option<Ports>,
}

impl<'a> Starting<'a> {
    fn begin(launch: &'a Launch<'a>, copy: Option<ProgramCopy>) -> Result<Starting<'a>> {
        let running = start(launch, None, TargetFiles::make(launch.manifest, copy)?)?;
        Ok(Starting { launch, running, began: Instant::now(), attempt: 1, ports: None })
    }

    fn wait(&mut self) -> Result<()> {
        let manifest = self.launch.manifest;
        loop {
            if self.launch.interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let Some(supervised) = &mut self.running.supervised else { return Ok(()) };
            match supervised.ended() {
                Some(Err(why)) => return Err(cannot_execute(manifest, &why)),
                Some(Ok(how)) => {
                    self.restart_ports(&how)?;
                    continue;
                }
                None => {}
            }
            let (addresses, tls) = (&self.running.addresses, self.running.tls.as_ref());
            match ready::ready_at(&manifest.ready, addresses, tls, supervised.output()) {
                Some(address) => {
                    self.running.address.socket = address;
                    return Ok(());
                }
                None if self.began.elapsed() > manifest.ready_timeout => {
                    return Err(never_ready(manifest, &self.running));
                }
                None => std::thread::sleep(POLL_INTERVAL),
            }
        }
    }

    /// It ended before it was ready: once more if its port was taken meanwhile.
    fn restart_ports(&mut self, how: &str) -> Result<()> {
        let manifest = self.launch.manifest;
        let tail =
            self.running.supervised.as_ref().map(Supervised::final_output).unwrap_or_default();
        let taken = tail.to_lowercase().contains("in use") || tail.contains("EADDRINUSE");
        if taken && manifest.url.contains(PORT) && self.attempt < ATTEMPTS {
            self.attempt += 1;
            let files = std::mem::take(&mut self.running.files);
            self.running = start(self.launch, self.ports, files)?;
            self.began = Instant::now();
            return Ok(());
        }
        let background = match how.ends_with("code 0") {
            true => " (it must stay in the foreground)",
            false => "",
        };
        Err(Error::target(format!(
            "target {} {how} before it was ready{background}{}\ntry it manually: {}",
            manifest.name,
            last_lines(&tail),
            manual_command(manifest)
        )))
    }
}

/// The ports of a target that is restarted.
#[derive(Clone, Copy)]
struct Ports {
    own: u16,
    /// Where its subscribers listen.
    subscribers: u16,
}

fn start(launch: &Launch<'_>, restart_ports: Option<Ports>, files: TargetFiles) -> Result<Running> {
    let manifest = launch.manifest;
    let fixed = !manifest.url.contains(PORT);
    let port = match restart_ports {
        Some(ports) => ports.own,
        None if fixed => 0,
        None => port::free_or_error()?,
    };
    let urls =
        subscriber_urls::of(manifest, launch.driver, restart_ports.map(|ports| ports.subscribers))?;
    let keys = manifest.run_keys()?;
    let file = files.store();
    let fill = |text: &String| {
        let text = urls.filled(
            &text.replace(PORT, &port.to_string()).replace(HOST, LOCAL).replace(STORE, &file),
        );
        keys.as_ref().map_or(text.clone(), |keys| keys.filled(&text))
    };
    let url = fill(&manifest.url);
    let unusable =
        |why: String| Error::target(format!("target {}: url {url}: {why}", manifest.name));
    let endpoint = Endpoint::parse(&url).map_err(unusable)?;
    let tls =
        client_tls(manifest, &endpoint, keys.as_deref()).map_err(|e| unusable(e.to_string()))?;
    let addresses = endpoint.addresses().map_err(|e| {
        unusable(format!("cannot find host {}: {e}; check the name", endpoint.host))
    })?;
    let Some(words) = &manifest.command else {
        return running_already(manifest, endpoint, tls, &addresses).map_err(unusable);
    };
    if fixed && restart_ports.is_none() && !port::becomes_free(&addresses) {
        return Err(unusable(format!(
            "port {} is in use, so the target cannot listen there: end the program that uses it, or \
             write {{port}} in command and url",
            endpoint.port
        )));
    }
    let mut words: Vec<String> = words.iter().map(fill).collect();
    files.name_program(&mut words);
    if let [_self, rest @ ..] = &manifest.wrapper[..] {
        let own = program().to_string_lossy().into_owned();
        words = [vec![own], rest.to_vec(), words].concat();
    }
    let mut env: Vec<_> = manifest.env.iter().map(|(n, value)| (n.clone(), fill(value))).collect();
    env.extend(launch.driver.map(|address| (DRIVER_ADDRESS.to_owned(), address.to_string())));
    urls.fits(manifest, &words, &env)?;
    let folder = setup::folder(manifest)?;
    let command_spec = CommandSpec {
        words: &words,
        cpus: launch.cpus,
        folder: folder.as_deref(),
        env: &env,
        wants_cgroup: manifest.publisher.is_some(),
        wanted: match &manifest.ready {
            Ready::Line(text) => Some(text),
            _ => None,
        },
    };
    let supervised = Supervised::start(&command_spec).map_err(|e| {
        let place = folder.as_ref().map_or(String::new(), |f| format!(" in {}", f.display()));
        Error::harness(format!("cannot start a process for target {}{place}: {e}", manifest.name))
    })?;
    let address = Resolved::new(endpoint, addresses[0]);
    Ok(Running {
        supervised: Some(supervised),
        address,
        tls,
        port,
        addresses,
        subscriber_port: urls.port,
        request_options: manifest.request_options.clone(),
        captured: Captured::new(),
        files,
    })
}

/// A server that is not ours must answer at once.
fn running_already(
    manifest: &Manifest,
    endpoint: Endpoint,
    tls: Option<ClientTls>,
    addresses: &[SocketAddr],
) -> std::result::Result<Running, String> {
    let connects =
        |a: &&SocketAddr| std::net::TcpStream::connect_timeout(a, Duration::from_secs(5)).is_ok();
    match addresses.iter().find(connects) {
        Some(&socket) => {
            let (address, addresses) = (Resolved::new(endpoint, socket), vec![socket]);
            let request_options = manifest.request_options.clone();
            let supervised = None;
            Ok(Running {
                supervised,
                address,
                tls,
                port: 0,
                addresses,
                subscriber_port: 0,
                request_options,
                captured: Captured::new(),
                files: TargetFiles::default(),
            })
        }
        None => Err("no server accepts connections there: start the server first".to_owned()),
    }
}

impl Running {
    /// Where events go.
    pub fn address(&self) -> &Resolved {
        &self.address
    }

    /// How connections to it are encrypted; nothing without TLS.
    pub fn tls(&self) -> Option<&ClientTls> {
        self.tls.as_ref()
    }

    /// What it wants of requests and handshakes.
    pub fn request_options(&self) -> &RequestOptions {
        &self.request_options
    }

    /// What `hello` may fill in.
    pub(super) fn filled_in(
        &mut self,
        captured: &Captured,
    ) -> (&mut RequestOptions, &mut Resolved) {
        self.captured = captured.clone();
        (&mut self.request_options, &mut self.address)
    }

    /// Another URL of its description, with its port and what `hello` has captured filled in.
    pub fn filled(&self, url: &str) -> String {
        let url = url.replace(PORT, &self.port.to_string()).replace(HOST, LOCAL);
        hello_requests::replaced(&url, &self.captured, percent_encoded)
    }

    /// The port of its subscribers, if it received their addresses.
    pub fn subscriber_port(&self) -> u16 {
        self.subscriber_port
    }

    /// The actual addresses of its processes, if they differ from the expected ones.
    pub fn listens_elsewhere(&self) -> Option<String> {
        let listening = listening::addresses(&self.pids());
        let is_expected =
            |l: &SocketAddr| self.addresses.iter().any(|address| listening::includes(*l, *address));
        let places: Vec<String> = listening.iter().map(SocketAddr::to_string).collect();
        (!listening.iter().any(is_expected) && !places.is_empty()).then(|| places.join(" and "))
    }

    /// Its processes; none when it is not ours.
    pub fn pids(&self) -> Vec<u32> {
        self.supervised.as_ref().map(Supervised::pids).unwrap_or_default()
    }

    /// The directory of its memory cgroup, or why it has none.
    pub fn memory_cgroup(&self) -> std::result::Result<PathBuf, String> {
        let supervised = self.supervised.as_ref().ok_or("it was already running")?;
        supervised.memory_cgroup()
    }

    /// True when we started it.
    pub fn is_ours(&self) -> bool {
        self.supervised.is_some()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<String> {
        let how = self.supervised.as_mut()?.ended()?;
        Some(how.unwrap_or_else(|why| format!("could not be executed: {why}")))
    }

    /// The same, with its last lines.
    pub fn exited(&mut self) -> Option<String> {
        let how = self.ended()?;
        let last = last_lines(&self.supervised.as_mut()?.final_output());
        Some(format!("{how}{last}"))
    }

    /// The last lines it printed.
    pub fn output_tail(&self) -> String {
        self.supervised.as_ref().map(|k| k.output().tail()).unwrap_or_default()
    }

    /// Whether it uses TLS though its URL does not say so. Used when its answers were not valid.
    pub fn speaks_tls(&self) -> bool {
        self.tls.is_none() && tls::speaks(self.address.socket)
    }

    /// Stops all of its processes where they are (SIGSTOP).
    pub fn freeze(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets them go on (SIGCONT).
    pub fn thaw(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Ends all of them at once (SIGKILL).
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Ends its process tree by SIGTERM alone; whether all of it is gone within this time.
    ///
    /// # Errors
    /// The user wants to stop.
    pub fn terminate(&self, limit: Duration, interrupt: &AtomicBool) -> Result<bool> {
        // Once each: many programs take a second one for a request to hurry. Parents come before children.
        let (began, mut signalled) = (Instant::now(), HashSet::new());
        loop {
            let alive = self.pids();
            if alive.is_empty() || began.elapsed() > limit {
                return Ok(alive.is_empty());
            }
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            for pid in alive.iter().filter_map(|pid| Pid::from_raw(*pid as i32)) {
                if signalled.insert(pid) {
                    let _already_gone = kill_process(pid, Signal::TERM);
                }
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        let pids = self.pids();
        for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid as i32)) {
            match kill_process(pid, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Ends its process tree and waits until it is gone.
    pub fn stop(self) {
        drop(self);
    }
}
