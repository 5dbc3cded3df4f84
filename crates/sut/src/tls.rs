//! Whether a server without valid answers uses TLS: many close the connection when a client does
//! not use TLS.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server on this machine answers a greeting sooner.
const PATIENCE: Duration = Duration::from_millis(500);

/// The start of a TLS 1.2 handshake (RFC 5246, 7.4.1.2): a record of 75 bytes, in it a greeting of 71 …
const GREETING: [u8; 11] = [0x16, 3, 1, 0, 75, 1, 0, 0, 71, 3, 3];
/// … and behind its 32 random bytes no session, four cipher suites, no compression, two curves and three
/// ways to sign.
const OFFER: [u8; 37] = [
    0, 0, 8, 0xc0, 0x2f, 0xc0, 0x2b, 0, 0x2f, 0, 0x9c, 1, 0, 0, 22, //
    0, 10, 0, 6, 0, 4, 0, 29, 0, 23, //
    0, 13, 0, 8, 0, 6, 4, 3, 4, 1, 8, 4,
];

/// Greets it once. Whatever a TLS server makes of that, its answer is a handshake or an alert.
pub(super) fn speaks(address: SocketAddr) -> bool {
    let greet = || -> std::io::Result<[u8; 2]> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&[&GREETING[..], &[7; 32], &OFFER].concat())?;
        let mut start = [0; 2];
        stream.read_exact(&mut start)?;
        Ok(start)
    };
    matches!(greet(), Ok([0x15 | 0x16, 3]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn spoken_to(answer: &'static [u8]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut greeting = [0; 80];
            stream.read_exact(&mut greeting).unwrap();
            assert_eq!((greeting[3..5].as_ref(), greeting[5]), (&[0, 75][..], 1));
            let _gone = stream.write_all(answer);
        });
        let spoken = speaks(address);
        server.join().unwrap();
        spoken
    }

    #[test]
    fn handshakes_and_alerts_are_tls_and_nothing_else_is() {
        assert!(spoken_to(&[0x16, 3, 3, 0, 90]));
        assert!(spoken_to(&[0x15, 3, 1, 0, 2, 2, 40]));
        assert!(!spoken_to(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        assert!(!spoken_to(b""));
    }
}
