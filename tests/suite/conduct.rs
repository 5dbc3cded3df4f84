//! Subscribers that are slow, stuck, that leave and come, and a publisher that is restarted: every
//! delivery accounted for, end to end against the built-in publisher.

use crate::common::{Bench, turn};
use pushbench_core::record::fanout::{Conduct, DatedBy, Fanout};
use pushbench_core::record::histogram::Hist;
use pushbench_core::record::trial::{Stage, Trial};
use pushbench_host::results_store;

const ALL: [&str; 6] =
    ["--arm", "webhook@builtin", "--arm", "websocket@builtin", "--arm", "tcp@builtin"];

/// What brings events without being sent any, polled often.
const BASELINES: [&str; 8] = [
    "--arm",
    "sse@builtin",
    "--arm",
    "long-poll@builtin",
    "--arm",
    "poll@builtin",
    "--set",
    "delivery.poll_interval=20ms",
];

/// Runs it on the transports that are compared.
fn trials(bench: &Bench, scenario: &str, more: &[&str]) -> Vec<(Trial, Fanout)> {
    trials_of(&ALL, bench, scenario, more)
}

/// Runs it on these arms and gives the records of its last block. What is counted must be exact
/// however late a machine under load is, so invalid trials count as well.
fn trials_of(arms: &[&str], bench: &Bench, scenario: &str, more: &[&str]) -> Vec<(Trial, Fanout)> {
    let ended = bench.run(&[&["run", scenario, "--out", "r"][..], arms, more].concat());
    assert!(matches!(ended.code, Some(0..=3)), "{}{}", ended.out, ended.err);
    let stored = results_store::read(&bench.path("r")).unwrap();
    let mut last: Vec<Trial> = stored.trials.into_iter().rev().take(3).collect();
    last.sort_by_key(|t| t.arm);
    bench.nothing_left();
    let split = |mut trial: Trial| {
        let fanout = trial.fanout.take().unwrap();
        (trial, fanout)
    };
    let trials: Vec<(Trial, Fanout)> = last.into_iter().map(split).collect();
    assert_eq!(trials.len(), 3);
    for (trial, fanout) in &trials {
        assert_eq!(trial.stage, Stage::Block);
        adds_up(fanout);
    }
    trials
}

