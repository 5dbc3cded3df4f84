//! TLS 1.3 at both ends: what a client trusts and what a server shows. Key exchange is X25519, or P-256 with a
//! server that does not offer it, so that bytes and CPU are the same for every peer that does.

pub mod certificates;
pub mod diagnostics;

use crate::endpoint::Scheme;
use pushbench_core::record::handshakes::Negotiated;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, CommonState, DigitallySignedStruct,
    RootCertStore, ServerConfig, SignatureScheme, StreamOwned,
};
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Sessions that a connection slot remembers: those of the server it connects to.
const SESSIONS: usize = 2;
/// What HTTP/1.1 is called in ALPN (RFC 7301).
const HTTP: &[u8] = b"http/1.1";
/// And HTTP/2.
const HTTP2: &[u8] = b"h2";

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1],
        ..aws_lc_rs::default_provider()
    })
}

pub(crate) fn certificates(pem: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(list) if list.is_empty() => Err(io::Error::other("it contains no PEM certificate")),
        Ok(list) => Ok(list),
        Err(e) => Err(io::Error::other(format!("it is not PEM: {e}"))),
    }
}

/// Whether a certificate may be for this name: a DNS name or an address.
pub fn is_server_name(text: &str) -> bool {
    ServerName::try_from(text).is_ok()
}

/// The client's end: whom it trusts, and the sessions that it can resume. A clone shares the sessions.
#[derive(Clone)]
pub struct ClientTls {
    connector: TlsConnector,
    name: ServerName<'static>,
    resumption: bool,
}

impl ClientTls {
    /// A client that trusts the certificates in `ca_pem` and connects to `server_name`, a DNS name or an
    /// address. With `resumption` a later connection resumes the session of an earlier one.
    ///
    /// # Errors
    /// `ca_pem` contains no certificate that can be trusted, or the name is neither a DNS name nor an address.
    pub fn new(
        ca_pem: &str,
        server_name: &str,
        scheme: Scheme,
        resumption: bool,
    ) -> io::Result<ClientTls> {
        let trusted = Trusted::new(certificates(ca_pem)?)?;
        let name = ServerName::try_from(server_name.to_owned()).map_err(io::Error::other)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trusted))
            .with_no_client_auth();
        config.resumption = sessions(resumption);
        if scheme.is_http() {
            config.alpn_protocols = vec![HTTP.to_vec()];
        }
        Ok(ClientTls { connector: Arc::new(config).into(), name, resumption })
    }

    /// The same with sessions of its own: by default clients of a server share 8 tickets, so that only a few of
    /// many connections could resume.
    #[must_use]
    pub fn with_own_sessions(&self) -> ClientTls {
        let mut config = ClientConfig::clone(self.connector.config());
        config.resumption = sessions(self.resumption);
        ClientTls { connector: Arc::new(config).into(), ..self.clone() }
    }

    /// The same for connections that carry HTTP/2: it offers nothing else.
    #[must_use]
    pub fn with_http2(&self) -> ClientTls {
        let mut config = ClientConfig::clone(self.connector.config());
        config.alpn_protocols = vec![HTTP2.to_vec()];
        ClientTls { connector: Arc::new(config).into(), ..self.clone() }
    }

    /// The same client to another server.
    ///
    /// # Errors
    /// The name is neither a DNS name nor an address.
    pub fn to(&self, server_name: &str) -> io::Result<ClientTls> {
        let name = ServerName::try_from(server_name.to_owned()).map_err(io::Error::other)?;
        Ok(ClientTls { name, ..self.clone() })
    }

    /// An encrypted connection on a blocking socket, with a session of its own.
    ///
    /// # Errors
    /// The connection cannot be set up; the handshake is a part of the first write.
    pub fn blocking(&self, socket: std::net::TcpStream) -> io::Result<impl io::Read + io::Write> {
        let config = self.with_own_sessions().connector.config().clone();
        let client = ClientConnection::new(config, self.name.clone()).map_err(io::Error::other)?;
        Ok(StreamOwned::new(client, socket))
    }

    pub(crate) fn connector(&self) -> (&TlsConnector, ServerName<'static>) {
        (&self.connector, self.name.clone())
    }
}

fn sessions(resumption: bool) -> Resumption {
    match resumption {
        true => Resumption::in_memory_sessions(SESSIONS),
        false => Resumption::disabled(),
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whom a client trusts: authorities, and servers whose own certificate it has. The latter are often marked as an
/// authority as well, as `openssl req -x509` does, and webpki then refuses them as servers.
#[derive(Debug)]
struct Trusted {
    authorities: Arc<WebPkiServerVerifier>,
    known: Vec<CertificateDer<'static>>,
}

impl Trusted {
    fn new(known: Vec<CertificateDer<'static>>) -> io::Result<Trusted> {
        let mut roots = RootCertStore::empty();
        for certificate in &known {
            roots.add(certificate.clone()).map_err(io::Error::other)?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        Ok(Trusted { authorities: verifier.build().map_err(io::Error::other)?, known })
    }
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.authorities.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // Its time of validity was checked before.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_)))
                if self.known.contains(certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// The server's end.
#[derive(Clone)]
pub struct ServerTls(TlsAcceptor);

impl ServerTls {
    /// A server with this certificate chain and key. Tickets hold the sessions (RFC 8446, 4.6.1), so that any
    /// number of clients can resume.
    ///
    /// # Errors
    /// Certificate and key are no PEM, or do not belong together.
    pub fn new(cert_pem: &str, key_pem: &str) -> io::Result<ServerTls> {
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|e| io::Error::other(format!("it contains no PEM private key: {e}")))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(certificates(cert_pem)?, key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![HTTP.to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(io::Error::other)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(ServerTls(Arc::new(config).into()))
    }

    /// The same for a server that speaks HTTP/2 with clients that offer it.
    #[must_use]
    pub fn with_http2(&self) -> ServerTls {
        let mut config = ServerConfig::clone(self.0.config());
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP.to_vec()];
        ServerTls(Arc::new(config).into())
    }

    /// The same without tickets: no client can resume.
    #[must_use]
    pub fn without_resumption(&self) -> ServerTls {
        let mut config = ServerConfig::clone(self.0.config());
        config.send_tls13_tickets = 0;
        ServerTls(Arc::new(config).into())
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.0
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

/// What the two ends have agreed on.
pub(crate) fn negotiated(state: &CommonState) -> Negotiated {
    let text = |found: Option<String>| found.unwrap_or_else(|| "none".to_owned());
    let alpn = state.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    let version = text(state.protocol_version().and_then(|v| v.as_str().map(str::to_owned)));
    let cipher = state.negotiated_cipher_suite().map(|suite| suite.suite());
    let group = state.negotiated_key_exchange_group().map(|group| group.name());
    Negotiated {
        resumed: state.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        words: [
            version.replace("TLSv1_", "TLS 1."),
            text(
                cipher.and_then(|c| c.as_str().map(|s| s.trim_start_matches("TLS13_").to_owned())),
            ),
            text(group.and_then(|g| g.as_str().map(str::to_owned))),
            format!("ALPN {}", text(alpn)),
        ]
        .join(", "),
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
