//! Servers whose TLS is at fault: each has its message, which says what to write instead, and every event has one
//! outcome, as the server counts it.

pub mod drive;

use self::drive::{Load, Server, Target, drive, first_look, openssl};
use crate::common::{Bench, ended, eventually, json, short, signal};
use pushbench_core::error::Error;
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::Trial;
use pushbench_core::transport::Carrier;
use pushbench_faults::counts::Counts;
use pushbench_faults::tls::Tally;
use pushbench_faults::tls::tls_fault::TlsFault;
use pushbench_faults::tls::{OTHER_NAME, SLOW};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const FAILED: i32 = 3;

/// Faults of the handshake, and what is said about them.
const HANDSHAKES: [(TlsFault, &[&str]); 12] = [
    (TlsFault::Expired, &["its certificate expired 3 days ago", "renew it"]),
    (TlsFault::NotYetValid, &["its certificate is not valid yet, but in 3 days", "clock"]),
    (TlsFault::SelfSigned, &["signed by an authority that is not trusted", "write ca = \"FILE\""]),
    (
        TlsFault::Authority,
        &["not among the trusted ones, and is marked", "write ca = \"FILE\"", "CA:FALSE"],
    ),
    (
        TlsFault::OtherName,
        &["its certificate is for example.org, not for 127.0.0.1", "server_name = \"example.org\""],
    ),
    (TlsFault::NoName, &["is for no host", "subjectAltName=IP:127.0.0.1"]),
    (TlsFault::NoCommonGroup, &["no key-exchange group", "enable X25519 or P-256"]),
    (TlsFault::Tls12, &["TLS 1.2 at most", "enable TLS 1.3"]),
    (TlsFault::Plain, &["something else than TLS", "write http://"]),
    (TlsFault::ClosesAfterHello, &["closed the connection in the TLS handshake", "write http://"]),
    (TlsFault::Garbage, &["what TLS does not allow", "TLS library"]),
    (
        TlsFault::ClientCertificate,
        &["requires a certificate of its client", "without a certificate"],
    ),
];

#[track_caller]
fn says(message: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(message.contains(text), "no {text:?} in {message}");
    }
}

/// Full and resumed handshakes, as both ends count them.
#[track_caller]
fn handshakes_agree(trial: &Trial, tally: &Tally) {
    let handshakes = trial.account.handshakes.as_ref().unwrap();
    let ours = (handshakes.full + handshakes.resumed, handshakes.resumed);
    assert_eq!(ours, (tally.handshakes, tally.resumed), "{tally:?}");
}

#[test]
fn the_first_look_names_the_fault_and_the_remedy() {
    for carrier in [Carrier::Webhook, Carrier::Websocket] {
        for (fault, wanted) in HANDSHAKES {
            let server = Server::start(fault, carrier);
            says(&first_look(&server.described()).unwrap_err().to_string(), wanted);
        }
    }
}

#[test]
fn the_driver_names_them_too_before_the_first_event() {
    for (fault, wanted) in HANDSHAKES {
        // The client's certificate is missed when the handshake has ended for the client.
        if fault == TlsFault::ClientCertificate {
            continue;
        }
        let server = Server::start(fault, Carrier::Webhook);
        let error = drive(&server.described(), &Default::default()).unwrap_err();
        assert_eq!(error.code(), 3);
        says(&error.to_string(), &["cannot open 1 connections", "no connection: ", wanted[0]]);
    }
}

/// What the messages say to write is what helps.
#[test]
fn the_remedies_work() {
    let tried = |fault, change: fn(&Server, &mut Target)| {
        let server = Server::start(fault, Carrier::Webhook);
        let mut target = server.described();
        change(&server, &mut target);
        first_look(&target)
    };
    tried(TlsFault::OtherName, |_, target| {
        target.tls_mut().server_name = Some(OTHER_NAME.to_owned());
    })
    .unwrap();
    for fault in [TlsFault::SelfSigned, TlsFault::Authority] {
        tried(fault, |server, target| {
            target.tls_mut().ca = Some(server.tls.certificate().to_owned());
        })
        .unwrap();
    }
    tried(TlsFault::Plain, |_, target| target.in_the_clear()).unwrap();
    let wanted = "it uses TLS there: write https://";
    says(&tried(TlsFault::Healthy, |_, t| t.in_the_clear()).unwrap_err().to_string(), &[wanted]);
    tried(TlsFault::Healthy, |_, _| {}).unwrap();
}

