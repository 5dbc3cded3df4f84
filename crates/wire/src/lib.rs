//! How events travel: HTTP/1, HTTP/2, WebSocket, server-sent events and length-prefixed messages, as bytes. The
//! client side of each transport is in `pushbench-load`, the server side in `pushbench-server`.

#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod delivery_verifier;
pub mod endpoint;
pub mod fault;
pub mod forward_proxy;
pub mod hello;
pub mod http2;
pub mod http_connection;
pub mod libraries;
pub mod limits;
pub mod link;
pub mod messages;
pub mod request_options;
pub mod response_body;
pub mod response_diagnostics;

pub mod shared_buffers;
pub mod signing;
pub mod sse;
pub mod stream;
pub mod subscriber_addresses;
pub mod tcp;
pub mod tls;
mod usual_headers;
pub mod webhook;
pub mod websocket;
