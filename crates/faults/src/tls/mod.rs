//! Faulty TLS servers: rustls on blocking sockets, HTTP/1.1 and WebSocket above it. Events are acknowledged by id.

mod connection;
pub mod tls_fault;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, Error, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use tls_fault::TlsFault;

/// The word behind the hidden subcommand.
pub(super) const ARGUMENT: &str = "tls";
/// How long [`TlsFault::SlowHandshake`] waits before it answers.
pub const SLOW: Duration = Duration::from_millis(30);
/// How far a certificate is from its validity.
const THREE_DAYS: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// Names of a certificate without a fault.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// The name of a certificate for another server.
pub const OTHER_NAME: &str = "example.org";

/// What a server really did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections accepted.
    pub connections: u64,
    /// ClientHellos read.
    pub hellos: u64,
    /// Of them, handshakes that were completed.
    pub handshakes: u64,
    /// Of these, those that resumed a session.
    pub resumed: u64,
    /// Hellos that were never answered.
    pub stalled: u64,
    /// Hellos that were refused for their version.
    pub refused: u64,
    /// Events read.
    pub events: u64,
    /// Of them, struck by the fault.
    pub affected: u64,
    /// Proper answers.
    pub answered: u64,
}

/// A running server, seen from its connections.
struct Site {
    fault: TlsFault,
    tls: Arc<ServerConfig>,
    tally: Mutex<Tally>,
}

impl Site {
    /// Changes or reads the tally.
    fn tally<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A faulty TLS server inside this process.
pub struct TlsServer {
    address: SocketAddr,
    certificates: Certificates,
    site: Arc<Site>,
    accepting: JoinHandle<()>,
}

impl TlsServer {
    /// Starts one on a free port of this machine.
    pub fn start(fault: TlsFault) -> io::Result<TlsServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (site, certificates) = site(fault)?;
        let here = site.clone();
        let accepting = std::thread::spawn(move || accept(&listener, &here));
        Ok(TlsServer { address, certificates, site, accepting })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate of its authority, PEM.
    pub fn ca(&self) -> &str {
        &self.certificates.ca
    }

    /// Its own certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificates.own
    }

    /// The key of its certificate, PEM.
    pub fn key(&self) -> &str {
        &self.certificates.key
    }

    /// What it has done so far.
    pub fn tally(&self) -> Tally {
        self.site.tally(|t| *t)
    }

    /// Waits until its peers have closed every connection, ends it, and says what it did.
    pub fn finish(self) -> io::Result<Tally> {
        crate::request_end(self.address)?;
        self.accepting.join().map_err(|_| io::Error::other("the faulty server panicked"))?;
        Ok(self.site.tally(|t| *t))
    }
}

/// Serves until the process is ended: `FAULT ADDR --ca-out FILE`.
pub(super) fn run(words: &[&str]) -> io::Result<std::convert::Infallible> {
    let wrong = || {
        io::Error::other("it takes FAULT, ADDR, and the file for the certificate of the authority")
    };
    let [name, address, "--ca-out", file] = words else { return Err(wrong()) };
    let fault = tls_fault::ALL.iter().find(|(known, _)| known == name).ok_or_else(wrong)?.1;
    let (site, certificates) = site(fault)?;
    std::fs::write(file, certificates.ca)?;
    accept(&crate::listen(address)?, &site);
    Err(io::Error::other("it was called to end"))
}

fn accept(listener: &TcpListener, site: &Site) {
    std::thread::scope(|scope| {
        crate::accept_until_end(listener, |stream| {
            site.tally(|t| t.connections += 1);
            // Peers close as they like: how a connection ends is not an error here.
            scope.spawn(move || drop(connection::serve(stream, site)));
        });
    });
}

/// PEM texts.
struct Certificates {
    ca: String,
    own: String,
    key: String,
}

fn site(fault: TlsFault) -> io::Result<(Arc<Site>, Certificates)> {
    let (tls, certificates) = configured(fault).map_err(io::Error::other)?;
    Ok((Arc::new(Site { fault, tls: tls.into(), tally: Mutex::default() }), certificates))
}

fn configured(
    fault: TlsFault,
) -> Result<(ServerConfig, Certificates), Box<dyn std::error::Error + Send + Sync>> {
    let (ca, own, key) = certified(fault)?;
    let certificates = Certificates { ca: ca.pem(), own: own.pem(), key: key.serialize_pem() };
    let mut provider = default_provider();
    provider.kx_groups = match fault {
        TlsFault::NoCommonGroup => vec![kx_group::SECP384R1],
        _ => vec![kx_group::X25519, kx_group::SECP256R1],
    };
    let provider = Arc::new(provider);
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = match fault {
        TlsFault::ClientCertificate => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.der().clone())?;
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = builder.with_single_cert(vec![own.der().clone()], key)?;
    if fault == TlsFault::AlpnHttp1 {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
    }
    Ok((config, certificates))
}

/// An authority, a certificate with this fault, and its key.
fn certified(
    fault: TlsFault,
) -> Result<(CertifiedIssuer<'static, KeyPair>, rcgen::Certificate, KeyPair), Error> {
    let mut authority = CertificateParams::new([])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "authority of a faulty server");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let names = match fault {
        TlsFault::OtherName => vec![OTHER_NAME.to_owned()],
        TlsFault::NoName => Vec::new(),
        _ => NAMES.map(str::to_owned).to_vec(),
    };
    let mut own = CertificateParams::new(names)?;
    let now =
        rcgen::date_time_ymd(1970, 1, 1) + SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    match fault {
        TlsFault::Expired => own.not_after = now - THREE_DAYS,
        TlsFault::NotYetValid => own.not_before = now + THREE_DAYS,
        TlsFault::Authority => own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        _ => {}
    }
    let key = KeyPair::generate()?;
    let own = match fault {
        TlsFault::SelfSigned => own.self_signed(&key)?,
        TlsFault::Authority => own.self_signed(&key)?,
        _ => own.signed_by(&key, &authority)?,
    };
    Ok((authority, own, key))
}
