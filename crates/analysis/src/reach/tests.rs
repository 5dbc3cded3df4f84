use super::*;
use pushbench_core::record::fanout::DeliveryOutcomes;

const SECOND: u64 = 1_000_000_000;

fn header() -> Header {
    Header {
        schema: pushbench_core::reach::SCHEMA,
        silence_scaled_by: 30.0,
        version: "1".into(),
        command: "pushbench reach".into(),
        began: "2026-01-01T00:00:00Z".into(),
        proxies: Default::default(),
        machine: Default::default(),
        idle_cutoff_ns: 2 * SECOND,
        silence_ns: 3 * SECOND,
        event_timeout_ns: 2 * SECOND,
        peer_death_limit_ns: 10 * SECOND,
        complete: true,
    }
}

fn deliveries(due: u64, received: u64) -> DeliveryOutcomes {
    DeliveryOutcomes { due, received, timed_out: due - received, ..DeliveryOutcomes::default() }
}

/// A silence probe: events that arrived before and after the silence, one of each due.
fn silence(before: u64, after: u64) -> Observed {
    Observed {
        subscribed_in_ns: 1,
        before: deliveries(1, before),
        after: deliveries(1, after),
        ..Observed::default()
    }
}

fn trial(probe: Probe, cure: Option<&str>, outcome: Outcome) -> Attempt {
    Attempt { probe, cure: cure.map(str::to_owned), outcome }
}

fn cell(path: &str, trials: Vec<Attempt>) -> Cell {
    let record = CellRecord { path: path.into(), arm: "websocket@builtin".into(), trials };
    judge_cell(&record, &header())
}

fn of_silence(path: &str, observed: Observed) -> Cell {
    cell(path, vec![trial(Probe::Silence, None, Outcome::Observed(observed))])
}

fn arm(name: &str) -> ArmSpec {
    ArmSpec::parse(name).unwrap()
}

#[test]
fn what_was_not_tried_is_not_a_no() {
    let unknown = |cell: &Cell| {
        assert_eq!((cell.through, cell.survives_silence, cell.lost), (None, None, None));
        assert_eq!((cell.lack(), &cell.cure), (None, &None));
        assert!(cures(cell, &arm("websocket@builtin"), Duration::from_secs(2)).is_empty());
    };
    let why = "nft is not installed: apt-get install nftables";
    let missing =
        cell("idle-cutoff", vec![trial(Probe::Silence, None, Outcome::NotTried(why.into()))]);
    unknown(&missing);
    assert_eq!(missing.why, format!("not tried: {why}"));
    let stopped = cell("direct", Vec::new());
    unknown(&stopped);
    assert!(stopped.why.starts_with("not tried: "), "{}", stopped.why);
}

#[test]
fn an_event_before_the_silence_gets_through() {
    let through = of_silence("direct", silence(1, 1));
    assert_eq!((through.through, through.survives_silence), (Some(true), Some(true)));
    assert_eq!((through.lost, through.lack(), through.why.as_str()), (Some(0), None, ""));
    let refused =
        cell("nginx", vec![trial(Probe::Silence, None, Outcome::NotSubscribed("400".into()))]);
    assert_eq!((refused.through, refused.survives_silence), (Some(false), None));
    assert_eq!((refused.lost, refused.lack()), (None, Some(Lack::Passage)));
    assert!(refused.why.ends_with("could not subscribe: 400"), "{}", refused.why);
    let mut dropped = silence(0, 0);
    dropped.fault = Some("2× no connection".into());
    let dropped = of_silence("inbound-dropped", dropped);
    assert_eq!(
        (dropped.through, dropped.survives_silence, dropped.lost),
        (Some(false), None, Some(2))
    );
    assert_eq!(dropped.why, "no event arrived within 2.00 s: 2× no connection");
}

#[test]
fn a_subscription_that_was_cut_off_has_not_survived() {
    let silent = of_silence("idle-cutoff", silence(1, 0));
    assert_eq!((silent.survives_silence, silent.lost), (Some(false), Some(1)));
    assert!(silent.why.contains("the subscriber was not told"), "{}", silent.why);
    let back = Observed { cut_off: 1, subscribed_again: 1, ..silence(1, 1) };
    let back = of_silence("nginx-websocket", back);
    assert_eq!((back.survives_silence, back.lost), (Some(false), Some(0)));
    assert!(back.why.contains("subscribed again"), "{}", back.why);
    let ended = of_silence("nginx-websocket", Observed { cut_off: 1, ..silence(1, 0) });
    assert!(ended.why.ends_with("a silence of 3.00 s ended the connection"), "{}", ended.why);
    assert_eq!(
        of_silence("direct", Observed { after: deliveries(0, 0), ..silence(1, 0) }).lack(),
        Some(Lack::Silence)
    );
}

