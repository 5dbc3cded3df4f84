//! Messages above the transport: a challenge, a login, a greeting, wrapped events, heartbeats. A server that needs
//! all of them is measured, and each that it breaks has its outcome and its message.

use crate::common::{Bench, json, short, turn};
use pushbench_faults::messages::{ALL, MessageFault, PASSWORD};

const USAGE: i32 = 64;
const FAILED: i32 = 3;

const HEARTBEAT: &str = r#"{ await = '{"type":"ping"}', send = '{"type":"pong"}' }"#;

/// Describes the server with this fault as the target `t`.
fn describe(bench: &Bench, fault: MessageFault, heartbeat: &str) {
    let fault = ALL.iter().find(|(_, known)| *known == fault).unwrap().0;
    let command = format!("command = \"pushbench __faulty messages {fault} 127.0.0.1:{{port}}\"");
    let login = format!(
        r#"{{ url = "http://127.0.0.1:{{port}}/login", body = '{{"password":"{PASSWORD}"}}', await = '{{"token":"{{token}}"}}' }}"#
    );
    let text = format!(
        r#"
[target.t.webhook]
{command}
url = "http://127.0.0.1:{{port}}/hook"
hello = [
  {{ url = "http://127.0.0.1:{{port}}/hook?challenge={{random}}", method = "GET", await = "{{random}}" }},
  {login},
]
headers = {{ Authorization = "Bearer {{token}}" }}
wrap = '{{"event":{{event}}}}'
answer = '{{"received":{{"id":"{{id}}"}}}}'

[target.t.websocket]
{command}
url = "ws://127.0.0.1:{{port}}/ws"
hello = [
  {login},
  {{ await = '{{"type":"welcome","session":"{{session}}"}}' }},
  {{ send = '{{"type":"login","session":"{{session}}","token":"{{token}}"}}' }},
  {{ await = '{{"type":"ready"}}' }},
]
heartbeat = {heartbeat}
wrap = '{{"type":"event","session":"{{session}}","event":{{event}}}}'
answer = '{{"type":"ack","received":{{"id":"{{id}}"}}}}'
"#
    );
    bench.write("pushbench.toml", &text);
}

const ARMS: [&str; 4] = ["--arm", "webhook@t", "--arm", "websocket@t"];

#[test]
fn a_server_that_wants_a_challenge_a_login_and_heartbeats_is_measured() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    // Each side may begin the heartbeats.
    for heartbeat in [
        HEARTBEAT,
        r#"{ send = '{"type":"are-you-there"}', every = "20ms", await = '{"type":"here"}' }"#,
    ] {
        describe(&bench, MessageFault::Correct, heartbeat);
        let verify = bench.run(&["verify", "t"]);
        verify.succeeds();
        assert!(verify.out.contains("16 of 16"), "{}", verify.out);
        // Neither the greeting nor `stats` is an answer.
        assert!(!verify.out.contains("unmatched"), "{}", verify.out);
    }
    describe(&bench, MessageFault::Correct, HEARTBEAT);
    bench.run(&short(&[&ARMS[..], &["--out", "r"]].concat())).succeeds();
    let report = json(&bench, "r");
    for arm in report["points"][0]["arms"].as_array().unwrap() {
        let events = &arm["events"];
        assert!(events["due"].as_u64().unwrap() > 0, "{arm}");
        assert_eq!(events["acknowledged"], events["due"], "{arm}");
        assert_eq!(arm["unsolicited"].as_u64().unwrap_or(0), 0, "{arm}");
    }
    let run = std::fs::read_to_string(bench.path("r/run.json")).unwrap();
    for text in ["events wrapped", "hello of 2 requests", "hello of 3 messages", "heartbeats"] {
        assert!(run.contains(text), "{text}");
    }
    bench.nothing_left();
}

