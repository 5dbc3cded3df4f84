use crate::scenario::*;
use proptest::prelude::*;
use std::path::Path;

fn over(key: &str, value: &str) -> Override {
    Override { key: key.into(), value: value.into(), origin: format!("--set {key}={value}") }
}

fn load_text(text: &str) -> crate::error::Result<Question> {
    let [name, file, text] = ["mine", "mine.toml", text].map(str::to_owned);
    read(Source { name, file, text, folder: ".".into() }, &[], &|path| {
        Err(format!("no {}", path.display()))
    })
}

fn refusal(text: &str) -> String {
    match load_text(text) {
        Err(e @ crate::error::Error::Usage(_)) => e.to_string(),
        other => panic!("{text}\nwas not refused: {other:?}"),
    }
}

#[test]
fn every_shipped_scenario_is_valid_and_opens_with_its_question() {
    let mut names = 0;
    for (name, text) in shipped() {
        let q = load(name, &[]).unwrap();
        assert_eq!(q.name, name);
        assert!(q.question.ends_with('?'), "{name}");
        let comment: String =
            text.lines().map_while(|l| l.strip_prefix("# ")).collect::<Vec<_>>().join(" ");
        assert_eq!(comment, q.question, "{name}");
        names += 1;
    }
    assert!(names >= 3);
}

#[test]
fn ingest_is_what_the_documentation_says() {
    let q = load("ingest", &[]).unwrap();
    let s = &q.points[0].scenario;
    assert_eq!(q.points.len(), 1);
    assert!(q.points[0].setting.is_empty());
    assert_eq!(s.load.rate, Some(2000.0));
    assert_eq!(s.load.duration, Duration::from_millis(1500));
    assert_eq!((s.connections.count, s.connections.in_flight), (32, 1));
    assert_eq!(s.payload, Payload::Bytes(512));
    assert_eq!(s.compare.matters.latency, Duration::from_millis(1));
    assert_eq!(s.expect.len(), 2);
}

#[test]
fn a_sweep_unrolls_and_an_override_ends_it() {
    let q = load("rate-sweep", &[]).unwrap();
    let rates: Vec<_> = q.points.iter().map(|p| p.setting["load.rate"].as_i64().unwrap()).collect();
    assert_eq!(rates, [500, 1000, 2000, 4000]);
    let q = load("rate-sweep", &[over("load.rate", "700")]).unwrap();
    assert_eq!(q.points.len(), 1);
    assert!(q.points[0].setting.is_empty());
    assert_eq!(q.points[0].scenario.load.rate, Some(700.0));
}

#[test]
fn two_axes_are_crossed() {
    let q = load_text("[load]\nrate = 100\n[sweep]\n\"load.rate\" = [100, 200]\n\"payload.bytes\" = [\"1KiB\", 2048, 4096]\n").unwrap();
    assert_eq!(q.points.len(), 6);
    assert_eq!(q.points[0].setting["payload.bytes"], "1KiB");
    assert_eq!(q.points[5].scenario.payload, Payload::Bytes(4096));
}

#[test]
fn overrides_may_be_quoted_or_not() {
    for value in ["250ms", "\"250ms\""] {
        let q = load("ingest", &[over("load.warmup", value)]).unwrap();
        assert_eq!(q.points[0].scenario.load.warmup, Duration::from_millis(250));
    }
    let closed = load("ingest", &[over("load.arrivals", "closed")]).unwrap();
    assert_eq!(closed.points[0].scenario.load.rate, None);
    let e = load("saturate", &[over("load.rate", "5")]).unwrap_err().to_string();
    assert!(e.contains("--set load.rate=5") && e.contains("load.arrivals=poisson"), "{e}");
}

#[test]
fn unknown_names_are_told_the_nearest() {
    let e = load("ingset", &[]).unwrap_err().to_string();
    assert!(e.contains("did you mean \"ingest\"") && e.contains("saturate"), "{e}");
    let e = load("ingest", &[over("load.rat", "5")]).unwrap_err().to_string();
    assert!(e.contains("--set load.rat=5") && e.contains("did you mean \"load.rate\""), "{e}");
}

