//! Both transports in one process: `actix-target PORT`.

mod event;
mod webhook;
mod websocket;

use actix_web::web::{PayloadConfig, get, post};
use actix_web::{App, HttpServer};
use std::time::Duration;

/// Bytes of the largest event.
const LARGEST: usize = 32 << 20;

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).expect("usage: actix-target PORT");
    let app = || {
        App::new()
            .app_data(PayloadConfig::new(LARGEST))
            .route("/webhook", post().to(webhook::webhook))
            .route("/events", get().to(websocket::upgrade))
    };
    let server = HttpServer::new(app).keep_alive(Duration::from_secs(75)).tcp_nodelay(true);
    server.bind(format!("127.0.0.1:{port}"))?.run().await
}
