//! What can go wrong, and the exit code each kind ends with.
//!
//! Every message says what happened, where (file, line, value), and what to type next.

use std::process::ExitCode;

/// A failure that ends a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user typed or wrote something that cannot be run: bad option, bad scenario, unknown name.
    #[error("{0}")]
    Usage(String),
    /// A program under test could not be set up, started, or reached.
    #[error("{why}")]
    Target {
        /// What happened.
        why: String,
        /// Which of several that were started together, where it is known.
        at: Option<usize>,
    },
    /// The instrument itself or the machine failed: disk full, no descriptors, no timer.
    #[error("{0}")]
    Harness(String),
    /// The user asked to stop (Ctrl-C, SIGTERM).
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// The exit code of the contract: 64 usage, 3 target or harness, 130 interrupted.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// The same as a number, for a record.
    pub fn code(&self) -> u8 {
        match self {
            Error::Usage(_) => 64,
            Error::Target { .. } | Error::Harness(_) => 3,
            Error::Interrupted => 130,
        }
    }

    /// A usage error from anything that prints.
    pub fn usage(message: impl Into<String>) -> Self {
        Error::Usage(message.into())
    }

    /// A target error from anything that prints.
    pub fn target(message: impl Into<String>) -> Self {
        Error::Target { why: message.into(), at: None }
    }

    /// The same error, of one of several targets that were started together.
    pub fn of_target(self, at: usize) -> Self {
        match self {
            Error::Target { why, .. } => Error::Target { why, at: Some(at) },
            other => other,
        }
    }

    /// A harness error from anything that prints.
    pub fn harness(message: impl Into<String>) -> Self {
        Error::Harness(message.into())
    }
}

/// The result of everything that can end a command.
pub type Result<T> = std::result::Result<T, Error>;
