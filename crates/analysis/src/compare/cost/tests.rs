use crate::compare::cost::{Cost, Of, Part, PartCost};
use crate::compare::sample::Block;
use crate::compare::{compare, sample};
use pushbench_core::record::fanout::{
    Audience, Deliveries, Fanout, Growth, KernelMemory, KernelScope, Quiet,
};
use pushbench_core::record::run::StoredRun;
use pushbench_core::record::trial::{Stage, Trial};
use pushbench_core::scenario;
use pushbench_core::scenario::Prices;

fn all() -> Prices {
    Prices {
        core_hour: Some(0.04),
        gib_hour: Some(0.005),
        egress_gib: Some(0.09),
        request_million: Some(1.0),
        connection_minute_million: Some(0.25),
        message_million: Some(2.0),
        ..Prices::default()
    }
}

fn priced(mut run: StoredRun, prices: Prices) -> Vec<Cost> {
    run.header.points[0].scenario.price = prices;
    let arms = compare(&run).points.remove(0).arms;
    arms.into_iter().map(|a| a.cost.unwrap()).collect()
}

/// With a pilot of each arm in which an event took three segments of the target.
fn with_pilots(mut run: StoredRun) -> StoredRun {
    for arm in 0..2 {
        let mut pilot = run.trials[arm].clone();
        pilot.stage = Stage::Pilot;
        pilot.max_segment = Some(1448);
        pilot.account.traffic.segments_in = 3 * pilot.account.sent;
        run.trials.push(pilot);
    }
    run
}

fn part(cost: &Cost, of: Part) -> &PartCost {
    cost.parts.iter().find(|p| p.part == of).unwrap()
}

#[track_caller]
fn close(value: Option<f64>, expected: f64) {
    let value = value.unwrap();
    assert!((value - expected).abs() <= expected.abs() * 1e-9, "{value} for {expected}");
}

#[test]
fn a_million_events_cost_what_a_bill_by_hand_says() {
    // 40 µs and 20 µs of CPU an event, 5 MiB resident, 133 bytes in 3 segments, 3,000 events in 1.5 s.
    let block = [Block::of(100_000, 40_000), Block::of(80_000, 20_000)];
    let costs = priced(with_pilots(sample::run(&[block; 8])), all());
    let [webhook, websocket] = &costs[..] else { panic!() };
    assert_eq!(webhook.of, Of::MillionEvents);
    let cpu = 40e-6 * 1e6 / 3600.0 * 0.04;
    let memory = 5.0 / 1024.0 * (1.5 / 3000.0) * 1e6 / 3600.0 * 0.005;
    let egress = (133.0 + 3.0 * 40.0) * 1e6 / (1024.0 * 1024.0 * 1024.0) * 0.09;
    close(part(webhook, Part::Cpu).cost, cpu);
    close(part(webhook, Part::Memory).cost, memory);
    close(part(webhook, Part::Egress).cost, egress);
    close(part(webhook, Part::Requests).cost, 1.0);
    close(part(webhook, Part::Messages).quantity.map(|n| n + 1.0), 1.0);
    close(webhook.total, cpu + memory + egress + 1.0);
    // An event and its acknowledgement over one of 32 connections.
    let minutes = 32.0 * 1.5 / 60.0 / 3000.0 * 0.25;
    close(part(websocket, Part::ConnectionMinutes).cost, minutes);
    let total = cpu / 2.0 + memory + egress + 2.0 * 2.0 + minutes;
    close(websocket.total, total);
    assert!(webhook.over_first.is_none() && webhook.missing.is_empty());
    let ratio = websocket.over_first.as_ref().unwrap();
    close(Some(ratio.ratio), total / (cpu + memory + egress + 1.0));
    let [low, high] = websocket.ci95.unwrap();
    close(Some(low), total);
    close(Some(high), total);
}

#[test]
fn the_interval_is_students_over_blocks_and_needs_eight() {
    let only_cpu = Prices { core_hour: Some(3.6), ..Prices::default() };
    // A core-hour of 3.6: the cost of a million events is the CPU time of one in µs, over 1,000.
    let block = |n: u64| [Block::of(100_000, 10_000 * (n + 1)), Block::of(100_000, 5_000)];
    let blocks: Vec<[Block; 2]> = (0..8).map(block).collect();
    let costs = priced(sample::run(&blocks), only_cpu.clone());
    close(costs[0].total, 0.045);
    // Of 1 to 8: deviation √6, t(7) = 2.364624.
    let half = 2.364_624_251_592_785 * 6f64.sqrt() / 8f64.sqrt() * 0.01;
    let [low, high] = costs[0].ci95.unwrap();
    assert!((low - (0.045 - half)).abs() < 1e-9 && (high - (0.045 + half)).abs() < 1e-9);
    let few = priced(sample::run(&blocks[..7]), only_cpu);
    close(few[0].total, 0.04);
    assert!(few[0].ci95.is_none() && few[1].over_first.is_none());
}