/// Text, place, and what the message must say.
const REFUSED: [(&str, &str, &str); 39] = [
    ("[load]\nrate = -5\n", ":2:1", "negative"),
    ("[load]\nrate = 0\n", ":2:1", "more than 0"),
    ("[load]\nrate = nan\n", ":2:1", "infinite"),
    ("[load]\nrate = inf\n", ":2:1", "infinite"),
    ("[load]\nrate = 1e300\n", ":2:1", "at most 5000000"),
    ("[load]\nrate = \"fast\"\n", ":2:1", "bare number"),
    ("[load]\nrate = [1, 2]\n", ":2:1", "[sweep]"),
    ("[load]\nrate = 100\nduration = \"5sec\"\n", ":3:1", "unknown unit \"sec\""),
    ("[load]\nrate = 100\nduration = 5\n", ":3:1", "no unit"),
    ("[load]\nrate = 100\nduration = \"0s\"\n", ":3:1", "at least 100ms"),
    ("[load]\nrate = 100\nduration = \"99ms\"\n", ":3:1", "at least 100ms"),
    ("[load]\nrate = 0.1\nduration = \"1s\"\n", ":2:1", "no event"),
    ("[load]\nrate = 1e-300\n", ":2:1", "1e-300: no event"),
    ("[load]\nrate = 5000001\n", ":2:1", "at most 5000000"),
    ("[load]\nrate = 5\nduration = \"199ms\"\n", ":2:1", "no event falls into 0.199 s"),
    ("[load]\nrate = 5000000\nduration = \"1h\"\n", ":2:1", "at most 1e9"),
    ("[load]\narrivals = \"closed\"\nrate = 5\n", ":3:1", "closed loop has no rate"),
    ("[load]\narrivals = \"poison\"\nrate = 5\n", ":2:1", "did you mean \"poisson\""),
    ("[load]\nwarmup = \"1s\"\n", "", "load.rate"),
    ("[load]\nrate = 5\n[conections]\ncount = 1\n", ":3:2", "did you mean \"connections\""),
    ("[load]\nrate = 5\n[connections]\ncount = 0\n", ":4:1", "from 1"),
    ("[load]\nrate = 5\n[connections]\ncount = 1.5\n", ":4:1", "whole number"),
    ("[load]\nrate = 5\n[connections]\nlifetime = 0\n", ":4:1", "unlimited"),
    ("[load]\nrate = 5\n[payload]\nbytes = 10\n", ":4:1", "from 58 to"),
    ("[load]\nrate = 5\n[payload]\nfile = \"gone.json\"\n", ":4:1", "gone.json"),
    ("[load]\nrate = 5\n[expect]\nlosst = 0\n", ":4:1", "did you mean \"lost\""),
    (
        "[load]\nrate = 5\n[objective]\n\"response.p9\" = \"5ms\"\n",
        ":4:1",
        "did you mean \"response.p90\"",
    ),
    ("[load]\nrate = 5\n[objective]\nreach = \"120%\"\n", ":4:", "at most 100%"),
    ("[load]\nrate = 5\n[objective]\nlost = 0\n", ":4:1", "[objective] has no \"lost\""),
    ("[load]\nrate = 5\n[sweep]\n\"load.rate\" = []\n", ":4:1", "at least one value"),
    ("[load]\nrate = 5\n[sweep]\n\"load.rate\" = [5, \"fast\"]\n", ":4:19", "bare number"),
    ("[load]\nrate = 5\n[sweep]\n\"load.rate\" = [5, 0]\n", ":4:19", "more than 0"),
    ("[load]\nrate = 5\n[sweep]\n\"load.rate\" = [5, 0.1]\n", ":4:19", "no event"),
    ("[load]\nrate = 5\n[sweep]\n\"load.rate\" = [[5], 6]\n", ":4:16", "bare number"),
    ("[load]\nrate = 5\n[sweep]\n\"load.arrivals\" = [5]\n", ":4:1", "it takes constant, poisson"),
    ("[load]\nrate = 5\n[connections]\nin_flight = 65537\n", ":4:1", "from 1 to 65536"),
    ("[load]\nrate = 5\n[sweep]\n\"load.arrivals\" = [\"poisson\"]\n", ":4:1", "cannot be swept"),
    ("[load]\nrate = = 5\n", ":2:", "not TOML"),
    ("[load]\nrate = true\n", ":2:1", "bare number"),
];

#[test]
fn bad_scenarios_are_refused_with_place_and_remedy() {
    for (text, place, says) in REFUSED {
        let e = refusal(text);
        let says = says.replace("cannot be swept", "not a key that can be swept");
        assert!(e.contains(place) && e.contains(&says), "{text}\n{e}");
    }
}

#[test]
fn keys_that_contradict_each_other_are_both_named() {
    for (text, places) in [
        ("[load]\narrivals = \"closed\"\nrate = 5\n", [":3:1: key \"load.rate\"", ":2:1)"]),
        (
            "[load]\narrivals = \"closed\"\n[compare]\ndesign = \"sliced\"\n",
            [":4:1: key \"compare.design\"", ":2:1)"],
        ),
        (
            "[load]\narrivals = \"closed\"\n[sweep]\n\"load.rate\" = [5, 6]\n",
            [":4:16: key \"load.rate\"", ":2:1)"],
        ),
    ] {
        let e = refusal(text);
        assert!(places.iter().all(|place| e.contains(place)), "{text}\n{e}");
    }
}

