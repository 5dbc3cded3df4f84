//! Values of options that a message tells to try: each is one that its option takes, and another one than
//! was refused.

/// How to get more of what a machine is short of: `file descriptors`, `local ports` or `memory`.
pub fn more_of(short: &str) -> &'static str {
    match short {
        "file descriptors" => "raise the hard limit (ulimit -Hn)",
        "local ports" => "widen net.ipv4.ip_local_port_range",
        _ => "free some, or use a machine with more",
    }
}

/// An option of `pushbench run` whose value a message computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Try {
    /// `--connections`
    Connections,
    /// `--subscribers`
    Subscribers,
    /// `--rate`, in whole events per second
    Rate,
    /// `--warmup`, in milliseconds
    Warmup,
    /// `--set delivery.poll_interval`, in milliseconds
    PollInterval,
    /// `--at-most` of a gate, in seconds
    AtMost,
}

impl Try {
    /// Every one of them.
    pub const ALL: [Try; 6] = [
        Try::Connections,
        Try::Subscribers,
        Try::Rate,
        Try::Warmup,
        Try::PollInterval,
        Try::AtMost,
    ];

    /// The largest value that it takes; the smallest is 1.
    fn most(self) -> u64 {
        match self {
            Try::Connections | Try::Subscribers => 1_000_000,
            Try::Rate => 5_000_000,
            Try::Warmup | Try::PollInterval => 24 * 3_600_000,
            Try::AtMost => 24 * 3_600,
        }
    }

    /// As it is typed, this value or the nearest one that it takes, provided that it is lower than the one
    /// that was refused.
    pub fn below(self, value: u64, refused: f64) -> Option<String> {
        let value = value.min(self.most());
        (value >= 1 && (value as f64) < refused).then(|| self.written(value))
    }

    /// The same provided that it is higher.
    pub fn above(self, value: u64, refused: f64) -> Option<String> {
        let value = value.clamp(1, self.most());
        (value as f64 > refused).then(|| self.written(value))
    }

    fn written(self, value: u64) -> String {
        match self {
            Try::Connections => format!("--connections {value}"),
            Try::Subscribers => format!("--subscribers {value}"),
            Try::Rate => format!("--rate {value}"),
            Try::Warmup => format!("--warmup {value}ms"),
            Try::PollInterval => format!("--set delivery.poll_interval={value}ms"),
            // Whole minutes are easier to read.
            Try::AtMost if value.is_multiple_of(60) => format!("--at-most {}m", value / 60),
            Try::AtMost => format!("--at-most {value}s"),
        }
    }
}
