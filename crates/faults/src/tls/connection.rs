//! One connection of a faulty TLS server.

use super::tls_fault::TlsFault;
use super::{SLOW, Site};
use crate::http::{Message as Http, response};
use crate::websocket::Websocket;
use crate::wire::{Wire, correct_answer};
use pushbench_core::event::acknowledged_index;
use rustls::{HandshakeKind, ServerConnection, StreamOwned};
use socket2::SockRef;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use tokio_tungstenite::tungstenite::{Message, accept};

/// What OpenSSL answers a client of TLS 1.3 where it knows TLS 1.2 at most: a fatal alert, protocol_version.
const PROTOCOL_VERSION: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 70];
/// A handshake record whose message has no known type.
const GARBAGE: [u8; 13] = [0x16, 3, 3, 0, 8, 0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe, 0xef];
/// An encrypted record that no key has made.
const CORRUPT: [u8; 37] = {
    let mut record = [0xa5; 37];
    [record[0], record[1], record[2], record[3], record[4]] = [0x17, 3, 3, 0, 32];
    record
};

/// A stream and the socket below it.
trait Layer: Read + Write {
    fn tcp(&mut self) -> &mut TcpStream;
}

impl Layer for TcpStream {
    fn tcp(&mut self) -> &mut TcpStream {
        self
    }
}

impl Layer for StreamOwned<ServerConnection, TcpStream> {
    fn tcp(&mut self) -> &mut TcpStream {
        &mut self.sock
    }
}

/// Reads ahead, so that the protocol can be told by its first bytes.
struct Buffered<S>(BufReader<S>);

impl<S: Read> Read for Buffered<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Write> Write for Buffered<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

/// Serves a connection until it ends.
pub(super) fn serve(mut tcp: TcpStream, site: &Site) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut first = [0];
    if tcp.peek(&mut first)? == 0 {
        return Ok(()); // it only asked whether anybody is here
    }
    if first != [0x16] && site.fault == TlsFault::Plain {
        return events(tcp, site);
    }
    let hello = site.tally(|t| {
        t.hellos += 1;
        t.hellos - 1
    });
    match site.fault.at(hello) {
        TlsFault::Stalls => {
            site.tally(|t| t.stalled += 1);
            return read_out(&mut tcp);
        }
        TlsFault::Plain => {
            return instead_of_hello(tcp, &response(400, "Connection: close\r\n", ""));
        }
        TlsFault::Tls12 => {
            site.tally(|t| t.refused += 1);
            return instead_of_hello(tcp, &PROTOCOL_VERSION);
        }
        TlsFault::Garbage => return instead_of_hello(tcp, &GARBAGE),
        TlsFault::ClosesAfterHello => return instead_of_hello(tcp, &[]),
        TlsFault::SlowHandshake => std::thread::sleep(SLOW),
        _ => {}
    }
    let mut connection = ServerConnection::new(site.tls.clone()).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        if let Err(e) = connection.complete_io(&mut tcp) {
            // A close with bytes unread would reset the connection before the alert is read.
            close(&mut tcp)?;
            return Err(e);
        }
    }
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    site.tally(|t| {
        t.handshakes += 1;
        t.resumed += u64::from(resumed);
    });
    events(StreamOwned::new(connection, tcp), site)
}

/// Reads the ClientHello and answers it with these bytes.
fn instead_of_hello(mut tcp: TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut head = [0; 5];
    tcp.read_exact(&mut head)?;
    let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    tcp.read_exact(&mut hello)?;
    tcp.write_all(bytes)?;
    close(&mut tcp)
}

/// Answers events, by HTTP or over a WebSocket.
fn events<S: Layer>(stream: S, site: &Site) -> io::Result<()> {
    let mut stream = Buffered(BufReader::new(stream));
    if !stream.0.fill_buf()?.starts_with(b"GET ") {
        while let Some(request) = Http::read(&mut stream.0)? {
            if !answer::<crate::webhook::Webhook>(stream.0.get_mut(), &request.body, site)? {
                return close(stream.0.get_mut().tcp());
            }
        }
        return Ok(());
    }
    let mut socket = accept(stream).map_err(|e| io::Error::other(e.to_string()))?;
    while let Ok(message) = socket.read() {
        match message {
            Message::Text(text) => {
                let stream = socket.get_mut().0.get_mut();
                if !answer::<Websocket>(stream, text.as_bytes(), site)? {
                    return close(stream.tcp());
                }
            }
            Message::Close(_) => return socket.flush().map_err(io::Error::other),
            _ => {}
        }
    }
    Ok(())
}

/// Answers an event, or does what the fault does instead; false when nothing follows.
fn answer<W: Wire>(stream: &mut impl Layer, event: &[u8], site: &Site) -> io::Result<bool> {
    let index = acknowledged_index(event)
        .ok_or_else(|| io::Error::other("an event without an id of ours"))?;
    let affected = site.fault.affects(index);
    let answered = !affected || site.fault == TlsFault::TruncatesBetween;
    site.tally(|t| {
        t.events += 1;
        t.affected += u64::from(affected);
        t.answered += u64::from(answered);
    });
    let answer = correct_answer::<W>(index);
    match site.fault {
        TlsFault::Truncates if affected => stream.write_all(&answer[..answer.len() / 2])?,
        TlsFault::GarbageLater if affected => stream.tcp().write_all(&CORRUPT)?,
        _ => {
            // The end is in the segment of the answer: nobody can send anything between them.
            SockRef::from(&*stream.tcp()).set_tcp_cork(affected)?;
            stream.write_all(&answer)?;
        }
    }
    stream.flush()?;
    Ok(!affected)
}

/// Ends the connection without a word of TLS, and in order for TCP.
fn close(tcp: &mut TcpStream) -> io::Result<()> {
    tcp.shutdown(Shutdown::Write)?;
    read_out(tcp)
}

/// Reads until the peer has closed.
fn read_out(tcp: &mut TcpStream) -> io::Result<()> {
    io::copy(tcp, &mut io::sink()).map(drop)
}
