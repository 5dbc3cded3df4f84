//! What others POST to the driver: however it is cut the same requests are taken and the rest is refused
//! in the same way, and hyper's server reads the same in what is taken.
#![no_main]

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use pushbench_fuzz::{Cuts, ROOM, Socket, bounded, polled};
use pushbench_wire::webhook::request_receiver::{ReceiverContext, RequestReceiver};
use std::cell::RefCell;
use std::iter::once;

/// Longest body that is taken.
const LONGEST: usize = 1 << 16;

/// Method, path and body.
type Taken = Vec<(String, String, Vec<u8>)>;

/// What is taken of these pieces, and how it ended.
fn ours(bytes: &[u8], cuts: Cuts) -> (Taken, Option<String>) {
    let mut receiver =
        RequestReceiver::new(Socket::new(cuts.pieces(bytes)), ReceiverContext::new(LONGEST));
    let mut taken = Taken::new();
    loop {
        let next = polled(receiver.next(|request| {
            (request.method.to_owned(), request.path.to_owned(), request.body.to_vec())
        }));
        match next {
            Ok(Some(request)) => taken.push(request),
            Ok(None) => return (taken, None),
            Err(e) => return (taken, Some(e.to_string())),
        }
        polled(receiver.answer(StatusCode::NO_CONTENT, "")).expect("the socket takes everything");
    }
}

/// What hyper's server takes of the same bytes, and why it stopped.
fn tungstenite_transcript(bytes: &[u8]) -> (Taken, Option<hyper::Error>) {
    let taken = RefCell::new(Taken::new());
    let service = service_fn(async |request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        taken.borrow_mut().push((head.method.to_string(), head.uri.path().to_owned(), body));
        let mut response = Response::new(Empty::<Bytes>::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok::<_, hyper::Error>(response)
    });
    let socket = TokioIo::new(Socket::new(once(bytes)));
    let connection = http1::Builder::new().half_close(true).serve_connection(socket, service);
    let ended = polled(connection).err();
    (taken.take(), ended)
}

fuzz_target!(|input: &[u8]| {
    let (cuts, bytes) = Cuts::of(input);
    let whole = bounded(bytes, ROOM, || ours(bytes, Cuts::NONE));
    for cuts in cuts.and_all() {
        assert_eq!(bounded(bytes, ROOM, || ours(bytes, cuts)), whole, "cut at {cuts:?}");
    }
    let ((ours, _), (tungstenite_transcript, ended)) = (whole, tungstenite_transcript(bytes));
    for (ours, tungstenite_transcript) in ours.iter().zip(&tungstenite_transcript) {
        // Of a target that is no path, hyper gives none; here nobody is found under it.
        let path =
            if ours.1.starts_with('/') { tungstenite_transcript.1.as_str() } else { &ours.1 };
        let tungstenite_transcript =
            (tungstenite_transcript.0.as_str(), path, &tungstenite_transcript.2[..]);
        assert_eq!(
            (ours.0.as_str(), ours.1.as_str(), &ours.2[..]),
            tungstenite_transcript,
            "as hyper reads it"
        );
    }
    if ours.len() > tungstenite_transcript.len() {
        // hyper looks closer at targets, which here only have to be found.
        let target = ended.as_ref().is_some_and(|e| e.to_string() == "invalid URI");
        assert!(target, "hyper takes {} of {ours:?}: {ended:?}", tungstenite_transcript.len());
    }
});
