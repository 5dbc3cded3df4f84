//! What came back.

use crate::verify::no_answer::shown;
use hyper::header::HeaderMap;

/// Something that came back as the protocol has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// HTTP: status code and line.
    pub status: Option<(u16, String)>,
    /// Those of HTTP.
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// By its status: a message without one may mean anything.
    pub fn refuses(&self) -> bool {
        self.status.as_ref().is_some_and(|(code, _)| !(200..300).contains(code))
    }

    /// By its status the target failed, and may not fail the next time.
    pub fn fails(&self) -> bool {
        self.status.as_ref().is_some_and(|(code, _)| (500..600).contains(code))
    }

    /// The beginning of its body.
    pub fn text(&self) -> String {
        shown(&self.body)
    }

    /// What came back, for a person.
    pub fn shown(&self) -> String {
        let body = self.text();
        match &self.status {
            Some((_, line)) if body.is_empty() => format!("answered {line}"),
            Some((_, line)) => format!("answered {line}: {body}"),
            None => format!("answered `{body}`"),
        }
    }
}
