//! What a few probes have found out about an arm before it is measured.

use serde::{Deserialize, Serialize};

/// The value of [`Aspect::Authentication`] where a target acknowledges events of another sender.
pub const NOT_DEMANDED: &str = "not demanded";

/// How a property of an arm is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// Observed from outside.
    Tested,
    /// Said by the target's manifest, by the target itself (also a built-in one), or by the driver's settings.
    Declared,
    /// Neither declared nor tested.
    Unknown,
}

/// Aspects tested on an arm, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// Each of a known set of events is acknowledged once.
    ExactlyOnce,
    /// The answers of a connection come in the order of its events.
    Order,
    /// How an answer finds its event.
    AcknowledgedBy,
    /// A connection carries more than one event.
    KeepAlive,
    /// What the events of a batch get.
    Batch,
    /// Events of a sender that is not known are refused.
    Authentication,
    /// What a message that is no event gets.
    Malformed,
    /// The target goes on after a peer vanished amid an event.
    AbruptClose,
    /// An event in several frames or segments.
    InPieces,
    /// An event of 1 MiB.
    Large,
    /// WebSocket: a ping is answered.
    Ping,
    /// WebSocket: a close frame is answered.
    CloseHandshake,
    /// HTTP: `Expect: 100-continue`.
    Expect,
    /// HTTP: a request body in chunks.
    Chunked,
    /// TCP_NODELAY at the target's end.
    Nodelay,
    /// What runs the target.
    Runtime,
    /// Its threads.
    Threads,
}

impl Aspect {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Aspect::ExactlyOnce => "exactly once",
            Aspect::Order => "order",
            Aspect::AcknowledgedBy => "acknowledged by",
            Aspect::KeepAlive => "keep-alive",
            Aspect::Batch => "batch",
            Aspect::Authentication => "authentication",
            Aspect::Malformed => "malformed event",
            Aspect::AbruptClose => "abrupt close",
            Aspect::InPieces => "event in pieces",
            Aspect::Large => "event of 1 MiB",
            Aspect::Ping => "ping",
            Aspect::CloseHandshake => "close handshake",
            Aspect::Expect => "Expect: 100-continue",
            Aspect::Chunked => "chunked body",
            Aspect::Nodelay => "NODELAY",
            Aspect::Runtime => "runtime",
            Aspect::Threads => "threads",
        }
    }
}

/// The value of [`Aspect::ExactlyOnce`] when nothing is missing and nothing came twice.
pub const YES: &str = "yes";

/// One property of one arm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The aspect.
    pub aspect: Aspect,
    /// How the answer is known.
    pub known: Known,
    /// The answer in a word or two; two arms differ when these do.
    pub value: String,
    /// Details of the observation, where there are any; text that came from the target is in here.
    pub detail: Option<String>,
}

impl Finding {
    /// Observed.
    pub fn tested(aspect: Aspect, value: impl Into<String>) -> Finding {
        Finding { aspect, known: Known::Tested, value: value.into(), detail: None }
    }

    /// Declared, for example in a manifest.
    pub fn declared(aspect: Aspect, value: impl Into<String>) -> Finding {
        Finding { known: Known::Declared, ..Finding::tested(aspect, value) }
    }

    /// Neither; the detail says why.
    pub fn unknown(aspect: Aspect, why: impl Into<String>) -> Finding {
        let unknown = Finding { known: Known::Unknown, ..Finding::tested(aspect, "unknown") };
        unknown.with(why)
    }

    /// The same with details.
    pub fn with(self, detail: impl Into<String>) -> Finding {
        Finding { detail: Some(detail.into()), ..self }
    }
}

/// Everything found out about one arm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// `webhook@flask`
    pub arm: String,
    /// Known events that it acknowledged.
    pub acknowledged: usize,
    /// Why it cannot be measured and what to type next; `None` when it acknowledges events and lives.
    #[serde(rename = "trouble")]
    pub failure: Option<String>,
    /// One by one, in the order of the table.
    pub list: Vec<Finding>,
}

impl Findings {
    /// The finding of this aspect, if it was tested.
    pub fn of(&self, aspect: Aspect) -> Option<&Finding> {
        self.list.iter().find(|f| f.aspect == aspect)
    }

    /// Whether every known event was acknowledged exactly once.
    pub fn exactly_once(&self) -> bool {
        self.failure.is_none() && self.of(Aspect::ExactlyOnce).is_some_and(|f| f.value == YES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_survive_the_record() {
        let list = vec![
            Finding::tested(Aspect::ExactlyOnce, YES).with("5 of 5"),
            Finding::unknown(Aspect::Nodelay, "not visible"),
        ];
        let findings =
            Findings { arm: "webhook@x".to_owned(), acknowledged: 5, failure: None, list };
        assert!(findings.exactly_once());
        let text = serde_json::to_string(&findings).unwrap();
        assert!(text.contains(r#""aspect":"exactly-once","known":"tested""#), "{text}");
        assert_eq!(serde_json::from_str::<Findings>(&text).unwrap(), findings);
    }
}
