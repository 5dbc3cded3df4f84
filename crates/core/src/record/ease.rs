//! Code size, dependencies and duties of a program.

use serde::{Deserialize, Serialize};

/// What the code of a server may have to do beside taking events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// Authenticates the sender.
    Authentication,
    /// Sends again what was not acknowledged.
    Retry,
    /// Makes a connection again that has ended.
    Reconnect,
    /// Goes on after the last event that arrived.
    Resume,
    /// Handles an event once that comes twice.
    Deduplication,
    /// Takes no more events while its answers are not read.
    Backpressure,
}

impl Duty {
    /// Every duty there is.
    pub const ALL: [Duty; 6] = [
        Duty::Authentication,
        Duty::Retry,
        Duty::Reconnect,
        Duty::Resume,
        Duty::Deduplication,
        Duty::Backpressure,
    ];

    /// Its name in manifests and reports.
    pub fn name(self) -> &'static str {
        match self {
            Duty::Authentication => "authentication",
            Duty::Retry => "retry",
            Duty::Reconnect => "reconnect",
            Duty::Resume => "resume",
            Duty::Deduplication => "deduplication",
            Duty::Backpressure => "backpressure",
        }
    }

    /// The duty of that name.
    pub fn named(name: &str) -> Option<Duty> {
        Duty::ALL.into_iter().find(|d| d.name() == name)
    }
}

/// Packages that a program needs, counted from its lockfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependencies {
    /// Those that it names itself; `None` where the lockfile does not tell them apart.
    pub direct: Option<usize>,
    /// All of them, the direct ones included.
    pub all: usize,
}

/// One transport of one target. What nobody has declared is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ease {
    /// Lines of code, without blank lines and comments.
    pub lines_of_code: Option<usize>,
    /// Its packages.
    pub dependencies: Option<Dependencies>,
    /// The duties its own code takes on.
    pub duties: Option<Vec<Duty>>,
}

/// The code of a program for each transport.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackEase {
    /// The target, or both where they differ.
    pub stack: String,
    /// It is a pair that is compared, not one of the stacks beside it.
    pub own: bool,
    /// For a webhook.
    pub webhook: Option<Ease>,
    /// For a WebSocket.
    pub websocket: Option<Ease>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duties_have_one_name_everywhere() {
        for duty in Duty::ALL {
            assert_eq!(Duty::named(duty.name()), Some(duty));
            assert_eq!(serde_json::to_value(duty).unwrap(), duty.name());
        }
    }
}
