//! One connection of a faulty server: whatever the transport, events come in and the fault
//! decides which bytes go back.

use crate::server_fault::ServerFault;
use crate::site::Site;
use crate::wire::{Wire, correct_answer, id_of};
use pushbench_core::event::{acknowledged_index, acknowledgement};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;
use std::io::{self, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// What happens to the connection once the bytes are written.
#[derive(PartialEq, Eq)]
enum AfterReply {
    GoOn,
    /// Nothing that follows could be understood.
    FallSilent,
    Close,
    Reset,
}

/// Serves the connection that was accepted as number `number`, from 0, until it ends.
pub(super) fn serve<W: Wire>(stream: TcpStream, number: u64, site: &Site) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(mut wire) = W::open(stream, site)? else { return Ok(()) };
    if site.fault.never_reads(number) {
        return ignore(&mut wire, site);
    }
    let mut delayed = Vec::new();
    let mut fresh = true;
    while let Some(event) = wire.event()? {
        let index = acknowledged_index(&event)
            .ok_or_else(|| io::Error::other("an event without an id of ours"))?;
        let hangs_up = site.tally(|t| {
            let hangs_up = fresh && site.fault.closes(t.used);
            t.used += u64::from(fresh);
            t.events += 1;
            t.hung_up += u64::from(hangs_up);
            hangs_up
        });
        fresh = false;
        if hangs_up {
            return close(&mut wire);
        }
        let (bytes, then) = reply::<W>(site, index, &mut delayed);
        wire.socket().write_all(&bytes)?;
        match then {
            AfterReply::GoOn => {}
            AfterReply::FallSilent => return read_out(&mut wire),
            AfterReply::Close => return close(&mut wire),
            AfterReply::Reset => {
                return SockRef::from(&*wire.socket()).set_linger(Some(Duration::ZERO));
            }
        }
    }
    // The peer has gone; an answer that was held is sent after it.
    let _nobody_reads_it = wire.socket().write_all(&delayed);
    Ok(())
}

/// The bytes that answer an event, after or before those of one that was `delayed`.
fn reply<W: Wire>(site: &Site, index: u64, delayed: &mut Vec<u8>) -> (Vec<u8>, AfterReply) {
    let affected = site.fault.affects(index);
    let before = std::mem::take(delayed);
    site.tally(|t| {
        t.affected += u64::from(affected);
        match (site.fault, before.is_empty()) {
            (_, true) => {}
            (ServerFault::Late, false) => t.late += 1,
            (_, false) => t.answered += 1,
        }
    });
    let (mut bytes, then) = match affected {
        true => faulty::<W>(site, index, delayed),
        false => (answered::<W>(site, index), AfterReply::GoOn),
    };
    match site.fault {
        ServerFault::Swap => bytes.extend_from_slice(&before),
        _ => bytes = [before, bytes].concat(),
    }
    (bytes, then)
}

fn answered<W: Wire>(site: &Site, index: u64) -> Vec<u8> {
    site.tally(|t| t.answered += 1);
    correct_answer::<W>(index)
}

/// What a struck event gets.
fn faulty<W: Wire>(site: &Site, index: u64, delayed: &mut Vec<u8>) -> (Vec<u8>, AfterReply) {
    let correct_answer = correct_answer::<W>(index);
    let text = acknowledgement(&id_of(index));
    let half = || correct_answer[..correct_answer.len() / 2].to_vec();
    let bytes = match site.fault {
        ServerFault::Late | ServerFault::Swap => {
            *delayed = correct_answer;
            Vec::new()
        }
        ServerFault::Garbage => W::message("what?"),
        ServerFault::InvalidBytes => return (W::INVALID_BYTES.to_vec(), AfterReply::FallSilent),
        ServerFault::HugeLength => return (W::HUGE_LENGTH.to_vec(), AfterReply::FallSilent),
        ServerFault::WrongId => W::message(&acknowledgement(&id_of(u64::MAX))),
        ServerFault::Status(status) => W::with_status(status, &text),
        ServerFault::Half => return (half(), AfterReply::Close),
        ServerFault::Reset => return (half(), AfterReply::Reset),
        ServerFault::Twice => answered::<W>(site, index).repeat(2),
        ServerFault::Unsolicited => W::with_unsolicited(&answered::<W>(site, index)),
        ServerFault::CloseAfterAnswer => {
            answered::<W>(site, index);
            return (W::last(&text), AfterReply::Close);
        }
        // Silence; the others strike no event.
        _ => Vec::new(),
    };
    (bytes, AfterReply::GoOn)
}

/// Ends the connection in order: a close with bytes unread would reset it.
fn close<W: Wire>(wire: &mut W) -> io::Result<()> {
    wire.socket().shutdown(Shutdown::Write)?;
    read_out(wire)
}

/// Reads until the peer has closed, and does nothing about it.
fn read_out<W: Wire>(wire: &mut W) -> io::Result<()> {
    io::copy(wire.socket(), &mut io::sink()).map(drop)
}

/// Reads nothing until the peer has closed, then counts what it had sent.
fn ignore<W: Wire>(wire: &mut W, site: &Site) -> io::Result<()> {
    // A close behind more bytes than the kernel holds is not seen: the end of the server is.
    let moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    while !site.ended() {
        let mut fds = [PollFd::new(wire.socket(), PollFlags::RDHUP)];
        match poll(&mut fds, Some(&moment)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => break,
            Err(error) => return Err(error.into()),
        }
    }
    while wire.event()?.is_some() {
        site.tally(|t| t.unread_events += 1);
    }
    Ok(())
}