#[test]
fn events_in_the_air_must_fit_into_memory() {
    let air = |count, in_flight, bytes: &str| {
        let all = [("count", count), ("in_flight", in_flight)];
        let mut set = all.map(|(key, n)| over(&format!("connections.{key}"), n)).to_vec();
        set.push(over("payload.bytes", bytes));
        load("ingest", &set).map_err(|e| e.to_string())
    };
    let e = air("100", "65536", "512").unwrap_err();
    assert!(e.contains("connections.in_flight=65536") && e.contains("write at most 20971"), "{e}");
    assert!(air("100", "20971", "512").is_ok());
    let e = air("1000", "5000", "64").unwrap_err();
    assert!(e.contains("write at most 4194") && air("1000", "4194", "64").is_ok(), "{e}");
    let e = air("100", "1", "16MiB").unwrap_err();
    assert!(e.contains("connections.count=100") && e.contains("write at most 64"), "{e}");
    assert!(air("64", "1", "16MiB").is_ok());
}

#[test]
fn a_sweep_too_large_is_refused() {
    for n in [101, 10_000] {
        let many = (1..=n).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
        let e = refusal(&format!("[load]\nrate = 5\n[sweep]\n\"load.rate\" = [{many}]\n"));
        assert!(e.contains(&format!("{n} points: at most 100")) && e.contains(":4:1"), "{e}");
    }
}

