//! An encrypted connection between a coordinator and a shard: frames of bytes, both ways at once, on a blocking socket.
//!
//! The coordinator shows a certificate that it has made for the run. A shard knows its SHA-256 fingerprint and trusts
//! nothing else: there is no name to check and no authority.

use crate::tls::{ServerTls, provider};
use pushbench_core::scenario::KeyKind;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct,
    ServerConnection, SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A frame is no longer than this: the record of a trial with its histograms is below a megabyte.
const LONGEST: usize = 256 << 20;
/// … and one of a peer that has not shown who it is.
const FIRST: usize = 64 << 10;
/// A handshake that takes longer has failed.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A machine that has not answered for this long is asked whether it is still there, three times.
const ALIVE: Duration = Duration::from_secs(5);
/// Bytes of the length before each frame.
const HEAD: usize = 4;

/// The SHA-256 digest of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// The coordinator's end: a certificate of its own.
pub struct LinkServer {
    tls: ServerTls,
    fingerprint: Fingerprint,
}

impl LinkServer {
    /// Makes a key and a certificate.
    ///
    /// # Errors
    /// There is no source of random numbers.
    pub fn make() -> io::Result<LinkServer> {
        let made = crate::tls::certificates::Certificates::make(KeyKind::P256, &[])?;
        let der = crate::tls::certificates(&made.cert)?;
        let first = der.first().ok_or_else(|| io::Error::other("no certificate was made"))?;
        let fingerprint = Fingerprint(Sha256::digest(first).into());
        let tls = ServerTls::new(&made.cert, &made.key)?;
        Ok(LinkServer { tls, fingerprint })
    }

    /// What shards have to know.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Shakes hands with a shard that has connected.
    ///
    /// # Errors
    /// It does not speak TLS 1.3, or is silent.
    pub fn accept(&self, socket: TcpStream) -> io::Result<Link> {
        let config = self.tls.acceptor().config().clone();
        let server = ServerConnection::new(config).map_err(io::Error::other)?;
        Link::open(socket, server.into())
    }
}

/// One end. `send` may be called by any thread while another one waits in `receive`.
pub struct Link {
    socket: TcpStream,
    tls: Mutex<Connection>,
    /// Held while bytes are written, which may take until the other end reads: never by whoever reads.
    writing: Mutex<()>,
    /// Bytes that were read and are no whole frame yet.
    received: Mutex<Vec<u8>>,
    /// The longest frame that is taken.
    longest: AtomicUsize,
}

