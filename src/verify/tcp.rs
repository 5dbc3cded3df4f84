//! Length-prefixed messages on a bare socket.

use crate::verify::answer::Answer;
use crate::verify::no_answer::NoAnswer;
use crate::verify::probe_connection::{BETWEEN_PIECES, ProbeConnection, ProbeTarget, WriteMode};
use crate::verify::recording_socket::RecordingSocket;
use hyper::header::HeaderMap;
use std::io::{Read as _, Write as _};
use std::time::Duration;

/// Longest answer that is taken; a longer length is no length.
const LONGEST: usize = 64 << 20;

pub(super) struct Tcp<'a> {
    recording_socket: RecordingSocket<'a>,
    time_limit: Duration,
}

impl<'a> ProbeConnection<'a> for Tcp<'a> {
    const PIPELINED: bool = true;

    fn open(target: &ProbeTarget<'a>) -> Result<Self, NoAnswer> {
        Ok(Tcp {
            recording_socket: RecordingSocket::connect(target)?,
            time_limit: target.time_limit(),
        })
    }

    fn send(&mut self, message: &[u8], mode: WriteMode) -> Result<(), NoAnswer> {
        let framed = framed(message);
        self.recording_socket.may_take(self.time_limit);
        let written = match mode {
            WriteMode::Whole => self.recording_socket.write_all(&framed),
            WriteMode::Pieces => {
                // The length itself is cut, too.
                let (head, rest) = framed.split_at(2);
                let (middle, rest) = rest.split_at(rest.len() / 2);
                [head, middle, rest].into_iter().try_for_each(|piece| {
                    std::thread::sleep(BETWEEN_PIECES);
                    self.recording_socket.write_all(piece)
                })
            }
        };
        ignore_closed(written)
    }

    fn answer(&mut self, time_limit: Duration) -> Result<Answer, NoAnswer> {
        self.recording_socket.may_take(time_limit);
        let mut length = [0; 4];
        self.recording_socket.read_exact(&mut length).map_err(|e| NoAnswer::of(&e))?;
        let length = u32::from_be_bytes(length) as usize;
        if length > LONGEST {
            // Whatever else is there shows better what it is.
            let _all_that_comes = self.recording_socket.read(&mut [0; 1024]);
            return Err(NoAnswer::other_protocol(&self.recording_socket.first().borrow()));
        }
        let mut body = vec![0; length];
        self.recording_socket.read_exact(&mut body).map_err(|e| NoAnswer::of(&e))?;
        Ok(Answer { status: None, headers: HeaderMap::new(), body })
    }

    fn is_open(&self) -> bool {
        true
    }

    fn abort(mut self, message: &[u8]) {
        self.recording_socket.may_take(self.time_limit);
        let framed = framed(message);
        let _may_be_closed = self.recording_socket.write_all(&framed[..framed.len() / 2]);
        self.recording_socket.reset_when_dropped();
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// A peer that closed while it was written to may have answered before.
pub(super) fn ignore_closed(written: std::io::Result<()>) -> Result<(), NoAnswer> {
    match written.map_err(|e| NoAnswer::of(&e)) {
        Err(failure) if failure.ends() => Ok(()),
        other => other,
    }
}
