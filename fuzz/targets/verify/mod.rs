//! The part of the first look that reads responses. What else it does needs the program, which is not built here.
#![allow(dead_code)]

#[path = "../../../src/verify/answer.rs"]
mod answer;
#[path = "../../../src/verify/head.rs"]
mod head;
#[path = "../../../src/verify/http.rs"]
mod http;
#[path = "../../../src/verify/no_answer.rs"]
mod no_answer;

/// Status and body of the response in these bytes, after which the peer closes, and whether the connection
/// ends with it.
pub fn read_response(bytes: &[u8]) -> Option<(u16, Vec<u8>, bool)> {
    let mut reader = http::ResponseReader::new(bytes);
    loop {
        let response = reader.response().ok()?;
        if !response.is_interim() {
            return Some((response.code, response.body, response.last));
        }
    }
}
