//! The least that sends events by WebSocket: connections that write an event, read its answer and write the
//! next one, with tokio-tungstenite on one thread. It keeps nothing but a count.
//!
//! `ws_loop URL CONNECTIONS IN_FLIGHT SECONDS BODY-FILE` prints how many answers came.

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// A larger buffer is cleared at every read; this one holds many answers.
const READ_BYTES: usize = 8 * 1024;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, connections, in_flight, seconds, body] = &words[..] else {
        eprintln!("ws_loop: it takes URL CONNECTIONS IN_FLIGHT SECONDS BODY-FILE");
        std::process::exit(64);
    };
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let event: Utf8Bytes = std::fs::read_to_string(body).expect("the body's file").into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let local = tokio::task::LocalSet::new();
    let answered = Rc::new(Cell::new(0u64));
    local.block_on(&runtime.expect("a runtime"), async {
        let until = Instant::now() + Duration::from_secs_f64(seconds.parse().expect("seconds"));
        let loops = (0..number(connections)).map(|_| {
            let one =
                exchange(url.clone(), number(in_flight), until, event.clone(), answered.clone());
            tokio::task::spawn_local(one)
        });
        for one in loops.collect::<Vec<_>>() {
            one.await.expect("no panic").expect("an exchange without a fault");
        }
    });
    println!("{}", answered.get());
}

async fn exchange(
    url: String,
    in_flight: u64,
    until: Instant,
    event: Utf8Bytes,
    answered: Rc<Cell<u64>>,
) -> Result<(), Error> {
    let authority = url.trim_start_matches("ws://").split('/').next().unwrap_or_default();
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(READ_BYTES);
    let (mut socket, _) = client_async_with_config(&url, stream, Some(config)).await?;
    for _ in 0..in_flight {
        socket.feed(Message::Text(event.clone())).await?;
    }
    socket.flush().await?;
    let mut open = in_flight;
    while open > 0 {
        let Some(first) = socket.next().await else { break };
        let mut next = Some(first);
        // Whatever else has been read already is answered in the same write, as the driver does it.
        while let Some(answer) = next {
            if answer?.is_text() {
                answered.set(answered.get() + 1);
                open -= 1;
                if Instant::now() < until {
                    open += 1;
                    socket.feed(Message::Text(event.clone())).await?;
                }
            }
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}
