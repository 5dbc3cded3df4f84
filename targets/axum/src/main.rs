//! Both ways in one process: `axum-target PORT [CERTIFICATE KEY]`.

mod event;
mod tls;
mod webhook;
mod websocket;

use axum::extract::DefaultBodyLimit;
use axum::routing::{any, post};
use axum::serve::ListenerExt as _;
use axum::{Router, serve};
use tokio::net::TcpListener;

/// Bytes of the largest event.
const LARGEST: usize = 32 << 20;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = arguments.first().expect("usage: axum-target PORT [CERTIFICATE KEY]");
    let app = Router::new()
        .route("/webhook", post(webhook::webhook))
        .route("/events", any(websocket::upgrade))
        .layer(DefaultBodyLimit::max(LARGEST));
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("the port is free");
    if let [_, certificate, key] = &arguments[..] {
        return tls::serve(listener, app, certificate, key).await.expect("serving never ends");
    }
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a TCP socket"));
    serve(listener, app).await.expect("serving never ends");
}
