//! The program on a pseudo-terminal, and what the terminal shows.

use crate::common::{Bench, PATIENCE};
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

/// High enough that nothing scrolls away.
const ROWS: u16 = 200;

/// A program and its terminal, which is its controlling one: Ctrl-C that is typed there is a signal.
pub struct Terminal {
    child: Child,
    keyboard: File,
    written: Receiver<Vec<u8>>,
    /// Everything that was written.
    pub raw: Vec<u8>,
    screen: vt100::Parser,
}

impl Terminal {
    /// Starts pushbench there, with these variables.
    pub fn start(bench: &Bench, args: &[&str], columns: u16, env: &[(&str, &str)]) -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let own = openpt(flags).unwrap();
        grantpt(&own).unwrap();
        unlockpt(&own).unwrap();
        tcsetwinsize(&own, size(columns)).unwrap();
        let its = File::from(ioctl_tiocgptpeer(&own, flags).unwrap());
        let mut command = bench.pushbench(args);
        command.stdin(its.try_clone().unwrap()).stdout(its.try_clone().unwrap()).stderr(its);
        for name in ["CI", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm").envs(env.iter().copied());
        // SAFETY: between fork and exec these make system calls alone, and allocate nothing; standard input is open.
        unsafe {
            command.pre_exec(|| {
                setsid()?;
                Ok(ioctl_tiocsctty(BorrowedFd::borrow_raw(0))?)
            });
        }
        let child = command.spawn().unwrap();
        drop(command); // its ends of the terminal: once the child's are closed, reading ends
        let (keyboard, mut output) = (File::from(own), Vec::new());
        let mut reader = keyboard.try_clone().unwrap();
        let (sender, written) = channel();
        std::thread::spawn(move || {
            output.resize(4096, 0);
            while let Ok(length @ 1..) = reader.read(&mut output) {
                let _test_is_over = sender.send(output[..length].to_vec());
            }
        });
        let screen = vt100::Parser::new(cells(ROWS), cells(columns), 0);
        Terminal { child, keyboard, written, raw: Vec::new(), screen }
    }

    /// What it shows now.
    pub fn shown(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits until it shows something.
    #[track_caller]
    pub fn until(&mut self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        while !condition(&self.shown()) {
            match self.written.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(e) => panic!("no {what} on the terminal ({e}):\n{}", self.shown()),
            }
        }
        self.shown()
    }

    fn take(&mut self, bytes: &[u8]) {
        self.raw.extend(bytes);
        self.screen.process(bytes);
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Changes its width.
    pub fn resize(&mut self, columns: u16) {
        tcsetwinsize(&self.keyboard, size(columns)).unwrap();
        self.screen.screen_mut().set_size(cells(ROWS), cells(columns));
    }

    /// Waits until the program has ended; its exit code.
    #[track_caller]
    pub fn ended(&mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.written.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.shown()),
            }
        }
        self.child.wait().unwrap().code()
    }
}

fn size(columns: u16) -> Winsize {
    Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}
