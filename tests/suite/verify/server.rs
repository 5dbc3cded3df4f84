//! Servers that are wrong in one way, on blocking sockets and threads; each serves until the test
//! program ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// Does this with each connection; its port.
pub fn serve(
    each: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + Copy + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            // How a connection ends is the peer's affair.
            std::thread::spawn(move || each(stream));
        }
    });
    port
}

/// An HTTP request.
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    /// The next one of a connection; `None` at its end. The body is not read when `wanted` says so
    /// of the head and its length.
    pub fn read(
        reader: &mut BufReader<TcpStream>,
        wanted: impl Fn(usize) -> bool,
    ) -> std::io::Result<Option<Request>> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(None);
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let length: usize = length.unwrap_or(0);
        let mut body = vec![0; if wanted(length) { length } else { 0 }];
        reader.read_exact(&mut body)?;
        Ok(Some(Request { head, body }))
    }
}

/// Answers every request over HTTP with these bytes; none mean that it closes without a word.
pub fn http(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + Copy + 'static) -> u16 {
    serve(move |stream| {
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader, |_| true)? {
            let bytes = answer(&request);
            reader.get_mut().write_all(&bytes)?;
            if bytes.is_empty() || bytes.windows(5).any(|w| w == b"close") {
                return Ok(());
            }
        }
        Ok(())
    })
}

pub fn response(status: &str, header: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{header}\r\n{body}").into_bytes()
}

/// Shakes hands for a WebSocket and answers every text frame with `Response`, but closes at once when
/// a message comes in several frames.
pub fn unfragmented() -> u16 {
    serve(|stream| {
        let mut reader = BufReader::new(stream);
        let Some(request) = Request::read(&mut reader, |_| true)? else { return Ok(()) };
        let key = request.head.lines().find_map(|l| l.strip_prefix("Sec-WebSocket-Key: "));
        let accept = derive_accept_key(key.unwrap_or_default().as_bytes());
        let shaken = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        reader.get_mut().write_all(shaken.as_bytes())?;
        // A final text frame; everything else ends the connection.
        while frame(&mut reader)? == 0x81 {
            reader.get_mut().write_all(b"\x81\x08Response")?;
        }
        Ok(())
    })
}

/// A WebSocket server that greets, sends a message before each answer where there is one, and answers
/// each event with its id where it `answers`.
pub fn talking(greeting: &'static str, before_each: &'static str, answers: bool) -> u16 {
    serve(move |stream| {
        let Ok(mut socket) = tungstenite::accept(stream) else { return Ok(()) };
        let say = |text: &str, socket: &mut WebSocket<TcpStream>| {
            socket.send(Message::text(text)).map_err(std::io::Error::other)
        };
        say(greeting, &mut socket)?;
        while let Ok(message) = socket.read() {
            let Message::Text(text) = message else { continue };
            if !answers {
                continue;
            }
            if !before_each.is_empty() {
                say(before_each, &mut socket)?;
            }
            match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(event) => {
                    say(&serde_json::json!({ "id": event["id"] }).to_string(), &mut socket)?
                }
                Err(_) => say("no JSON", &mut socket)?,
            }
        }
        Ok(())
    })
}

/// Reads one masked frame; its first byte.
fn frame(reader: &mut BufReader<TcpStream>) -> std::io::Result<u8> {
    let mut head = [0; 2];
    reader.read_exact(&mut head)?;
    let mut extended = [0; 8];
    let length = match head[1] & 127 {
        126 => {
            reader.read_exact(&mut extended[6..])?;
            u64::from_be_bytes(extended)
        }
        127 => {
            reader.read_exact(&mut extended)?;
            u64::from_be_bytes(extended)
        }
        short => u64::from(short),
    };
    let mut masked = vec![0; length as usize + 4];
    reader.read_exact(&mut masked)?;
    Ok(head[0])
}