#[test]
fn the_first_event_takes_a_subscription_and_a_delivery() {
    let first = |delivered_in_ns| {
        let observed = Observed { subscribed_in_ns: 40, delivered_in_ns, ..Observed::default() };
        cell("direct", vec![trial(Probe::FirstEvent, None, Outcome::Observed(observed))])
            .first_event_ns
    };
    assert_eq!((first(Some(2)), first(None)), (Some(42), None));
}

#[test]
fn the_first_side_to_notice_a_dead_peer_counts() {
    let died = |subscriber_noticed_ns, publisher_noticed_ns| {
        let observed =
            Observed { subscriber_noticed_ns, publisher_noticed_ns, ..Observed::default() };
        cell(
            "direct",
            vec![
                trial(Probe::Silence, None, Outcome::Observed(silence(1, 1))),
                trial(Probe::PeerDeath, None, Outcome::Observed(observed)),
            ],
        )
    };
    let first = died(Some(5), Some(3));
    assert_eq!(
        (first.peer_death_noticed_ns, first.peer_death_noticed_by),
        (Some(3), Some("publisher"))
    );
    assert_eq!(died(Some(5), None).peer_death_noticed_by, Some("subscriber"));
    let never = died(None, None);
    assert_eq!((never.peer_death_noticed_ns, never.lack()), (None, Some(Lack::PeerDeath)));
    assert_eq!(never.why, "neither side noticed a dead peer within 10.0 s");
}

#[test]
fn a_setting_that_was_tried_and_repaired_what_was_lacking_is_the_cure() {
    let (ping, other) = ("delivery.ping=1000ms", "delivery.keep_alive=1000ms");
    let with = |cured: Observed| {
        cell(
            "idle-cutoff",
            vec![
                trial(Probe::Silence, None, Outcome::Observed(silence(1, 0))),
                trial(Probe::Silence, Some(other), Outcome::Observed(silence(1, 0))),
                trial(Probe::Silence, Some(ping), Outcome::Observed(cured)),
            ],
        )
    };
    let cured = with(silence(1, 1));
    assert_eq!(cured.cure.as_deref(), Some(ping));
    assert_eq!((cured.survives_silence, cured.lost), (Some(false), Some(1)), "the cell's own");
    let vain = with(silence(1, 0));
    assert_eq!(vain.cure, None);
    assert!(
        vain.why.ends_with(&format!("{other} does not help; {ping} does not help")),
        "{}",
        vain.why
    );
}

#[test]
fn cures_fit_what_is_lacking() {
    let cutoff = Duration::from_secs(2);
    let refused = Outcome::NotSubscribed("400".into());
    let none = |path: &str| cell(path, vec![trial(Probe::Silence, None, refused.clone())]);
    for (path, cure) in [
        ("nginx", vec!["path.via=nginx-websocket"]),
        ("forward-proxy-no-connect", vec!["path.forward_proxy=squid"]),
        ("receiver-behind-nat", vec![]),
    ] {
        assert_eq!(cures(&none(path), &arm("websocket@builtin"), cutoff), cure, "{path}");
    }
    let silent = of_silence("idle-cutoff", silence(1, 0));
    for (name, cure) in [
        ("webhook+tls@builtin", "delivery.keep_alive=1000ms"),
        ("websocket@builtin", "delivery.ping=1000ms"),
        ("long-poll@builtin", "delivery.long_poll_hold=1000ms"),
    ] {
        assert_eq!(cures(&silent, &arm(name), cutoff), [cure], "{name}");
    }
}

#[test]
fn ports_are_no_part_of_a_reason() {
    for (text, shown) in [
        ("CONNECT 10.128.0.1:10741 was refused: 403", "CONNECT 10.128.0.1 was refused: 403"),
        ("http://10.0.0.2:3128/x: 12345", "http://10.0.0.2/x: 12345"),
    ] {
        assert_eq!(without_ports(text), shown);
    }
}

#[test]
fn a_stored_matrix_is_derived_again_digit_for_digit() {
    let trials = vec![trial(Probe::Silence, None, Outcome::Observed(silence(1, 0)))];
    let cells = vec![CellRecord { path: "direct".into(), arm: "sse@builtin".into(), trials }];
    let first = judge(&Reach { header: header(), cells });
    let text = serde_json::to_string(&first).unwrap();
    let read: Reach = serde_json::from_str(&text).unwrap();
    let again = judge(&read);
    assert_eq!(again, first);
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
}
