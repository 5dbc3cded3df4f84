//! Subscribers that are slow, stuck, that leave and come, and a publisher that is started anew: every
//! delivery accounted for, end to end against the built-in publisher.

mod common;

use common::{Bench, json};
use serde_json::Value;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One run at a time: beside each other they would be late, and be void for it.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

const ALL: [&str; 6] =
    ["--arm", "webhook@builtin", "--arm", "websocket@builtin", "--arm", "tcp@builtin"];

/// Runs it on every transport and gives the arms of its last point.
fn arms(bench: &Bench, scenario: &str, more: &[&str]) -> Vec<Value> {
    let ended = bench.run(&[&["run", scenario, "--out", "r"][..], &ALL, more].concat());
    // Expectations are not judged here: a machine under load may time out what it should not.
    assert!(matches!(ended.code, Some(0..=2)), "{}{}", ended.out, ended.err);
    let report = json(bench, "r");
    let points = report["points"].as_array().unwrap();
    let arms = points.last().unwrap()["arms"].as_array().unwrap().clone();
    assert_eq!(arms.len(), 3);
    for arm in &arms {
        assert!(arm["trials"].as_u64() > arm["invalid"].as_u64(), "{arm}");
        adds_up(&arm["fanout"]["deliveries"]);
        let publisher = &arm["fanout"]["publisher"];
        let n = |name: &str| publisher[name].as_u64().expect(name);
        let fates = n("acknowledged") + n("written") + n("failed") + n("timed_out") + n("lost");
        assert_eq!(n("queued"), fates + n("open"), "{publisher}");
    }
    bench.nothing_left();
    arms
}