/// A handshake that does not end is given up, at the first look and at the start of a trial.
#[test]
fn a_stalled_handshake_does_not_hold_up_the_start() {
    let server = Server::start(TlsFault::Stalls, Carrier::Webhook);
    let error = first_look(&server.described()).unwrap_err();
    says(&error.to_string(), &["did not answer the TLS handshake", "write http://"]);

    let interrupt = Arc::new(AtomicBool::new(false));
    let (by, stalled) = (interrupt.clone(), server.tls.tally().stalled);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            eventually("a hello", || server.tls.tally().stalled > stalled);
            by.store(true, Ordering::Relaxed);
        });
        let began = Instant::now();
        let ended = drive(&server.described(), &Load { interrupt, ..Default::default() });
        assert!(matches!(ended, Err(Error::Interrupted)), "{ended:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    });
}

/// A trial, and what the server says that it did. A closed loop goes on until the server has done its `deed`: how many
/// events it sends is up to the machine.
fn met(
    fault: TlsFault,
    carrier: Carrier,
    mut load: Load,
    deed: fn(&Tally) -> u64,
) -> (Trial, Tally) {
    loop {
        let server = Server::start(fault, carrier);
        let trial = drive(&server.described(), &load).unwrap();
        let tally = server.tls.finish().unwrap();
        if deed(&tally) > 0 {
            return (trial, tally);
        }
        load.duration *= 2;
        assert!(load.duration < Duration::from_secs(60), "{carrier:?} {fault:?} {tally:?}");
    }
}

/// An answer that is cut short or corrupt is lost with its connection, and counted as the server counts it.
#[test]
fn events_whose_answers_break_tls_are_lost() {
    for carrier in [Carrier::Webhook, Carrier::Websocket] {
        for (fault, message) in [
            (
                TlsFault::Truncates,
                "connection ended: it closed the connection without close_notify",
            ),
            (TlsFault::GarbageLater, "protocol broken: it sent what TLS does not allow"),
        ] {
            let several = |tally: &Tally| tally.affected.min(tally.events.saturating_sub(5));
            let (trial, tally) = met(fault, carrier, Load::default(), several);
            let observed = format!("{carrier:?} {fault:?} {tally:?} {:?}", trial.account.faults);
            let counts = Counts::of(&trial);
            let outcomes = counts.outcomes;
            assert!(outcomes.due > 5 && tally.affected > 0, "{observed}");
            assert_eq!(outcomes.lost, tally.affected, "{observed}");
            assert_eq!(outcomes.acknowledged, tally.answered, "{observed}");
            assert_eq!(outcomes.acknowledged + outcomes.lost, outcomes.due, "{observed}");
            assert_eq!((counts.sent, counts.faults), (tally.events, tally.affected), "{observed}");
            let named = |fault: &String| fault.starts_with(message);
            assert!(trial.account.faults.keys().all(named), "{observed}");
            handshakes_agree(&trial, &tally);
        }
    }
}

