//! Asks for a workload, a line each.

use pushbench_core::error::{Error, Result};
use std::fmt::Write as _;
use std::io::BufRead;

/// A key, what is asked, and the answer of an empty line.
const QUESTIONS: [(&str, &str, &str); 14] = [
    ("events.rate", "How many events a second, over all receivers, on average?", "5"),
    ("events.burst_factor", "How many times that in a burst?", "3"),
    ("events.payload_bytes", "How many bytes has an event?", "512"),
    ("receivers.count", "How many receivers are there?", "1"),
    (
        "receivers.where",
        "Where are they: public-server, same-network, behind-nat, browser or function?",
        "public-server",
    ),
    (
        "receivers.proxy",
        "What stands between: none, forward-connect, forward-no-connect, tls-inspecting, tls-inspecting-no-upgrade, nginx, nginx-websocket or haproxy?",
        "none",
    ),
    ("need.freshness", "How old may an event be when it arrives?", "5s"),
    (
        "need.guarantee",
        "What is promised: at-most-once, at-least-once or exactly-once?",
        "at-least-once",
    ),
    (
        "need.durable",
        "Does an accepted event outlive the sender's process: true or false?",
        "false",
    ),
    ("need.outage", "For how long may a receiver be away and miss nothing?", "10m"),
    ("need.ordered", "Does each receiver get its events in order: true or false?", "false"),
    ("need.direction", "Who sends: one-way or both?", "one-way"),
    ("security.tls", "Over TLS: true or false?", "true"),
    ("security.sender", "How does a receiver know the sender: none, token or signed?", "signed"),
];

/// The answers as the text of a workload's file. `show` prints a question.
pub fn ask(input: &mut dyn BufRead, show: &mut dyn FnMut(&str)) -> Result<String> {
    let mut text = String::from("name = \"workload\"\n");
    let (mut table, mut once) = ("", false);
    for (path, question, usual) in QUESTIONS {
        // What is sent once at most is neither kept nor sent again.
        if once && ["need.durable", "need.outage"].contains(&path) {
            continue;
        }
        show(&format!("{question} [{usual}] "));
        let mut line = String::new();
        let read = input.read_line(&mut line);
        let read = read.map_err(|e| Error::usage(format!("standard input: {e}")))?;
        if read == 0 {
            return Err(Error::usage(format!(
                "no answer for {path}: answer each question, or write a file and type pushbench advise FILE"
            )));
        }
        let answer = if line.trim().is_empty() { usual } else { line.trim() };
        once |= answer == "at-most-once";
        let (section, key) = path.split_once('.').unwrap_or(("", path));
        if section != table {
            let _ = write!(text, "\n[{section}]\n");
            table = section;
        }
        let bare = answer.parse::<f64>().is_ok() || answer.parse::<bool>().is_ok();
        let value = if bare { answer.to_owned() } else { format!("{answer:?}") };
        let _ = writeln!(text, "{key} = {value}");
    }
    if text.contains("where = \"function\"") {
        text = text.replace("where = \"function\"", "where = \"function\"\nalways_on = false");
    }
    Ok(text)
}
