use super::certificates::Certificates;
use super::*;
use crate::endpoint::Endpoint;
use crate::request_options::RequestOptions;
use crate::stream::Stream;
use crate::tcp::codec::Framed;
use crate::webhook::request_receiver::{ReceiverContext, RequestReceiver};
use crate::websocket::handshake;
use hyper::StatusCode;
use pushbench_core::scenario::KeyKind;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

fn ends(kind: KeyKind, name: &str, resumption: bool) -> (ClientTls, ServerTls) {
    let made = Certificates::make(kind, &["a.example".to_owned()]).unwrap();
    let client = ClientTls::new(&made.ca, name, Scheme::Https, resumption).unwrap();
    (client, ServerTls::new(&made.cert, &made.key).unwrap())
}

/// Connects once and sends a byte each way; what each end says of the handshake.
async fn once(client: &ClientTls, server: &ServerTls) -> io::Result<(Negotiated, Negotiated)> {
    let (near, far) = tokio::io::duplex(1 << 14);
    let serve = async {
        let mut stream = Stream::accept(far, Some(server)).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte + 1).await?;
        stream.flush().await?;
        io::Result::Ok(stream)
    };
    let ask = async {
        let mut stream = Stream::connect(near, Some(client)).await?;
        stream.write_u8(6).await?;
        stream.flush().await?;
        assert_eq!(stream.read_u8().await?, 7);
        io::Result::Ok(stream)
    };
    let (asked, served) = tokio::join!(ask, serve);
    Ok((asked?.negotiated().unwrap(), served?.negotiated().unwrap()))
}

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

#[test]
fn a_slot_resumes_its_own_session_and_no_other() {
    for kind in [KeyKind::P256, KeyKind::Rsa2048] {
        let (client, server) = ends(kind, "127.0.0.1", true);
        let slots: Vec<_> = (0..64).map(|_| client.with_own_sessions()).collect();
        for resumed in [false, true, true] {
            for slot in &slots {
                let (asked, served) = block(once(slot, &server)).unwrap();
                assert_eq!((asked.resumed, served.resumed), (resumed, resumed));
                assert_eq!(asked.words, served.words);
                assert!(
                    asked.words.starts_with("TLS 1.3, AES_256_GCM_SHA384, X25519"),
                    "{asked:?}"
                );
                assert!(asked.words.ends_with("ALPN http/1.1"), "{asked:?}");
            }
        }
    }
}

#[test]
fn without_resumption_every_handshake_is_full() {
    let (client, server) = ends(KeyKind::P256, "a.example", false);
    for _ in 0..3 {
        assert!(!block(once(&client, &server)).unwrap().0.resumed);
    }
}

#[test]
fn another_name_and_another_authority_are_refused() {
    let (client, server) = ends(KeyKind::P256, "b.example", true);
    assert!(block(once(&client, &server)).is_err());
    let (stranger, _) = ends(KeyKind::P256, "localhost", true);
    assert!(block(once(&stranger, &server)).is_err());
    assert!(ClientTls::new("", "localhost", Scheme::Https, true).is_err());
    assert!(ClientTls::new("-----BEGIN", "localhost", Scheme::Https, true).is_err());
}

/// A certificate signed by its own key and marked as an authority, as `openssl req -x509` makes it.
fn own_certificate(expires: i32) -> (ServerTls, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["own.example".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(expires, 1, 1);
    let pem = params.self_signed(&key).unwrap().pem();
    (ServerTls::new(&pem, &key.serialize_pem()).unwrap(), pem)
}

#[test]
fn a_server_whose_own_certificate_is_known_is_trusted_under_its_name_and_in_its_time() {
    let ((server, pem), (other, _)) = (own_certificate(2999), own_certificate(2999));
    let client = |pem: &str, name| ClientTls::new(pem, name, Scheme::Https, true).unwrap();
    assert!(block(once(&client(&pem, "own.example"), &server)).is_ok());
    assert!(block(once(&client(&pem, "b.example"), &server)).is_err());
    assert!(block(once(&client(&pem, "own.example"), &other)).is_err());
    let (expired, pem) = own_certificate(2001);
    assert!(block(once(&client(&pem, "own.example"), &expired)).is_err());
}

/// Polls until it is done: whatever it waits for happens in it.
fn done<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut cx = Context::from_waker(Waker::noop());
    let mut poll = |_| match work.as_mut().poll(&mut cx) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    };
    (0..100_000).find_map(&mut poll).expect("it stands still")
}