fn count(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// Every delivery has one fate.
fn adds_up(deliveries: &Value) {
    let n = |name: &str| count(deliveries, name);
    assert_eq!(n("due"), n("received") + n("failed") + n("timed_out") + n("lost"), "{deliveries}");
    assert_eq!(n("failed"), n("unpublished") + n("unsubscribed"), "{deliveries}");
}

/// A fan-out of a few subscribers, with these lines in its sections.
fn scenario(bench: &Bench, subscribers: &str, rest: &str) -> String {
    let text = format!(
        "name = \"mine\"\nquestion = \"?\"\nflow = \"fanout\"\n[load]\narrivals = \"constant\"\nrate = 40\n\
         warmup = \"200ms\"\nduration = \"1s\"\ntimeout = \"2s\"\n[connections]\ncount = 2\n\
         [subscribers]\n{subscribers}\n[compare]\nblocks = 1\n{rest}\n"
    );
    bench.write("mine.toml", &text).to_string_lossy().into_owned()
}

#[test]
fn a_slow_and_a_stuck_subscriber_have_their_own_fates() {
    let _turn = alone();
    let bench = Bench::new();
    let subscribers = "count = 8\nslow = 1\nslow_by = \"5ms\"\nstuck = 1";
    let mine = scenario(&bench, subscribers, "[delivery]\nqueue = 16\ntimeout = \"300ms\"");
    for arm in arms(&bench, &mine, &[]) {
        let f = &arm["fanout"];
        let healthy = &f["deliveries"];
        let events = count(f, "events");
        assert_eq!((count(healthy, "due"), count(healthy, "received")), (events * 6, events * 6));
        let apart = f["apart"].as_array().unwrap();
        assert_eq!((&apart[0]["conduct"], &apart[1]["conduct"]), (&"slow".into(), &"stuck".into()));
        apart.iter().for_each(|a| adds_up(&a["deliveries"]));
        let (slow, stuck) = (&apart[0]["deliveries"], &apart[1]["deliveries"]);
        assert_eq!((count(slow, "due"), count(slow, "received")), (events, events), "{slow}");
        assert_eq!((count(stuck, "due"), count(stuck, "timed_out")), (events, events), "{stuck}");
        // 48 events in a second and a fifth: the publisher gave up what it had written to the stuck one
        // and turned away what its queue could not take, and kept no more than the queue.
        let publisher = &f["publisher"];
        let (given_up, away) = (count(publisher, "timed_out"), count(publisher, "overflowed"));
        let open = count(publisher, "open");
        assert_eq!(given_up + away + open, count(publisher, "published"), "{publisher}");
        assert!(given_up > 0 && count(publisher, "longest_queue") <= 16, "{publisher}");
        assert_eq!(count(publisher, "acknowledged"), count(publisher, "published") * 7);
        assert!(f["upkeep"]["grew_bytes"].as_f64() > Some(0.0), "{f}");
    }
}

#[test]
fn who_takes_their_time_is_waited_for_by_nobody_else() {
    let _turn = alone();
    let bench = Bench::new();
    // It needs 50 ms for what comes every 25: its queue grows, and only its.
    let subscribers = "count = 4\nslow = 1\nslow_by = \"50ms\"";
    for arm in arms(&bench, &scenario(&bench, subscribers, ""), &[]) {
        let f = &arm["fanout"];
        let slow = &f["apart"][0];
        let p50 = |latency: &Value| latency["p50"].as_u64().unwrap_or_else(|| panic!("{latency}"));
        assert!(p50(&slow["delivery_ns"]) > 50_000_000, "{slow}");
        assert!(p50(&f["delivery_ns"]) < p50(&slow["delivery_ns"]), "{f}");
        assert_eq!(count(&slow["deliveries"], "received"), count(f, "events"), "{slow}");
        assert!(count(&f["publisher"], "longest_queue") > 5, "{f}");
    }
}

#[test]
fn who_comes_and_goes_misses_nothing_that_is_due() {
    let _turn = alone();
    let bench = Bench::new();
    let subscribers = "count = 20\nstay = \"300ms\"\naway = \"50ms\"";
    let arms = arms(&bench, &scenario(&bench, subscribers, ""), &[]);
    for arm in &arms {
        let f = &arm["fanout"];
        let d = &f["deliveries"];
        assert_eq!(count(d, "due"), count(d, "received"), "{d}");
        assert_eq!((count(d, "duplicated"), count(d, "reordered"), count(d, "late")), (0, 0, 0));
        assert!(count(d, "due") < count(f, "events") * 20, "what came while one was away: {d}");
        let t = &f["turnover"];
        // Of those who left the last ones may still be away.
        assert!(count(t, "left") > 20 && count(t, "came") <= count(t, "left"), "{t}");
        assert!(count(t, "left") - count(t, "came") <= 20, "{t}");
        assert_eq!((count(t, "cut_off"), count(t, "refused")), (0, 0), "{t}");
        assert_eq!(count(&t["subscribing_ns"], "count"), count(t, "came"));
        let firsts = count(&t["first_event_ns"], "count");
        assert!(firsts > 0 && firsts <= count(t, "came"), "{t}");
        // What the publisher counts agrees: it has delivered what was due and what crossed a leaving.
        let p = &f["publisher"];
        assert!(count(p, "acknowledged") >= count(d, "received"), "{p}");
    }
    // The same plan for every arm; a stay that ends with the window may be cut short by it.
    let left = |arm: &Value| count(&arm["fanout"]["turnover"], "left");
    assert!(arms.iter().all(|arm| left(arm).abs_diff(left(&arms[0])) <= 4), "{arms:?}");
}

#[test]
fn after_a_restart_everybody_comes_back_and_what_was_missed_is_counted() {
    let _turn = alone();
    let bench = Bench::new();
    let rest = "[faults]\nrestart_after = \"300ms\"";
    let mine = scenario(&bench, "count = 20\nbackoff = \"50ms\"", rest);
    for arm in arms(&bench, &mine, &["--rate", "100"]) {
        let f = &arm["fanout"];
        let t = &f["turnover"];
        assert_eq!((count(t, "cut_off"), count(t, "came"), count(t, "left")), (20, 20, 0), "{t}");
        assert_eq!(count(&t["recovery_ns"], "count"), 1, "{t}");
        assert!(f["upkeep"]["down_ns"].as_f64() > Some(0.0), "{f}");
        let d = &f["deliveries"];
        assert_eq!(count(d, "due"), count(f, "events") * 20, "cut off is not away: {d}");
        assert!(count(d, "failed") > 0 && count(d, "received") > count(d, "failed"), "{d}");
        assert_eq!((count(d, "duplicated"), count(d, "reordered")), (0, 0), "{d}");
        // The second life's subscribers; what both lives have cost.
        assert_eq!(count(&f["publisher"], "subscribers"), 20, "{f}");
        assert!(arm["target_usage"]["cpu_ns_per_event"].as_f64() > Some(0.0), "{arm}");
    }
}

#[test]
fn who_does_not_come_back_after_a_restart_misses_the_rest() {
    let _turn = alone();
    let bench = Bench::new();
    let mine = scenario(&bench, "count = 5", "[faults]\nrestart_after = \"300ms\"");
    for arm in arms(&bench, &mine, &[]) {
        let (d, t) = (&arm["fanout"]["deliveries"], &arm["fanout"]["turnover"]);
        assert_eq!((count(t, "cut_off"), count(t, "came")), (5, 0), "{t}");
        assert_eq!(count(&t["recovery_ns"], "count"), 0, "{t}");
        assert!(count(d, "unsubscribed") + count(d, "unpublished") > count(d, "received"), "{d}");
    }
}

#[test]
fn an_event_for_one_reaches_that_one_only() {
    let _turn = alone();
    let bench = Bench::new();
    let delivery = "[delivery]\nto = \"one\"\nkeep_alive = \"100ms\"\nping = \"200ms\"";
    let arms = arms(&bench, &scenario(&bench, "count = 30", delivery), &[]);
    for arm in &arms {
        let f = &arm["fanout"];
        let d = &f["deliveries"];
        assert_eq!((count(d, "due"), count(d, "received")), (count(f, "events"), count(d, "due")));
        assert_eq!(
            (count(d, "undue"), count(d, "unsolicited"), count(d, "lost")),
            (0, 0, 0),
            "{d}"
        );
        assert_eq!(count(&f["publisher"], "queued"), count(&f["publisher"], "published"), "{f}");
        assert!(f["upkeep"]["descriptors"].as_f64() > Some(5.0), "{f}");
    }
    // 48 events in turn to 30 webhooks, each 750 ms after the last one: none meets a kept connection.
    let (webhook, websocket) = (&arms[0]["fanout"], &arms[1]["fanout"]);
    assert_eq!(count(webhook, "connections"), count(&webhook["publisher"], "published"));
    assert!(count(&webhook["publisher"], "idle_closed") > 0, "{webhook}");
    assert_eq!(
        (count(websocket, "connections"), count(&arms[2]["fanout"]["publisher"], "pings")),
        (30, 0)
    );
    // Six periods for each of thirty subscribers, the first one of each at a phase of its own.
    assert!(count(&websocket["publisher"], "pings") > 90, "{websocket}");
    let held = |f: &Value| f["upkeep"]["descriptors"].as_f64().unwrap();
    assert!(held(webhook) < held(websocket), "{webhook}");
}

#[test]
fn the_shipped_scenarios_run_shortened_and_their_tables_suit_them() {
    let _turn = alone();
    for (name, short, texts) in [
        (
            "slow-subscriber",
            &["--set", "subscribers.stuck=1", "--subscribers", "10", "--duration", "600ms"][..],
            &["1 slow by 15.0 ms, 1 stuck", "slow: delivery p50", "stuck: due", "turned away"][..],
        ),
        (
            "churn",
            &["--set", "faults.restart_after=400ms", "--subscribers", "20", "--duration", "1s"],
            &["who stay for 4.00 s", "left / cut off / came", "until all were back", "target down"],
        ),
        (
            "sparse",
            &["--subscribers", "100", "--warmup", "300ms", "--set", "delivery.keep_alive=200ms"],
            &["each event for one", "target descriptors", "pings / idle closed"],
        ),
    ] {
        let bench = Bench::new();
        let ended = bench.run(&[&["run", name, "--blocks", "1", "--out", "r"], short].concat());
        assert!(matches!(ended.code, Some(0..=2)), "{name}: {}{}", ended.out, ended.err);
        for text in texts {
            assert!(ended.out.contains(text), "{name}: no {text:?} in {}", ended.out);
        }
        for arm in json(&bench, "r")["points"][0]["arms"].as_array().unwrap() {
            adds_up(&arm["fanout"]["deliveries"]);
        }
        bench.nothing_left();
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_starts() {
    let bench = Bench::new();
    let run = |subscribers: &str, rest: &str| {
        bench.run(&["run", &scenario(&bench, subscribers, rest), "--out", "r"])
    };
    run("count = 3\nslow = 1\nstuck = 2", "").fails(64, &["subscribers.stuck", "no healthy one"]);
    run("count = 3\nstay = \"1s\"", "design = \"sliced\"").fails(64, &["compare.design", "stay"]);
    run("count = 3", "[faults]\nrestart_after = \"1s\"").fails(64, &["restart_after", "is over"]);
    run("count = 3", "[delivery]\nto = \"one\"\n[payload]\nbytes = 60")
        .fails(64, &["payload.bytes"]);
    run("count = 3", "[delivery]\nto = \"some\"").fails(64, &["all or one"]);
    let ingest = bench.run(&["run", "ingest", "--set", "subscribers.stuck=1"]);
    ingest.fails(64, &["subscribers.stuck", "fanout"]);
    bench.write(
        "pushbench.toml",
        "[target.mine.webhook]\nurl = \"http://127.0.0.1:9/hook\"\nmatch = \"order\"\n",
    );
    let args = ["run", "ingest", "--set", "faults.restart_after=1s", "--arm", "webhook@mine"];
    bench.run(&args).fails(64, &["webhook@mine", "faults.restart_after", "command"]);
    assert!(!bench.path("r").exists(), "something was begun");
}
