//! Standard output and standard error of this program. Either may be a closed pipe, a full disk or a
//! terminal that is gone: no panic comes of it, and no run is lost with its progress.

use crate::secrets;
use pushbench_core::visible::{coloured, terminal};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

/// Writes a line to standard error as far as it can be written. What a terminal would obey is shown instead.
pub fn error_line(text: &str) {
    let line = format!("{}\n", terminal(&secrets::hide(text)));
    let _nobody_reads_it = write_all(io::stderr().lock().as_fd(), line.as_bytes());
}

/// Writes to standard output. What a terminal would obey is shown instead, colours apart. A reader that has
/// gone (`| head`) is no error.
pub fn output(text: &str) -> io::Result<()> {
    match write_all(
        io::stdout().lock().as_fd(),
        coloured(&secrets::hide_text_document(text)).as_bytes(),
    ) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes all of it, also where another program has made the file non-blocking.
pub fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _interrupted = poll(&mut [PollFd::new(&to, PollFlags::OUT)], None);
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Reports panics on standard error by [`error_line`], for the default hook shows what a terminal would obey.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let trace = Backtrace::capture();
        let trace = match trace.status() {
            BacktraceStatus::Captured => format!("\n{trace}"),
            _ => "\nRUST_BACKTRACE=1 shows the source".to_owned(),
        };
        error_line(&format!(
            "pushbench: internal error, please report it: thread {name} {panic}{trace}"
        ));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_non_blocking_pipe_is_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let text = vec![b'x'; 1 << 20];
        let (length, wanted) = (text.len(), text.clone());
        let writing = std::thread::spawn(move || write_all(writer.as_fd(), &text));
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        writing.join().unwrap().unwrap();
        assert!(read == wanted, "{} of {length} bytes", read.len());
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_no_panic() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let error = write_all(writer.as_fd(), b"text").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = write_all(full.as_fd(), b"text").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
