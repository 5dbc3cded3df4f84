//! What is said on a new connection before the first event: messages that a target's description sends and awaits,
//! and its heartbeats at any time. No socket: whoever has one hands over what has come and sends what is due.

use crate::request_options::RequestOptions;
use pushbench_core::message_pattern::{Captured, MessagePattern};
use pushbench_core::wording::Wording;
use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Stands for a text that nobody can guess, the same within one hello.
pub const RANDOM: &str = "random";
/// How long a hello may take: a login that takes longer does not come.
pub const LIMIT: Duration = Duration::from_secs(10);

/// One message of a hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelloStep {
    /// Is sent.
    Send(Wording),
    /// Must come before the next step. Other messages before it are no part of the hello.
    Await(MessagePattern),
}

/// The heartbeat of a protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// What the target sends.
    pub awaited: MessagePattern,
    /// What pushbench sends.
    pub sent: String,
    /// pushbench begins, at this interval, and the target answers within it; `None` where the target begins.
    pub every: Option<Duration>,
}

/// A hello that is under way on one connection.
pub struct Hello<'a> {
    options: &'a RequestOptions,
    steps: &'a [HelloStep],
    captured: Captured,
    to_send: VecDeque<String>,
    last: Option<Vec<u8>>,
    early: Vec<Vec<u8>>,
}

/// What a hello leaves.
#[derive(Debug, Default)]
pub struct Greeted {
    /// What its awaited messages have brought.
    pub captured: Captured,
    /// Messages that came behind its last one.
    pub early: Vec<Vec<u8>>,
}

impl<'a> Hello<'a> {
    /// At its first step.
    pub fn new(options: &'a RequestOptions) -> Hello<'a> {
        let mut hello = Hello {
            options,
            steps: &options.hello,
            captured: vec![random()],
            to_send: VecDeque::new(),
            last: None,
            early: Vec::new(),
        };
        hello.advance();
        hello
    }

    /// The next message to be sent.
    pub fn to_send(&mut self) -> Option<String> {
        self.to_send.pop_front()
    }

    /// Whether a message waits to be sent.
    pub fn has_to_send(&self) -> bool {
        !self.to_send.is_empty()
    }

    /// Nothing more is awaited; what is left to be sent still is.
    pub fn is_done(&self) -> bool {
        self.steps.is_empty()
    }

    /// A message has come.
    pub fn receive(&mut self, message: &[u8]) {
        match self.steps {
            [HelloStep::Await(awaited), rest @ ..]
                if awaited.capture(message, &mut self.captured).is_some() =>
            {
                self.steps = rest;
                self.last = None;
                self.advance();
            }
            _ if self.options.is_heartbeat(message) => {
                self.to_send.extend(self.options.heartbeat_reply().map(str::to_owned));
            }
            [] => self.early.push(message.to_vec()),
            _ => self.last = Some(message.to_vec()),
        }
    }

    /// Says what is missing, and what came in its place. `why` nothing more comes: `no answer came`.
    pub fn failure(&self, why: &str) -> String {
        let Some(HelloStep::Await(awaited)) = self.steps.first() else { return why.to_owned() };
        let step = self.options.hello.len() - self.steps.len() + 1;
        let instead = match &self.last {
            Some(last) => {
                let difference = awaited.difference(last).unwrap_or_default();
                let shown = crate::response_body::shown(last, self.options);
                format!(": it sent `{shown}` instead ({})", self.options.hide(&difference))
            }
            None => String::new(),
        };
        let awaited = self.options.hide(&awaited.shown());
        format!(
            "step {step} of hello awaits `{awaited}`, but {why}{instead}; correct hello, or what it sends"
        )
    }

    /// It is done.
    pub fn finish(self) -> Greeted {
        Greeted { captured: self.captured, early: self.early }
    }

    fn advance(&mut self) {
        while let [HelloStep::Send(wording), rest @ ..] = self.steps {
            self.to_send.push_back(wording.with(&self.captured).written());
            self.steps = rest;
        }
    }
}

/// A value for [`RANDOM`].
pub fn random() -> (String, String) {
    (RANDOM.to_owned(), format!("{:016x}", RandomState::new().hash_one(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> RequestOptions {
        let send = |text| HelloStep::Send(Wording::parse(text, &["sid", "random"]).unwrap());
        let wait = |text| HelloStep::Await(MessagePattern::parse(text).unwrap());
        RequestOptions {
            hello: vec![
                wait(r#"0{"sid":"{sid}"}"#),
                send("40"),
                wait("40{}"),
                send(r#"42["join","{sid}"]"#),
            ],
            heartbeat: Some(
                Heartbeat {
                    awaited: MessagePattern::parse("2").unwrap(),
                    sent: "3".to_owned(),
                    every: None,
                }
                .into(),
            ),
            ..RequestOptions::default()
        }
    }

    #[test]
    fn a_hello_goes_step_by_step_and_answers_heartbeats() {
        let options = options();
        let mut hello = Hello::new(&options);
        assert_eq!(hello.to_send(), None);
        hello.receive(b"2");
        hello.receive(br#"0{"sid":"a\"b"}"#);
        assert_eq!([hello.to_send(), hello.to_send()], ["3", "40"].map(|t| Some(t.to_owned())));
        hello.receive(br#"44{"message":"refused"}"#);
        assert!(!hello.is_done());
        let failure = hello.failure("no answer came");
        assert!(failure.contains("step 3 of hello awaits `40{}`"), "{failure}");
        assert!(failure.contains("does not begin with 40"), "{failure}");
        hello.receive(br#"40{"sid":"c"}"#);
        assert!(hello.is_done());
        assert_eq!(hello.to_send().as_deref(), Some(r#"42["join","a\"b"]"#));
        hello.receive(b"first");
        let greeted = hello.finish();
        assert_eq!(greeted.early, [b"first"]);
        assert!(greeted.captured.contains(&("sid".to_owned(), "a\"b".to_owned())));
    }
}
