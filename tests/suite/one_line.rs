//! A server of one's own without any file: `--webhook`, `--websocket`, `--command`, and how its answers are
//! matched where nobody says it.

use crate::common::{Bench, PUSHBENCH, SHORT, json, short, turn};
use crate::verify::server::{serve, talking};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use tokio_tungstenite::tungstenite;

const USAGE: i32 = 64;

/// One of the built-in servers on a port of its own, which nobody restarts.
pub struct Server(Child, pub String);

impl Server {
    pub fn start(words: &[&str]) -> Server {
        let mut child = Command::new(PUSHBENCH)
            .args([&["serve"], words, &["--listen", "127.0.0.1:0"]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split_whitespace().find(|word| word.starts_with("127.0.0.1:"));
        let address = address.unwrap_or_else(|| panic!("no address in {line}"));
        Server(child, address.trim_end_matches([',', '/', ';']).to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn header(bench: &Bench, dir: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(bench.path(dir).join("run.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Asserts that these arms were measured and acknowledged every event.
#[track_caller]
fn measured(bench: &Bench, dir: &str, labels: &[&str]) {
    let arms = json(bench, dir)["points"][0]["arms"].clone();
    let found: Vec<&str> =
        arms.as_array().unwrap().iter().map(|a| a["arm"].as_str().unwrap()).collect();
    assert_eq!(found, labels);
    for arm in arms.as_array().unwrap() {
        assert_eq!(arm["events"]["acknowledged"], arm["events"]["due"], "{arm}");
    }
}

#[test]
fn two_addresses_of_running_servers_are_compared_and_reproduced() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let (hook, socket) = (Server::start(&["webhook"]), Server::start(&["websocket"]));
    let hook = format!("http://{}/webhook", hook.1);
    let both = ["--webhook", &hook, "--websocket", &format!("ws://{}/", socket.1)];
    let run = bench.run(&short(&[&both[..], &["--out", "r"]].concat()));
    run.succeeds();
    let labels = ["webhook@mine", "websocket@mine"];
    measured(&bench, "r", &labels);
    for label in labels {
        let found = format!("{label}: answers contain the event's id at /id: matched by id");
        assert!(run.err.contains(&found), "no {found:?} in:\n{}", run.err);
    }
    assert_eq!(header(&bench, "r")["points"][0]["arms"][1]["matched"], "id");

    bench.run(&["reproduce", "r", "--out", "again"]).succeeds();
    measured(&bench, "again", &labels);
    // What was reproduced holds the options as well.
    bench.run(&["reproduce", "again", "--out", "third"]).succeeds();
    measured(&bench, "third", &labels);

    // One alone, the built-in server beside it, and the same once more.
    let more = ["--webhook", &hook, "--arm", "webhook@builtin", "--arm", "webhook@mine", "--out"];
    bench.run(&short(&[&more[..], &["one"]].concat())).succeeds();
    measured(&bench, "one", &["webhook@mine", "webhook@builtin", "webhook@mine#2"]);
    bench.run(&["verify", "--webhook", &hook]).succeeds();

    drop(socket);
    let refused = bench.run(&["reproduce", "r", "--out", "gone"]);
    refused.fails(3, &["start the server first"]);
    bench.run(&["reproduce", "r", "--webhook", &hook, "--out", "gone"]).fails(
        USAGE,
        &["websocket@mine", "the options of this command describe webhook@mine only"],
    );
}

#[test]
fn a_command_starts_a_program_for_each_arm() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    // One program that serves both, as most do: here it is chosen by a variable.
    let script = "#!/bin/sh\ntest \"$GREETING\" = 'good day' || exit 9\nexec \"$1\" serve \"$2\" --listen \
                  127.0.0.1:\"$PORT\"\n";
    bench.executable("server.sh", script);
    let command = format!("PORT={{port}} GREETING='good day' ./server.sh {PUSHBENCH} webhook");
    let url = "http://127.0.0.1:{port}/webhook";
    let args = ["--webhook", url, "--command", &command, "--out", "r"];
    bench.run(&short(&args)).succeeds();
    measured(&bench, "r", &["webhook@mine"]);
    let arm = header(&bench, "r")["points"][0]["arms"][0].clone();
    assert_eq!(arm["command"], serde_json::json!(["./server.sh", PUSHBENCH, "webhook"]));
    bench.run(&["reproduce", "r", "--out", "again"]).succeeds();

    let verify = ["verify", "--webhook", url, "--command", &command];
    let found = bench.run(&verify);
    found.succeeds();
    assert!(found.err.contains("webhook@mine: answers contain the event's id"), "{}", found.err);
    bench.nothing_left();
}

#[test]
fn options_win_over_a_description_of_that_name_and_say_so() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    let server = Server::start(&["webhook"]);
    let url = format!("http://{}/webhook", server.1);
    bench.write("pushbench.toml", "[target.mine.webhook]\nurl = \"http://127.0.0.1:1/\"\n");
    let run = bench.run(&short(&["--webhook", &url]));
    run.succeeds();
    assert!(run.err.contains("[target.mine] of pushbench.toml is not used"), "{}", run.err);
    // Even one that cannot be read is in nobody's way.
    bench.write("pushbench.toml", "[target");
    bench.run(&short(&["--webhook", &url])).succeeds();
}

#[test]
fn what_cannot_be_one_line_is_refused_before_anything_starts() {
    let bench = Bench::new();
    let (port, fixed) = ("http://127.0.0.1:{port}/", "http://127.0.0.1:1/");
    let (ws_fixed, far) = ("ws://127.0.0.1:1/ws", "http://192.0.2.1:9/");
    for (args, says) in [
        (&["--webhook", far][..], &["--webhook: URL", "--allow-host 192.0.2.1"][..]),
        (&["--webhook", far, "--allow-host", "192.0.2.2"], &["--allow-host 192.0.2.1"]),
        (&["--websocket", fixed], &["--websocket: URL", "reached by ws:// or wss://, not http://"]),
        (&["--webhook", "here"], &["--webhook: URL \"here\"", "http://HOST:PORT/PATH"]),
        (&["--webhook", port], &["add --command", "or write the port of the running server"]),
        (&["--webhook", port, "--command", "server"], &["--command does not", "PORT={port} npm"]),
        (&["--webhook", fixed, "--command", "a {port}"], &["write {port} here, too"]),
        (&["--command", "a {port}"], &["--command 'a {port}'", "add --webhook http://"]),
        (&["--webhook", port, "--command", "a 'b"], &["a quote is not closed", "./server --port"]),
        (&["--webhook", port, "--command", "A=b"], &["it names no program", "npm start"]),
        (
            &["--webhook", fixed, "--websocket", ws_fixed, "--command", "a"],
            &["websocket@mine", "port 1", "webhook@mine", "write {port} in command and URL"],
        ),
        (&["--webhook", fixed, "--arm", "tcp@mine"], &["describe webhook@mine only"]),
        (&["fanout", "--websocket", ws_fixed], &["publish and subscribe", "--arm websocket@NAME"]),
        (&["idle", "--webhook", fixed], &["--webhook", "how they subscribe", "run ingest"]),
    ] {
        bench.run(&[&["run"], args].concat()).fails(USAGE, says);
    }
    bench.run(&["verify", "--webhook", far]).fails(USAGE, &["--allow-host 192.0.2.1"]);
    assert!(!bench.path("results").exists(), "something was begun");
    bench.nothing_left();
}

/// A server whose answers are what the test makes of them: `answer(n, event)` for the n-th event.
const ANSWERS: &str = r#"
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

n = 0

class Hooks(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        global n
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        n += 1
        body = (ANSWER).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hooks).serve_forever()
"#;

#[test]
fn the_first_look_finds_how_answers_are_matched() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "python3 is missing");
        eprintln!("skipped: python3 is missing: apt install python3");
        return;
    }
    let description = "[target.t.webhook]\ncommand = \"python3 s.py {port}\"\nurl = \"http://127.0.0.1:{port}/\"\n";
    bench.write("pushbench.toml", description);
    let few = ["--arm", "webhook@t", "--connections", "4", "--out"];
    for (answer, says, matched) in [
        ("'ok'", "answers contain no id: matched by order", "order"),
        (
            "json.dumps({'data': [event]})",
            "answers contain the event's id at /data/0/id: matched by id",
            "id:/data/0/id",
        ),
        (
            "json.dumps({'a': event['id'], 'id': event['id']})",
            "answers contain the event's id at /id: matched by id",
            "id",
        ),
    ] {
        bench.write("s.py", &ANSWERS.replace("ANSWER", answer));
        let out = format!("r-{}", matched.replace(['/', ':'], "-"));
        let run = bench.run(&short(&[&few[..], &[&out]].concat()));
        run.succeeds();
        assert!(run.err.contains(&format!("webhook@t: {says}")), "{}", run.err);
        assert_eq!(header(&bench, &out)["points"][0]["arms"][0]["matched"], matched);
        assert!(bench.run(&["verify", "t"]).err.contains(says));
    }
    // By id in one answer and by order in the next would be wrong.
    for (answer, says) in [
        ("json.dumps({'id': event['id']}) if n % 2 else 'busy'", "3 of 5 answers contain"),
        ("json.dumps({'ab'[n % 2]: event['id']})", "at different places, at /b and at /a"),
    ] {
        bench.write("s.py", &ANSWERS.replace("ANSWER", answer));
        bench
            .run(&short(&["--arm", "webhook@t"]))
            .fails(3, &["webhook@t: ", says, "say it with match"]);
    }
    bench.write("s.py", &ANSWERS.replace("ANSWER", "'ok'"));
    // A gate finds it out for each side, and then that they are not alike.
    let ended = bench.run(&["gate", "--base", "t", "--candidate", "builtin"]);
    ended.fails(3, &["webhook@candidate handles events differently from webhook@base"]);
    for side in ["base", "null"] {
        let line = format!("webhook@{side}: answers contain no id: matched by order");
        assert!(ended.err.contains(&line), "no {line:?} in:\n{}", ended.err);
    }
    bench.nothing_left();
}

#[test]
fn a_greeting_is_no_answer() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    // It greets, says something before each answer, and its answers have the id.
    let url = format!("ws://127.0.0.1:{}/", talking("welcome", "beat", true));
    let run = bench.run(&short(&["--websocket", &url, "--connections", "4", "--out", "r"]));
    run.succeeds();
    let says = "websocket@mine: answers contain the event's id at /id: matched by id";
    assert!(run.err.contains(says), "{}", run.err);
    measured(&bench, "r", &["websocket@mine"]);

    // A greeting beside answers without an id: by order it would be the first answer.
    for greeting in [Some("welcome"), None] {
        let port = serve(move |stream| {
            let Ok(mut socket) = tungstenite::accept(stream) else { return Ok(()) };
            let say = |text: &'static str, socket: &mut tungstenite::WebSocket<_>| {
                socket.send(tungstenite::Message::text(text)).map_err(std::io::Error::other)
            };
            greeting.map_or(Ok(()), |text| say(text, &mut socket))?;
            while let Ok(message) = socket.read() {
                if message.is_text() {
                    say("ok", &mut socket)?;
                }
            }
            Ok(())
        });
        let url = format!("ws://127.0.0.1:{port}/");
        let run = bench.run(&short(&["--websocket", &url, "--connections", "4"]));
        match greeting {
            Some(_) => run.fails(3, &["answers contain no id", "such as `welcome`", "with match"]),
            None => {
                run.succeeds();
                assert!(run.err.contains("contain no id: matched by order"), "{}", run.err);
            }
        }
    }

