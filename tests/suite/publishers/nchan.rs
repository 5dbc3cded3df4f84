//! nginx with the module nchan as it is: one program, three transports.

use super::{TOKEN, all_received, ask, connections, described, fanned_out, missing};
use crate::common::targets::{CACHE, set_up};
use crate::common::{Bench, turn};
use pushbench_sut::process::{Launch, start_all};
use std::sync::atomic::AtomicBool;

const TRANSPORTS: [&str; 3] = ["websocket", "sse", "long-poll"];
const UNACKNOWLEDGED: [&str; 2] = ["--set", "delivery.acknowledged=false"];

/// `nginx -v` succeeds without the module, too.
fn is_missing() -> bool {
    let module: &[&str] = &["test", "-f", "/usr/lib/nginx/modules/ngx_nchan_module.so"];
    let named = "nginx with nchan (apt install nginx libnginx-mod-nchan)";
    missing(&[&["nginx", "-v"], module], named)
}

#[test]
fn every_subscriber_of_nchan_gets_every_event_once_over_each_transport() {
    if is_missing() {
        return;
    }
    set_up(&TRANSPORTS.map(|transport| described(transport, "nchan")));
    let _turn = turn::measuring();
    let arms = TRANSPORTS.map(|transport| format!("{transport}@nchan"));
    let more: Vec<&str> =
        arms.iter().flat_map(|arm| ["--arm", arm]).chain(UNACKNOWLEDGED).collect();
    let bench = Bench::new();
    let (ended, measured, blocks) = fanned_out(&bench, &more);
    assert_eq!(measured.len(), 3);
    for arm in &measured {
        all_received(arm);
        assert_eq!(connections(arm), 20 * blocks, "connections are kept: {arm}");
        assert!(arm["ease"]["lines_of_code"].as_u64() > Some(0), "{arm}");
    }
    let record = std::fs::read_to_string(bench.path("r/run.json")).unwrap();
    assert!(!(ended.out + &record).contains("JSON array"), "that is the built-in publisher's");
    // With acknowledgements it would measure something else than what was asked for.
    for arm in &arms {
        let ended = bench.run(&["run", "fanout", "--arm", arm, "--out", "refused"]);
        ended.fails(super::USAGE, &[arm, "acknowledgements", "delivery.acknowledged=false"]);
        assert!(!bench.path("refused").exists(), "something was begun");
    }
}

#[test]
fn nchan_admits_who_has_the_token_and_leaves_nothing_behind() {
    if is_missing() {
        return;
    }
    let manifest = described("sse", "nchan");
    set_up(std::slice::from_ref(&manifest));
    let interrupt = AtomicBool::new(false);
    let launch = Launch { manifest: &manifest, cpus: &[], interrupt: &interrupt, driver: None };
    let running = start_all(&[launch]).unwrap().remove(0);
    for (method, path, token, status) in [
        ("POST", "/publish", "", 401),
        ("POST", "/publish", "another", 401),
        ("GET", "/subscribe", "a-toke", 401),
        ("POST", "/publish", TOKEN, 202),
        ("GET", "/elsewhere", TOKEN, 404),
    ] {
        let (got, printed) = ask(&running, method, path, token, 2, "{}");
        assert_eq!(got, status, "{method} {path}: {printed}");
        assert!(!printed.contains(TOKEN), "{printed}");
    }
    // It may warn that few descriptors are left.
    let logged = running.output_tail();
    assert!(!logged.contains("[error]") && !logged.contains("[alert]"), "{logged}");
    let command_lines = running
        .pids()
        .into_iter()
        .map(|pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default());
    assert!(command_lines.into_iter().all(|words| !words.contains(TOKEN)), "the token is shown");
    let socket = running.address().socket;
    running.stop();
    assert!(std::net::TcpStream::connect(socket).is_err(), "it still listens");
    let folders = std::fs::read_dir(format!("{CACHE}/pushbench/targets")).unwrap().flatten();
    for folder in folders.filter(|f| f.file_name().to_string_lossy().starts_with("nchan-")) {
        let Ok(files) = std::fs::read_dir(folder.path()) else { continue };
        let mut named = files.flatten().map(|file| file.file_name().to_string_lossy().into_owned());
        let port = format!(".{}.", socket.port());
        assert_eq!(named.find(|name| name.contains(&port)), None, "a file is left");
    }
}