/// A kept connection that ends between two answers without close_notify costs no event.
#[test]
fn a_truncated_end_between_answers_loses_nothing() {
    for carrier in [Carrier::Webhook, Carrier::Websocket] {
        // What follows the end needs a connection of its own.
        let another = |tally: &Tally| tally.connections.saturating_sub(2).min(tally.affected);
        let (trial, tally) = met(TlsFault::TruncatesBetween, carrier, Load::default(), another);
        let observed = format!("{carrier:?} {tally:?} {:?}", trial.account.faults);
        let counts = Counts::of(&trial);
        assert_eq!(counts.outcomes.acknowledged, counts.outcomes.due, "{observed}");
        assert_eq!((counts.sent, tally.answered), (tally.events, tally.events), "{observed}");
        assert!(tally.affected > 0 && tally.connections > tally.affected, "{observed}");
        // A WebSocket has no right to end without a close frame.
        let faults = if carrier == Carrier::Websocket { tally.affected } else { 0 };
        assert_eq!(counts.faults, faults, "{observed}");
        handshakes_agree(&trial, &tally);
    }
}

/// A handshake that never ends takes the time that its event has, and no other event's.
#[test]
fn a_reconnect_that_stalls_times_out_with_its_event() {
    for carrier in [Carrier::Webhook, Carrier::Websocket] {
        let load = Load { events_per_connection: Some(1), ..Load::beyond_time_out() };
        let (trial, tally) = met(TlsFault::StallsNowAndThen, carrier, load, |tally| tally.stalled);
        let observed = format!("{carrier:?} {tally:?} {:?}", trial.account.faults);
        let counts = Counts::of(&trial);
        let outcomes = counts.outcomes;
        assert_eq!(
            (outcomes.timed_out, outcomes.never_sent),
            (tally.stalled, tally.stalled),
            "{observed}"
        );
        assert_eq!(outcomes.acknowledged + outcomes.timed_out, outcomes.due, "{observed}");
        assert_eq!(outcomes.acknowledged, tally.answered, "{observed}");
        handshakes_agree(&trial, &tally);
    }
}

/// A reconnect whose handshake fails refuses its event with the message.
#[test]
fn a_reconnect_that_fails_refuses_its_event() {
    let load = Load { events_per_connection: Some(1), ..Default::default() };
    let fault = TlsFault::RefusesNowAndThen;
    let (trial, tally) = met(fault, Carrier::Webhook, load, |tally| tally.refused);
    let observed = format!("{tally:?} {:?}", trial.account.faults);
    let outcomes = Counts::of(&trial).outcomes;
    assert_eq!((outcomes.refused, outcomes.failed), (tally.refused, tally.refused), "{observed}");
    assert_eq!(outcomes.acknowledged, tally.answered, "{observed}");
    let message = "no connection: it speaks TLS 1.2 at most";
    assert!(trial.account.faults.keys().all(|f| f.starts_with(message)), "{observed}");
    handshakes_agree(&trial, &tally);
}

/// The time of a handshake is the server's, not TCP's.
#[test]
fn a_slow_handshake_is_seen_in_the_time_of_tls() {
    let load = Load { events_per_connection: Some(1), ..Default::default() };
    let (trial, _) = met(TlsFault::SlowHandshake, Carrier::Webhook, load, |tally| tally.resumed);
    let handshakes = trial.account.handshakes.unwrap();
    let slow = SLOW.as_nanos() as u64;
    // The histogram has three digits.
    let took = |times: &Hist| times.min().unwrap() * 1_001 / 1_000;
    assert!(took(&handshakes.full_tls) >= slow, "{handshakes:?}");
    assert!(took(&handshakes.resumed_tls) >= slow, "{handshakes:?}");
    assert!(took(&handshakes.tcp) < slow, "{handshakes:?}");
}

/// A client's certificate is missed when the handshake has ended for the client: its events are lost, with the message.
#[test]
fn events_are_lost_where_a_certificate_of_the_client_is_required() {
    for carrier in [Carrier::Webhook, Carrier::Websocket] {
        let server = Server::start(TlsFault::ClientCertificate, carrier);
        let load = Load { duration: Duration::from_millis(50), ..Load::default() };
        let message = match drive(&server.described(), &load) {
            Ok(trial) => {
                let outcomes = Counts::of(&trial).outcomes;
                assert!(outcomes.due > 0 && outcomes.acknowledged == 0, "{outcomes:?}");
                trial.account.faults.into_keys().collect::<Vec<_>>().join("\n")
            }
            // The WebSocket's own handshake comes behind that of TLS.
            Err(error) => error.to_string(),
        };
        says(&message, &["it requires a certificate of its client"]);
        assert_eq!(server.tls.finish().unwrap().events, 0);
    }
}