    // One that never answers is refused with the same remedy as ever.
    let url = format!("ws://127.0.0.1:{}/", talking("0{\"sid\":\"x\"}", "", false));
    let silent = bench.run(&["run", "--websocket", &url]);
    silent.fails(3, &["was not acknowledged", "the greeting of Engine.IO (Socket.IO)"]);
}

#[test]
fn a_publisher_needs_no_match_either() {
    let _turn = turn::measuring();
    let bench = Bench::new();
    bench.write(
        "pushbench.toml",
        &format!(
            "[target.hub.websocket]\ncommand = \"{PUSHBENCH} serve websocket --publisher --listen 127.0.0.1:{{port}}\"\n\
             publish = \"http://127.0.0.1:{{port}}/publish\"\nsubscribe = \"ws://127.0.0.1:{{port}}/subscribe\"\n"
        ),
    );
    let args = ["run", "fanout", "--arm", "websocket@hub", "--subscribers", "5", "--rate", "100"];
    let more = ["--blocks", "2", "--duration", "300ms", "--warmup", "100ms", "--out", "r"];
    let run = bench.run(&[&args[..], &more].concat());
    run.succeeds();
    assert!(run.err.contains("websocket@hub: answers contain"), "{}", run.err);
    bench.nothing_left();
}

/// A server as a stranger has it: POST /hook and a WebSocket at /ws, both echoes, on one port, without a package.
const SERVER_JS: &str = r#"
const http = require('http'), crypto = require('crypto');
const option = process.argv.indexOf('--port');
const port = option > 0 ? process.argv[option + 1] : process.env.PORT;
const server = http.createServer((request, response) => {
  const parts = [];
  request.on('data', part => parts.push(part));
  request.on('end', () => {
    response.statusCode = request.url === '/hook' ? 200 : 404;
    response.end(Buffer.concat(parts));
  });
});
const frame = (first, data) => data.length < 126
  ? Buffer.concat([Buffer.from([first, data.length]), data])
  : Buffer.concat([Buffer.from([first, 126, data.length >> 8, data.length & 255]), data]);
