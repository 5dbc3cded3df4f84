//! Lines at the end of a terminal that are drawn again in their place.

use pushbench_host::{console, secrets};
use std::fmt::Write as _;
use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Drawn no more often than this: drawing takes CPU from the measurement.
const EVERY: Duration = Duration::from_millis(300);
/// Of a terminal that does not tell its size.
const USUAL: (u16, u16) = (80, 24);

/// The lines on a terminal; the cursor is at the start of the line below them.
pub struct Screen {
    /// Columns of each line that is there.
    drawn: Vec<usize>,
    at: Option<Instant>,
}

impl Screen {
    /// Nothing is drawn yet.
    pub fn new() -> Screen {
        Screen { drawn: Vec::new(), at: None }
    }

    /// Whether it is time to draw again.
    pub fn is_due(&self, now: Instant) -> bool {
        self.at.is_none_or(|at| now.saturating_duration_since(at) >= EVERY)
    }

    /// Columns and rows that lines may have. The last of each stay free: a character in the last column makes
    /// terminals differ, and the cursor has the last row.
    pub fn room() -> (usize, usize) {
        let size = terminal_size::terminal_size_of(io::stderr());
        let (columns, rows) = size.map_or(USUAL, |(width, height)| (width.0, height.0));
        (usize::from(columns).max(2) - 1, usize::from(rows).max(2) - 1)
    }

    /// Draws these lines in the place of the former ones.
    pub fn draw(&mut self, lines: &[String], now: Instant) {
        if lines.is_empty() && self.drawn.is_empty() {
            return;
        }
        let lines: Vec<String> = lines.iter().map(|l| secrets::hide(l).into_owned()).collect();
        let mut text = self.to_the_first();
        for line in &lines {
            // The rest of a longer former line goes.
            let _infallible = writeln!(text, "{line}\x1b[K");
        }
        text.push_str("\x1b[J");
        write(&text);
        self.drawn = lines.iter().map(|line| columns(line)).collect();
        self.at = Some(now);
    }

    /// Takes the lines away.
    pub fn clear(&mut self) {
        if !self.drawn.is_empty() {
            let text = self.to_the_first() + "\x1b[J";
            write(&text);
            self.drawn.clear();
        }
        self.at = None;
    }

    /// Moves the cursor to the first line. A terminal that has become narrower has wrapped them.
    fn to_the_first(&self) -> String {
        let width = Screen::room().0 + 1;
        let rows: usize = self.drawn.iter().map(|columns| columns.div_ceil(width).max(1)).sum();
        if rows == 0 { "\r".to_owned() } else { format!("\r\x1b[{rows}A") }
    }
}

fn write(text: &str) {
    let _nobody_reads_it = console::write_all(io::stderr().lock().as_fd(), text.as_bytes());
}

/// Columns that a line takes.
pub fn columns(line: &str) -> usize {
    line.width()
}

/// At most so many columns of a line; one that is longer ends with `…`.
pub fn fit(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.trim_end().to_owned();
    }
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used < width
    };
    let mut out: String = line.chars().take_while(fits).collect();
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_at_a_column() {
        assert_eq!(fit("blocks: 4", 9), "blocks: 4");
        assert_eq!(fit("blocks: 4", 8), "blocks:…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("ab", 1), "…");
    }

    #[test]
    fn drawing_is_rare() {
        let now = Instant::now();
        let mut screen = Screen::new();
        assert!(screen.is_due(now));
        screen.at = Some(now);
        assert!(!screen.is_due(now + EVERY / 2) && screen.is_due(now + EVERY));
    }
}
