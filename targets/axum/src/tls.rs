//! The same server over TLS.

use axum::Router;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use std::io;
use tokio::net::TcpListener;

pub async fn serve(
    listener: TcpListener,
    app: Router,
    certificate: &str,
    key: &str,
) -> io::Result<()> {
    let config = RustlsConfig::from_pem_file(certificate, key).await?;
    axum_server::from_tcp(listener.into_std()?)?
        .acceptor(RustlsAcceptor::new(config).acceptor(NoDelayAcceptor))
        .serve(app.into_make_service())
        .await
}
