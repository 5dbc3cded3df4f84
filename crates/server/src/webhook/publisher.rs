//! The publisher's half: a subscriber registers an address, and each event is POSTed there.
//!
//! Each destination has a task of its own with its queue and at most one kept connection. That is the
//! pool: a destination's events keep their order, a slow one delays no other, and no request is
//! sent twice behind our back, as hyper-util's pooled client does when a kept connection turns out to
//! be closed.

use crate::publisher::Options;
use crate::publisher::hub::{Hub, random};
use crate::publisher::outbox::Publication;
use crate::publisher::requests::{Answer, json_response, not_kept, read_body, text, unknown_type};
use crate::publisher::subscription::Subscription;
use crate::publisher::tally::DeliveryOutcome;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT,
};
use hyper::{Method, Request, StatusCode, Uri};
use pushbench_core::guarantee::delivery_queue::{Attempt, DeliveryQueue, Next, Settled};
use pushbench_core::publishing::{Keep, LONGEST_SUBSCRIPTION};
use pushbench_core::wording::{DRIVER_ADDRESS, FORWARD_PROXY, RECEIVER_HOSTS};
use pushbench_wire::endpoint::{Endpoint, Resolved, Scheme};
use pushbench_wire::http_connection::{ExchangeError, HttpConnection};
use pushbench_wire::stream::Stream;
use pushbench_wire::tls::ClientTls;
use pushbench_wire::webhook::response::retry_after;
use serde::Deserialize;
use serde_json::json;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// An attempt that says nothing about when to make the next one.
const FAILED: Attempt = Attempt::Failed { retry_after: None };

#[derive(Deserialize)]
struct SubscriptionRequest {
    url: String,
    #[serde(default)]
    types: Vec<String>,
}

/// `POST /subscribe {"url": …, "types": […]}`
pub async fn subscribe(hub: &Arc<Hub>, request: Request<Incoming>) -> Answer {
    if request.method() != Method::POST {
        return text(StatusCode::METHOD_NOT_ALLOWED, "subscriptions are accepted by POST");
    }
    let body = match read_body(request, LONGEST_SUBSCRIPTION).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let requested: SubscriptionRequest = match serde_json::from_slice(&body) {
        Ok(requested) => requested,
        Err(e) => return text(StatusCode::BAD_REQUEST, format!("not a subscription: {e}")),
    };
    if let Some(unknown) = hub.unknown(requested.types.iter().map(String::as_str)) {
        return unknown_type(hub, unknown);
    }
    match destination(&hub.options, &requested.url) {
        Ok(destination) => {
            let (status, number) = match hub.register(requested.url, requested.types).await {
                Ok(Ok(subscription)) => {
                    let number = subscription.number();
                    tokio::spawn(deliver(subscription, destination));
                    (StatusCode::CREATED, number)
                }
                Ok(Err(number)) => (StatusCode::OK, number),
                Err(e) => return not_kept(e),
            };
            json_response(status, &json!({ "subscriber": number }))
        }
        Err((status, why)) => text(status, format!("{}: {why}", requested.url)),
    }
}

