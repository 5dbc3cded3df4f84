//! The receiver's half on tokio-tungstenite: acknowledges each message with one. What is ready together
//! is acknowledged together.

use crate::handler::{Handler, Pause};
use crate::receiver::Receiver;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use hyper::HeaderMap;
use pushbench_core::arm::ArmOption;
use pushbench_wire::stream::Stream;
use pushbench_wire::websocket::deflate::Agreed;
use pushbench_wire::websocket::deflate_stream::DeflateStream;
use pushbench_wire::websocket::{RETRY_AFTER, config, handshake};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Performs the handshake, or refuses it, and keeps the headers of its request and what was agreed on.
async fn accept<S>(
    handler: &Handler,
    stream: S,
) -> Result<(WebSocketStream<S>, HeaderMap, Option<Agreed>), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut headers, mut agreed) = (HeaderMap::new(), None);
    #[expect(clippy::result_large_err, reason = "the error type of the callback is tungstenite's")]
    let keep = |request: &Request, mut response: Response| {
        headers.clone_from(request.headers());
        match handler.admit(&headers) {
            Ok(()) => {
                if handler.options.contains(ArmOption::Compressed) {
                    agreed = handshake::accept_compression(&headers, response.headers_mut());
                }
                Ok(response)
            }
            Err((status, why)) => {
                let mut refusal = ErrorResponse::new(Some(why));
                *refusal.status_mut() = status;
                Err(refusal)
            }
        }
    };
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, keep, Some(config()));
    Ok((accepted.await?, headers, agreed))
}

/// Serves one connection until it ends.
pub async fn serve(handler: Handler, stream: Stream<TcpStream>) {
    let Ok((socket, headers, agreed)) = accept(&handler, stream).await else { return };
    let Some(agreed) = agreed else { return answer_all(handler, socket, headers).await };
    // Boxed, so that it takes no memory of the connections without.
    let compressed = async {
        let stream = DeflateStream::new(socket.into_inner(), &[], Role::Server, agreed);
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config())).await;
        answer_all(handler, socket, headers).await;
    };
    Box::pin(compressed).await;
}

async fn answer_all<S>(handler: Handler, mut socket: WebSocketStream<S>, headers: HeaderMap)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut pause = Pause::default();
    loop {
        let message = match socket.next().now_or_never() {
            Some(message) => message,
            None if socket.flush().await.is_err() => return,
            None => socket.next().await,
        };
        let Some(Ok(message)) = message else {
            // A client that has finished sending may still read.
            let _ended = socket.flush().await;
            return;
        };
        if !(message.is_text() || message.is_binary()) {
            continue;
        }
        let answer = handler.handle(&mut pause, &headers, &message.into_data()).await;
        if let (Err((status, why)), Some(receiver)) = (&answer, &handler.receiver)
            && Receiver::closes_for(*status)
        {
            let (code, reason) = match receiver.retry_after(*status) {
                Some(seconds) => (CloseCode::Again, format!("{RETRY_AFTER}{seconds}")),
                None => (CloseCode::Error, why.clone()),
            };
            let close = CloseFrame { code, reason: reason.into() };
            if socket.close(Some(close)).await.is_ok() {
                // What comes until the other end closes as well is not processed.
                while let Some(Ok(_)) = socket.next().await {}
            }
            return;
        }
        let text =
            answer.unwrap_or_else(|(_, why)| serde_json::json!({ "error": why }).to_string());
        let queued = socket.feed(Message::text(text)).await;
        if queued.is_err() || handler.takes_time() && socket.flush().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::client_async;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

    #[tokio::test]
    async fn the_headers_of_the_handshake_are_kept() {
        let ((near, far), handler) = (tokio::io::duplex(4096), Handler::default());
        let mut request = "ws://here/".into_client_request().unwrap();
        request.headers_mut().insert("x-mark", "7".parse().unwrap());
        let (accepted, opened) = tokio::join!(accept(&handler, far), client_async(request, near));
        opened.unwrap();
        assert_eq!(accepted.unwrap().1["x-mark"], "7");
    }
}
