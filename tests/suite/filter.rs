//! Subscribers that want some types of events: what is due at each is exact, whether the publisher
//! filters or sends everything to everybody.

use crate::common::{Bench, json, turn};
use serde_json::Value;
use std::collections::BTreeMap;

const TYPED: &str = "name = \"mine\"\nquestion = \"?\"\nflow = \"fanout\"\n[load]\narrivals = \"constant\"\n\
     rate = 40\nwarmup = \"200ms\"\nduration = \"600ms\"\n[payload]\ntypes = 4\n[connections]\ncount = 2\n\
     [subscribers]\ncount = 10\nwants = 1\n[compare]\nblocks = 1\ndesign = \"sequential\"\n[sweep]\n\
     \"delivery.filter\" = [true, false]\n";

fn count(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn what_is_due_is_the_same_whoever_filters() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let mine = bench.write("mine.toml", TYPED).to_string_lossy().into_owned();
    let all = ["webhook@builtin", "websocket@builtin", "tcp@builtin"].map(|arm| ["--arm", arm]);
    let ended = bench.measure("r", &[&["run", mine.as_str()][..], &all.concat()].concat());
    assert!(matches!(ended.code, Some(0..=2)), "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("each wants 1 of 4 types, not filtered"), "{}", ended.out);
    let report = json(&bench, "r");
    let mut due = BTreeMap::new();
    for point in report["points"].as_array().unwrap() {
        let filter = point["setting"]["delivery.filter"].as_bool().unwrap();
        let arms = point["arms"].as_array().unwrap();
        assert_eq!(arms.len(), 3);
        for arm in arms {
            assert_eq!((&arm["trials"], &arm["invalid"]), (&1.into(), &0.into()), "{arm}");
            let (f, d) = (&arm["fanout"], &arm["fanout"]["deliveries"]);
            let n = |name: &str| count(d, name);
            assert_eq!(n("due"), n("received"), "{d}");
            assert_eq!((n("duplicated"), n("reordered"), n("undue")), (0, 0, 0), "{d}");
            due.entry(arm["arm"].to_string()).or_insert_with(Vec::new).push(n("due"));
            assert_eq!(n("read") + n("unwanted"), count(&f["publisher"], "acknowledged"), "{f}");
            // Of ten subscribers three want the first type, three the second, two each of the others.
            let published = count(&f["publisher"], "published");
            let wanted = published * 10 / 4;
            let queued = count(&f["publisher"], "queued");
            assert_eq!(count(&f["publisher"], "acknowledged"), queued, "{f}");
            match filter {
                true => {
                    assert_eq!(n("unwanted"), 0, "{d}");
                    assert!(queued.abs_diff(wanted) <= 2, "{queued} of about {wanted}");
                }
                false => {
                    assert_eq!(queued, published * 10, "everything to everybody: {f}");
                    assert!(n("unwanted").abs_diff(queued - wanted) <= 2, "{d}");
                }
            }
        }
    }
    for (arm, due) in due {
        assert!(due.len() == 2 && due[0] == due[1] && due[0] > 0, "{arm}: {due:?}");
    }
    bench.nothing_left();
}

#[test]
fn types_that_contradict_something_are_refused() {
    let bench = Bench::new();
    let refused = |scenario: &str, set: &[&str], texts: &[&str]| {
        let set: Vec<&str> = set.iter().flat_map(|pair| ["--set", pair]).collect();
        bench.run(&[&["run", scenario][..], &set].concat()).fails(64, texts);
    };
    refused("fanout", &["subscribers.wants=2"], &["all events have one type", "payload.types"]);
    refused("fanout", &["delivery.filter=false"], &["all events have one type", "payload.types"]);
    refused("fanout", &["payload.types=2", "subscribers.wants=3"], &["write at most 2"]);
    refused("fanout", &["payload.types=101"], &["payload.types", "from 1 to 100"]);
    refused(
        "fanout",
        &["payload.types=4", "payload.bytes=60"],
        &["the type contains a number", "61 or more"],
    );
    refused("sparse", &["payload.types=4"], &["carry its name as their type", "delivery.to"]);
    refused("ingest", &["payload.types=4"], &["flow = \"fanout\"", "leave it out"]);
}
