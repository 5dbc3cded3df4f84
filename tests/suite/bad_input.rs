//! Bad input is refused before anything starts, with the place, the value and the remedy.

use crate::common::{Bench, short};

const USAGE: i32 = 64;

#[test]
fn unknown_names_are_told_the_nearest_known_one() {
    let bench = Bench::new();
    for (args, texts) in [
        (&["run", "ingset"][..], &["ingset", "did you mean \"ingest\"", "rate-sweep"][..]),
        (&["run", "--arm", "webhok@builtin"], &["webhok", "did you mean \"webhook\""]),
        (&["run", "--arm", "webhook@flsk"], &["flsk", "did you mean \"flask\"", "pushbench.toml"]),
        (&["run", "--arm", "webhook"], &["TRANSPORT@TARGET"]),
        (&["run", "--arm", "websocket@flask"], &["does not serve websocket", "webhook"]),
        (&["run", "--set", "load.rat=5"], &["--set load.rat=5", "did you mean \"load.rate\""]),
        (&["run", "--set", "load.rate"], &["KEY=VALUE"]),
        (&["run", "--duration", "5 parsecs"], &["--duration 5 parsecs", "ms"]),
        (&["report", "nowhere"], &["nowhere", "not a results directory"]),
        (&["report", ".", "--format", "jsn"], &["did you mean \"json\""]),
        (&["report", ".", "--sort", "troughput"], &["did you mean \"throughput\""]),
        (
            &["report", ".", "--sort", "throughput", "--format", "json"],
            &["--sort", "--format text"],
        ),
        (&["run", "--sort", "response.p5"], &["did you mean \"response.p50\""]),
        (&["serve", "websockt"], &["did you mean \"websocket\""]),
        (
            &["serve", "webhook+unknown"],
            &[
                "no option is called \"unknown\"",
                "there are tls, h2, connections=N, batch=N, token, signed",
            ],
        ),
        (&["serve", "webhook+callbak"], &["did you mean \"callback\""]),
        (&["serve", "webhook+callback"], &["receives none", "serve webhook+callback --duplex 64"]),
        (&["serve", "tcp+callback", "--duplex", "64"], &["serve webhook+callback --duplex 64"]),
        (
            &["serve", "webhook+stuck"],
            &["+stuck", "only to the driver and its subscribers", "write pushbench serve webhook"],
        ),
        (&["serve", "webhook+callback", "--publisher"], &["serve webhook --publisher"]),
        (&["list", "scenaros"], &["did you mean \"scenarios\""]),
        (&["list", "scenarios", "--ease"], &["list targets --ease"]),
        (&["selftest", "--only", "freez"], &["did you mean \"freeze\""]),
        (&["rum"], &["run"]),
        (&["run", "--blocs", "3"], &["--blocks"]),
        (&["run", "--subscribers", "5"], &["--subscribers 5", "pushbench run fanout"]),
        (&["run", "fanout", "--arm", "webhook@flask"], &["flask does not", "webhook@builtin"]),
        (&["run", "fanout", "--set", "delivery.acknowledged=perhaps"], &["true or false"]),
        (&["run", "fanout", "--set", "load.arrivals=closed"], &["closed loop", "poisson"]),
        (&["serve", "webhook", "--publisher"], &["PUSHBENCH_TOKEN=", "--publisher"]),
        (&["serve", "webhook", "--queue", "3"], &["--publisher"]),
    ] {
        bench.run(args).fails(USAGE, texts);
    }
    assert!(!bench.path("results").exists(), "something was begun");
    bench.nothing_left();
}

