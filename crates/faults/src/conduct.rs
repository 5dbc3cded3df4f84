//! One connection of a faulty server: whatever the transport, events come in and the fault
//! decides which bytes go back.

use crate::server_fault::ServerFault;
use crate::site::Site;
use crate::wire::{Wire, id_of, proper};
use pushbench_core::event::{acknowledged_index, acknowledgement};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;
use std::io::{self, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// What happens to the connection once the bytes are written.
#[derive(PartialEq, Eq)]
enum Then {
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
    if site.fault.is_deaf_to(number) {
        return ignore(&mut wire, site);
    }
    let mut held = Vec::new();
    let mut fresh = true;
    while let Some(event) = wire.event()? {
        let index = acknowledged_index(&event)
            .ok_or_else(|| io::Error::other("an event without an id of ours"))?;
        let hangs_up = site.tally(|t| {
            let hangs_up = fresh && site.fault.hangs_up_on(t.used);
            t.used += u64::from(fresh);
            t.events += 1;
            t.hung_up += u64::from(hangs_up);
            hangs_up
        });
        fresh = false;
        if hangs_up {
            return close(&mut wire);
        }
        let (bytes, then) = reply::<W>(site, index, &mut held);
        wire.socket().write_all(&bytes)?;
        match then {
            Then::GoOn => {}
            Then::FallSilent => return read_out(&mut wire),
            Then::Close => return close(&mut wire),
            Then::Reset => return SockRef::from(&*wire.socket()).set_linger(Some(Duration::ZERO)),
        }
    }
    // The peer has gone; an answer that was held is sent after it.
    let _nobody_reads_it = wire.socket().write_all(&held);
    Ok(())
}

/// The bytes that answer an event, after or before those of one that was `held`.
fn reply<W: Wire>(site: &Site, index: u64, held: &mut Vec<u8>) -> (Vec<u8>, Then) {
    let struck = site.fault.strikes(index);
    let before = std::mem::take(held);
    site.tally(|t| {
        t.struck += u64::from(struck);
        match (site.fault, before.is_empty()) {
            (_, true) => {}
            (ServerFault::Late, false) => t.late += 1,
            (_, false) => t.answered += 1,
        }
    });
    let (mut bytes, then) = match struck {
        true => faulty::<W>(site, index, held),
        false => (answered::<W>(site, index), Then::GoOn),
    };
    match site.fault {
        ServerFault::Swap => bytes.extend_from_slice(&before),
        _ => bytes = [before, bytes].concat(),
    }
    (bytes, then)
}

fn answered<W: Wire>(site: &Site, index: u64) -> Vec<u8> {
    site.tally(|t| t.answered += 1);
    proper::<W>(index)
}

/// What a struck event gets.
fn faulty<W: Wire>(site: &Site, index: u64, held: &mut Vec<u8>) -> (Vec<u8>, Then) {
    let proper = proper::<W>(index);
    let text = acknowledgement(&id_of(index));
    let half = || proper[..proper.len() / 2].to_vec();
    let bytes = match site.fault {
        ServerFault::Late | ServerFault::Swap => {
            *held = proper;
            Vec::new()
        }
        ServerFault::Garbage => W::message("what?"),
        ServerFault::Nonsense => return (W::NONSENSE.to_vec(), Then::FallSilent),
        ServerFault::Absurd => return (W::ABSURD.to_vec(), Then::FallSilent),
        ServerFault::WrongId => W::message(&acknowledgement(&id_of(u64::MAX))),
        ServerFault::Status(status) => W::with_status(status, &text),
        ServerFault::Half => return (half(), Then::Close),
        ServerFault::Reset => return (half(), Then::Reset),
        ServerFault::Twice => answered::<W>(site, index).repeat(2),
        ServerFault::Chatter => W::with_unasked(&answered::<W>(site, index)),
        ServerFault::Farewell => {
            answered::<W>(site, index);
            return (W::last(&text), Then::Close);
        }
        // Silence; the others strike no event.
        _ => Vec::new(),
    };
    (bytes, Then::GoOn)
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
        site.tally(|t| t.unheard += 1);
    }
    Ok(())
}
