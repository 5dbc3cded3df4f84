//! Middle boxes of a path, end to end: what is lost and who knows, what a message says where nothing gets through, and
//! that nothing of a path is left, however a run ends.

use crate::common::{Bench, Ended, eventually, json, signal, turn};
use rustix::process::Signal;
use serde_json::Value;
use std::process::Command;

/// Whether there can be a middle box here: CI must have one.
fn possible() -> bool {
    match pushbench_path::middle_box::available() {
        Ok(()) => true,
        Err(why) => {
            assert!(std::env::var_os("CI").is_none(), "{why}");
            eprintln!("skipped: {why}");
            false
        }
    }
}

fn fanout(report: &Value, point: usize) -> &Value {
    &report["points"][point]["arms"][0]["fanout"]
}

#[test]
fn a_websocket_dies_of_a_silence_longer_than_the_cutoff_and_a_ping_below_it_keeps_it_alive() {
    if !possible() {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    let text =
        pushbench_core::scenario::shipped().find(|(name, _)| *name == "idle-cutoff").unwrap().1;
    let (head, _) = text.split_once("[sweep]").unwrap();
    // An event at the head, and one after twice the cut-off.
    let head = head.replace("rate = 1 ", "rate = 0.25 ").replace("\"8s\"", "\"5s\"");
    let head = head.replace("dead_after = \"5s\"", "dead_after = \"never\"");
    bench.write("short.toml", &format!("{head}[sweep]\n\"delivery.ping\" = [\"none\", \"1s\"]\n"));
    let ended = bench.run(&["run", "short.toml", "--arm", "websocket@builtin", "--out", "r"]);
    ended.succeeds();
    let report = json(&bench, "r");
    let outcomes = |point| {
        let deliveries = &fanout(&report, point)["deliveries"];
        (deliveries["due"].as_u64().unwrap(), deliveries["received"].as_u64().unwrap())
    };
    assert_eq!((outcomes(0), outcomes(1)), ((20, 0), (20, 20)), "{}", ended.out);
    let silent = fanout(&report, 0);
    assert_eq!(silent["publisher"]["subscribers"], 20, "the publisher does not know: {silent}");
    assert_eq!(silent["publisher"]["gone"], 0, "{silent}");
    assert!(silent["turnover"].is_null(), "no subscriber knows: {silent}");
    bench.nothing_left();
}

#[test]
fn events_flow_again_after_a_change_of_address_and_who_polls_loses_none() {
    if !possible() {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    let arms = ["--arm", "websocket@builtin", "--arm", "poll@builtin"];
    let set = ["--set", "path.pause=500ms", "--set", "path.new_address_at=2s", "--duration", "5s"];
    let ended = bench.run(&[&["run", "roaming", "--out", "r"], &arms[..], &set[..]].concat());
    ended.succeeds();
    let report = json(&bench, "r");
    let [websocket, poll] = [0, 1].map(|arm| &report["points"][0]["arms"][arm]["fanout"]);
    for fanout in [websocket, poll] {
        let (resumption, noticed) = (&fanout["resumption"], &fanout["turnover"]["noticed_ns"]);
        assert_eq!(
            (&resumption["subscribers"], &resumption["never"]),
            (&20.into(), &0.into()),
            "{fanout}"
        );
        // Nobody knows before the limit of 2 s, and nothing flows before somebody knows.
        assert!(noticed["mean"].as_f64() > Some(1.9e9), "{fanout}");
        assert!(resumption["ns"].as_f64() > Some(1.9e9), "{fanout}");
    }
    let lost = |fanout: &Value| fanout["deliveries"]["lost"].as_u64();
    assert_eq!((lost(poll), &poll["reach"]), (Some(0), &1.0.into()), "{}", ended.out);
    assert!(lost(websocket) >= Some(20), "{}", ended.out);
    bench.nothing_left();
}

#[test]
fn who_is_behind_a_nat_gets_no_webhook_but_connects_itself() {
    if !possible() {
        return;
    }
    let bench = Bench::new();
    let run = |more: &[&str]| -> Ended {
        let short = ["run", "fanout", "--subscribers", "4", "--blocks", "1", "--duration", "300ms"];
        let short =
            [&short[..], &["--set", "load.timeout=1s", "--set", "compare.design=auto"]].concat();
        bench.run(&[&short[..], more].concat())
    };
    let nat = ["--set", "path.nat=receiver"];
    let blocked = run(&[&["--arm", "webhook@builtin", "--out", "a"][..], &nat].concat());
    blocked
        .fails(3, &["webhook@builtin", "none of", "path.nat = \"receiver\"", "choose a transport"]);
    run(&[&["--arm", "websocket@builtin", "--out", "b"][..], &nat].concat()).succeeds();
    assert_eq!(fanout(&json(&bench, "b"), 0)["reach"], 1.0);
    let refused = bench.run(&["run", "--arm", "webhook@builtin", "--set", "path.inbound=reject"]);
    refused.fails(3, &["webhook@builtin", "nothing gets through", "path.inbound = \"reject\""]);
    let open =
        ["--blocks", "1", "--duration", "300ms", "--set", "path.inbound=only-443", "--out", "c"];
    bench.run(&[&["run"][..], &open].concat()).succeeds();
    bench.nothing_left();
}

/// The machine's devices, routes and rules, and the network namespaces of processes.
fn machine() -> String {
    let commands = [
        "ip -o link",
        "ip -4 route show table all",
        "ip -6 route show table all",
        "nft list ruleset",
    ];
    let output = |command: &str| {
        let words: Vec<&str> = command.split(' ').collect();
        let output = Command::new(words[0])
            .args(&words[1..])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output();
        output.map_or(String::new(), |o| String::from_utf8_lossy(&o.stdout).into_owned())
    };
    commands.map(output).join("\n")
}

/// The network namespaces of these processes and their threads, but for this one's.
fn namespaces(processes: &[u32]) -> Vec<std::path::PathBuf> {
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    let threads =
        |pid: &u32| std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = processes.iter().flat_map(threads);
    let of = of.filter_map(|thread| std::fs::read_link(thread.path().join("ns/net")).ok());
    of.filter(|namespace| *namespace != own).collect()
}

#[test]
fn nothing_of_a_path_is_left_however_its_processes_end() {
    if !possible() {
        return;
    }
    let before = machine();
    let all = || -> Vec<u32> {
        let numbers = std::fs::read_dir("/proc").unwrap().flatten();
        numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    };
    for (times, victim) in [(3, "run"), (2, "__keep"), (1, "serve")] {
        for _ in 0..times {
            let bench = Bench::new();
            let path = ["--set", "path.nat=sender", "--set", "path.idle_cutoff=2s"];
            let args = [
                &["run", "--duration", "30s", "--arm", "websocket@builtin", "--out", "r"][..],
                &path,
            ];
            let mut run = bench.pushbench(&args.concat()).spawn().unwrap();
            let named = |pid: &u32| {
                let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                words.split(|byte| *byte == 0).nth(1) == Some(victim.as_bytes())
            };
            let inside = || {
                let own = |pid: &u32| !namespaces(&[*pid]).is_empty();
                bench
                    .servers()
                    .iter()
                    .any(own)
                    .then(|| bench.processes().into_iter().find(named))?
            };
            eventually("a server in a namespace", || inside().is_some());
            let theirs = namespaces(&bench.processes());
            assert!(theirs.len() > 1, "{theirs:?}");
            let pid = inside().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)).unwrap();
            rustix::process::kill_process(pid, Signal::KILL).unwrap();
            // A run whose target has died goes on with another one.
            signal(&run, Signal::INT);
            run.wait().unwrap();
            bench.nothing_left();
            eventually("the namespaces to vanish", || {
                let left = namespaces(&all());
                !theirs.iter().any(|namespace| left.contains(namespace))
            });
        }
    }
    assert_eq!(before, machine());
}

#[test]
fn without_root_a_path_is_made_in_a_user_namespace_or_the_message_says_what_is_missing() {
    if !rustix::process::getuid().is_root() || !possible() {
        return;
    }
    let bench = Bench::with_its_own_program();
    let folder = bench.path("");
    for path in [folder.clone(), bench.path("pushbench")] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .unwrap();
    }
    let mut command = bench.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(bench.path("pushbench"));
    command.args(["run", "--arm", "websocket@builtin", "--blocks", "1", "--duration", "300ms"]);
    command.args(["--set", "path.nat=sender", "--out", "r"]).env("HOME", &folder);
    let ended = crate::common::ended(command.output().unwrap());
    match ended.code {
        Some(0) => assert!(ended.out.contains("sender behind NAT"), "{}", ended.out),
        _ => {
            let remedy = ["user namespace", "/dev/net/tun", "as root"];
            assert!(remedy.iter().any(|word| ended.err.contains(word)), "{}", ended.err);
        }
    }
    bench.nothing_left();
}
