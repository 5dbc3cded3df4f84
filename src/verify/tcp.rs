//! Length-prefixed messages on a bare socket.

use crate::verify::no_answer::NoAnswer;
use crate::verify::talk::{Answer, BETWEEN_PIECES, Cut, Peer, Talk};
use crate::verify::tap::Tap;
use hyper::header::HeaderMap;
use std::io::{Read as _, Write as _};
use std::time::Duration;

/// Longest answer that is taken; a longer length is no length.
const LONGEST: usize = 64 << 20;

pub(super) struct Tcp<'a> {
    tap: Tap<'a>,
    patience: Duration,
}

impl<'a> Talk<'a> for Tcp<'a> {
    const DEEP: bool = true;

    fn open(peer: &Peer<'a>) -> Result<Self, NoAnswer> {
        Ok(Tcp {
            tap: Tap::connect(peer.address.socket, peer.interrupt)?,
            patience: peer.patience(),
        })
    }

    fn send(&mut self, message: &[u8], cut: Cut) -> Result<(), NoAnswer> {
        let framed = framed(message);
        self.tap.may_take(self.patience);
        let written = match cut {
            Cut::Whole => self.tap.write_all(&framed),
            Cut::Pieces => {
                // The length itself is cut, too.
                let (head, rest) = framed.split_at(2);
                let (middle, rest) = rest.split_at(rest.len() / 2);
                [head, middle, rest].into_iter().try_for_each(|piece| {
                    std::thread::sleep(BETWEEN_PIECES);
                    self.tap.write_all(piece)
                })
            }
        };
        gone_is_heard_later(written)
    }

    fn answer(&mut self, patience: Duration) -> Result<Answer, NoAnswer> {
        self.tap.may_take(patience);
        let mut length = [0; 4];
        self.tap.read_exact(&mut length).map_err(|e| NoAnswer::of(&e))?;
        let length = u32::from_be_bytes(length) as usize;
        if length > LONGEST {
            // Whatever else is there shows better what it is.
            let _all_that_comes = self.tap.read(&mut [0; 1024]);
            return Err(NoAnswer::alien(&self.tap.first().borrow()));
        }
        let mut body = vec![0; length];
        self.tap.read_exact(&mut body).map_err(|e| NoAnswer::of(&e))?;
        Ok(Answer { status: None, headers: HeaderMap::new(), body })
    }

    fn is_open(&self) -> bool {
        true
    }

    fn break_off(mut self, message: &[u8]) {
        self.tap.may_take(self.patience);
        let framed = framed(message);
        let _vanishes_anyway = self.tap.write_all(&framed[..framed.len() / 2]);
        self.tap.reset_when_dropped();
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// A peer that closed while it was written to may have answered before.
pub(super) fn gone_is_heard_later(written: std::io::Result<()>) -> Result<(), NoAnswer> {
    match written.map_err(|e| NoAnswer::of(&e)) {
        Err(failure) if failure.ends() => Ok(()),
        other => other,
    }
}
