//! What an error of HTTP/2 means, and what to do about it.

use h2::{Error, Reason};
use pushbench_wire::fault::Fault;
use pushbench_wire::limits::LONGEST_HEAD;

/// Bytes of a text of the target in a message.
const SHOWN_BYTES: usize = 200;
/// How the end of a stream below HTTP/2 reads that comes within a frame.
const WITHIN_FRAME: &str = "bytes remaining on stream";

/// An error code (RFC 9113, section 7), and what to do about it.
fn code(reason: Reason) -> String {
    let remedy = match reason {
        Reason::NO_ERROR => return "NO_ERROR".to_owned(),
        Reason::PROTOCOL_ERROR
        | Reason::FLOW_CONTROL_ERROR
        | Reason::SETTINGS_TIMEOUT
        | Reason::STREAM_CLOSED
        | Reason::FRAME_SIZE_ERROR
        | Reason::COMPRESSION_ERROR => {
            "it found a fault in what the driver sent: its log may show which; the driver's side is the Rust library h2"
        }
        Reason::INTERNAL_ERROR => "its program or its HTTP/2 library has failed: see its log",
        Reason::REFUSED_STREAM => {
            "it did not process the request: raise its limit of concurrent streams, or lower --in-flight"
        }
        Reason::CANCEL => "it has given the request up: see its log, and its time-outs",
        Reason::CONNECT_ERROR => "a proxy there has lost the server behind it: see the proxy's log",
        Reason::ENHANCE_YOUR_CALM => {
            "it limits the load: remove that limit for the measurement, or lower --rate"
        }
        Reason::INADEQUATE_SECURITY => {
            "it requires other TLS settings than those of pushbench, TLS 1.3"
        }
        Reason::HTTP_1_1_REQUIRED => "it requires HTTP/1.1 there: write the arm without +h2",
        _ => "it is no error code of RFC 9113: see its log",
    };
    format!("{reason:?}; {remedy}")
}

/// What a stream was reset for.
pub(crate) fn reset(e: &Error) -> String {
    match e.reason() {
        Some(reason) if e.is_remote() => {
            format!("the target has reset the stream: {}", code(reason))
        }
        Some(Reason::FLOW_CONTROL_ERROR) => {
            "the target has sent more of its answer than the driver's window allows".to_owned()
        }
        _ => format!(
            "the answer is malformed for HTTP/2: {} KiB of headers or more, a header that HTTP/2 does not allow, or \
             a body that has not the length of content-length",
            LONGEST_HEAD >> 10
        ),
    }
}

/// Why a connection ended. `lost`: events were on their way.
pub(crate) fn ended(e: Error, lost: bool) -> Fault {
    let text = e.to_string();
    // The library has no other way to the debug data of GOAWAY.
    let details = text.split_once(" (b\"").and_then(|(_, details)| details.strip_suffix("\")"));
    match (e.reason(), e.into_io()) {
        (_, Some(io)) if io.kind() == std::io::ErrorKind::BrokenPipe => closed(),
        (_, Some(io)) if text == WITHIN_FRAME => {
            drop(io);
            Fault::Closed("closed by the target within a frame of HTTP/2".to_owned())
        }
        (_, Some(io)) => Fault::of(io),
        (Some(reason), None) if text.starts_with("connection error received") => {
            let beginning = |d: &str| d[..d.floor_char_boundary(SHOWN_BYTES)].to_owned();
            let details =
                details.map(|d| format!(" (it says \"{}\")", beginning(d))).unwrap_or_default();
            let unprocessed = match (reason, lost) {
                (Reason::NO_ERROR, true) => {
                    "; it did not process what was on its way: raise its limit of requests or of time for a connection"
                }
                _ => "",
            };
            Fault::Closed(format!(
                "the target has sent GOAWAY{details}: {}{unprocessed}",
                code(reason)
            ))
        }
        (Some(reason), None) => Fault::Protocol(match details {
            Some("header_list_way_too_large" | "too_many_continuations") => {
                format!("the headers of an answer exceed {} KiB", LONGEST_HEAD >> 10)
            }
            Some("too_many_data_frames") => {
                "the answers come in very many small or empty DATA frames: let them be written at once".to_owned()
            }
            Some("too_many_internal_resets") => "too many answers are malformed for HTTP/2".to_owned(),
            _ => format!("the target has sent what HTTP/2 does not allow: {reason:?}"),
        }),
        (None, None) => Fault::Protocol(text),
    }
}

/// The peer has closed the connection without GOAWAY.
pub(super) fn closed() -> Fault {
    Fault::Closed("closed by the target".to_owned())
}
