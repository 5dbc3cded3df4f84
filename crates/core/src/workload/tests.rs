use super::*;

const WHOLE: &str = r#"
name = "payments"
question = "How?"
[events]
rate = 40
burst_factor = 10
payload_bytes = 1_500
[receivers]
count = 5000
where = "mixed"
public_server = 4000
behind_nat = 1000
idle_cutoff = "60s"
[need]
freshness = "30s"
guarantee = "at-least-once"
durable = true
outage = "3d"
[security]
sender = "signed"
[answer]
any = "thing"
"#;

fn parse(text: &str) -> std::result::Result<Workload, String> {
    Workload::parse("w.toml", text).map_err(|e| e.to_string())
}

#[test]
fn a_file_is_read_and_the_rest_has_defaults() {
    let w = parse(WHOLE).unwrap();
    assert_eq!((w.rate, w.burst_factor, w.payload_bytes, w.count), (40.0, 10.0, 1500, 5000));
    assert_eq!((w.place, w.split), (Place::Mixed, Some((4000, 1000))));
    assert_eq!(w.outage, Some(Duration::from_secs(3 * 24 * 3600)));
    assert_eq!((w.promise, w.sender), (Promise::AtLeastOnce, Sender::Signed));
    assert!(w.tls && w.durable && !w.ordered && w.always_on);
    assert_eq!((w.proxy, w.direction, w.recipients), (Proxy::None, Direction::OneWay, None));
}

#[test]
fn deliveries_follow_from_who_gets_an_event() {
    let page = WHOLE.replace("mixed", "browser");
    let page = page.replace("public_server = 4000\nbehind_nat = 1000\n", "");
    assert_eq!(parse(&page).unwrap().deliveries(), 200_000.0);
    assert_eq!(parse(WHOLE).unwrap().deliveries(), 40.0);
    let all = WHOLE.replace("rate = 40\n", "rate = 40\nrecipients = \"all\"\n");
    assert_eq!(parse(&all).unwrap().deliveries_each(), 40.0);
}

#[test]
fn contradictions_show_both_lines() {
    for (from, to, says) in [
        ("behind_nat = 1000", "behind_nat = 900", ["w.toml:11:1", "w.toml:9:1"]),
        ("\"at-least-once\"", "\"at-most-once\"", ["w.toml:17:1", "w.toml:16:1"]),
        ("\"mixed\"", "\"browser\"", ["w.toml:11:1", "w.toml:10:1"]),
    ] {
        let error = parse(&WHOLE.replace(from, to)).unwrap_err();
        assert!(says.iter().all(|place| error.contains(place)), "{error}");
        assert!(error.contains(" contradicts "), "{error}");
    }
}

#[test]
fn every_place_and_proxy_is_in_the_message_that_lists_them() {
    let error = |from: &str| parse(&WHOLE.replace(from, "\"nowhere\"")).unwrap_err();
    for place in ["public-server", "same-network", "behind-nat", "browser", "function", "mixed"] {
        assert!(Place::read(place).is_some_and(|p| p.to_string() == place));
        assert!(error("\"mixed\"").contains(place));
    }
}

#[test]
fn prices_and_a_stack_are_read_and_checked() {
    let priced = "stack = \"fastapi\"\n".to_owned()
        + WHOLE
        + "[price]\ncurrency = \"EUR\"\ncore_hour = 0.04\ngib_hour = 0\n";
    let w = parse(&priced).unwrap();
    assert_eq!(w.stack.as_deref(), Some("fastapi"));
    assert_eq!(
        (w.prices.core_hour, w.prices.gib_hour, w.prices.egress_gib),
        (Some(0.04), Some(0.0), None)
    );
    assert_eq!(w.prices.currency, "EUR");
    for (from, to) in
        [("core_hour = 0.04", "core_hour = -1"), ("gib_hour = 0", "gib_hour = \"much\"")]
    {
        let error = parse(&priced.replace(from, to)).unwrap_err();
        assert!(error.contains("price") && error.contains("0.04"), "{error}");
    }
    assert!(parse(WHOLE).unwrap().prices.is_empty());
}