#[test]
fn a_payload_file_must_be_an_event() {
    let read_it = |text: &str| {
        let source = Source::shipped("ingest").unwrap();
        read(source, &[over("payload.file", "e.json")], &|path| {
            assert_eq!(path, Path::new("./e.json"));
            Ok(text.to_owned())
        })
    };
    for (text, says) in [
        ("", "is empty"),
        (" \n", "is empty"),
        ("{\"type\": t}", "not JSON"),
        ("[1]", "not a JSON object"),
        ("{\"data\": 1}", "no \"type\""),
        ("{\"type\": \"t\"}", "no \"data\""),
    ] {
        let e = read_it(text).unwrap_err().to_string();
        assert!(e.contains(says) && e.contains("--set payload.file"), "{e}");
    }
    let q = read_it("{\"id\": 5, \"type\": \"t\", \"data\": {}}").unwrap();
    assert!(
        matches!(&q.points[0].scenario.payload, Payload::File { json, .. } if json == r#"{"data":{},"type":"t"}"#)
    );
}

#[test]
fn an_event_may_be_64_bytes_small() {
    let q = load("ingest", &[over("payload.bytes", "64")]).unwrap();
    assert_eq!(q.points[0].scenario.payload, Payload::Bytes(64));
}

#[test]
fn what_generated_events_hold_and_what_goes_with_them_is_chosen() {
    let set = [over("payload.content", "repeats"), over("payload.headers_bytes", "2.5KiB")];
    let scenario = load("ingest", &set).unwrap().points.remove(0).scenario;
    assert_eq!((scenario.content, scenario.headers_bytes), (Content::Repeats, 2560));
    let text = serde_json::to_string(&scenario).unwrap();
    assert_eq!(serde_json::from_str::<Scenario>(&text).unwrap(), scenario);
    for (key, value, says) in [
        ("payload.content", "event", "padding, random, events or repeats"),
        ("payload.headers_bytes", "15", "write 0, or 16 or more"),
        ("payload.headers_bytes", "33KiB", "from 0 to 32768 bytes"),
    ] {
        let e = load("ingest", &[over(key, value)]).unwrap_err().to_string();
        assert!(e.contains(says) && e.contains(key), "{e}");
    }
    let file = |_: &Path| Ok(r#"{"type": "t", "data": {}}"#.to_owned());
    let both = [over("payload.file", "e.json"), over("payload.content", "random")];
    let e = read(Source::shipped("ingest").unwrap(), &both, &file).unwrap_err().to_string();
    assert!(e.contains("data of their own") && e.contains("payload.file"), "{e}");
}

#[test]
fn scenarios_survive_storage() {
    for point in load("rate-sweep", &[]).unwrap().points {
        let text = serde_json::to_string(&point.scenario).unwrap();
        assert_eq!(serde_json::from_str::<Scenario>(&text).unwrap(), point.scenario);
    }
}

fn taken<K: kind::Kind>(kind: K, pattern: String) {
    let any = proptest::string::string_regex(&pattern).unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(3000));
    let reads = |text: String| {
        let read = kind.read(&raw::Raw::Text(text.clone()));
        prop_assert!(read.is_ok(), "{text}: {:?}", read.err());
        Ok(())
    };
    runner.run(&any, reads).unwrap();
}

#[test]
fn what_a_pattern_accepts_is_read() {
    taken(kind::Length(Duration::ZERO), pattern::duration());
    for most in [payload::MAX_BYTES, 999, 1024, 2_500_000] {
        taken(kind::Size { least: 0, most }, pattern::size(most as u64));
    }
    taken(kind::Percent(100), pattern::percent(100));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_text_panics(text in "(\\[(load|sweep|payload|expect)\\]\n)?([a-z.\"]{1,8} = [-\\[\\]0-9a-z\"., {}=]{0,12}\n){0,4}") {
        let _ = load_text(&text);
    }

    #[test]
    fn no_override_panics(key in "[a-z._]{0,20}", value in "\\PC{0,12}") {
        let _ = load("ingest", &[over(&key, &value)]);
        let _ = load("ingest", &[over("load.rate", &value)]);
        let _ = load("ingest", &[over("load.duration", &value)]);
    }
}

#[test]
fn the_number_of_blocks_may_be_left_to_the_run() {
    let blocks = |overrides: &[Override]| {
        load("ingest", overrides).map(|q| q.points[0].scenario.compare.blocks)
    };
    assert_eq!(blocks(&[]).unwrap(), Blocks::Fixed(12));
    let auto = over("compare.blocks", "auto");
    assert_eq!(blocks(std::slice::from_ref(&auto)).unwrap(), Blocks::Auto { precision: 0.1 });
    let fine = over("compare.precision", "5%");
    assert_eq!(blocks(&[auto.clone(), fine.clone()]).unwrap(), Blocks::Auto { precision: 0.05 });
    // The precision that goes with auto goes with it.
    assert_eq!(blocks(&[auto, fine, over("compare.blocks", "9")]).unwrap(), Blocks::Fixed(9));
    // Records say a number, or what is looked for.
    for (blocks, text) in
        [(Blocks::Fixed(9), "9"), (Blocks::Auto { precision: 0.1 }, "{\"precision\":0.1}")]
    {
        assert_eq!(serde_json::to_string(&blocks).unwrap(), text);
        assert_eq!(serde_json::from_str::<Blocks>(text).unwrap(), blocks);
    }
}

#[test]
fn keys_of_another_arrival_process_are_refused() {
    for (text, place, says) in [
        ("[load]\nrate = 5\nramp_to = 9\n", ":3:1", "load.arrivals = \"ramp\""),
        (
            "[load]\nrate = 5\narrivals = \"ramp\"\nburst_factor = 3\nramp_to = 9\n",
            ":4:1",
            "\"burst\"",
        ),
        ("[load]\nrate = 5\narrivals = \"ramp\"\n", "load.ramp_to", "missing"),
        ("[load]\nrate = 5\narrivals = \"burst\"\n", "load.burst_every", "no whole cycle"),
        (
            "[load]\nrate = 5\nduration = \"9s\"\narrivals = \"burst\"\nburst_length = \"4s\"\n",
            ":5:1",
            "shorter than its cycle",
        ),
        (
            "[load]\nrate = 5\nduration = \"9s\"\narrivals = \"burst\"\n[compare]\ndesign = \"sliced\"\n",
            ":6:1",
            "cut a ramp or a burst",
        ),
        ("[load]\nrate = 5\narrivals = \"ramp\"\nramp_to = 0\n", ":4:1", "more than 0"),
        (
            "[load]\nrate = 5\n[compare]\nslice = \"9ms\"\ndesign = \"sequential\"\n",
            ":4:1",
            "have no slices",
        ),
        ("[load]\narrivals = \"closed\"\n[compare]\nslice = \"9ms\"\n", ":4:1", "have no slices"),
        ("[load]\nrate = 5\n[compare]\nprecision = \"5%\"\n", ":4:1", "blocks = \"auto\""),
        (
            "[load]\nrate = 5\n[compare]\nprecision = \"0.5%\"\nblocks = \"auto\"\n",
            ":4:1",
            "write 1% or more",
        ),
        ("[load]\nrate = 5\n[compare]\nblocks = \"some\"\n", ":4:1", "\"auto\" or a whole number"),
    ] {
        let e = refusal(text);
        assert!(e.contains(place) && e.contains(says), "{text}\n{e}");
    }
}

#[test]
fn other_arrivals_on_the_command_line_leave_the_files_shape_behind() {
    for (scenario, arrivals) in [("ramp", "poisson"), ("burst", "constant"), ("burst", "closed")] {
        let question = load(scenario, &[over("load.arrivals", arrivals)]).unwrap();
        assert!(question.points[0].scenario.load.arrivals.is_steady(), "{scenario}");
    }
}
