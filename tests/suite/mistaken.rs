//! A mistaken target is shown as that, with its place and what to write, and stops only the runs that name
//! it; files that cannot be read as such are refused at once.

use crate::common::Bench;
use std::os::unix::fs::symlink;

const USAGE: i32 = 64;
/// Nothing listens there, so a run that gets as far ends with 3.
const FINE: &str = "[target.fine.webhook]\nurl = \"HTTP://127.0.0.1:1/\"\nmatch = \"id\"\n";
const MINE: &str = "[target.mine.webhook]\nmatch = \"id\"\n";

#[test]
fn list_run_verify_and_gate_refuse_the_same_targets_at_the_same_place() {
    let bench = Bench::new();
    let url = "url = \"http://127.0.0.1:1/\"\n";
    let cases = [
        (format!("{MINE}url = \"https://127.0.0.1:1/\""), "3:7", "which certificate to trust"),
        (format!("{MINE}url = \"http://127.0.0.1:99999/\""), "3:7", "write 1 to 65535"),
        (
            format!("{MINE}url = \"ftp://127.0.0.1/\""),
            "3:7",
            "use http, https, ws, wss, tcp or tls",
        ),
        (format!("{MINE}url = \"hello\""), "3:7", "write http://HOST:PORT/PATH"),
        (format!("{MINE}url = \"http://127.0.0.1:1/a\\nb\""), "3:7", "%0A"),
        (format!("{MINE}url = \"http://127.0.0.1:1/a<b\""), "3:7", "%3C"),
        (format!("{MINE}url = \"ws://127.0.0.1:1/\""), "3:7", "reached by http://"),
        (
            format!("{MINE}{url}command = [\"x\"]\nenv = {{ A = \"x\\u0000\" }}"),
            "5:7",
            "env.A: it contains a NUL",
        ),
        (format!("{MINE}{url}command = \"a 'b\""), "4:11", "a quote is not closed"),
        (format!("{MINE}{url}cwd = \"a\\u0000\""), "4:7", "cwd: it contains a NUL"),
        (format!("{MINE}{url}ready = \"http:/a b\""), "4:9", "http:/health"),
        (format!("{MINE}{url}ready_timeout = 20"), "4:17", "ready_timeout = \"20s\""),
        (format!("{MINE}{url}ready_timeout = \"0s\""), "4:17", "ready_timeout = \"20s\""),
        (format!("{MINE}{url}code = [\"/dev/zero\"]"), "4:8", "it is a device"),
        (format!("{MINE}{url}code = [\"gone.js\"]"), "4:8", "cannot read gone.js"),
        (format!("{MINE}{url}URL = \"\""), "4:1", "did you mean \"url\""),
        ("[mine.webhook]".to_owned(), "1:2", "[target.NAME.webhook]"),
        ("[[target.mine.webhook]]".to_owned(), "1:15", "is a list: write [target.mine.webhook]"),
        (format!("[target.mine]\n{url}"), "2:1", "[target.mine.webhook]"),
        ("[target.mine]".to_owned(), "1:9", "[target.mine.webhook]"),
    ];
    for (text, at, says) in cases {
        bench.write("pushbench.toml", &format!("{text}\n{FINE}"));
        let at = format!("pushbench.toml:{at}: ");
        let list = bench.run(&["list", "targets"]);
        list.fails(USAGE, &["1 mistaken description"]);
        let row = list.out.lines().find(|l| l.starts_with("mine ")).unwrap_or_default();
        for part in ["mistaken", &at, says] {
            assert!(row.contains(part), "no {part:?} in:\n{}", list.out);
        }
        assert!(list.out.lines().any(|l| l.starts_with("fine ") && l.ends_with("webhook")));
        bench.run(&["list", "targets", "--ease"]).fails(USAGE, &[&at, says]);
        bench.run(&["run", "--arm", "webhook@mine"]).fails(USAGE, &[&at, says]);
        bench.run(&["verify", "mine"]).fails(USAGE, &[&at, says]);
        bench.run(&["gate", "--base", "mine", "--candidate", "builtin"]).fails(USAGE, &[&at, says]);
    }
    // The other one was not held up by it.
    bench.run(&["run", "--arm", "webhook@fine"]).fails(3, &["start the server first"]);
    bench.nothing_left();
}

