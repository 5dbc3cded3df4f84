//! Takes events by webhook, one connection at a time. `server PORT WORK`: it adds up WORK numbers for each event.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// The next request as text; `None` at the end of the connection.
fn next(stream: &mut TcpStream) -> Option<String> {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let got = stream.read(&mut buffer).ok().filter(|got| *got > 0)?;
        request.extend_from_slice(&buffer[..got]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        if length.is_some_and(|length: usize| body.len() >= length) {
            return Some(text.into_owned());
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, work] = &words[..] else { std::process::exit(64) };
    let work: u64 = work.parse().expect("a number");
    let listener = TcpListener::bind(("127.0.0.1", port.parse().expect("a port"))).expect("a free port");
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        stream.set_nodelay(true).expect("no delay");
        while let Some(request) = next(&mut stream) {
            let mut sum = 0;
            for number in 0..work {
                sum = black_box(sum + number);
            }
            let id = request.split_once("\"id\":\"").and_then(|(_, rest)| Some(rest.split_once('"')?.0));
            let body = format!("{{\"id\":\"{}\"}}", id.unwrap_or_default());
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(answer.as_bytes()).is_err() {
                break;
            }
        }
    }
}