server.on('upgrade', (request, socket) => {
  if (request.url !== '/ws') return socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const accept = crypto.createHash('sha1').update(key).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  socket.on('error', () => {});
  let read = Buffer.alloc(0);
  socket.on('data', part => {
    read = Buffer.concat([read, part]);
    while (read.length >= 6) {
      const short = read[1] & 127, head = short === 126 ? 4 : 2;
      const length = short === 126 ? read.readUInt16BE(2) : short;
      if (read.length < head + 4 + length) return;
      const mask = read.subarray(head, head + 4);
      const data = Buffer.from(read.subarray(head + 4, head + 4 + length).map((b, i) => b ^ mask[i % 4]));
      const kind = read[0] & 15;
      read = read.subarray(head + 4 + length);
      socket.write(frame(kind === 9 ? 0x8a : 0x80 | kind, data));
      if (kind === 8) return socket.end();
    }
  });
});
server.listen(port, '127.0.0.1', () => console.log('listening'));
"#;

/// The commands of README's "Measure your own server", as they are typed.
const COMMANDS: [&str; 4] = [
    "pushbench run --webhook http://127.0.0.1:8000/hook --websocket ws://127.0.0.1:8000/ws",
    "pushbench run --command 'node server.js --port {port}' --webhook 'http://127.0.0.1:{port}/hook' --websocket \
     'ws://127.0.0.1:{port}/ws'",
    "pushbench run --command 'PORT={port} npm start' --webhook 'http://127.0.0.1:{port}/hook' --arm webhook@builtin",
    "pushbench verify --command 'node server.js --port {port}' --webhook 'http://127.0.0.1:{port}/hook'",
];

