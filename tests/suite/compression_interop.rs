//! permessage-deflate with other people's libraries: random messages both ways, to their servers and from their
//! clients, with every kind of window and takeover. Skipped where a library is missing, except in CI.

use crate::common::targets::{CACHE, set_up};
use crate::own::{python_with_websockets, skip, works};
use crate::targets::described;
use futures_util::{SinkExt as _, StreamExt as _};
use pushbench_core::scenario::Compression;
use pushbench_wire::endpoint::Endpoint;
use pushbench_wire::request_options::RequestOptions;
use pushbench_wire::websocket::deflate::{Agreed, Deflater, Inflater};
use pushbench_wire::websocket::deflate_stream::DeflateStream;
use pushbench_wire::websocket::frames::{Frames, Received, TEXT};
use pushbench_wire::websocket::handshake;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::Role;

/// Prints its port and returns each message, in pieces every now and then.
const PYTHON_SERVER: &str = r#"
import asyncio, random
from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
async def echo(socket):
    async for message in socket:
        if random.random() < 0.3 and len(message) > 3:
            await socket.send([message[:2], message[2:3], message[3:]])
        else:
            await socket.send(message)
async def main():
    factory = ServerPerMessageDeflateFactory()
    async with serve(echo, "127.0.0.1", 0, compression=None, extensions=[factory], max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()
asyncio.run(main())
"#;

/// Sends random messages to an echo server with several offers.
const PYTHON_CLIENT: &str = r#"
import asyncio, random, sys
from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
async def main():
    for takeover in (True, False):
        for bits in (9, 12, 15):
            factory = ClientPerMessageDeflateFactory(
                server_no_context_takeover=not takeover, client_no_context_takeover=not takeover,
                server_max_window_bits=bits, client_max_window_bits=bits)
            uri = f"ws://{sys.argv[1]}/"
            async with connect(uri, compression=None, extensions=[factory], max_size=None) as socket:
                assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]
                for _ in range(40):
                    words = random.choices(["alpha", "beta", "gamma", "{}", "\u00e4", random.randbytes(8).hex()],
                                           k=random.choice([0, 1, 40, 9000]))
                    message = "".join(words)
                    cut = random.randrange(len(message) + 1)
                    parts = [message[:cut], message[cut:]] if random.random() < 0.5 else message
                    await socket.send(parts)
                    assert await socket.recv() == message
asyncio.run(main())
"#;

const NODE_SERVER: &str = r#"
const { WebSocketServer } = require(process.argv[1]);
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: { threshold: 0 } });
server.on("connection", (socket) => socket.on("message", (message, binary) => {
  const cut = Math.random() < 0.3 ? 2 : message.length;
  socket.send(message.subarray(0, cut), { binary, fin: cut === message.length });
  if (cut !== message.length) socket.send(message.subarray(cut), { binary, fin: true });
}));
server.on("listening", () => console.log(server.address().port));
"#;

const NODE_CLIENT: &str = r#"
const { WebSocket } = require(process.argv[1]);
async function all() {
  for (const off of [false, true]) for (const bits of [9, 15]) {
    const perMessageDeflate = { threshold: 0, serverNoContextTakeover: off, clientNoContextTakeover: off,
      serverMaxWindowBits: bits, clientMaxWindowBits: bits };
    const socket = new WebSocket(`ws://${process.argv[2]}/`, { perMessageDeflate });
    await new Promise((done, failed) => { socket.on("open", done); socket.on("error", failed); });
    if (!socket.extensions.includes("permessage-deflate")) throw new Error("not agreed");
    for (let i = 0; i < 40; i++) {
      const words = Array.from({ length: [0, 1, 40, 9000][i % 4] }, () => ["alpha", "\u00e4", "{}", String(Math.random())][Math.floor(Math.random() * 4)]);
      const message = words.join("");
      const answer = new Promise((done) => socket.once("message", (data) => done(data.toString())));
      socket.send(message);
      if (await answer !== message) throw new Error(`not ${message.length} bytes`);
    }
    socket.close();
  }
}
all().catch((error) => { console.error(error); process.exit(1); });
"#;

/// A server that prints its port.
struct Program(Child, String);