/// Where a publisher with these options delivers what is for an address, or what is wrong with it.
pub(crate) fn destination(
    options: &Options,
    url: &str,
) -> Result<Destination, (StatusCode, String)> {
    let mut destination = Destination::parse(url, options.tls.as_ref())?;
    if options.keep == Keep::Never {
        destination.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let bearer = options.bearer.as_deref();
    let bearer = bearer.and_then(|b| HeaderValue::from_str(b).ok());
    destination.headers.extend(bearer.map(|b| (AUTHORIZATION, b)));
    Ok(destination)
}

/// An address of this machine that something is POSTed to.
pub(crate) struct Destination {
    /// `localhost` has two: the one that accepts connections counts.
    addresses: Vec<SocketAddr>,
    /// The same through a forward proxy, where there is one.
    proxied: Option<Resolved>,
    /// How connections there are encrypted, with sessions of its own; nothing without TLS.
    tls: Option<ClientTls>,
    uri: Uri,
    headers: HeaderMap,
}

/// Whether something may be POSTed to an address: one of the loopback device, of the driver's path, whose addresses begin
/// with the same number, or of a machine that whoever started this server has named.
pub(super) fn may_be_called(address: IpAddr) -> bool {
    static NAMED: OnceLock<Vec<IpAddr>> = OnceLock::new();
    let read = || std::env::var(RECEIVER_HOSTS).unwrap_or_default();
    let named =
        NAMED.get_or_init(|| read().split(',').filter_map(|host| host.parse().ok()).collect());
    static DRIVER: OnceLock<Option<Ipv4Addr>> = OnceLock::new();
    let driver = DRIVER.get_or_init(|| std::env::var(DRIVER_ADDRESS).ok()?.parse().ok());
    let on_path = |driver: Ipv4Addr| match address {
        IpAddr::V4(address) => address.octets()[0] == driver.octets()[0],
        IpAddr::V6(_) => false,
    };
    address.is_loopback() || named.contains(&address) || driver.is_some_and(on_path)
}

/// The forward proxy that everything goes through that is POSTed.
fn forward_proxy() -> Option<SocketAddr> {
    static PROXY: OnceLock<Option<SocketAddr>> = OnceLock::new();
    let read = || std::env::var(FORWARD_PROXY).ok()?.strip_prefix("http://")?.parse().ok();
    *PROXY.get_or_init(read)
}

impl Destination {
    /// Parses an address, or returns what is wrong. `tls`: whom to trust at addresses over TLS.
    pub(super) fn parse(
        url: &str,
        tls: Option<&ClientTls>,
    ) -> Result<Destination, (StatusCode, String)> {
        let bad = |why: String| (StatusCode::BAD_REQUEST, why);
        let endpoint = Endpoint::parse_as(Scheme::Http, url).map_err(bad)?;
        let tls = match (endpoint.scheme.is_tls(), tls) {
            (false, _) => None,
            (true, Some(tls)) => Some(tls.with_own_sessions()),
            (true, None) => {
                let why = "this server trusts no certificate: start it with --ca FILE, or use http";
                return Err(bad(why.to_owned()));
            }
        };
        // A publisher that POSTs anywhere is an open relay; a name could point anywhere, too.
        if !endpoint.is_loopback() && !endpoint.host.parse().is_ok_and(may_be_called) {
            return Err((
                StatusCode::FORBIDDEN,
                match std::env::var_os(RECEIVER_HOSTS) {
                    None => {
                        "events are delivered only to addresses of this machine, such as 127.0.0.2"
                            .to_owned()
                    }
                    // Few words: more of an answer are not shown.
                    Some(_) => format!(
                        "add --allow-host {} to the run, or to the shard with the targets",
                        endpoint.host
                    ),
                },
            ));
        }
        let addresses = endpoint.addresses().map_err(|e| bad(e.to_string()))?;
        let mut headers = HeaderMap::new();
        let host = HeaderValue::from_str(&endpoint.authority);
        headers.insert(HOST, host.map_err(|_| bad("no usable host".to_owned()))?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("pushbench"));
        let proxied = forward_proxy()
            .map(|proxy| Resolved::new(endpoint.clone(), addresses[0]).through(proxy, false));
        let path = endpoint.path;
        let target = proxied.as_ref().map_or(path.clone(), |p| p.request_target(&path));
        let uri = target.parse().map_err(|_| bad("no usable path".to_owned()))?;
        Ok(Destination { addresses, proxied, tls, uri, headers })
    }

    /// Connects to the first address that accepts.
    pub(super) async fn open(&self) -> io::Result<HttpConnection<Stream<TcpStream>>> {
        let tls = self.tls.as_ref();
        let stream = match &self.proxied {
            None => Stream::open(&*self.addresses, tls).await?,
            Some(proxied) => {
                let mut socket = TcpStream::connect(proxied.socket).await?;
                socket.set_nodelay(true)?;
                proxied.open_tunnel(&mut socket).await.map_err(io::Error::other)?;
                Stream::connect(socket, tls).await?
            }
        };
        HttpConnection::new(stream).await.map_err(io::Error::other)
    }

    /// A POST of this body.
    pub(super) fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// Delivers to a subscription until it ends.
pub(crate) async fn deliver(subscription: Subscription, destination: Destination) {
    let hub = subscription.hub().clone();
    let mut connection: Option<HttpConnection<Stream<TcpStream>>> = None;
    let (guarantee, number) = (&hub.options.guarantee, subscription.number());
    // Its outbox bounds it: an event stays there until it is settled.
    let mut queue = DeliveryQueue::new(guarantee, random(), number, usize::MAX);
    let begun = Instant::now();
    let now = || begun.elapsed().as_nanos() as u64;
    let mut heard = begun;
    while let Some(event) = next(&subscription, &mut queue, &mut connection, &now).await {
        let Ok(_under_way) = hub.under_way.acquire().await else { return };
        let post = timeout(hub.options.timeout, post(&hub, &destination, &mut connection, &event));
        let timed_out = (DeliveryOutcome::TimedOut, FAILED);
        let (outcome, attempt) = post.await.unwrap_or(timed_out);
        hub.attempted(1);
        let usable = matches!(
            outcome,
            DeliveryOutcome::Acknowledged | DeliveryOutcome::Failed | DeliveryOutcome::Redirected
        );
        match outcome {
            DeliveryOutcome::TimedOut => hub.gone_after(heard.elapsed()),
            DeliveryOutcome::Refused | DeliveryOutcome::Lost => {}
            _ => heard = Instant::now(),
        }
        if !usable || hub.options.keep == Keep::Never {
            connection = None;
        }
        let held = queue.held();
        match queue.outcome(attempt, now()) {
            Settled::Acknowledged(event) => {
                subscription.settle(&event.id, outcome);
            }
            Settled::Retried => hub.attempt_failed(true),
            Settled::Exhausted(event) => {
                hub.attempt_failed(false);
                subscription.settle(&event.id, outcome);
            }
            Settled::Ended(_) => return hub.end_after_410(number),
        }
        hub.held(held, queue.held());
    }
}

/// The next event, a new one or one that is due again; meanwhile the kept connection is watched, so that one that the
/// subscriber closes costs no event, and closed when it is idle for too long.
async fn next(
    subscription: &Subscription,
    queue: &mut DeliveryQueue<Arc<Publication>>,
    connection: &mut Option<HttpConnection<Stream<TcpStream>>>,
    now: &impl Fn() -> u64,
) -> Option<Arc<Publication>> {
    let hub = subscription.hub();
    let limit = match hub.options.keep {
        Keep::For(limit) if connection.is_some() => Some(limit),
        _ => None,
    };
    let (mut idle, mut due) = (pin!(limit.map(sleep)), pin!(None));
    poll_fn(|cx| {
        if connection.as_mut().is_some_and(|open| open.drive(cx)) {
            *connection = None;
        }
        if connection.is_some()
            && idle.as_mut().as_pin_mut().is_some_and(|idle| idle.poll(cx).is_ready())
        {
            *connection = None;
            hub.closed_idle();
        }
        while let Poll::Ready(next) = subscription.poll_next(cx) {
            let Some(event) = next else { return Poll::Ready(None) };
            queue.put(event, now());
        }
        loop {
            match queue.next(now()) {
                Next::Send(event) => return Poll::Ready(Some(event)),
                Next::Ended => return Poll::Ready(None),
                Next::Wait(None) => return Poll::Pending,
                Next::Wait(Some(at)) => {
                    due.set(Some(sleep(Duration::from_nanos(at.saturating_sub(now())))));
                }
            }
            if due.as_mut().as_pin_mut().is_some_and(|due| due.poll(cx).is_pending()) {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// One attempt: a POST, no redirect.
async fn post(
    hub: &Hub,
    destination: &Destination,
    connection: &mut Option<HttpConnection<Stream<TcpStream>>>,
    event: &Publication,
) -> (DeliveryOutcome, Attempt) {
    let open = match connection {
        Some(open) => open,
        None => match timeout(hub.options.connect_timeout, destination.open()).await {
            Ok(Ok(opened)) => connection.insert(opened),
            Ok(Err(_)) | Err(_) => return (DeliveryOutcome::Refused, FAILED),
        },
    };
    let mut request = destination.request(event.body.clone());
    request.headers_mut().extend(event.signature.iter().cloned());
    match open.exchange(request).await {
        Ok(answer) if answer.status().is_success() => {
            (DeliveryOutcome::Acknowledged, Attempt::Acknowledged)
        }
        Ok(answer) if answer.status().is_redirection() => (DeliveryOutcome::Redirected, FAILED),
        Ok(answer) if answer.status() == StatusCode::GONE && hub.options.guarantee.retries() => {
            (DeliveryOutcome::Failed, Attempt::Gone)
        }
        Ok(answer) => {
            let retry_after = retry_after(answer.status(), answer.headers());
            (DeliveryOutcome::Failed, Attempt::Failed { retry_after })
        }
        Err(ExchangeError::TooLong(_)) => (DeliveryOutcome::Failed, FAILED),
        Err(ExchangeError::Connection(_)) => (DeliveryOutcome::Lost, FAILED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pushbench_core::scenario::KeyKind;
    use pushbench_wire::tls::certificates::Certificates;

    #[test]
    fn only_this_machine_is_delivered_to() {
        for url in [
            "http://127.0.0.1:1/x",
            "http://127.200.3.4:80/",
            "http://[::1]:9/",
            "http://localhost:1",
        ] {
            assert!(Destination::parse(url, None).is_ok(), "{url}");
        }
        for (url, status) in [
            ("http://10.0.0.1/", 403),
            ("http://example.com/", 403),
            ("http://localhost.example.com/", 403),
            ("http://127.0.0.1.nip.io/", 403),
            ("http://0.0.0.0:1/", 403),
            ("https://127.0.0.1/", 400),
            ("ftp://127.0.0.1/", 400),
            ("/hook", 400),
            ("", 400),
        ] {
            let refused = Destination::parse(url, None).err().map(|(status, _)| status.as_u16());
            assert_eq!(refused, Some(status), "{url}");
        }
    }

    #[test]
    fn addresses_over_tls_need_somebody_to_trust() {
        let made = Certificates::make(KeyKind::P256, &[]).unwrap();
        let tls = ClientTls::new(&made.ca, "localhost", Scheme::Https, true).unwrap();
        let over_tls = |url| Destination::parse(url, Some(&tls)).ok().unwrap().tls.is_some();
        assert!(over_tls("https://127.1.0.1:9/") && !over_tls("http://127.1.0.1:9/"));
        let why = Destination::parse("https://127.0.0.1/", None).err().unwrap().1;
        assert!(why.contains("--ca FILE"), "{why}");
        let refused = Destination::parse("https://10.0.0.1/", Some(&tls)).err().unwrap();
        assert_eq!(refused.0, StatusCode::FORBIDDEN);
    }

    #[test]
    fn the_path_goes_along() {
        let destination = Destination::parse("http://127.0.0.5:81/a/7?b=1", None).ok().unwrap();
        assert_eq!(destination.uri, "/a/7?b=1");
        assert_eq!(destination.headers[HOST], "127.0.0.5:81");
    }
}
