//! Targets that publish: what the driver must know of one beside where events go, and what one tells.

use super::manifest::{BUILTIN, BUILTIN_CLOSE, BuiltinOptions, Manifest, Matching, PORT};
use super::process::Running;
use crate::error::{Error, Result};
use crate::record::fanout::PublisherStatus;
use crate::transport::Transport;
use crate::transport::publisher::{self, Keep, PUBLISH, STATUS, SUBSCRIBE, TOKEN_VARIABLE};
use hyper::header::{AUTHORIZATION, HeaderValue};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A publisher that is not frozen answers within this.
const ANSWER: Duration = Duration::from_secs(5);

/// Pause between two looks at a publisher that still waits for acknowledgements …
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// … and for how long, beyond what an acknowledgement takes by design; what is open then has not been
/// acknowledged.
const LOOKING: Duration = Duration::from_millis(100);

/// The publishing side of a target; its `url` takes the application's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// Where subscribers subscribe, `{port}` not yet filled in.
    pub subscribe: String,
    /// Path that tells a [`PublisherStatus`], where there is one.
    pub status: Option<String>,
    /// The run's token.
    pub token: String,
}

/// What the built-in publisher is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishOptions {
    /// Types of events.
    pub types: Vec<String>,
    /// Subscribers acknowledge.
    pub acknowledged: bool,
    /// Who polls does it this often.
    pub poll_interval: Duration,
    /// A long-poll's request is held for so long.
    pub long_poll_hold: Duration,
    /// The run's token.
    pub token: String,
    /// Unsettled events a subscriber may have; its own default where there is none, here and below.
    pub queue: Option<usize>,
    /// From the write of a delivery to its acknowledgement.
    pub timeout: Option<Duration>,
    /// What becomes of a webhook's connection after a delivery.
    pub keep: Keep,
    /// Between two pings.
    pub ping: Option<Duration>,
}

impl PublishOptions {
    /// The options that are times, of a transport.
    fn times(&self, transport: &str) -> [(&'static str, Option<Duration>); 4] {
        let transport = Transport::named(transport);
        let timeout = match transport {
            // What came by one request is acknowledged by the next one.
            Some(polls @ Transport::Poll) => {
                let usual = publisher::Options::new(polls).timeout;
                Some(self.timeout.unwrap_or(usual) + self.poll_interval)
            }
            _ => self.timeout,
        };
        let keep_alive = match self.keep {
            Keep::For(time) => Some(time),
            Keep::Always | Keep::Never => None,
        };
        let holds = transport == Some(Transport::LongPoll);
        [
            ("--timeout", timeout),
            ("--keep-alive", keep_alive),
            ("--ping", self.ping),
            ("--hold", holds.then_some(self.long_poll_hold)),
        ]
    }
}

/// A token that nobody can guess.
pub fn new_token() -> Result<String> {
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
    read.map_err(|e| Error::harness(format!("cannot make a token from /dev/urandom: {e}")))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

impl Manifest {
    /// This program's own publisher over a transport.
    pub fn publisher(
        transport: &str,
        options: &BuiltinOptions,
        publish: &PublishOptions,
    ) -> Manifest {
        let threads = options.threads.max(1).to_string();
        let mut words: Vec<String> =
            ["serve", transport, "--publisher", "--listen", "127.0.0.1:{port}", "--threads"]
                .map(str::to_owned)
                .to_vec();
        words.extend([threads, "--types".to_owned(), publish.types.join(",")]);
        words.extend((!publish.acknowledged).then(|| "--unacknowledged".to_owned()));
        words.extend(publish.queue.into_iter().flat_map(|n| ["--queue".to_owned(), n.to_string()]));
        words.extend((publish.keep == Keep::Never).then(|| "--close".to_owned()));
        for (option, time) in publish.times(transport) {
            if let Some(time) = time {
                words.extend([option.to_owned(), format!("{}ns", time.as_nanos())]);
            }
        }
        let name = if publish.keep == Keep::Never { BUILTIN_CLOSE } else { BUILTIN };
        let program = Manifest::this_program(name, transport, words);
        program.publishing(transport, &format!("127.0.0.1:{PORT}"), &publish.token)
    }

    /// The same program as a publisher that speaks `targets/PROTOCOL.md` at `at`, an address and its port.
    pub fn publishing(mut self, transport: &str, at: &str, token: &str) -> Manifest {
        let scheme = super::address::scheme_of(transport);
        self.url = format!("http://{at}{PUBLISH}");
        self.matching = Matching::Id;
        self.env.push((TOKEN_VARIABLE.to_owned(), token.to_owned()));
        self.admit(token);
        self.publisher = Some(Publisher {
            subscribe: format!("{scheme}://{at}{SUBSCRIBE}"),
            status: Some(STATUS.to_owned()),
            token: token.to_owned(),
        });
        self
    }

    /// Adds the token to whatever is asked of the target.
    fn admit(&mut self, token: &str) {
        if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}")) {
            value.set_sensitive(true);
            self.terms.headers.insert(AUTHORIZATION, value);
        }
    }
}

/// Asks a publisher what it has counted, once the last acknowledgements have reached it; `None` when it
/// does not tell. `by_design`: how long a subscriber may wait before it acknowledges.
pub fn status(
    target: &Running,
    publisher: &Publisher,
    by_design: Duration,
) -> Option<PublisherStatus> {
    let path = publisher.status.as_ref()?;
    let mut status = ask(target, path, &publisher.token)?;
    let begun = Instant::now();
    while status.open > 0 && begun.elapsed() < by_design + LOOKING {
        std::thread::sleep(LOOK_AGAIN);
        status = ask(target, path, &publisher.token)?;
    }
    Some(status)
}

/// The same at once, whatever is still open.
pub fn status_now(target: &Running, publisher: &Publisher) -> Option<PublisherStatus> {
    ask(target, publisher.status.as_ref()?, &publisher.token)
}

fn ask(target: &Running, path: &str, token: &str) -> Option<PublisherStatus> {
    let mut stream = TcpStream::connect_timeout(&target.address(), ANSWER).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    stream.set_write_timeout(Some(ANSWER)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        target.address(),
        token
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| serde_json::from_str(body).ok())?
}