impl Program {
    fn start(command: &mut Command) -> Program {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Program(child, format!("127.0.0.1:{}", port.trim()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(work)
}

/// The same in every run, and of every entropy.
fn messages() -> impl Iterator<Item = String> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..60).map(move |i| {
        let words = [0, 1, 7, 300, 20_000][i % 5];
        (0..words).fold(String::new(), |mut text, _| {
            match random() % 4 {
                0 => text.push_str("event"),
                1 => text.push('ä'),
                2 => text.push_str(&format!("{:x}", random())),
                _ => text.push_str("{\"id\":"),
            }
            text
        })
    })
}

/// Shakes hands as the driver does.
async fn opened(address: &str, settings: Compression) -> (TcpStream, Vec<u8>, Agreed) {
    let endpoint = Endpoint::parse(&format!("ws://{address}/")).unwrap();
    let mut io = TcpStream::connect(address).await.unwrap();
    let options = RequestOptions { compression: Some(settings), ..RequestOptions::default() };
    let request = handshake::request(&endpoint, &options).unwrap();
    let (early, agreed) = handshake::shake(&mut io, &request, &options).await.unwrap();
    (io, early, agreed.unwrap())
}

/// The messages come back, over the driver's frames and over those of its subscribers.
async fn speaks_with(address: &str) {
    for (context_takeover, window_bits) in [(true, 15), (true, 9), (false, 15), (false, 11)] {
        let settings = Compression { context_takeover, window_bits };
        let (mut io, mut bytes, agreed) = opened(address, settings).await;
        assert!(usize::from(agreed.server.window_bits) <= window_bits, "{agreed}");
        assert!(context_takeover || !agreed.server.takeover, "{agreed}");
        let mut frames = Frames::compressed(Inflater::new(agreed.server));
        let mut deflater = Deflater::new(agreed.client);
        for message in messages() {
            let mut out = Vec::new();
            let fill = |plain: &mut Vec<u8>| plain.extend_from_slice(message.as_bytes());
            deflater.append(&mut out, TEXT, Some([1, 2, 3, 4]), fill);
            let (mut reads, mut writes) = io.split();
            let reading = async {
                loop {
                    match frames.take(&bytes).unwrap() {
                        Some((n, Received::Message(answer))) => {
                            assert!(answer == message.as_bytes(), "{} bytes", message.len());
                            bytes.drain(..n);
                            return;
                        }
                        Some((n, _)) => drop(bytes.drain(..n)),
                        None => assert!(reads.read_buf(&mut bytes).await.unwrap() > 0),
                    }
                }
            };
            let (written, ()) = tokio::join!(writes.write_all(&out), reading);
            written.unwrap();
        }
        let (io, early, agreed) = opened(address, settings).await;
        let stream = DeflateStream::new(io, &early, Role::Client, agreed);
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        for message in messages() {
            socket.send(Message::text(message.as_str())).await.unwrap();
            let answer = socket.next().await.unwrap().unwrap().into_text().unwrap();
            assert!(answer.as_str() == message, "{} bytes", message.len());
        }
    }
}

/// An echo server on the stream of our servers, while `client` runs with its address.
fn is_spoken_with_by(client: impl FnOnce(&str) -> bool + Send + 'static) {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let client = tokio::task::spawn_blocking(move || client(&address));
        let serving = async {
            loop {
                tokio::spawn(echo(listener.accept().await.unwrap().0));
            }
        };
        tokio::select! {
            () = serving => {}
            succeeded = client => assert!(succeeded.unwrap(), "the client failed"),
        }
    });
}

async fn echo(io: TcpStream) {
    let mut agreed = None;
    #[expect(clippy::result_large_err, reason = "the error type of the callback is tungstenite's")]
    let accept = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        agreed = handshake::accept_compression(request.headers(), response.headers_mut());
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(io, accept).await.unwrap();
    let stream = DeflateStream::new(socket.into_inner(), &[], Role::Server, agreed.unwrap());
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() {
            socket.send(message).await.unwrap();
        }
    }
}

#[test]
fn python_websockets() {
    let Some(python) = python_with_websockets() else { return };
    let server = Program::start(Command::new(python).args(["-c", PYTHON_SERVER]));
    block_on(speaks_with(&server.1));
    is_spoken_with_by(move |address| works(python, &["-c", PYTHON_CLIENT, address]));
}

#[test]
fn node_ws() {
    if !works("npm", &["--version"]) && skip("Node.js with npm is missing") {
        return;
    }
    set_up(&[described("websocket@ws")]);
    let cache = PathBuf::from(CACHE);
    let module = find(&cache, "node_modules/ws").expect("the ws that was set up");
    let module = module.to_str().unwrap().to_owned();
    let server = Program::start(Command::new("node").args(["-e", NODE_SERVER, &module]));
    block_on(speaks_with(&server.1));
    is_spoken_with_by(move |address| works("node", &["-e", NODE_CLIENT, &module, address]));
}

/// The first folder below that has this one.
fn find(folder: &std::path::Path, wanted: &str) -> Option<PathBuf> {
    let there = folder.join(wanted);
    if there.is_dir() {
        return Some(there);
    }
    let below = std::fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    below
        .filter(|path| path.is_dir() && !path.ends_with("node_modules"))
        .find_map(|path| find(&path, wanted))
}
