//! A user's certificates, keys and server names: what is refused is refused without showing what the file holds, and
//! what is taken has a certificate.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbench_fuzz::{ROOM, bounded};
use pushbench_wire::endpoint::Scheme;
use pushbench_wire::tls::{ClientTls, ServerTls};

/// A line in Base64 of at least this length is no word of a message.
const SECRET: usize = 40;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // Before a NUL is the name of the server.
    let (name, pem) = text.split_once('\0').unwrap_or(("localhost", text));
    let client = bounded(input, ROOM, || ClientTls::new(pem, name, Scheme::Https, true).map(drop));
    let server = bounded(input, ROOM, || ServerTls::new(pem, pem).map(drop));
    if client.is_ok() {
        assert!(pem.contains("-----BEGIN CERTIFICATE-----"), "{pem}");
        assert!(!name.is_empty() && !name.contains(char::is_whitespace), "{name}");
    }
    for error in [client, server].into_iter().filter_map(Result::err) {
        let message = error.to_string();
        assert!(!message.trim().is_empty());
        let base64 =
            |line: &str| line.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
        let shown = |line: &str| line.len() >= SECRET && base64(line) && message.contains(line);
        assert!(!pem.lines().map(str::trim).any(shown), "{message}");
    }
});
