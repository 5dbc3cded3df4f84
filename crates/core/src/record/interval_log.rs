//! HdrHistogram's interval logs (V2): what was recorded from one instant to another, a line each.
//! `*.hlog` in a results directory and the report format `hlog` are written here, and read back.

use crate::record::histogram::Hist;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use std::time::{Duration, UNIX_EPOCH};

/// A line of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// When it began, after 1970.
    pub start: Duration,
    /// How long it took.
    pub length: Duration,
    /// What was recorded meanwhile, ns; packed, for a log of an hour has thousands.
    pub hist: Hist,
}

/// A log whose lines count from `base`, after 1970; of each line whose it is, if that is to be said.
pub fn write<'a>(
    base: Duration,
    comment: &str,
    lines: impl IntoIterator<Item = (Option<&'a str>, &'a Logged)>,
) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder
        .add_comment(comment)
        .with_start_time(UNIX_EPOCH + base)
        .with_base_time(UNIX_EPOCH + base);
    let mut log = builder.begin_log_with(&mut text, &mut serializer).map_err(|e| e.to_string())?;
    for (tag, line) in lines {
        let tag = tag.map(tag_of);
        let tag = tag.as_deref().and_then(Tag::new);
        let start = line.start.saturating_sub(base);
        line.hist.log(|h| log.write_histogram(h, start, line.length, tag)).map_err(debugged)?;
    }
    drop(log);
    Ok(text)
}

/// What a tag may not hold would end it.
fn tag_of(text: &str) -> String {
    text.chars().map(|c| if c == ',' || c.is_whitespace() { '_' } else { c }).collect()
}

fn debugged(e: impl std::fmt::Debug) -> String {
    format!("{e:?}")
}

/// The lines of a log, tags left out, up to its end or to the first one that is damaged.
pub fn read(text: &[u8]) -> Vec<Logged> {
    let mut base = Duration::ZERO;
    let mut lines = Vec::new();
    for entry in IntervalLogIterator::new(text).map_while(Result::ok) {
        match entry {
            LogEntry::BaseTime(time) => base = time,
            LogEntry::StartTime(_) => {}
            LogEntry::Interval(line) => {
                let Ok(hist) = Hist::of_text(line.encoded_histogram()) else { break };
                let start = base + line.start_timestamp();
                lines.push(Logged { start, length: line.duration(), hist });
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(start_ms: u64, value: u64) -> Logged {
        let mut hist = Hist::new();
        hist.record(value);
        let start = Duration::from_millis(start_ms);
        Logged { start, length: Duration::from_secs(1), hist: hist.packed() }
    }

    #[test]
    fn what_is_written_is_read_up_to_where_it_is_damaged() {
        let lines = [logged(1_700_000_001_500, 7), logged(1_700_000_003_500, 1_000_000)];
        let base = Duration::from_secs(1_700_000_000);
        let text = write(base, "a comment", lines.iter().map(|l| (Some("a b,c"), l))).unwrap();
        assert_eq!(read(&text), lines);
        let shown = String::from_utf8(text.clone()).unwrap();
        assert!(shown.contains("#a comment\n") && shown.contains("\nTag=a_b_c,1.5"), "{shown}");
        for cut in [text.len() - 2, text.len() - 60] {
            assert_eq!(read(&text[..cut]), lines[..1], "cut at {cut}");
        }
        assert_eq!(read(b"Tag=x,1.0,1.0,7,not a histogram\n"), []);
        assert_eq!(read(b""), []);
    }
}
