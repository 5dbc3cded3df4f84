//! What a target prints: its last lines, in bounded memory.

use pushbench_host::secrets;
use std::collections::VecDeque;
use std::io::{PipeReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines kept for error messages: enough for a stack trace, short enough to read.
const LINES: usize = 20;
/// Bytes kept of one line: some programs print whole documents without a line break.
const LINE_BYTES: usize = 1000;

/// The reading end of a target's stdout and stderr. A thread drains it for as long as it is open, so
/// that a talkative target never blocks on a full pipe.
pub(super) struct Output(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    partial: Vec<u8>,
    /// Bytes of the current line beyond the kept ones.
    cut: usize,
    /// The text that shows readiness, until it was seen.
    wanted: Option<String>,
    ended: bool,
}

impl Output {
    /// Reads until every writer is gone; `wanted` is looked for in each line.
    pub fn follow(mut pipe: PipeReader, wanted: Option<&str>) -> std::io::Result<Output> {
        let state = State { wanted: wanted.map(str::to_owned), ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), ended: Condvar::new() });
        let reader = Arc::clone(&shared);
        std::thread::Builder::new().name("target output".into()).spawn(move || {
            let mut buffer = vec![0; 16 * 1024];
            loop {
                match pipe.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => reader.lock().feed(&buffer[..n]),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            reader.lock().ended = true;
            reader.ended.notify_all();
        })?;
        Ok(Output(shared))
    }

    /// Whether the wanted text has appeared.
    pub fn has_wanted_text(&self) -> bool {
        self.0.lock().wanted.is_none()
    }

    /// The last lines, oldest first, without secrets and control characters: they end up on a terminal.
    pub fn tail(&self) -> String {
        let state = self.0.lock();
        let mut lines: Vec<String> = state.lines.iter().cloned().collect();
        if !state.partial.is_empty() {
            lines.push(state.current());
        }
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Waits until the last writer is gone, so that nothing is missing from the tail.
    pub fn wait_for_end(&self, at_most: Duration) {
        let guard = self.0.lock();
        drop(self.0.ended.wait_timeout_while(guard, at_most, |state| !state.ended));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn feed(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            let room = LINE_BYTES - self.partial.len();
            let kept = &text[..text.len().min(room)];
            self.partial.extend_from_slice(kept);
            self.cut += text.len() - kept.len();
            if text.len() != part.len() {
                self.end_line();
            }
        }
        // A prompt without a line break counts as well.
        self.check_wanted_text();
    }

    fn end_line(&mut self) {
        self.check_wanted_text();
        let line = self.current();
        self.partial.clear();
        self.cut = 0;
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn check_wanted_text(&mut self) {
        let Some(wanted) = &self.wanted else { return };
        if String::from_utf8_lossy(&self.partial).contains(wanted.as_str()) {
            self.wanted = None;
        }
    }

    fn current(&self) -> String {
        let text = String::from_utf8_lossy(&self.partial);
        let text = secrets::hide_echo(&text, &[]);
        let mut line: String = text.chars().filter(|c| *c == '\t' || !c.is_control()).collect();
        if self.cut > 0 {
            line.push_str(&format!("… ({} more bytes)", self.cut));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn printed(bytes: &[u8], wanted: Option<&str>) -> Output {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let output = Output::follow(reader, wanted).unwrap();
        writer.write_all(bytes).unwrap();
        drop(writer);
        output.wait_for_end(Duration::from_secs(60));
        output
    }

    #[test]
    fn keeps_the_last_lines_only() {
        let text: String = (0..50_000).map(|n| format!("line {n}\n")).collect();
        let tail = printed(text.as_bytes(), None).tail();
        assert_eq!(tail.lines().count(), LINES);
        assert!(tail.ends_with("line 49999"), "{tail}");
    }

    #[test]
    fn cuts_giant_lines_and_control_characters() {
        let mut text = b"\x1b[31mred\x07\r\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', 3_000_000));
        let tail = printed(&text, None).tail();
        assert!(tail.starts_with("[31mred\n"), "{tail:?}");
        assert!(tail.ends_with("xxx… (2999000 more bytes)"), "{}", &tail[tail.len() - 50..]);
    }

    #[test]
    fn sees_the_wanted_text_without_a_line_break() {
        assert!(printed(b"one\nnow READY", Some("READY")).has_wanted_text());
        assert!(!printed(b"REA\nDY", Some("READY")).has_wanted_text());
    }
}
