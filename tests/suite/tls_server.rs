//! The built-in servers over TLS when their clients are at fault: other connections go on, and nothing is printed.

use crate::common::{Bench, eventually};
use pushbench_core::event::{Template, acknowledgement};
use pushbench_core::scenario::Payload;
use pushbench_wire::endpoint::Scheme;
use pushbench_wire::stream::Stream;
use pushbench_wire::tls::ClientTls;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Child;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The beginning of a ClientHello: a record of 512 bytes, of which 512 never come.
const BEGINNING: [u8; 9] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc];
/// Only a broken machine takes longer for a close.
const PATIENCE: Duration = Duration::from_secs(60);

/// `pushbench serve webhook+tls`, where it listens, and a client that trusts it.
fn serve(bench: &Bench) -> (Child, SocketAddr, ClientTls) {
    let options = ["--listen", "127.0.0.1:0", "--cert-out", "ca.pem"];
    let mut command = bench.pushbench(&[&["serve", "webhook+tls"][..], &options].concat());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.split_whitespace().find_map(|word| word.parse().ok());
    let ca = std::fs::read_to_string(bench.path("ca.pem")).unwrap();
    let client = ClientTls::new(&ca, "localhost", Scheme::Https, true).unwrap();
    (child, address.unwrap_or_else(|| panic!("{line}")), client)
}

/// Sends an event and reads its acknowledgement.
async fn exchange(stream: &mut Stream<tokio::net::TcpStream>, index: u64) {
    let event = Template::new(&Payload::Bytes(80)).render(index);
    let head =
        format!("POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", event.len());
    stream.write_all(&[head.as_bytes(), &event].concat()).await.unwrap();
    stream.flush().await.unwrap();
    let wanted = acknowledgement(&format!("{index:016x}"));
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(&wanted) {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "{answer:?}");
    }
}

/// What comes until the server closes.
fn answered(address: SocketAddr, sent: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(sent).unwrap();
    let mut answer = Vec::new();
    let _may_be_reset = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn clients_that_break_tls_disturb_nobody() {
    let bench = Bench::new();
    let (mut server, address, client) = serve(&bench);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let mut kept = Stream::open(address, Some(&client)).await.unwrap();
        exchange(&mut kept, 0).await;
        // One that stalls stays to the end.
        let mut stalled = TcpStream::connect(address).unwrap();
        stalled.write_all(&BEGINNING).unwrap();
        // One that closes amid its hello, one that resets, one that only connects.
        let closed = TcpStream::connect(address).unwrap();
        (&closed).write_all(&BEGINNING).unwrap();
        closed.shutdown(Shutdown::Write).unwrap();
        let reset = TcpStream::connect(address).unwrap();
        (&reset).write_all(&BEGINNING).unwrap();
        socket2::SockRef::from(&reset).set_linger(Some(Duration::ZERO)).unwrap();
        drop(reset);
        drop(TcpStream::connect(address).unwrap());
        // Garbage is answered with an alert.
        let garbage = answered(address, &[0xa5; 300]);
        assert!(garbage.starts_with(&[0x15, 3]), "{garbage:?}");
        // Plain HTTP is answered by HTTP.
        let plain = answered(address, b"POST /webhook HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
        let plain = String::from_utf8(plain).unwrap();
        assert!(plain.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{plain}");
        assert!(
            plain.ends_with("\r\n\r\nthis server requires TLS: write https:// or wss://\n"),
            "{plain}"
        );
        let (head, body) = plain.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{plain}");
        // A whole handshake whose certificate the client refuses.
        let other = pushbench_wire::tls::certificates::Certificates::make(Default::default(), &[]);
        let distrusts =
            ClientTls::new(&other.unwrap().ca, "localhost", Scheme::Https, true).unwrap();
        assert!(Stream::open(address, Some(&distrusts)).await.is_err());

        exchange(&mut kept, 1).await;
        let mut fresh = Stream::open(address, Some(&client)).await.unwrap();
        exchange(&mut fresh, 2).await;
        drop((stalled, closed));
    });
    server.kill().unwrap();
    let output = server.wait_with_output().unwrap();
    assert_eq!((&*output.stdout, &*output.stderr), (&b""[..], &b""[..]), "it printed something");
    eventually("the server to end", || bench.processes().is_empty());
}

/// What the driver says of a server with TLS that its URL reaches without.
#[test]
fn a_plain_url_of_a_server_with_tls_is_named() {
    let bench = Bench::new();
    let (mut server, address, _) = serve(&bench);
    for (transport, scheme) in [("webhook", "http"), ("websocket", "ws")] {
        let text = format!(
            "[target.t.{transport}]\nurl = \"{scheme}://{address}/webhook\"\nmatch = \"id\"\n"
        );
        bench.write("pushbench.toml", &text);
        let wanted =
            ["400 Bad Request", "it uses TLS there: write https:// (wss://, tls://) in its URL"];
        bench.run(&["run", "--arm", &format!("{transport}@t")]).fails(3, &wanted);
    }
    server.kill().unwrap();
    server.wait().unwrap();
}