#[test]
fn what_a_hello_awaits_and_does_not_get_is_said() {
    let bench = Bench::new();
    for (fault, arm, says) in [
        (
            MessageFault::NoChallenge,
            "webhook@t",
            &["pushbench.toml:6:11: hello: GET", "nothing here, but `{random}` is awaited"][..],
        ),
        (
            MessageFault::RefusedLogin,
            "webhook@t",
            &["hello: POST", "/login was answered 401", "wrong password", "correct url"],
        ),
        (
            MessageFault::NoGreeting,
            "websocket@t",
            &["step 1 of hello awaits `{\"type\":\"welcome\"", "no answer came", "correct hello"],
        ),
    ] {
        describe(&bench, fault, HEARTBEAT);
        for command in [&["verify"][..], &["run"]] {
            bench.run(&[command, &["--arm", arm]].concat()).fails(FAILED, says);
        }
    }
    // The first two of its logins are by HTTP.
    describe(&bench, MessageFault::Correct, HEARTBEAT);
    let text = std::fs::read_to_string(bench.path("pushbench.toml")).unwrap();
    let wrong = text.replace(
        r#""token":"{token}"}' },
  { await = '{"type":"ready"#,
        r#""token":"x"}' },
  { await = '{"type":"ready"#,
    );
    assert_ne!(wrong, text);
    bench.write("pushbench.toml", &wrong);
    bench
        .run(&["run", "--arm", "websocket@t"])
        .fails(FAILED, &["step 3 of hello awaits", "code 4401: wrong token"]);
    bench.nothing_left();
}

#[test]
fn a_heartbeat_that_is_not_answered_ends_its_connection() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let heartbeat =
        r#"{ send = '{"type":"are-you-there"}', every = "50ms", await = '{"type":"here"}' }"#;
    describe(&bench, MessageFault::Deaf, heartbeat);
    bench.run(&short(&["--arm", "websocket@t", "--out", "deaf"]));
    let trials = std::fs::read_to_string(bench.path("deaf/trials.jsonl")).unwrap();
    assert!(trials.contains("the heartbeat was not answered within 50ms"), "{trials:.2000}");
    // Heartbeats of the server that pushbench does not answer end them too.
    describe(&bench, MessageFault::Correct, HEARTBEAT);
    let text = std::fs::read_to_string(bench.path("pushbench.toml")).unwrap();
    bench.write("pushbench.toml", &text.replace(&format!("heartbeat = {HEARTBEAT}"), ""));
    let args = ["--arm", "websocket@t", "--connections", "1", "--out", "silent"];
    bench.run(&short(&args));
    let trials = std::fs::read_to_string(bench.path("silent/trials.jsonl")).unwrap();
    let opened = trials.lines().map(|trial| {
        let trial: serde_json::Value = serde_json::from_str(trial).unwrap();
        trial["connections"].as_u64().unwrap()
    });
    assert!(opened.max() > Some(1), "{trials:.2000}");
}

#[test]
fn a_wrapped_answer_without_an_id_acknowledges_nothing() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    describe(&bench, MessageFault::NoId, HEARTBEAT);
    bench.run(&short(&[&ARMS[..], &["--set", "load.timeout=200ms", "--out", "r"]].concat()));
    let trials = std::fs::read_to_string(bench.path("r/trials.jsonl")).unwrap();
    let mut seen = 0;
    for trial in trials.lines() {
        let trial: serde_json::Value = serde_json::from_str(trial).unwrap();
        let (events, warmup) = (&trial["events"], &trial["warmup"]);
        let both = |name: &str| events[name].as_u64().unwrap() + warmup[name].as_u64().unwrap();
        // A webhook's answer is an answer, a message may be none.
        let webhook = trial["label"] == "webhook@t";
        let missed = both(if webhook { "failed" } else { "timed_out" });
        assert!((5 * missed).abs_diff(both("due")) <= 5, "{missed} of {}", both("due"));
        let faults = trial["faults"].to_string();
        assert!(!webhook || faults.contains("it has no /received/id"), "{faults}");
        seen += 1;
    }
    assert!(seen >= 4, "{trials}");
    let none = |text: &str| text.replace("\"received\":{\"id\"", "\"received\":{\"event_id\"");
    describe(&bench, MessageFault::Correct, HEARTBEAT);
    let text = std::fs::read_to_string(bench.path("pushbench.toml")).unwrap();
    bench.write("pushbench.toml", &none(&text));
    for arm in ["webhook@t", "websocket@t"] {
        bench
            .run(&["run", "--arm", arm])
            .fails(FAILED, &["it has no /received/event_id", "correct answer"]);
    }
}

