//! HTTP/2 servers that are at fault: each has its message, which says what to do, and every event has one outcome, as
//! the server counts it.

use crate::tls_faults::drive::{Load, Server, Target, drive};
use pushbench_core::record::trial::Trial;
use pushbench_core::transport::Carrier;
use pushbench_faults::counts::Counts;
use pushbench_faults::http2::http2_fault::Http2Fault;
use pushbench_faults::http2::{Http2Server, PINGS, SLOW, Tally};
use pushbench_faults::tls::tls_fault::TlsFault;
use std::time::Duration;

/// A trial, and what the server says that it did. How many events a closed loop sends is up to the machine: it goes on
/// until there are some, or those that the server has struck waited for their time-out.
fn met(fault: Http2Fault, load: &Load) -> (Trial, Tally) {
    let mut duration = load.duration;
    loop {
        let server = Http2Server::start(fault).unwrap();
        let trial =
            drive(&Target::http2(server.port()), &Load { duration, ..load.clone() }).unwrap();
        let tally = server.finish().unwrap();
        let outcomes = Counts::of(&trial).outcomes;
        let done = outcomes.due > 5 || outcomes.timed_out > 0 && tally.affected > 0;
        if load.rate.is_some() || done || duration > Duration::from_secs(2) {
            return (trial, tally);
        }
        duration *= 2;
    }
}

fn in_flight(in_flight: usize) -> Load {
    Load { in_flight, ..Load::default() }
}

#[track_caller]
fn says(message: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(message.contains(text), "no {text:?} in {message}");
    }
}

/// Every message has these words, and there is one.
#[track_caller]
fn all_say(trial: &Trial, wanted: &[&str]) {
    let faults = &trial.account.faults;
    assert!(!faults.is_empty());
    faults.keys().for_each(|message| says(message, wanted));
}

#[test]
fn a_server_without_http2_is_named_before_the_first_event() {
    for (fault, wanted) in [
        (
            Http2Fault::Http1,
            &["does not speak HTTP/2 without TLS", "HTTP/1.1 400", "write the arm without +h2"][..],
        ),
        (Http2Fault::ClosesAtFirst, &["closed by the target", "write the arm without +h2"]),
        (Http2Fault::WithoutSettings, &["no SETTINGS frame", "RFC 9113"]),
    ] {
        let server = Http2Server::start(fault).unwrap();
        let error = drive(&Target::http2(server.port()), &Load::default()).unwrap_err();
        assert_eq!(error.code(), 3);
        says(&error.to_string(), &[&["cannot open 1 connections"], wanted].concat());
        assert_eq!(server.finish().unwrap().events, 0);
    }
    for (fault, wanted) in [
        (TlsFault::Healthy, &["not on ALPN h2", "write the arm without +h2"]),
        (
            TlsFault::AlpnHttp1,
            &["h2 with +h2", "a webhook can also be measured with +h2, or without it"],
        ),
    ] {
        let server = Server::start(fault, Carrier::Webhook);
        let error = drive(&server.described().over_http2(), &Load::default()).unwrap_err();
        says(&error.to_string(), wanted);
        assert_eq!(server.tls.finish().unwrap().events, 0);
    }
}

/// Limits and windows delay events and cost none.
#[test]
fn limits_of_the_peer_are_kept() {
    for (fault, most_open, agreed) in [
        (Http2Fault::Healthy, 4, "HTTP/2, any number of streams"),
        (Http2Fault::OneStream, 1, "HTTP/2, at most 1 stream"),
        (Http2Fault::NoStreamAtFirst, 4, "HTTP/2, at most 100 streams"),
        (Http2Fault::WindowOpened, 4, "HTTP/2, any number of streams"),
        (Http2Fault::AnswersAndResets, 4, "HTTP/2, any number of streams"),
        (Http2Fault::PingFlood, 4, "HTTP/2, any number of streams"),
    ] {
        // A reconnect knows no limit at first.
        for events_per_connection in [None, Some(10)] {
            let load = Load { events_per_connection, ..in_flight(4) };
            let (trial, tally) = met(fault, &load);
            let observed = format!("{fault:?} {tally:?} {:?}", trial.account.faults);
            let counts = Counts::of(&trial);
            assert!(counts.outcomes.due > 5, "{observed}");
            assert_eq!(counts.outcomes.acknowledged, counts.outcomes.due, "{observed}");
            assert_eq!((tally.answered, counts.faults), (counts.sent, 0), "{observed}");
            assert_eq!(tally.most_open, most_open, "{observed}");
            assert_eq!(
                tally.pongs,
                if fault == Http2Fault::PingFlood { PINGS * tally.affected } else { 0 }
            );
            let words: Vec<&String> = trial.account.agreed.keys().collect();
            assert_eq!(words, [agreed], "{observed}");
        }
    }
}

