//! Both ways in one process: `axum-target PORT`.

mod event;
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
    let port = std::env::args().nth(1).expect("usage: axum-target PORT");
    let app = Router::new()
        .route("/webhook", post(webhook::webhook))
        .route("/events", any(websocket::upgrade))
        .layer(DefaultBodyLimit::max(LARGEST));
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("the port is free");
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a TCP socket"));
    serve(listener, app).await.expect("serving never ends");
}