#[test]
fn a_name_that_no_target_may_have_is_told_what_one_holds() {
    let bench = Bench::new();
    for (name, better) in [
        ("a b", "[target.a-b.webhook]"),
        ("a@b", "[target.a-b.webhook]"),
        ("#", "[target.mine.webhook]"),
        ("a\\n", "[target.a.webhook]"),
        ("builtin", "[target.my-builtin.webhook]"),
        ("", "[target.mine.webhook]"),
    ] {
        bench.write("pushbench.toml", &format!("[target.\"{name}\".webhook]\n"));
        let list = bench.run(&["list", "targets"]);
        list.fails(USAGE, &["mistaken"]);
        for part in ["pushbench.toml:1:9: a target cannot be called", better] {
            assert!(list.out.contains(part), "no {part:?} in:\n{}", list.out);
        }
    }
    bench.write("pushbench.toml", "[target.\"a b\".webhook]\n");
    bench
        .run(&["run", "--arm", "webhook@mine"])
        .fails(USAGE, &["there is no target", "[target.a-b"]);
}

#[test]
fn what_is_no_readable_file_is_refused_at_once() {
    let bench = Bench::new();
    let fifo = bench.path("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from(0o600)).unwrap();
    for (link, is) in [("/dev/zero", "a device"), (fifo.to_str().unwrap(), "a pipe")] {
        symlink(link, bench.path("pushbench.toml")).unwrap();
        bench.run(&["list", "targets"]).fails(USAGE, &["pushbench.toml", is]);
        std::fs::remove_file(bench.path("pushbench.toml")).unwrap();
        bench.run(&["verify", "--event", link]).fails(USAGE, &[link, is]);
        let gate = ["gate", "--base", "builtin", "--candidate", "builtin", "--waivers", link];
        bench.run(&gate).fails(USAGE, &[link, is]);
        let scenario = format!("name = \"s\"\n[load]\nrate = 5\n[payload]\nfile = \"{link}\"\n");
        bench.write("s.toml", &scenario);
        bench.run(&["run", "s.toml"]).fails(USAGE, &["s.toml:5:1", "payload.file", is]);
        bench.write(
            "pushbench.toml",
            &format!("{MINE}url = \"http://127.0.0.1:1/\"\ncode = [\"{link}\"]\n"),
        );
        bench.run(&["run", "--arm", "webhook@mine"]).fails(USAGE, &["pushbench.toml:4:8", is]);
        std::fs::remove_file(bench.path("pushbench.toml")).unwrap();
        std::fs::create_dir_all(bench.path("stored")).unwrap();
        symlink(link, bench.path("stored/run.json")).unwrap();
        bench.run(&["report", "stored"]).fails(USAGE, &["stored", is]);
        std::fs::remove_file(bench.path("stored/run.json")).unwrap();
    }
    bench.run(&["run", "/dev/zero"]).fails(USAGE, &["/dev/zero", "it is a device"]);
    let wide: Vec<u8> = MINE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(bench.path("pushbench.toml"), wide).unwrap();
    bench
        .run(&["list", "targets"])
        .fails(USAGE, &["pushbench.toml:1:1", "UTF-16", "save the file as UTF-8"]);
    assert!(!bench.path("results").exists(), "something was begun");
}

#[test]
fn a_scenario_may_come_through_a_pipe() {
    let bench = Bench::new();
    let ended = bench
        .run_limited("exec < /dev/null; echo 'nme = 1' | \"$0\" run /dev/stdin", &["list", "keys"]);
    assert!(ended.err.contains("/dev/stdin:1:1: unknown key \"nme\""), "{}", ended.err);
}

#[test]
fn scenarios_with_values_of_a_wrong_kind_name_file_line_value_and_remedy() {
    let bench = Bench::new();
    for (text, says) in [
        (
            "[expect]\nfailed = {}",
            &["s.toml:2:1", "expect.failed", "empty table", "write one value"][..],
        ),
        ("[sweep.load]", &["s.toml:1:8", "sweep.load", "empty table"]),
        ("name = -inf", &["s.toml:1:1", "name", "-inf", "write text"]),
        ("name = nan", &["s.toml:1:1", "name", "write text"]),
        (
            "[load]\nrate = 99999999999999999999999",
            &["s.toml:2:1", "load.rate", "1e23", "at most 5000000"],
        ),
        ("[load]\nrate = 1\nrate = 2", &["s.toml:3:1", "duplicate key \"rate\": keep one"]),
        ("[load]\nräte = 1", &["s.toml:2:2", "in quotes"]),
        ("load = 5", &["s.toml:1:1", "[load] is a section", "a number"]),
        ("[[load]]\nrate = 5", &["s.toml:1:3", "[load] is a section", "once"]),
        ("[load.rate]\nx = 5", &["s.toml:1:7", "load.rate", "this is a table: write one value"]),
        (
            "[payload]\nfile = \"\"\n[load]\nrate = 5",
            &["s.toml:2:1", "write the path of a JSON file"],
        ),
        ("\u{feff}\r\n[load]\r\n\trat = 5", &["s.toml:3:2", "did you mean \"load.rate\""]),
    ] {
        bench.write("s.toml", text);
        bench.run(&["run", "s.toml"]).fails(USAGE, says);
    }
    assert!(!bench.path("results").exists(), "something was begun");
}
