//! The interval logs read back: the responses of every second.

use super::{StoredRun, file_name};
use crate::record::histogram::Hist;
use std::fs;
use std::path::Path;

/// The seconds that one arm's log holds, in its order; `None` where there is no log that can be read.
pub fn read(dir: &Path, label: &str) -> Option<Vec<Hist>> {
    let text = fs::read_to_string(dir.join(format!("{}.hlog", file_name(label)))).ok()?;
    // `"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"` and comments.
    let data = text.lines().filter(|l| !l.starts_with(['#', '"']) && !l.trim().is_empty());
    data.map(|line| Hist::of_text(line.rsplit(',').next()?).ok()).collect()
}

impl StoredRun {
    /// Every arm's name once.
    pub fn labels(&self) -> Vec<&str> {
        let mut labels: Vec<&str> = Vec::new();
        for arm in self.header.points.iter().flat_map(|p| &p.arms) {
            if !labels.contains(&arm.label.as_str()) {
                labels.push(&arm.label);
            }
        }
        labels
    }
}