#[test]
fn without_a_part_there_is_no_total() {
    let run = sample::ratios(0.8, 0.5); // without a pilot no segments were counted
    let cost = &priced(run.clone(), all())[0];
    assert_eq!((cost.total, cost.ci95, &cost.missing[..]), (None, None, &[Part::Egress][..]));
    assert!(part(cost, Part::Cpu).cost.is_some() && part(cost, Part::Egress).cost.is_none());
    let serverless = Prices { core_hour: None, gib_hour: None, egress_gib: None, ..all() };
    let mut foreign = run;
    foreign.trials.iter_mut().for_each(|t| t.target = None);
    assert!(priced(foreign.clone(), serverless)[0].total.is_some());
    let missing = &priced(foreign, all())[0].missing;
    assert_eq!(missing[..], [Part::Cpu, Part::Memory, Part::Egress]);
}

#[test]
fn failed_attempts_and_batches_are_paid_by_the_events_that_arrive() {
    let mut run = with_pilots(sample::run(&[[Block::of(1, 1); 2]; 8]));
    for trial in run.trials.iter_mut().filter(|t| t.stage == Stage::Block) {
        trial.account.measured.acknowledged = 2_000;
        trial.account.measured.failed = 1_000;
        if trial.arm == 0 {
            trial.account.batches = 500;
        }
    }
    let costs = priced(run, all());
    close(part(&costs[0], Part::Requests).quantity, 0.25);
    close(part(&costs[1], Part::Messages).quantity, 3_000.0 / 2_000.0 + 1.0);
    let egress = (133.0 * 1.5 + 3.0 * 40.0) * 1e6 / (1u64 << 30) as f64;
    close(part(&costs[0], Part::Egress).quantity, egress);
}

/// Fifty subscribers, 10 MiB and 5 MiB of kernel memory more with them, a quiet minute with 100 pings.
fn idle(transport: &str, change: fn(&mut Fanout)) -> StoredRun {
    let mut run = sample::run(&[[Block::of(1, 1); 2]; 8]);
    run.header.points[0].scenario = scenario::load("idle", &[]).unwrap().points.remove(0).scenario;
    transport.clone_into(&mut run.header.points[0].arms[1].transport);
    let fill = |trial: &mut Trial| {
        let mut fanout = Fanout {
            deliveries: Deliveries::new(&Audience::all(50)),
            acknowledged: true,
            subscribed_in_ns: 1,
            target_memory: Some(Growth { before: 1 << 20, after: 11 << 20 }),
            driver_memory: None,
            kernel_memory: Some(KernelMemory {
                of: KernelScope::Target,
                growth: Growth { before: 1 << 20, after: 6 << 20 },
            }),
            kernel_memory_why: None,
            quiet: Some(Quiet {
                ns: 60_000_000_000,
                target_cpu_ns: Some(9_000_000),
                bytes_in: 200,
                bytes_out: 600,
                pings: 100,
                reads: Some(100),
                requests: Some(0),
                connections: 50,
                ..Quiet::default()
            }),
            publisher: None,
        };
        change(&mut fanout);
        trial.fanout = Some(fanout);
    };
    run.trials.iter_mut().for_each(fill);
    run
}

#[test]
fn a_month_of_idle_subscribers_is_the_quiet_period_many_times() {
    let cost = priced(idle("websocket", |_| ()), all()).remove(1);
    assert_eq!((cost.of, cost.subscribers), (Of::IdleMonth, Some(50)));
    let minutes = 730.0 * 60.0;
    let cpu = 0.009 * minutes / 3600.0 * 0.04;
    let memory = 10.0 / 1024.0 * 730.0 * 0.005;
    // Each ping is a segment, and so is the acknowledgement of its pong.
    let egress = (200.0 + 200.0 * 40.0) * minutes / (1u64 << 30) as f64 * 0.09;
    let open = 50.0 * minutes / 1e6 * 0.25;
    close(part(&cost, Part::Cpu).cost, cpu);
    close(part(&cost, Part::Memory).cost, memory);
    close(part(&cost, Part::KernelMemory).cost, memory / 2.0);
    close(part(&cost, Part::Egress).cost, egress);
    close(part(&cost, Part::ConnectionMinutes).cost, open);
    close(cost.total, cpu + memory * 1.5 + egress + open);
}

#[test]
fn a_month_of_polling_is_paid_by_the_request() {
    let poll = |fanout: &mut Fanout| {
        let quiet = fanout.quiet.as_mut().unwrap();
        (quiet.pings, quiet.requests) = (0, Some(100));
    };
    let cost = priced(idle("poll", poll), all()).remove(1);
    close(part(&cost, Part::Requests).cost, 100.0 * 730.0 * 60.0 / 1e6);
    assert_eq!(part(&cost, Part::ConnectionMinutes).cost, Some(0.0));
}

#[test]
fn what_older_runs_did_not_count_is_missing() {
    let older = |fanout: &mut Fanout| {
        let quiet = fanout.quiet.as_mut().unwrap();
        (quiet.reads, quiet.requests) = (None, None);
        fanout.kernel_memory.as_mut().unwrap().of = KernelScope::Machine;
    };
    let cost = |transport| priced(idle(transport, older), all()).remove(1);
    assert_eq!(cost("websocket").missing[..], [Part::KernelMemory]);
    assert_eq!(cost("sse").missing[..], [Part::KernelMemory, Part::Egress]);
    let poll = [Part::KernelMemory, Part::Egress, Part::Requests];
    assert_eq!(cost("poll").missing[..], poll);
}
