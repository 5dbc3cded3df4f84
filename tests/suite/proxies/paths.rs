//! Runs whose path has proxies.

use super::{USAGE, programs_are_missing};
use crate::common::{Bench, Ended, json, short, turn};
use crate::publishers::missing;
use serde_json::Value;

/// A short run, and its first point. `code`: with a line of `[expect]` that failed where a transport does not get through.
fn measured(bench: &Bench, out: &str, more: &[&str], code: i32) -> (Ended, Value) {
    let args = [&short(more)[..], &["--out", out]].concat();
    let ended = bench.run_prepared(&args);
    assert_eq!(ended.code, Some(code), "{}\n{}", ended.out, ended.err);
    let point = json(bench, out)["points"][0].clone();
    bench.nothing_left();
    (ended, point)
}

fn arm<'a>(point: &'a Value, label: &str) -> &'a Value {
    let mut arms = point["arms"].as_array().unwrap().iter();
    arms.find(|arm| arm["arm"] == label).unwrap()
}

#[track_caller]
fn all_got_through(point: &Value) {
    for arm in point["arms"].as_array().unwrap() {
        let events = &arm["events"];
        assert!(events["due"].as_u64() > Some(0), "{arm}");
        assert_eq!(events["acknowledged"], events["due"], "{arm}");
        if let Some(fanout) = arm["fanout"].as_object() {
            assert_eq!(fanout["reach"], 1.0, "{arm}");
        }
        for proxy in arm["proxies"].as_array().into_iter().flatten() {
            assert!(proxy["cpu_ns_per_event"].as_f64() > Some(0.0), "{arm}");
        }
    }
}

/// Nothing of an arm got through, and its faults say what would.
#[track_caller]
fn none_got_through(arm: &Value, texts: &[&str]) {
    let events = &arm["events"];
    assert_eq!((&events["acknowledged"], &events["failed"]), (&0.into(), &events["due"]), "{arm}");
    let faults = arm["faults"].to_string();
    for text in texts {
        assert!(faults.contains(text), "no {text:?} in {faults}");
    }
}

const BOTH: [&str; 4] = ["--arm", "webhook@builtin", "--arm", "websocket@builtin"];