#[test]
fn senseless_numbers_are_refused() {
    let bench = Bench::new();
    for (option, value) in [
        ("--rate", "-5"),
        ("--rate", "0"),
        ("--rate", "NaN"),
        ("--rate", "inf"),
        ("--rate", "1e30"),
        ("--rate", "1e-300"),
        ("--rate", "5000001"),
        ("--rate", "many"),
        ("--connections", "0"),
        ("--connections", "-1"),
        ("--connections", "2.5"),
        ("--connections", "99999999999999999999"),
        ("--in-flight", "0"),
        ("--blocks", "0"),
        ("--blocks", "1e18"),
        ("--payload", "0"),
        ("--payload", "-1"),
        ("--payload", "1TB"),
        ("--duration", "0s"),
        ("--duration", "99ms"),
        ("--duration", "-1s"),
        ("--duration", "9999999999h"),
        ("--warmup", "-1ms"),
        ("--seed", "-1"),
        ("--cpus", "driver=0"),
        ("--cpus", "driver=99999,target=0"),
    ] {
        let ended = bench.run(&["run", option, value]);
        ended.fails(USAGE, &[option, value]);
    }
    for (key, value) in [("load.timeout", "0s"), ("load.backlog", "0"), ("compare.slice", "-1ms")] {
        bench.run(&["run", "--set", &format!("{key}={value}")]).fails(USAGE, &[key, value]);
    }
    assert!(!bench.path("results").exists(), "something was begun");
}

#[test]
fn a_bad_file_is_refused_with_line_and_column() {
    let bench = Bench::new();
    bench.write("s.toml", "name = \"s\"\nquestion = \"?\"\n[load]\n  rat = 5\n");
    bench.run(&["run", "s.toml"]).fails(USAGE, &["s.toml:4:3", "rat", "did you mean"]);
    bench.write("s.toml", "name = \"s\"\n[load\n");
    bench.run(&["run", "s.toml"]).fails(USAGE, &["s.toml:2:", "not TOML"]);
    bench.run(&["run", "missing.toml"]).fails(USAGE, &["missing.toml", "list scenarios"]);

    bench.write(
        "pushbench.toml",
        "[target.mine.webhook]\nurl = \"http://127.0.0.1:1/\"\nmach = \"id\"\n",
    );
    bench
        .run(&["run", "--arm", "webhook@mine"])
        .fails(USAGE, &["pushbench.toml:3:1", "mach", "did you mean \"match\""]);
    bench.write("pushbench.toml", "[target.mine.webhok]\nurl = \"http://127.0.0.1:1/\"\n");
    bench
        .run(&["run", "--arm", "webhook@mine"])
        .fails(USAGE, &["pushbench.toml:1:14", "webhok", "did you mean \"webhook\""]);
    let mine = "[target.mine.webhook]\nurl = \"http://127.0.0.1:1/\"\nmatch = \"id\"\n";
    for (line, says) in [
        ("duties = [\"retyr\"]", "did you mean \"retry\""),
        ("duties = \"retry\"", "write a list"),
        ("code = [\"gone.js\"]", "cannot read gone.js"),
    ] {
        bench.write("pushbench.toml", &format!("{mine}{line}\n"));
        bench.run(&["run", "--arm", "webhook@mine"]).fails(USAGE, &["pushbench.toml:4:", says]);
    }
    bench.write(
        "pushbench.toml",
        "[target.mine.webhook]\nurl = \"ws://127.0.0.1:1/\"\nmatch = \"id\"\n",
    );
    bench.run(&["run", "--arm", "webhook@mine"]).fails(USAGE, &["pushbench.toml:2:7", "http://"]);
}