/// The foreign referee: what servers of OpenSSL send is understood as ours is.
#[test]
fn servers_of_openssl_are_named() {
    let server = Server::start(TlsFault::Healthy, Carrier::Webhook);
    for (options, wanted) in [
        (&["-tls1_2"][..], ["TLS 1.2 at most", "enable TLS 1.3"]),
        (&["-groups", "P-384"], ["no key-exchange group", "enable X25519 or P-256"]),
        (&["-Verify", "1"], ["requires a certificate of its client", "without a certificate"]),
    ] {
        let Some((_openssl, port)) = openssl(&server, options) else { return };
        says(&first_look(&server.described().at(port)).unwrap_err().to_string(), &wanted);
    }
}

/// Describes a server at `https://` for a user's run.
fn described(bench: &Bench, server: &Server) {
    bench.write("ca.pem", server.tls.ca());
    let url = format!("https://127.0.0.1:{}/events", server.tls.port());
    let text = format!("[target.t.webhook]\nurl = \"{url}\"\nca = \"ca.pem\"\nmatch = \"id\"\n");
    bench.write("pushbench.toml", &text);
}

#[test]
fn a_run_and_verify_end_with_the_message() {
    let (bench, server) = (Bench::new(), Server::start(TlsFault::Tls12, Carrier::Webhook));
    described(&bench, &server);
    let wanted = ["webhook@t", "TLS 1.2 at most", "enable TLS 1.3"];
    bench.run(&short(&["--arm", "webhook@t"])).fails(FAILED, &wanted);
    let verified = bench.run(&["verify", "--arm", "webhook@t"]);
    verified.fails(FAILED, &wanted[..2]);
    says(&verified.out, &wanted);
    bench.nothing_left();
}

#[test]
fn ctrl_c_ends_a_run_whose_handshake_stalls() {
    // At the first look, and when the connections of a trial are opened.
    for fault in [TlsFault::Stalls, TlsFault::StallsNowAndThen] {
        let (bench, server) = (Bench::new(), Server::start(fault, Carrier::Webhook));
        described(&bench, &server);
        let child = bench.pushbench(&short(&["--arm", "webhook@t", "--connections", "8"]));
        let child = { child }.spawn().unwrap();
        eventually("a hello", || server.tls.tally().stalled > 0);
        let interrupted = Instant::now();
        signal(&child, Signal::INT);
        ended(child.wait_with_output().unwrap()).fails(130, &["interrupted"]);
        // Far less than any limit of a handshake.
        assert!(interrupted.elapsed() < Duration::from_secs(3), "{:?}", interrupted.elapsed());
        bench.nothing_left();
    }
}

#[test]
fn an_arm_whose_tls_breaks_ends_the_run_and_keeps_the_finished_trials() {
    let (bench, server) = (Bench::new(), Server::start(TlsFault::RefusesLater, Carrier::Webhook));
    described(&bench, &server);
    let args = ["run", "--arm", "webhook@builtin", "--arm", "webhook@t", "--out", "r"];
    let load = ["--connections", "2", "--blocks", "20", "--duration", "300ms", "--warmup", "100ms"];
    let ended = bench.run(&[&args[..], &load, &["--rate", "200"]].concat());
    ended.fails(FAILED, &["webhook@t: cannot open 2 connections", "TLS 1.2 at most"]);
    let report = json(&bench, "r");
    assert_eq!(report["complete"], false);
    let arms = report["points"][0]["arms"].as_array().unwrap();
    assert!(arms.iter().all(|arm| arm["trials"].as_u64() >= Some(1)), "{arms:?}");
    bench.nothing_left();
}