/// An event that waits for a stream waits for the target: it is no lag of the driver.
#[test]
fn waiting_for_a_stream_is_the_targets() {
    // Twice what one stream carries.
    let rate = Some(2.0 / SLOW.as_secs_f64());
    let (trial, tally) = met(Http2Fault::OneStream, &Load { rate, ..in_flight(4) });
    assert_eq!(tally.most_open, 1);
    let account = &trial.account;
    let (response, lag) =
        (account.response.quantile(0.5).unwrap(), account.lag.quantile(0.5).unwrap());
    assert!(response > 2 * SLOW.as_nanos() as u64, "{response} {tally:?}");
    assert!(lag < SLOW.as_nanos() as u64 / 2, "{lag} of {response} ns");
}

#[test]
fn a_window_that_is_never_opened_is_named() {
    for (fault, load) in [
        (Http2Fault::WindowClosed, Load { in_flight: 4, ..Load::default() }),
        (Http2Fault::WindowSpent, Load { in_flight: 4, ..Load::beyond_time_out() }),
    ] {
        let (trial, tally) = met(fault, &load);
        let observed = format!("{fault:?} {tally:?} {:?}", trial.account.faults);
        let outcomes = Counts::of(&trial).outcomes;
        assert!(outcomes.timed_out > 0, "{observed}");
        assert_eq!(outcomes.acknowledged + outcomes.timed_out, outcomes.due, "{observed}");
        assert_eq!((outcomes.acknowledged, outcomes.never_sent), (tally.answered, 0), "{observed}");
        // Their streams were reset.
        assert!(tally.resets > 0, "{observed}");
        all_say(&trial, &["flow-control window was closed", "WINDOW_UPDATE"]);
    }
}

/// What does not end the connection fails one event, with the name of the error code and what to do.
#[test]
fn a_stream_that_is_reset_fails_its_event() {
    let codes: [(u32, &[&str]); 15] = [
        (0, &["NO_ERROR"]),
        (1, &["PROTOCOL_ERROR", "its log"]),
        (2, &["INTERNAL_ERROR", "its log"]),
        (3, &["FLOW_CONTROL_ERROR"]),
        (4, &["SETTINGS_TIMEOUT"]),
        (5, &["STREAM_CLOSED"]),
        (6, &["FRAME_SIZE_ERROR"]),
        (7, &["REFUSED_STREAM", "limit of concurrent streams"]),
        (8, &["CANCEL", "time-outs"]),
        (9, &["COMPRESSION_ERROR"]),
        (10, &["CONNECT_ERROR", "proxy"]),
        (11, &["ENHANCE_YOUR_CALM", "lower --rate"]),
        (12, &["INADEQUATE_SECURITY", "TLS"]),
        (13, &["HTTP_1_1_REQUIRED", "without +h2"]),
        (99, &["no error code of RFC 9113"]),
    ];
    let reset = "the target has reset the stream: ";
    let resets =
        codes.map(|(code, wanted)| (Http2Fault::Resets(code), [&[reset], wanted].concat()));
    let others = [
        (Http2Fault::RefusesHeaders, vec!["answered 431", "shorten headers"]),
        (Http2Fault::WrongLength, vec!["malformed for HTTP/2", "content-length"]),
        (Http2Fault::HeadersTooLarge, vec!["malformed for HTTP/2", "400 KiB of headers"]),
    ];
    for (fault, wanted) in resets.into_iter().chain(others) {
        let load = Load { duration: Duration::from_millis(60), ..in_flight(4) };
        let (trial, tally) = met(fault, &load);
        let observed = format!("{fault:?} {tally:?} {:?}", trial.account.faults);
        let counts = Counts::of(&trial);
        let outcomes = &counts.outcomes;
        assert!(tally.affected > 0 && tally.connections == 1, "{observed}");
        assert_eq!(outcomes.wrong_answer, tally.affected, "{observed}");
        assert_eq!(outcomes.acknowledged, tally.answered, "{observed}");
        assert_eq!(outcomes.acknowledged + outcomes.failed, outcomes.due, "{observed}");
        assert_eq!((counts.sent, counts.faults), (tally.events, tally.affected), "{observed}");
        all_say(&trial, &wanted);
    }
}