impl Link {
    /// Connects to a coordinator with this certificate.
    ///
    /// # Errors
    /// Nothing accepts connections there, or another certificate is shown.
    pub fn connect(address: SocketAddr, fingerprint: Fingerprint) -> io::Result<Link> {
        let socket = TcpStream::connect_timeout(&address, HANDSHAKE)?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned(fingerprint)))
            .with_no_client_auth();
        let name = ServerName::from(address.ip());
        let client = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        Link::open(socket, client.into())
    }

    fn open(socket: TcpStream, mut tls: Connection) -> io::Result<Link> {
        socket.set_nodelay(true)?;
        // A machine that is switched off closes nothing.
        let alive = TcpKeepalive::new().with_time(ALIVE).with_interval(ALIVE).with_retries(3);
        SockRef::from(&socket).set_tcp_keepalive(&alive)?;
        socket.set_read_timeout(Some(HANDSHAKE))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut &socket)?;
        }
        while tls.wants_write() {
            tls.write_tls(&mut &socket)?;
        }
        socket.set_read_timeout(None)?;
        tls.set_buffer_limit(None);
        // The first frame may have come with the end of the handshake.
        let mut received = Vec::new();
        decrypted(&mut tls, &mut received)?;
        Ok(Link {
            socket,
            tls: Mutex::new(tls),
            writing: Mutex::new(()),
            received: Mutex::new(received),
            longest: AtomicUsize::new(FIRST),
        })
    }

    /// From now on long frames are taken, too: the other end has shown who it is.
    pub fn trust(&self) {
        self.longest.store(LONGEST, Ordering::Relaxed);
    }

    /// The addresses of this end and of the other one.
    ///
    /// # Errors
    /// The connection is closed.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.socket.local_addr()?, self.socket.peer_addr()?))
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// The connection is closed.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        let _in_order = lock(&self.writing);
        let mut encrypted = Vec::with_capacity(frame.len() + frame.len() / 64 + 1024);
        {
            let mut tls = lock(&self.tls);
            tls.writer().write_all(&length.to_be_bytes())?;
            tls.writer().write_all(frame)?;
            while tls.wants_write() {
                tls.write_tls(&mut encrypted)?;
            }
        }
        (&self.socket).write_all(&encrypted)
    }

    /// Waits for a frame; `None` where the other end has closed the connection. A later end of `limit` is an error of
    /// the kind `TimedOut` or `WouldBlock`, after which one may wait again.
    ///
    /// # Errors
    /// The connection is broken, or what came is no frame.
    pub fn receive(&self, limit: Option<Duration>) -> io::Result<Option<Vec<u8>>> {
        self.socket.set_read_timeout(limit)?;
        let mut received = lock(&self.received);
        let mut raw = [0; 16 << 10];
        loop {
            if let Some(frame) = next_frame(&mut received, self.longest.load(Ordering::Relaxed))? {
                return Ok(Some(frame));
            }
            let read = match (&self.socket).read(&mut raw) {
                Ok(0) => return Ok(None),
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(e),
            };
            let mut tls = lock(&self.tls);
            let mut raw = &raw[..read];
            while !raw.is_empty() {
                tls.read_tls(&mut raw)?;
                decrypted(&mut tls, &mut received)?;
            }
        }
    }

    /// Ends the connection for both ends.
    pub fn close(&self) {
        let _already_closed = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

/// Moves what was decrypted to the end of `received`.
fn decrypted(tls: &mut Connection, received: &mut Vec<u8>) -> io::Result<()> {
    let state = tls.process_new_packets().map_err(io::Error::other)?;
    let from = received.len();
    received.resize(from + state.plaintext_bytes_to_read(), 0);
    tls.reader().read_exact(&mut received[from..])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the first frame away, if it is whole.
fn next_frame(received: &mut Vec<u8>, longest: usize) -> io::Result<Option<Vec<u8>>> {
    let Some(head) = received.first_chunk::<HEAD>() else { return Ok(None) };
    let length = u32::from_be_bytes(*head) as usize;
    if length > longest {
        return Err(io::Error::other(format!("a frame of {length} bytes is too long")));
    }
    if received.len() < HEAD + length {
        return Ok(None);
    }
    let rest = received.split_off(HEAD + length);
    let mut frame = std::mem::replace(received, rest);
    frame.drain(..HEAD);
    Ok(Some(frame))
}

/// Trusts one certificate, whatever it says.
#[derive(Debug)]
struct Pinned(Fingerprint);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown: [u8; 32] = Sha256::digest(end_entity).into();
        match shown == self.0.0 {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let supported = provider().signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, &supported)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let supported = provider().signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, &supported)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn pair() -> (Link, Link) {
        let server = LinkServer::make().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, fingerprint) = (listener.local_addr().unwrap(), server.fingerprint());
        let client = std::thread::spawn(move || Link::connect(address, fingerprint).unwrap());
        let accepted = server.accept(listener.accept().unwrap().0).unwrap();
        (accepted, client.join().unwrap())
    }

    #[test]
    fn frames_arrive_whole_in_both_directions_at_once() {
        let (a, b) = pair();
        a.trust();
        b.trust();
        let (a, b) = (Arc::new(a), Arc::new(b));
        let frames = |salt: u8| -> Vec<Vec<u8>> {
            [0, 1, 5, 70_000, 3_000_000].iter().map(|n| vec![salt; *n]).collect()
        };
        let both = [(a.clone(), b.clone(), 1), (b, a, 2)];
        let threads = both.map(|(from, to, salt)| {
            let sent = frames(salt);
            let sender =
                std::thread::spawn(move || sent.iter().for_each(|f| from.send(f).unwrap()));
            let received = std::thread::spawn(move || {
                frames(salt)
                    .iter()
                    .for_each(|f| assert!(to.receive(None).unwrap().as_ref() == Some(f)));
            });
            (sender, received)
        });
        for (sender, received) in threads {
            sender.join().unwrap();
            received.join().unwrap();
        }
    }

    /// A frame that is sent at once may be read together with the end of the handshake.
    #[test]
    fn the_first_frame_is_not_lost_in_the_handshake() {
        for _ in 0..20 {
            let server = LinkServer::make().unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let (address, fingerprint) = (listener.local_addr().unwrap(), server.fingerprint());
            let client = std::thread::spawn(move || {
                let link = Link::connect(address, fingerprint).unwrap();
                link.send(b"first").unwrap();
                link
            });
            let socket = listener.accept().unwrap().0;
            std::thread::sleep(Duration::from_millis(5));
            let accepted = server.accept(socket).unwrap();
            let first = accepted.receive(Some(Duration::from_secs(20))).unwrap();
            assert_eq!(first.as_deref(), Some(b"first".as_slice()));
            drop(client.join().unwrap());
        }
    }

    #[test]
    fn a_closed_end_is_told_from_one_that_is_silent() {
        let (a, b) = pair();
        let silent = a.receive(Some(Duration::from_millis(5))).unwrap_err();
        assert!(matches!(silent.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
        b.send(b"x").unwrap();
        b.close();
        assert_eq!(a.receive(None).unwrap().as_deref(), Some(b"x".as_slice()));
        assert_eq!(a.receive(None).unwrap(), None);
    }

    #[test]
    fn another_certificate_is_refused() {
        let server = LinkServer::make().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::thread::spawn(move || Link::connect(address, Fingerprint([7; 32])));
        assert!(server.accept(listener.accept().unwrap().0).is_err());
        assert!(client.join().unwrap().is_err());
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused() {
        let mut received = vec![0xff, 0xff, 0xff, 0xff, 1];
        assert!(next_frame(&mut received, LONGEST).is_err());
        let mut received = (FIRST as u32 + 1).to_be_bytes().to_vec();
        assert!(next_frame(&mut received, FIRST).is_err(), "a peer that has not shown who it is");
    }
}
