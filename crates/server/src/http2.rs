//! Connections of arms with HTTP/2: the requests of one are answered at the same time, in any order.

use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use pushbench_wire::http2::{CONNECTION_WINDOW, MAX_STREAMS, STREAM_WINDOW};
use pushbench_wire::limits::LONGEST_HEAD;
use pushbench_wire::stream::Stream;
use std::convert::Infallible;
use tokio::net::TcpStream;

/// How a server with it describes itself.
pub(crate) fn description() -> String {
    format!(
        ", over HTTP/2 with at most {MAX_STREAMS} streams, windows of {} MiB a stream and {} MiB a connection",
        STREAM_WINDOW >> 20,
        CONNECTION_WINDOW >> 20
    )
}

/// Serves a connection until it ends. A client that does not begin with the preface of HTTP/2 is answered over
/// HTTP/1.1.
pub(crate) async fn serve<S, B>(stream: Stream<TcpStream>, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Body<Error = Infallible> + Send + 'static,
    B::Data: Send,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .max_concurrent_streams(MAX_STREAMS)
        // hyper's 16 KiB are less than a scenario may add (payload.headers_bytes).
        .max_header_list_size(LONGEST_HEAD as u32)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let _ended = builder.serve_connection(TokioIo::new(stream), service).await;
}
