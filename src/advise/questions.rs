//! Asks for a workload, a line each.

use pushbench_core::error::{Error, Result};
use pushbench_core::workload::Workload;
use std::fmt::Write as _;
use std::io::BufRead;

/// A key, what is asked, and the answer of an empty line.
const QUESTIONS: [(&str, &str, &str); 14] = [
    ("events.rate", "Events a second on average, over all receivers?", "5"),
    ("events.burst_factor", "How many times as many in a burst?", "3"),
    ("events.payload_bytes", "Bytes of an event?", "512"),
    ("receivers.count", "Receivers?", "1"),
    (
        "receivers.where",
        "Where are the receivers: public-server, same-network, behind-nat, browser or function?",
        "public-server",
    ),
    (
        "receivers.proxy",
        "Which proxy is in between: none, forward-connect, forward-no-connect, tls-inspecting, tls-inspecting-no-upgrade, nginx, nginx-websocket or haproxy?",
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
        "Must an accepted event survive the end of the sender's process: true or false?",
        "false",
    ),
    ("need.outage", "How long may a receiver be away without missing anything?", "10m"),
    ("need.ordered", "Must each receiver get its events in order: true or false?", "false"),
    ("need.direction", "In which direction do events go: one-way or both?", "one-way"),
    ("security.tls", "Over TLS: true or false?", "true"),
    ("security.sender", "How does a receiver know the sender: none, token or signed?", "signed"),
];

/// The answers as the text of a workload's file. `show` prints a question, or what is wrong with an answer, which is
/// then asked for again.
pub fn ask(input: &mut dyn BufRead, show: &mut dyn FnMut(&str)) -> Result<String> {
    let mut answers: Vec<(&str, String)> = Vec::new();
    for (path, question, usual) in QUESTIONS {
        // What is sent once at most is neither kept nor sent again.
        let once = answers.iter().any(|(_, answer)| answer == "at-most-once");
        if once && ["need.durable", "need.outage"].contains(&path) {
            continue;
        }
        loop {
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
            answers.push((path, answer.to_owned()));
            match Workload::parse("your answers", &file(&answers)) {
                Ok(_) => break,
                Err(e) => {
                    let message = e.to_string();
                    // The line of a file that nobody wrote means nothing.
                    let why = message.split_once(path).map_or(&*message, |(_, why)| why);
                    show(&format!("{path}{why}"));
                    answers.pop();
                }
            }
        }
    }
    Ok(file(&answers))
}

/// A file with these answers, and the usual ones for what has to be said and was not asked yet.
fn file(answers: &[(&str, String)]) -> String {
    let given = |path: &str| answers.iter().find(|(p, _)| *p == path).map(|(_, a)| a.clone());
    let needed = ["events.rate", "receivers.count", "receivers.where", "need.freshness"];
    let (mut text, mut table) = (String::from("name = \"workload\"\n"), "");
    for (path, _, usual) in QUESTIONS {
        let usual = needed.contains(&path).then(|| usual.to_owned());
        let Some(answer) = given(path).or(usual) else { continue };
        let Some((section, key)) = path.split_once('.') else { continue };
        if section != table {
            let _ = write!(text, "\n[{section}]\n");
            table = section;
        }
        let bare =
            answer.parse::<f64>().is_ok_and(f64::is_finite) || answer.parse::<bool>().is_ok();
        let value = if bare { answer.clone() } else { format!("{answer:?}") };
        let _ = writeln!(text, "{key} = {value}");
        if answer == "function" {
            text.push_str("always_on = false\n");
        }
    }
    text
}