#[test]
fn the_commands_of_the_readme_measure_a_strangers_server() {
    let _turn = turn::measuring();
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = readme.split("## Measure your own server").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let shown = section
        .lines()
        .filter(|line| line.starts_with("pushbench run") && !line.contains("--arm webhook@mine"))
        .filter(|line| !line.contains("https://"));
    assert_eq!(shown.collect::<Vec<_>>(), COMMANDS[..3], "the README shows other commands");
    if ["node", "npm"].iter().any(|p| Command::new(p).arg("--version").output().is_err()) {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "node or npm is missing");
        eprintln!("skipped: node or npm is missing: apt install nodejs npm");
        return;
    }
    let bench = Bench::new();
    bench.write("server.js", SERVER_JS);
    bench.write("package.json", "{\"scripts\": {\"start\": \"node server.js\"}}");
    // Somebody else's program may have port 8000.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = bench.command("node");
    let mut server = server.args(["server.js", "--port", &free.to_string()]).spawn().unwrap();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    for (number, command) in COMMANDS.iter().enumerate() {
        let typed = command.replace("8000", &free.to_string());
        let words = shell_words::split(&typed).unwrap();
        let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        if words[0] == "verify" {
            bench.run(&words).succeeds();
            continue;
        }
        let out = format!("r{number}");
        let fast = ["--connections", "4", "--out", &out];
        bench.run(&[&words[..], &SHORT, &fast].concat()).succeeds();
        let other = if number == 2 { "webhook@builtin" } else { "websocket@mine" };
        measured(&bench, &out, &["webhook@mine", other]);
    }
    server.kill().unwrap();
    server.wait().unwrap();
    bench.nothing_left();
}
