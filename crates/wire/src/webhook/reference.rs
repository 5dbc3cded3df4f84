//! hyper's client, for comparison in tests and in the fuzz target, which includes this file.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Most headers of a response.
const MOST_HEADERS: usize = 256;

/// A response's status and body, if it is one.
pub type Parsed = Option<(u16, Vec<u8>)>;

/// hyper's result for these bytes, after which the peer closes.
pub fn hyper_response(bytes: &[u8]) -> Parsed {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_headers(MOST_HEADERS);
        let (mut sender, connection) = builder.handshake(TokioIo::new(near)).await.unwrap();
        let request = Request::post("/").body(Empty::<Bytes>::new()).unwrap();
        let answered = async {
            let response = sender.send_request(request).await.ok()?;
            let status = response.status().as_u16();
            Some((status, response.into_body().collect().await.ok()?.to_bytes().to_vec()))
        };
        let served = async {
            far.read_u8().await.unwrap();
            far.write_all(bytes).await.unwrap();
            drop(far);
        };
        // A 101 is answered before its connection is handed over, which is not needed here.
        tokio::join!(answered, connection.with_upgrades(), served).0
    })
}