#[test]
fn mistaken_messages_are_refused_where_they_stand() {
    let bench = Bench::new();
    let ws = "[target.t.websocket]\nurl = \"ws://127.0.0.1:1/\"\nmatch = \"id\"\n";
    let hook = "[target.t.webhook]\nurl = \"http://127.0.0.1:1/\"\nmatch = \"id\"\n";
    for (text, at, says) in [
        (
            format!("{ws}wrap = '{{\"e\":{{event}},}}'"),
            "4:8",
            "wrap: it is not JSON at character 14",
        ),
        (
            format!("{ws}wrap = '[{{evnt}}]'"),
            "4:8",
            "{evnt} is not a placeholder here (did you mean \"event\"?)",
        ),
        (format!("{ws}wrap = '[1]'"), "4:8", "write {event} where it belongs"),
        (
            format!("{ws}hello = [{{ send = '[1' }}]"),
            "4:19",
            "hello: send: it is not JSON, its end is missing",
        ),
        (
            format!("{ws}hello = [{{ send = '{{token}}' }}]"),
            "4:19",
            "{token} is not a placeholder here",
        ),
        (format!("{ws}hello = [{{ await = '{{\"a\":{{b}}}}' }}]"), "4:20", "await: it is not JSON"),
        (format!("{ws}hello = [{{ await = '{{any}}{{b}}' }}]"), "4:20", "directly behind"),
        (format!("{ws}hello = [{{ snd = 'x' }}]"), "4:12", "did you mean \"send\""),
        (format!("{ws}hello = [{{ send = 'x', await = 'y' }}]"), "4:10", "a step is one message"),
        (format!("{ws}hello = 'x'"), "4:9", "write a list"),
        (
            format!("{ws}hello = [{{ send = 'x' }}, {{ url = 'http://127.0.0.1:1/' }}]"),
            "4:26",
            "before the messages",
        ),
        (format!("{ws}heartbeat = {{ await = 'x' }}"), "4:13", "no await or no send"),
        (format!("{ws}heartbeat = {{ await = 'x', send = 'y', every = '0s' }}"), "4:48", "every"),
        (format!("{hook}heartbeat = {{ await = 'x', send = 'y' }}"), "4:1", "only a WebSocket"),
        (format!("{hook}hello = [{{ send = 'x' }}]"), "4:19", "only a WebSocket"),
        (format!("{ws}answer = '{{\"id\":\"{{id}}\"}}'"), "3:9", "remove match"),
        (
            format!("{}answer = '{{\"id\":\"{{idd}}\"}}'", ws.replace("match = \"id\"\n", "")),
            "3:10",
            "did you mean \"id\"",
        ),
        (format!("{ws}delivery = '{{id}}'"), "4:12", "applies only to publishers"),
        (format!("{ws}delivery = 'x'"), "4:12", "delivery: it has no {id}"),
        (
            format!("{hook}hello = [{{ url = 'http://10.0.0.1/login' }}]"),
            "4:18",
            "--allow-host 10.0.0.1",
        ),
        (format!("{hook}hello = [{{ url = 'https://127.0.0.1/login' }}]"), "4:18", "TLS"),
        (
            format!("{ws}hello = [{{ await = '{{\"a\":\"{{event}}\"}}' }}]"),
            "4:20",
            "cannot be captured",
        ),
        (
            format!(
                "{hook}headers = {{ A = '{{tokn}}' }}\nhello = [{{ url = 'http://127.0.0.1:1/', await = '{{token}}' }}]"
            ),
            "1:11",
            "a: {tokn} is captured by no await of hello (did you mean \"token\"?)",
        ),
    ] {
        bench.write("pushbench.toml", &text);
        let transport = if text.starts_with("[target.t.webhook") { "webhook" } else { "websocket" };
        let at = format!("pushbench.toml:{at}: ");
        bench.run(&["run", "--arm", &format!("{transport}@t")]).fails(USAGE, &[&at, says]);
    }
    assert!(!bench.path("results").exists(), "something was begun");
}

/// What docs/protocols.md shows is valid, and is what the shipped target has.
#[test]
fn every_protocol_is_described_as_its_document_shows() {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = std::fs::read_to_string(format!("{root}/docs/protocols.md")).unwrap();
    let bench = Bench::new();
    let (mut blocks, mut shipped) = (0, 0);
    for (before, block) in text.split("```toml\n").zip(text.split("```toml\n").skip(1)) {
        let block = block.split("```").next().unwrap();
        bench.write("pushbench.toml", block);
        bench.run(&["list", "targets"]).succeeds();
        blocks += 1;
        let mark = before.trim_end().lines().last().unwrap_or_default();
        let Some(mark) = mark.strip_prefix("<!-- target: ") else { continue };
        let (target, transport) = mark.trim_end_matches(" -->").split_once(' ').unwrap();
        let manifest = std::fs::read_to_string(format!("{root}/targets/{target}/target.toml"));
        let manifest: toml::Table = manifest.unwrap().parse().unwrap();
        let shown: toml::Table = block.parse().unwrap();
        let shown = shown["target"].as_table().unwrap().values().next().unwrap()[transport].clone();
        for key in ["subprotocol", "hello", "heartbeat", "wrap", "answer", "match", "acknowledge"] {
            assert_eq!(shown.get(key), manifest[transport].get(key), "{target}: {key}");
        }
        shipped += 1;
    }
    assert!(blocks >= 8 && shipped >= 5, "{blocks} blocks, {shipped} of shipped targets");
}