/// The two ends of a connection that holds a handshake and little more.
fn connected() -> (Stream<DuplexStream>, Stream<DuplexStream>) {
    let (client, server) = ends(KeyKind::P256, "localhost", true);
    let (near, far) = tokio::io::duplex(2048);
    let both = async {
        tokio::join!(Stream::connect(near, Some(&client)), Stream::accept(far, Some(&server)))
    };
    let (near, far) = done(both);
    (near.unwrap(), far.unwrap())
}

#[test]
fn what_a_full_socket_has_not_taken_is_written_later() {
    const LENGTH: usize = 20_000;
    let (near, mut far) = connected();
    let path = "a".repeat(LENGTH);
    let endpoint = Endpoint::parse(&format!("wss://localhost/{path}")).unwrap();
    let options = RequestOptions::default();
    let request = handshake::request(&endpoint, &options).unwrap();
    let arrives = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(far.read_buf(&mut head).await.unwrap() > 0);
        }
        drop(far);
        head.len()
    };
    let shaking = async {
        let mut near = near;
        handshake::shake(&mut near, &request, &options).await
    };
    assert!(done(async { tokio::join!(arrives, shaking) }).0 > LENGTH);

    let (near, far) = connected();
    let (mut near, mut far) = (Framed::new(near), Framed::new(far));
    near.queue_with(|out| out.resize(LENGTH + 4, 7));
    let arrives = std::future::poll_fn(|cx| far.poll_message(cx).map_ok(|m| m.map(<[u8]>::len)));
    let (written, arrived) = done(async { tokio::join!(near.flush(), arrives) });
    assert_eq!((written.unwrap(), arrived.unwrap()), ((), Some(LENGTH)));

    let (near, mut far) = connected();
    let mut receiver = RequestReceiver::new(near, ReceiverContext::new(LENGTH));
    let answered = async {
        receiver.answer(StatusCode::OK, &path).await.unwrap();
        receiver
    };
    let mut arrived = Vec::new();
    let arrives = async {
        while !arrived.ends_with(&[b'a'; LENGTH]) {
            assert!(far.read_buf(&mut arrived).await.unwrap() > 0);
        }
    };
    done(async { tokio::join!(answered, arrives) });
}

#[test]
fn a_server_without_tickets_lets_nobody_resume() {
    let (client, server) = ends(KeyKind::P256, "localhost", true);
    let server = server.without_resumption();
    for _ in 0..3 {
        assert!(!block(once(&client, &server)).unwrap().1.resumed);
    }
}

#[test]
fn the_first_byte_stays_when_it_is_looked_at() {
    let (client, server) = ends(KeyKind::P256, "localhost", true);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        for (client, server) in [(None, None), (Some(&client), Some(&server))] {
            let near = Stream::open(listener.local_addr().unwrap(), client);
            let far = async { Stream::accept(listener.accept().await?.0, server).await };
            let (near, far) = tokio::join!(near, far);
            let (mut near, mut far) = (near.unwrap(), far.unwrap());
            near.write_all(&[5, 6]).await.unwrap();
            assert_eq!(
                (far.peek().await.unwrap(), far.read_u16().await.unwrap()),
                (Some(5), 0x506)
            );
            near.shutdown().await.unwrap();
            assert_eq!(far.peek().await.unwrap(), None);
        }
    });
}