#[test]
fn keys_of_targets_are_checked_where_they_stand() {
    let bench = Bench::new();
    let begin = "[target.t.webhook]\nurl = \"http://127.0.0.1:1/\"\n";
    let matched = "match = \"id\"\n";
    for (line, says) in [
        ("method = \"GET\"", &[":4:10", "\"GET\"", "POST, PUT or PATCH"][..]),
        ("method = \"post\"", &[":4:10", "did you mean \"POST\""]),
        ("metod = \"PUT\"", &[":4:1", "did you mean \"method\""]),
        ("subprotocol = \"x\"", &[":4:1", "only a WebSocket"]),
        ("headers = \"X: 1\"", &[":4:11", "{ Name = \"value\" }"]),
        ("headers = { X = 1 }", &[":4:17", "headers.X", "text in quotes"]),
        ("headers = { Content-Length = \"3\" }", &[":4:13", "Content-Length", "its length"]),
        ("headers = { Host = \"x\" }", &[":4:13", "taken from url"]),
        ("headers = { connection = \"close\" }", &[":4:13", "connections.lifetime"]),
        ("headers = { Sec-WebSocket-Key = \"x\" }", &[":4:13", "handshake"]),
        ("headers = { Sec-WebSocket-Protocol = \"x\" }", &[":4:13", "subprotocol = "]),
        ("headers = { \"X Y\" = \"x\" }", &[":4:13", "\"X Y\"", "hyphens"]),
        ("headers = { X-A = \"1\", x-a = \"2\" }", &["x-a", "occurs twice"]),
        ("headers = { X = \"s3cret\\nX: 1\" }", &[":4:13", "line break"]),
    ] {
        bench.write("pushbench.toml", &format!("{begin}{matched}{line}\n"));
        let ended = bench.run(&["run", "--arm", "webhook@t"]);
        ended.fails(USAGE, says);
        assert!(!ended.err.contains("s3cret"), "{}", ended.err);
    }
    for (matching, says) in [
        ("ordr", &["did you mean \"order\""][..]),
        ("id:event_id", &["JSON pointer", "/data/event_id"]),
        ("id:/a~b", &["JSON pointer", "~0"]),
        ("id:", &["JSON pointer"]),
    ] {
        bench.write("pushbench.toml", &format!("{begin}match = \"{matching}\"\n"));
        bench
            .run(&["run", "--arm", "webhook@t"])
            .fails(USAGE, &[&[":3:9", matching][..], says].concat());
    }
    let websocket = "[target.t.websocket]\nurl = \"ws://127.0.0.1:1/\"\nmatch = \"id\"\n";
    for (line, says) in [
        ("method = \"PUT\"", &[":4:1", "only a webhook"][..]),
        ("subprotocol = \"a, b\"", &[":4:15", "a single name"]),
    ] {
        bench.write("pushbench.toml", &format!("{websocket}{line}\n"));
        bench.run(&["run", "--arm", "websocket@t"]).fails(USAGE, says);
    }
}

#[test]
fn a_port_that_is_told_to_one_side_only_is_refused() {
    let bench = Bench::new();
    for (command, port, says) in [
        ("server", "{port}", &[":3:7", "does not receive the port", "env = { PORT"][..]),
        ("server --port {port}", "8080", &[":3:7", "127.0.0.1:8080", "write {port} there, too"]),
    ] {
        bench.write(
            "pushbench.toml",
            &format!(
                "[target.t.webhook]\ncommand = \"{command}\"\nurl = \"http://127.0.0.1:{port}/\"\n\
                 match = \"order\"\n"
            ),
        );
        bench.run(&["run", "--arm", "webhook@t"]).fails(USAGE, says);
    }
    bench.write(
        "pushbench.toml",
        "[target.t.webhook]\nurl = \"https://127.0.0.1:1/\"\nmatch = \"id\"\n",
    );
    bench
        .run(&["run", "--arm", "webhook@t"])
        .fails(USAGE, &[":2:7", "nothing says which certificate to trust"]);
}

#[test]
fn a_payload_file_that_cannot_be_sent_is_refused() {
    let bench = Bench::new();
    bench.write("s.toml", "[load]\nrate = 100\n[payload]\nfile = \"event.json\"\n");
    for (text, says) in [("", "is empty"), ("{\"type\": ", "is not JSON"), ("[]", "JSON object")] {
        bench.write("event.json", text);
        bench.run(&["run", "s.toml"]).fails(USAGE, &["s.toml:4:1", "event.json", says]);
    }
    // A gigabyte of nothing: no block of it is ever written or read.
    let file = std::fs::File::create(bench.path("event.json")).unwrap();
    file.set_len(1 << 30).unwrap();
    bench
        .run(&["run", "s.toml"])
        .fails(USAGE, &["s.toml:4:1", "1073741824", "the limit is 16777216"]);
    bench
        .run(&["run", "--set", "payload.file=/dev/zero"])
        .fails(USAGE, &["--set payload.file=/dev/zero", "not a file"]);
    assert!(!bench.path("results").exists(), "something was begun");
}