#[test]
fn a_websocket_that_nginx_as_installed_refuses_ends_no_run() {
    if programs_are_missing() {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    let (ended, point) = measured(&bench, "r", &["proxied"], 0);
    let points = json(&bench, "r")["points"].as_array().unwrap().clone();
    assert_eq!(points.len(), 4);
    all_got_through(&point);
    points[2..].iter().for_each(all_got_through);
    let cure = "it did not get through nginx; nginx-websocket lets it through";
    none_got_through(arm(&points[1], "websocket@builtin"), &["no connection: answered ", cure]);
    let webhook = arm(&points[1], "webhook@builtin");
    assert_eq!(webhook["events"]["acknowledged"], webhook["events"]["due"], "{webhook}");
    assert!(webhook["proxies"][0]["cpu_ns_per_event"].as_f64() > Some(0.0), "{webhook}");
    let version = points[1]["design"]["proxies"]["nginx"].as_str().unwrap();
    for text in [cure, "proxy CPU/event", &format!("through nginx (nginx {version})")] {
        assert!(ended.out.contains(text), "no {text:?} in {}", ended.out);
    }
}

#[test]
fn nginx_as_installed_withholds_a_stream_of_events() {
    if programs_are_missing() {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    let fanout = ["fanout", "--subscribers", "2", "--set", "path.via=nginx"];
    let arms = ["--arm", "webhook@builtin", "--arm", "sse@builtin", "--set", "load.timeout=1s"];
    let (_, point) = measured(&bench, "r", &[&fanout[..], &arms].concat(), 1);
    assert_eq!(arm(&point, "webhook@builtin")["fanout"]["reach"], 1.0);
    let sse = arm(&point, "sse@builtin");
    assert_eq!(sse["fanout"]["reach"], 0.0, "{sse}");
    let cure = "it did not get through nginx; nginx-websocket lets it through";
    assert!(sse["faults"].to_string().contains(cure), "{sse}");
}

#[test]
fn proxies_in_a_row_let_websockets_through_also_over_tls() {
    if programs_are_missing() {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    let row = ["ingest", "--set", "path.via=haproxy nginx-websocket"];
    let (_, point) = measured(&bench, "plain", &[&row[..], &BOTH].concat(), 0);
    all_got_through(&point);
    assert_eq!(point["arms"][0]["proxies"].as_array().unwrap().len(), 2);
    let tls = ["--arm", "webhook+tls@builtin", "--arm", "websocket+tls@builtin"];
    all_got_through(&measured(&bench, "tls", &[&row[..], &tls].concat(), 0).1);
    let fanout = ["fanout", "--subscribers", "4", "--set", "path.via=nginx-websocket"];
    let arms = [&BOTH[..], &["--arm", "sse@builtin"]].concat();
    all_got_through(&measured(&bench, "fanout", &[&fanout[..], &arms].concat(), 0).1);
    let callback = ["duplex", "--arm", "webhook+callback@builtin", "--set", "path.via=haproxy"];
    all_got_through(&measured(&bench, "callback", &callback, 0).1);
}

#[test]
fn squid_carries_everything_with_connect_and_plain_http_without() {
    if programs_are_missing() {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    let squid = ["ingest", "--set", "path.forward_proxy=squid"];
    let more = ["--arm", "webhook+tls@builtin", "--arm", "tcp@builtin"];
    all_got_through(&measured(&bench, "connect", &[&squid[..], &BOTH, &more].concat(), 0).1);
    let without = ["ingest", "--set", "path.forward_proxy=squid-no-connect"];
    let (_, point) = measured(&bench, "without", &[&without[..], &BOTH].concat(), 1);
    let webhook = &arm(&point, "webhook@builtin")["events"];
    assert_eq!(webhook["acknowledged"], webhook["due"], "{webhook}");
    let refused = ["HTTP/1.1 403", "allow CONNECT", "squid lets it through"];
    none_got_through(arm(&point, "websocket@builtin"), &refused);
    // Here the publisher connects.
    let fanout = ["fanout", "--subscribers", "4", "--set", "path.forward_proxy=squid"];
    let arms = [&BOTH[..], &["--arm", "webhook+tls@builtin"]].concat();
    all_got_through(&measured(&bench, "fanout", &[&fanout[..], &arms].concat(), 0).1);
}

#[test]
fn mitmproxy_inspects_tls() {
    let check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";
    let needs: &[&str] = &["python3", "-c", check];
    if missing(&[needs], "Python 3.10 with venv (apt install python3-venv)") {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    let inspected = ["ingest", "--set", "path.forward_proxy=mitmproxy", "--connections", "4"];
    let tls = ["--arm", "webhook+tls@builtin", "--arm", "websocket+tls@builtin"];
    let (_, point) = measured(&bench, "r", &[&inspected[..], &tls].concat(), 0);
    all_got_through(&point);
}

#[test]
fn a_proxy_that_fails_is_named_with_what_it_printed() {
    if programs_are_missing() {
        return;
    }
    let _turn = turn::measuring();
    let bench = Bench::new();
    bench.write(
        "pushbench.toml",
        r#"
        [proxy.broken]
        kind = "reverse"
        command = ["sh", "-c", "echo no such directive {listen} {upstream} >&2; exit 3"]
        [proxy.absent]
        kind = "reverse"
        command = ["no-such-proxy", "{listen}", "{upstream}"]
        package = "no-such-package"
        [proxy.mortal]
        kind = "reverse"
        command = ["timeout", "1", "haproxy", "-db", "-f", "{dir}/mortal.cfg"]
        config = ["mortal.cfg"]
        "#,
    );
    bench.write(
        "mortal.cfg",
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n\
         listen proxy\n  bind {listen}\n  server server {upstream}\n",
    );
    let run = |name: &str| {
        let via = format!("path.via={name}");
        let options = ["run", "ingest", "--arm", "webhook@builtin", "--out", name, "--set", &via];
        let short = ["--blocks", "2", "--duration", "2s", "--warmup", "100ms", "--rate", "100"];
        bench.run(&[&options[..], &short].concat())
    };
    run("ngnix").fails(USAGE, &["path.via: there is no proxy \"ngnix\" (did you mean \"nginx\"?)"]);
    run("squid")
        .fails(USAGE, &["path.via: squid is a forward proxy: write it as path.forward_proxy"]);
    run("absent").fails(3, &["needs no-such-proxy", "sudo apt install no-such-package"]);
    run("broken").fails(3, &["proxy broken exited with code 3", "no such directive 10.128.0.3:"]);
    let ended = run("mortal");
    ended.fails(3, &["proxy mortal exited with code 124"]);
    bench.nothing_left();
}
