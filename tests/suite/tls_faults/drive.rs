//! A first look and a trial against a server of this process, with TLS or over HTTP/2, or of OpenSSL.

use crate::common::{eventually, turn};
use pushbench::verify::{Subject, VerifyContext, quick};
use pushbench_core::arm::{ArmOption, ArmSpec};
use pushbench_core::error::Result;
use pushbench_core::event::{Matching, Template};
use pushbench_core::plan::Slices;
use pushbench_core::record::findings::Findings;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::{Stage, Trial, TrialDesign};
use pushbench_core::scenario::{self, Arrivals, Lifetime, Payload};
use pushbench_core::transport::Carrier;
use pushbench_faults::tls::TlsServer;
use pushbench_faults::tls::tls_fault::TlsFault;
use pushbench_host::cpus::Placement;
use pushbench_load::block;
use pushbench_load::trial_group::{ExecutionContext, TrialArm, TrialGroup, TrialObserver};
use pushbench_sut::manifest::{Manifest, TlsOptions};
use pushbench_wire::endpoint::Scheme;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A proper answer takes this long only on a machine that stands still.
const TIMEOUT: Duration = Duration::from_millis(1_500);
const WARMUP: Duration = Duration::from_millis(30);

/// A faulty server and the transport that it is reached by.
pub struct Server {
    pub tls: TlsServer,
    carrier: Carrier,
}

impl Server {
    pub fn start(fault: TlsFault, carrier: Carrier) -> Server {
        Server { tls: TlsServer::start(fault).unwrap(), carrier }
    }

    /// As a user describes it: its authority is trusted.
    pub fn described(&self) -> Target {
        let tls = TlsOptions { ca: Some(self.tls.ca().to_owned()), ..TlsOptions::default() };
        Target { carrier: self.carrier, port: self.tls.port(), tls: Some(tls), http2: false }
    }
}

/// A described target.
pub struct Target {
    carrier: Carrier,
    port: u16,
    tls: Option<TlsOptions>,
    http2: bool,
}

impl Target {
    /// A webhook over HTTP/2 without TLS.
    pub fn http2(port: u16) -> Target {
        Target { carrier: Carrier::Webhook, port, tls: None, http2: true }
    }

    /// The same over HTTP/2.
    pub fn over_http2(self) -> Target {
        Target { http2: true, ..self }
    }

    pub fn tls_mut(&mut self) -> &mut TlsOptions {
        self.tls.as_mut().unwrap()
    }

    /// By a URL without TLS.
    pub fn in_the_clear(&mut self) {
        self.tls = None;
    }

    /// The same at another port.
    pub fn at(self, port: u16) -> Target {
        Target { port, ..self }
    }

    fn manifest(&self) -> Manifest {
        let plain = Scheme::of(self.carrier.transport());
        let scheme = if self.tls.is_some() { plain.over_tls() } else { plain };
        let url = format!("{scheme}://127.0.0.1:{}/events", self.port);
        let mut manifest = Manifest::running("t", &url, Matching::Id);
        manifest.tls = self.tls.clone();
        manifest
    }
}

/// The first look that begins a run.
pub fn first_look(target: &Target) -> Result<Vec<Findings>> {
    let _turn = turn::beside();
    let (manifest, template) = (target.manifest(), Template::new(&Payload::Bytes(80)));
    let subject = Subject {
        batches: false,
        label: "webhook@t",
        carrier: target.carrier,
        http2: false,
        manifest: &manifest,
        authentication: None,
    };
    let (cpus, interrupt) = (Placement::automatic().all(), AtomicBool::new(false));
    let context = VerifyContext { cpus: &cpus, interrupt: &interrupt, template: &template };
    quick(&[subject], &context, TIMEOUT)
}

/// By default one event after the other on one connection.
#[derive(Clone)]
pub struct Load {
    pub duration: Duration,
    pub in_flight: usize,
    /// Events per second, on schedule.
    pub rate: Option<f64>,
    pub events_per_connection: Option<u64>,
    pub interrupt: Arc<AtomicBool>,
}

impl Default for Load {
    fn default() -> Load {
        let duration = Duration::from_millis(150);
        let (events_per_connection, rate) = (None, None);
        Load { duration, in_flight: 1, rate, events_per_connection, interrupt: Arc::default() }
    }
}

impl Load {
    /// Long enough for an event to time out, and for others behind it.
    pub fn beyond_time_out() -> Load {
        Load { duration: TIMEOUT + Duration::from_millis(400), ..Load::default() }
    }
}

/// A trial.
pub fn drive(target: &Target, load: &Load) -> Result<Trial> {
    struct Unwatched;
    impl TrialObserver for Unwatched {
        fn second(&mut self, _arm: usize, _responses: &Hist) {}
        fn tick(&mut self) {}
    }
    let _turn = turn::beside();
    let mut spec = ArmSpec::plain(target.carrier.transport(), "t");
    if target.http2 {
        spec.options = spec.options.with(ArmOption::H2);
    }
    let group = TrialGroup {
        arms: vec![TrialArm {
            arm: 0,
            label: "t".to_owned(),
            spec,
            manifest: target.manifest(),
            connections: 1,
            in_flight: load.in_flight,
            subscribers: None,
        }],
        slices: Arc::new(Slices::alone((WARMUP + load.duration).as_nanos() as u64)),
        load: scenario::Load {
            arrivals: if load.rate.is_some() { Arrivals::Constant } else { Arrivals::Closed },
            rate: load.rate,
            warmup: WARMUP,
            duration: load.duration,
            timeout: TIMEOUT,
            backlog: 1_000,
        },
        seed: 7,
        template: Template::new(&Payload::Bytes(80)),
        lifetime: load.events_per_connection.map_or(Lifetime::Unlimited, Lifetime::Events),
        max_segment: None,
        place: (0, 0, 0),
        split: None,
        stage: Stage::Block,
        design: TrialDesign::Sequential,
        freeze: None,
        idle: false,
        path: None,
        connect_limit: None,
        tolerates_connect_failures: false,
        restart_after: None,
        guarantee: Default::default(),
        faults: Default::default(),
    };
    let cpus = Placement::automatic().all();
    let placement = Placement { driver: cpus[..1].to_vec(), target: cpus };
    let context = ExecutionContext::here(&placement, &load.interrupt);
    let finished = block::run(&group, &context, &mut Unwatched)?.pop().unwrap();
    let account = &finished.trial.account;
    assert!(account.measured.sums_are_exact() && account.warmup.sums_are_exact());
    Ok(finished.trial)
}

/// A server of OpenSSL.
pub struct Openssl(Child);

impl Drop for Openssl {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Serves with `openssl s_server` and these options. `None`, with a message, where OpenSSL is missing.
pub fn openssl(server: &Server, options: &[&str]) -> Option<(Openssl, u16)> {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "openssl is missing");
        eprintln!("skipped: openssl is missing: apt install openssl");
        return None;
    }
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let files = tempfile::tempdir().unwrap();
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| files.path().join(name));
    std::fs::write(&cert, server.tls.certificate()).unwrap();
    std::fs::write(&key, server.tls.key()).unwrap();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-cert"]);
    command.arg(cert).arg("-key").arg(key).args(options);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let openssl = Openssl(child.unwrap());
    eventually("openssl", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    Some((openssl, port))
}