#[test]
fn keys_that_do_not_go_together_are_refused() {
    let bench = Bench::new();
    let begin = "[load]\narrivals = \"closed\"\n";
    bench.write("event.json", "{\"type\": \"t\", \"data\": 1}");
    for (text, says) in [
        ("rate = 5\n", &["s.toml:3:1", "load.rate", "s.toml:2:1"][..]),
        ("[compare]\ndesign = \"sliced\"\n", &["s.toml:4:1", "write auto", "s.toml:2:1"]),
        (
            "[payload]\nbytes = 64\nfile = \"event.json\"\n",
            &["s.toml:5:1", "keep one of them", "s.toml:4:1"],
        ),
        ("[sweep]\n\"connections.count\" = []\n", &["s.toml:4:1", "at least one value"]),
        ("[sweep]\n\"connections.count\" = [1, \"x\"]\n", &["s.toml:4:27", "bare number"]),
        ("[sweep]\nflow = [\"ingest\"]\n", &["s.toml:4:1", "it takes ingest"]),
        ("[subscribers]\ncount = 5\n", &["s.toml:4:1", "flow = \"fanout\""]),
    ] {
        bench.write("s.toml", &format!("{begin}{text}"));
        bench.run(&["run", "s.toml"]).fails(USAGE, says);
    }
    let many = ["run", "--in-flight", "65536", "--connections", "100"];
    bench.run(&many).fails(USAGE, &["--in-flight 65536", "1 GiB", "at most 20971"]);
    assert!(!bench.path("results").exists(), "something was begun");
}

#[test]
fn another_host_is_refused_unless_it_is_named() {
    let bench = Bench::new();
    // A documentation address (RFC 5737): nothing answers there, and nothing is asked.
    let own = "[target.far.webhook]\nurl = \"http://192.0.2.1:9/\"\nmatch = \"order\"\n";
    bench.write("pushbench.toml", own);
    bench
        .run(&["run", "--arm", "webhook@far"])
        .fails(USAGE, &["pushbench.toml:2:7", "192.0.2.1", "--allow-host 192.0.2.1"]);
    let named = ["run", "--arm", "webhook@far", "--allow-host", "192.0.2.2"];
    bench.run(&named).fails(USAGE, &["--allow-host 192.0.2.1"]);
    assert!(!bench.path("results").exists(), "something was begun");

    // A name could point anywhere, also when it is this machine's own.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let url = format!("http://{}:{}/", name.trim(), server.local_addr().unwrap().port());
    bench.write(
        "pushbench.toml",
        &format!("[target.far.webhook]\nurl = \"{url}\"\nmatch = \"order\"\n"),
    );
    bench.run(&["run", "--arm", "webhook@far"]).fails(USAGE, &["--allow-host"]);
}

#[test]
fn too_few_descriptors_are_said_before_the_start() {
    let bench = Bench::new();
    let ended = bench.run_limited("ulimit -n 400", &["run", "--connections", "500"]);
    // 400 descriptors, 64 of them kept, for two arms that live together.
    ended.fails(USAGE, &["--connections 168", "ulimit -Hn"]);
    assert!(!bench.path("results").exists(), "something was begun");
    let fits: Vec<&str> = short(&["--connections", "168"]);
    bench.run_limited("ulimit -n 400", &fits).succeeds();
}

#[test]
fn a_results_directory_is_never_overwritten() {
    let bench = Bench::new();
    bench.write("mine/precious.txt", "x");
    bench.run(&["run", "--out", "mine"]).fails(USAGE, &["mine", "exists", "--out"]);
    bench.write("file", "x");
    bench.run(&["run", "--out", "file/run"]).fails(3, &["file", "--out"]);
    bench.run(&["run", "--out", "/proc/nowhere/run"]).fails(3, &["/proc/nowhere", "--out"]);
    assert_eq!(std::fs::read_dir(bench.path("mine")).unwrap().count(), 1);
    bench.nothing_left();
}

#[test]
fn a_taken_port_is_named() {
    let bench = Bench::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    bench
        .run(&["serve", "webhook", "--listen", &address])
        .fails(3, &[&address, "another", "--listen"]);
    bench.run(&["serve", "webhook", "--listen", "here"]).fails(USAGE, &["here", "127.0.0.1:8080"]);
    bench
        .run(&["serve", "webhook", "--listen", "192.0.2.1:9"])
        .fails(3, &["does not have that address"]);

    let port = taken.local_addr().unwrap().port();
    bench.write(
        "pushbench.toml",
        &format!("[target.t.webhook]\ncommand = \"sleep 9\"\nurl = \"http://127.0.0.1:{port}/\"\nmatch = \"order\"\n"),
    );
    bench
        .run(&["run", "--arm", "webhook@t"])
        .fails(3, &[&format!("port {port} is in use"), "{port}"]);
    bench.nothing_left();
}
