//! Answers that the server POSTs to the address that the question named, over kept connections.
//!
//! Only for those who ask from this machine, and only to addresses of this machine: a server that POSTs
//! to any given address is an open relay.

use crate::webhook::publisher::Destination;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use pushbench_wire::http_connection::{ExchangeError, HttpConnection};
use pushbench_wire::stream::Stream;
use pushbench_wire::tls::ClientTls;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Answers on their way to one address at the same time, hence connections to it: as many as a publisher
/// has deliveries under way.
const AT_ONCE: usize = pushbench_core::publishing::CONCURRENCY;
/// Addresses that are remembered: a driver has one for each of its CPUs and arms.
const MOST_ADDRESSES: usize = 1024;
/// An answer that is not taken for so long is given up.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Every address that answers go to.
#[derive(Default)]
pub struct CallbackAddresses {
    /// Whom to trust at addresses over TLS.
    tls: Option<ClientTls>,
    addresses_by_url: Mutex<HashMap<HeaderValue, Arc<CallbackAddress>>>,
}

/// One address, and the connections to it that wait for the next answer.
pub struct CallbackAddress {
    destination: Destination,
    idle: Mutex<Vec<HttpConnection<Stream<TcpStream>>>>,
    under_way: Semaphore,
}

fn lock<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CallbackAddresses {
    /// None yet. `tls`: whom to trust at addresses over TLS.
    pub fn new(tls: Option<ClientTls>) -> CallbackAddresses {
        CallbackAddresses { tls, ..CallbackAddresses::default() }
    }

    /// The address that a question's header names, or the answer to what names none.
    pub fn address(&self, url: &HeaderValue) -> Result<Arc<CallbackAddress>, (StatusCode, String)> {
        let mut addresses_by_url = lock(&self.addresses_by_url);
        if let Some(address) = addresses_by_url.get(url) {
            return Ok(address.clone());
        }
        let text = url.to_str().map_err(|_| (StatusCode::BAD_REQUEST, "not a URL".to_owned()))?;
        let destination = Destination::parse(text, self.tls.as_ref())?;
        if addresses_by_url.len() >= MOST_ADDRESSES {
            let why = format!("the limit of {MOST_ADDRESSES} callback addresses is reached");
            return Err((StatusCode::SERVICE_UNAVAILABLE, why));
        }
        let (idle, under_way) = (Mutex::default(), Semaphore::new(AT_ONCE));
        let new = Arc::new(CallbackAddress { destination, idle, under_way });
        addresses_by_url.insert(url.clone(), new.clone());
        Ok(new)
    }
}

impl CallbackAddress {
    /// POSTs an answer, once. The response is ignored: the client knows whether the answer arrived.
    pub async fn post(&self, answer: String) -> io::Result<()> {
        let Ok(_turn) = self.under_way.acquire().await else { return Ok(()) };
        timeout(TIMEOUT, self.exchange(answer.into())).await?
    }

    async fn exchange(&self, answer: Bytes) -> io::Result<()> {
        let mut connection = match self.idle_connection().await {
            Some(connection) => connection,
            None => self.destination.open().await?,
        };
        match connection.exchange(self.destination.request(answer)).await {
            Ok(_) => lock(&self.idle).push(connection),
            Err(ExchangeError::TooLong(_)) => {}
            Err(ExchangeError::Connection(e)) => return Err(io::Error::other(e)),
        }
        Ok(())
    }

    /// The most recently used connection that is still open, so that few connections are used.
    async fn idle_connection(&self) -> Option<HttpConnection<Stream<TcpStream>>> {
        loop {
            let mut connection = lock(&self.idle).pop()?;
            if !poll_fn(|cx| Poll::Ready(connection.drive(cx))).await {
                return Some(connection);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_answered_to() {
        let callback_addresses = CallbackAddresses::default();
        let status =
            |url: &str| match callback_addresses.address(&HeaderValue::from_str(url).unwrap()) {
                Ok(_) => 0,
                Err((status, _)) => status.as_u16(),
            };
        for url in
            ["http://127.0.0.1:80/a", "http://127.9.9.9/a", "http://[::1]:1/", "http://localhost:9"]
        {
            assert_eq!(status(url), 0, "{url}");
        }
        for url in
            ["http://10.0.0.1/", "http://example.org/", "http://0.0.0.0:1/", "http://[::]:1/"]
        {
            assert_eq!(status(url), 403, "{url}");
        }
        for url in ["https://127.0.0.1/", "127.0.0.1:80", "", "ftp://127.0.0.1/", "/answer"] {
            assert_eq!(status(url), 400, "{url}");
        }
        assert_eq!(lock(&callback_addresses.addresses_by_url).len(), 4);
    }

    #[test]
    fn addresses_are_remembered_up_to_a_limit() {
        let callback_addresses = CallbackAddresses::default();
        let ask = |n: usize| {
            let url = HeaderValue::from_str(&format!("http://127.0.0.1:9/{n}")).unwrap();
            callback_addresses.address(&url).map_err(|(status, _)| status.as_u16()).map(drop)
        };
        for n in 0..MOST_ADDRESSES {
            assert_eq!(ask(n), Ok(()));
        }
        assert_eq!((ask(MOST_ADDRESSES), ask(0)), (Err(503), Ok(())));
    }
}
