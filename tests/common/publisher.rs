//! A built-in publisher as a process of its own, and requests to it on plain sockets.

use super::{Bench, eventually};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::Duration;

/// Everybody must know it.
pub const TOKEN: &str = "a-token";
/// Only a broken machine makes an answer take this long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// `pushbench serve … --publisher`, ended with it.
pub struct Publisher {
    child: Mutex<Child>,
    pub address: SocketAddr,
    /// A publisher whose output nobody reads would stop at a full pipe.
    _output: BufReader<std::process::ChildStdout>,
}

impl Publisher {
    pub fn start(bench: &Bench, args: &[&str]) -> Publisher {
        let all = [&["serve"], args, &["--publisher", "--listen", "127.0.0.1:0"]].concat();
        Publisher::spawn(&mut bench.pushbench(&all))
    }

    /// Starts it with this command.
    pub fn spawn(command: &mut Command) -> Publisher {
        let mut child = command.env("PUSHBENCH_TOKEN", TOKEN).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").and_then(|l| l.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        Publisher { child: Mutex::new(child), address, _output: output }
    }

    pub fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
        let length = body.len();
        self.ask_with(method, path, token, &format!("Content-Length: {length}\r\n"), body)
    }

    pub fn ask_with(
        &self,
        method: &str,
        path: &str,
        token: &str,
        head: &str,
        body: &str,
    ) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let admitted = match token {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{admitted}{head}\r\n"
        );
        let mut answer = String::new();
        // A refusal may come before the whole request was read or even written, then the connection is
        // reset.
        let _broken_pipe = stream.write_all((head + body).as_bytes());
        let _reset = stream.read_to_string(&mut answer);
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
    }

    pub fn publish(&self, id: &str) -> u64 {
        let event = json!({ "id": id, "type": "event", "data": {} }).to_string();
        let (status, body) = self.ask("POST", "/publish", TOKEN, &event);
        assert_eq!(status, 202, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["queued"].as_u64().unwrap()
    }

    pub fn subscribe(&self, url: &str) {
        let (status, body) =
            self.ask("POST", "/subscribe", TOKEN, &json!({ "url": url }).to_string());
        assert_eq!(status, 201, "{body}");
    }

    pub fn status(&self) -> Value {
        let (status, body) = self.ask("GET", "/status", TOKEN, "");
        assert_eq!(status, 200);
        let reply: Value = serde_json::from_str(&body).unwrap();
        let n = |name: &str| reply[name].as_u64().unwrap();
        let outcomes =
            ["acknowledged", "written", "failed", "timed_out", "lost", "detached", "open"];
        assert_eq!(n("queued"), outcomes.iter().map(|name| n(name)).sum::<u64>(), "{reply}");
        reply
    }

    /// Waits until these counts are reached.
    pub fn reaches(&self, counts: &[(&str, u64)]) -> Value {
        eventually(&format!("{counts:?}"), || {
            let reply = self.status();
            counts.iter().all(|(name, n)| reply[*name] == *n)
        });
        self.status()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
