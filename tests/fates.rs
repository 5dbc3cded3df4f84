//! Every event has one fate, also when the target misbehaves: the counts are exact.

mod common;

use common::Bench;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// What the webhook server below does with event `i`.
#[derive(Debug, PartialEq, Eq)]
enum Deed {
    Answer,
    Refuse,
    WrongId,
    Hang,
    Close,
}

fn deed(index: u64) -> Deed {
    match index % 20 {
        3 => Deed::Refuse,
        7 => Deed::WrongId,
        11 => Deed::Hang,
        15 => Deed::Close,
        _ => Deed::Answer,
    }
}

/// Serves one connection: reads requests, does what `deed` says.
fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let event: Value = serde_json::from_slice(&body)?;
        let id = event["id"].as_str().unwrap_or_default();
        let index = u64::from_str_radix(id, 16).unwrap_or(0);
        let answer = |status: &str, id: &str| {
            let body = format!("{{\"id\":\"{id}\"}}");
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        };
        let answer = match deed(index) {
            Deed::Answer => answer("200 OK", id),
            Deed::Refuse => answer("503 Service Unavailable", id),
            Deed::WrongId => answer("200 OK", "ffffffffffffffff"),
            Deed::Close => return Ok(()),
            Deed::Hang => {
                // Until the client gives up.
                reader.read_to_end(&mut Vec::new())?;
                return Ok(());
            }
        };
        stream.write_all(answer.as_bytes())?;
    }
}

#[test]
fn a_misbehaving_webhook_is_accounted_for_event_by_event() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    let bench = Bench::new();
    bench.write(
        "pushbench.toml",
        &format!(
            "[target.odd.webhook]\nurl = \"http://127.0.0.1:{port}/webhook\"\nmatch = \"id\"\n"
        ),
    );
    let args = ["run", "--arm", "webhook@odd", "--out", "r", "--blocks", "2", "--rate", "200"];
    let more = ["--duration", "800ms", "--warmup", "300ms", "--set", "load.timeout=400ms"];
    let ended = bench.run(&[&args[..], &more].concat());
    // The shipped scenario expects that nothing fails.
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);

    let stored = std::fs::read_to_string(bench.path("r/trials.jsonl")).unwrap();
    let trials: Vec<Value> = stored.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(trials.len(), 3, "a pilot and two blocks");
    for trial in trials {
        let count = |name: &str| -> u64 {
            let of = |window: &str| trial[window][name].as_u64().unwrap();
            of("events") + of("warmup")
        };
        // Indices count from 0 in every trial, warm-up first.
        let n = count("due");
        let did = |wanted: Deed| (0..n).filter(|i| deed(*i) == wanted).count() as u64;
        assert_eq!(count("acknowledged"), did(Deed::Answer), "{trial}");
        assert_eq!(count("failed"), did(Deed::Refuse) + did(Deed::WrongId), "{trial}");
        assert_eq!(count("timed_out"), did(Deed::Hang), "{trial}");
        assert_eq!(count("lost"), did(Deed::Close), "{trial}");
        assert!(trial["target"].is_null(), "its cost is unknown, not zero");
        // One for each that was closed or given up, and the warm ones.
        let opened = trial["connections"].as_u64().unwrap();
        assert!(opened > 32 && opened <= 32 + did(Deed::Hang) + did(Deed::Close), "{opened}");
    }
    assert!(ended.out.contains("did not start"), "{}", ended.out);
}