/// What ends the connection loses the events on it, says why once, and the next event has a new one.
#[test]
fn a_connection_that_ends_loses_its_events() {
    let calm = ["connection ended: the target has sent GOAWAY", "too many events", "ENHANCE_YOUR"];
    let unprocessed = ["GOAWAY: NO_ERROR; it did not process", "raise its limit of requests"];
    let not_allowed = "protocol broken: the target has sent what HTTP/2 does not allow: ";
    let cases: [(Http2Fault, &[&str]); 7] = [
        (Http2Fault::GoAwayCalm, &calm),
        (Http2Fault::GoAwayUnprocessed, &unprocessed),
        (Http2Fault::HangsUp, &["connection ended: closed by the target"]),
        (Http2Fault::Half, &["connection ended: closed by the target within a frame"]),
        (Http2Fault::WrongStream, &[not_allowed, "PROTOCOL_ERROR"]),
        (Http2Fault::HugeFrame, &[not_allowed, "FRAME_SIZE_ERROR"]),
        (Http2Fault::EndlessHeaders, &["the headers of an answer exceed 400 KiB"]),
    ];
    for (fault, wanted) in cases {
        for depth in [1, 4] {
            let (trial, tally) = met(fault, &in_flight(depth));
            let observed = format!("{fault:?} {tally:?} {:?}", trial.account.faults);
            let counts = Counts::of(&trial);
            let outcomes = &counts.outcomes;
            assert!(tally.affected > 0 && tally.connections >= tally.affected, "{observed}");
            assert_eq!(outcomes.acknowledged, tally.answered, "{observed}");
            assert_eq!(outcomes.acknowledged + outcomes.lost, outcomes.due, "{observed}");
            assert!(outcomes.lost >= tally.affected, "{observed}");
            if depth == 1 {
                assert_eq!(outcomes.lost, tally.affected, "{observed}");
            }
            assert_eq!(counts.faults, tally.affected, "{observed}");
            all_say(&trial, wanted);
        }
    }
}

/// A server may close a connection when all is answered.
#[test]
fn goaway_behind_the_last_answer_costs_nothing() {
    let (trial, tally) = met(Http2Fault::GoAwayAnswered, &in_flight(1));
    let counts = Counts::of(&trial);
    let observed = format!("{tally:?} {:?}", trial.account.faults);
    assert!(tally.affected > 0 && tally.connections >= tally.affected, "{observed}");
    assert_eq!(counts.outcomes.acknowledged, counts.outcomes.due, "{observed}");
    assert_eq!((counts.faults, counts.sent), (0, tally.events), "{observed}");
}

#[test]
fn answers_in_another_order_find_their_events() {
    let (trial, tally) = met(Http2Fault::Swaps, &in_flight(4));
    let counts = Counts::of(&trial);
    let observed = format!("{tally:?} {counts:?}");
    assert!(tally.affected > 0 && tally.overtook > 0, "{observed}");
    assert_eq!(counts.outcomes.acknowledged, counts.outcomes.due, "{observed}");
    assert_eq!(counts.reordered, Some(tally.overtook), "{observed}");
    assert_eq!((counts.duplicated, counts.late, counts.unsolicited), (Some(0), 0, 0));
}

/// An event without an answer costs its stream and not its connection.
#[test]
fn an_event_without_an_answer_times_out() {
    let (trial, tally) = met(Http2Fault::Silent, &Load { in_flight: 4, ..Load::beyond_time_out() });
    let counts = Counts::of(&trial);
    let outcomes = &counts.outcomes;
    let observed = format!("{tally:?} {:?}", trial.account.faults);
    assert!(tally.affected > 0, "{observed}");
    assert_eq!((outcomes.timed_out, outcomes.acknowledged), (tally.affected, tally.answered));
    assert_eq!(outcomes.acknowledged + outcomes.timed_out, outcomes.due, "{observed}");
    assert_eq!((counts.faults, tally.connections), (0, 1), "{observed}");
}

#[test]
fn events_to_a_server_that_reads_nothing_time_out() {
    let load = Load { rate: Some(100.0), ..Load { in_flight: 4, ..Load::beyond_time_out() } };
    let (trial, tally) = met(Http2Fault::Unread, &load);
    let outcomes = Counts::of(&trial).outcomes;
    assert_eq!(outcomes.timed_out, outcomes.due, "{outcomes:?} {tally:?}");
}