/// Every delivery has one outcome, in the driver's and in the publisher's account.
fn adds_up(fanout: &Fanout) {
    // Whoever comes and goes, and over every transport.
    assert_eq!(fanout.deliveries.dated_by(), DatedBy::Kernel, "{}", fanout.deliveries.stamped);
    for (name, outcomes) in fanout.deliveries.all_outcomes() {
        assert!(outcomes.sums_are_exact(), "{name}: {outcomes:?}");
    }
    let publisher = fanout.publisher.unwrap();
    assert!(publisher.sums_are_exact(), "{publisher:?}");
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
fn a_slow_and_a_stuck_subscriber_have_their_own_outcomes() {
    let bench = Bench::with_its_own_program();
    let subscribers = "count = 8\nslow = 1\nslow_by = \"5ms\"\nstuck = 1";
    let mine = scenario(&bench, subscribers, "[delivery]\nqueue = 16\ntimeout = \"300ms\"");
    for (trial, f) in trials(&bench, &mine, &[]) {
        let (d, events) = (&f.deliveries, trial.account.measured.due);
        assert_eq!((d.measured.due, d.measured.received), (events * 6, events * 6), "{d:?}");
        let [slow, stuck] = &d.apart[..] else { panic!("{d:?}") };
        assert_eq!((slow.conduct, stuck.conduct), (Conduct::Slow, Conduct::Stuck));
        assert_eq!((slow.measured.due, slow.measured.received), (events, events), "{slow:?}");
        assert_eq!((stuck.measured.due, stuck.measured.timed_out), (events, events), "{stuck:?}");
        assert_eq!((slow.delivery.count(), stuck.delivery.count()), (events, 0));
        // The publisher gave up what it had written to the stuck one and turned away what its queue
        // could not take, and kept no more than the queue.
        let p = f.publisher.unwrap();
        assert_eq!(p.queued + p.overflowed, p.published * 8, "{p:?}");
        assert!(p.timed_out + p.overflowed + p.open >= p.published, "{p:?}");
        assert!(p.timed_out > 0 && p.longest_queue <= 16, "{p:?}");
        assert!(p.least_acknowledged == 0 && p.acknowledged <= p.published * 7, "{p:?}");
        let memory = f.target_memory.unwrap();
        assert!(memory.after > memory.before + 8 * 1024, "eight subscribers take more: {memory:?}");
    }
}

#[test]
fn one_more_is_stuck_in_one_arm_and_in_no_other() {
    let bench = Bench::new();
    let mine = scenario(&bench, "count = 5\nslow = 1\nslow_by = \"1ms\"", "");
    let arms = ["tcp@builtin", "tcp+stuck@builtin", "webhook+stuck@builtin"];
    let arms: Vec<&str> = arms.iter().flat_map(|arm| ["--arm", arm]).collect();
    for (trial, f) in trials_of(&arms, &bench, &mine, &[]) {
        let (d, events, more) =
            (&f.deliveries, trial.account.measured.due, u64::from(trial.arm > 0));
        assert_eq!(d.measured.due, events * (4 - more), "{d:?}");
        assert_eq!(d.measured.received, d.measured.due, "{d:?}");
        let stuck = d.apart.iter().find(|a| a.conduct == Conduct::Stuck);
        assert_eq!(stuck.map_or(0, |a| a.measured.timed_out), events * more, "{d:?}");
    }
    let stored = results_store::read(&bench.path("r")).unwrap();
    let stuck: Vec<usize> = stored.header.points[0].arms.iter().map(|a| a.stuck).collect();
    assert_eq!(stuck, [0, 1, 1]);
    let shown = bench.run(&["report", "r"]).out;
    let differ = shown.split("different: ").nth(1).and_then(|rest| rest.lines().next());
    assert!(differ.is_some_and(|names| names.contains("subscribers")), "{shown}");
}

#[test]
fn who_takes_their_time_is_waited_for_by_nobody_else() {
    let bench = Bench::new();
    // It needs 50 ms for what comes every 25: its queue grows, and only its.
    let subscribers = "count = 4\nslow = 1\nslow_by = \"50ms\"";
    for (trial, f) in trials(&bench, &scenario(&bench, subscribers, ""), &[]) {
        let (d, slow) = (&f.deliveries, &f.deliveries.apart[0]);
        let p50 = |hist: &Hist| hist.quantile(0.5).unwrap();
        assert!(p50(&slow.delivery) > 50_000_000, "{slow:?}");
        assert!(p50(&d.delivery) < p50(&slow.delivery), "{d:?}");
        assert_eq!(slow.measured.received, trial.account.measured.due, "{slow:?}");
        assert!(f.publisher.unwrap().longest_queue > 5, "{:?}", f.publisher);
    }
}

#[test]
fn who_comes_and_goes_misses_nothing_that_is_due() {
    let bench = Bench::new();
    let subscribers = "count = 20\nstay = \"300ms\"\naway = \"50ms\"";
    let trials = trials(&bench, &scenario(&bench, subscribers, ""), &["--rate", "20"]);
    for (trial, f) in &trials {
        let (d, t) = (&f.deliveries, f.deliveries.turnover.as_ref().unwrap());
        assert_eq!(
            d.measured.due, d.measured.received,
            "{:?}: {:?}",
            d.measured, trial.account.faults
        );
        assert_eq!((d.duplicated, d.reordered, d.late), (0, 0, 0));
        assert!(
            d.measured.due < trial.account.measured.due * 20,
            "what came while one was away: {d:?}"
        );
        // Of those who left the last ones may still be away.
        assert!(t.left > 20 && t.came <= t.left && t.left - t.came <= 20, "{t:?}");
        assert_eq!((t.cut_off, t.refused, t.recovery.count()), (0, 0, 0), "{t:?}");
        assert_eq!(t.subscribing.count(), t.came);
        assert!(t.first_event.count() > 0 && t.first_event.count() <= t.came, "{t:?}");
        assert!(trial.account.faults.is_empty(), "{:?}", trial.account.faults);
        // The publisher agrees: each has acknowledged what was due, and what crossed its leaving at most.
        let (p, due) = (f.publisher.unwrap(), d.read);
        assert!(p.acknowledged >= due && p.acknowledged <= due + d.undue, "{p:?} {d:?}");
    }
}

#[test]
fn after_a_restart_everybody_comes_back_and_what_was_missed_is_counted() {
    let bench = Bench::new();
    let rest = "[faults]\nrestart_after = \"300ms\"";
    let mine = scenario(&bench, "count = 10\nbackoff = \"5ms\"", rest);
    // Everybody has the time to come back on a slow machine, too.
    for (trial, f) in trials(&bench, &mine, &["--duration", "2s"]) {
        let (d, t) = (&f.deliveries, f.deliveries.turnover.as_ref().unwrap());
        assert_eq!((t.cut_off, t.came, t.left, t.recovery.count()), (10, 10, 0, 1), "{t:?}");
        assert!(trial.down_ns > Some(0), "{trial:?}");
        assert_eq!(d.measured.due, trial.account.measured.due * 10, "cut off is not away: {d:?}");
        assert!(d.measured.failed > 0 && d.measured.received > 0, "{:?}", d.measured);
        assert_eq!((d.duplicated, d.reordered), (0, 0), "{d:?}");
        // The second life's subscribers; what both lives have cost.
        assert_eq!(f.publisher.unwrap().subscribers, 10);
        assert!(trial.target.unwrap().cpu_ns > trial.target.unwrap().end.cpu_ns, "{trial:?}");
    }
}

#[test]
fn who_does_not_come_back_after_a_restart_misses_the_rest() {
    let bench = Bench::new();
    let mine = scenario(&bench, "count = 5", "[faults]\nrestart_after = \"300ms\"");
    for (_, f) in trials(&bench, &mine, &[]) {
        let (d, t) = (&f.deliveries, f.deliveries.turnover.as_ref().unwrap());
        assert_eq!((t.cut_off, t.came, t.recovery.count()), (5, 0, 0), "{t:?}");
        let missed = d.measured.unsubscribed + d.measured.unpublished;
        assert!(missed > d.measured.received, "{:?}", d.measured);
    }
}

#[test]
fn an_event_for_one_reaches_that_one_only() {
    let bench = Bench::new();
    let delivery = "[delivery]\nto = \"one\"\nkeep_alive = \"100ms\"\nping = \"1s\"";
    let trials = trials(&bench, &scenario(&bench, "count = 30", delivery), &[]);
    for (trial, f) in &trials {
        let (d, p) = (&f.deliveries, f.publisher.unwrap());
        assert_eq!(
            (d.measured.due, d.measured.received),
            (trial.account.measured.due, d.measured.due)
        );
        assert_eq!((d.undue, d.unsolicited, d.skew.count()), (0, 0, 0), "{d:?}");
        assert_eq!((p.queued, p.acknowledged), (p.published, p.published), "{p:?}");
    }
    let [webhook, websocket, tcp] = &trials[..] else { panic!() };
    let status = |of: &(Trial, Fanout)| of.1.publisher.unwrap();
    // 48 events in turn to 30 webhooks, each 750 ms after the last one: none meets a kept connection.
    assert_eq!(webhook.1.deliveries.connections, status(webhook).published);
    assert!(status(webhook).idle_closed > 0 && status(webhook).pings == 0, "{:?}", status(webhook));
    assert_eq!((websocket.1.deliveries.connections, status(websocket).idle_closed), (30, 0));
    // Within a period each of thirty subscribers has its first, at a phase of its own.
    assert!(status(websocket).pings >= 30 && status(tcp).pings == 0, "{:?}", status(websocket));
    let open_descriptors = |of: &(Trial, Fanout)| of.0.target.unwrap().end.descriptors;
    assert!(
        open_descriptors(webhook) < open_descriptors(websocket),
        "{} {}",
        open_descriptors(webhook),
        open_descriptors(websocket)
    );
}

#[test]
fn the_shipped_scenarios_run_shortened_and_their_tables_suit_them() {
    let _turn = turn::measuring();
    for (name, short, texts) in [
        (
            "slow-subscriber",
            &["--set", "subscribers.stuck=1", "--subscribers", "10", "--duration", "600ms"][..],
            &["1 slow by 15.0 ms, 1 stuck", "slow: delivery p50", "stuck: due", "rejected"][..],
        ),
        (
            "churn",
            &["--set", "faults.restart_after=400ms", "--subscribers", "20", "--duration", "1s"],
            &[
                "staying for 4.00 s",
                "left / disconnected / joined",
                "until all were back",
                "target down",
            ],
        ),
        (
            "sparse",
            &[
                "--subscribers",
                "100",
                "--warmup",
                "300ms",
                "--duration",
                "1s",
                "--set",
                "delivery.keep_alive=200ms",
            ],
            &["each event for one", "target descriptors", "pings / idle closed"],
        ),
    ] {
        let bench = Bench::new();
        let ended = bench.run(&[&["run", name, "--blocks", "1", "--out", "r"], short].concat());
        assert!(matches!(ended.code, Some(0..=3)), "{name}: {}{}", ended.out, ended.err);
        for text in texts {
            assert!(ended.out.contains(text), "{name}: no {text:?} in {}", ended.out);
        }
        for trial in results_store::read(&bench.path("r")).unwrap().trials {
            adds_up(&trial.fanout.unwrap());
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
    let stuck = bench.run(&["run", "ingest", "--arm", "websocket+stuck@builtin"]);
    stuck.fails(64, &["websocket+stuck@builtin", "run fanout"]);
    let idle = bench.run(&["run", "idle", "--arm", "websocket+stuck@builtin", "--out", "r"]);
    idle.fails(64, &["websocket+stuck@builtin", "run fanout"]);
    let arm = ["--arm", "tcp+stuck@builtin"];
    let one = scenario(&bench, "count = 1", "");
    let all = [&["run", &one, "--out", "r"][..], &arm].concat();
    bench.run(&all).fails(64, &["tcp+stuck@builtin", "no healthy one", "--subscribers 2"]);
    let sliced = scenario(&bench, "count = 3", "design = \"sliced\"");
    let sliced = [&["run", &sliced, "--out", "r"][..], &arm].concat();
    bench.run(&sliced).fails(64, &["tcp+stuck@builtin", "compare.design"]);
    bench.write(
        "pushbench.toml",
        "[target.mine.webhook]\nurl = \"http://127.0.0.1:9/hook\"\nmatch = \"order\"\n",
    );
    let args = ["run", "ingest", "--set", "faults.restart_after=1s", "--arm", "webhook@mine"];
    bench.run(&args).fails(64, &["webhook@mine", "faults.restart_after", "command"]);
    assert!(!bench.path("r").exists(), "something was begun");
}

#[test]
fn over_the_baselines_slow_and_stuck_ones_have_their_own_outcomes_too() {
    let bench = Bench::new();
    let subscribers = "count = 8\nslow = 1\nslow_by = \"5ms\"\nstuck = 1";
    let mine = scenario(&bench, subscribers, "[delivery]\nqueue = 16\ntimeout = \"300ms\"");
    for (trial, f) in trials_of(&BASELINES, &bench, &mine, &[]) {
        let (d, events) = (&f.deliveries, trial.account.measured.due);
        assert_eq!((d.measured.due, d.measured.received), (events * 6, events * 6), "{d:?}");
        let [slow, stuck] = &d.apart[..] else { panic!("{d:?}") };
        assert_eq!((slow.measured.due, slow.measured.received), (events, events), "{slow:?}");
        assert_eq!((stuck.measured.due, stuck.measured.timed_out), (events, events), "{stuck:?}");
        let p = f.publisher.unwrap();
        assert_eq!(p.queued + p.overflowed, p.published * 8, "{p:?}");
        assert!(p.overflowed + p.timed_out > 0 && p.longest_queue <= 16, "{p:?}");
        assert!(p.least_acknowledged == 0 && p.acknowledged <= p.published * 7, "{p:?}");
        assert_eq!((d.duplicated, d.reordered, p.stray), (0, 0, 0), "{d:?}");
    }
}

#[test]
fn over_the_baselines_who_comes_and_goes_misses_nothing_either() {
    let bench = Bench::new();
    let subscribers = "count = 20\nstay = \"300ms\"\naway = \"50ms\"";
    let mine = scenario(&bench, subscribers, "");
    for (trial, f) in trials_of(&BASELINES, &bench, &mine, &["--rate", "20"]) {
        let (d, t) = (&f.deliveries, f.deliveries.turnover.as_ref().unwrap());
        assert_eq!(
            d.measured.due, d.measured.received,
            "{:?}: {:?}",
            d.measured, trial.account.faults
        );
        assert_eq!((d.duplicated, d.reordered, d.late), (0, 0, 0), "{d:?}");
        assert!(t.left > 20 && t.came <= t.left && t.left - t.came <= 20, "{t:?}");
        assert_eq!((t.cut_off, t.refused), (0, 0), "{t:?}");
        assert!(trial.account.faults.is_empty(), "{:?}", trial.account.faults);
        // Leaving acknowledges what has come; what was read at an answer's end may not be.
        let (p, due) = (f.publisher.unwrap(), d.read);
        assert!(p.acknowledged >= due && p.acknowledged <= due + d.undue, "{p:?} {d:?}");
    }
}

#[test]
fn over_the_baselines_everybody_comes_back_after_a_restart_as_themselves() {
    let bench = Bench::new();
    let rest = "[delivery]\nto = \"one\"\n[faults]\nrestart_after = \"300ms\"";
    let mine = scenario(&bench, "count = 10\nbackoff = \"5ms\"", rest);
    for (trial, f) in trials_of(&BASELINES, &bench, &mine, &["--duration", "2s"]) {
        let (d, t) = (&f.deliveries, f.deliveries.turnover.as_ref().unwrap());
        assert_eq!((t.cut_off, t.came, t.left, t.recovery.count()), (10, 10, 0, 1), "{t:?}");
        assert!(trial.down_ns > Some(0), "{trial:?}");
        // Nobody has read under another one's number.
        assert_eq!((d.undue, d.unsolicited, d.duplicated, d.reordered), (0, 0, 0, 0), "{d:?}");
        assert!(d.measured.received > 0, "{:?}", d.measured);
        assert_eq!(f.publisher.unwrap().subscribers, 10);
    }
}
