//! Receiving on a connection held open: what has come is read together, its acknowledgements are
//! flushed once. The same for every such transport.

use super::Call;
use crate::scenario::payload::ID_DIGITS;
use crate::transport::event::acknowledgement;
use crate::transport::fault::Fault;
use crate::transport::io::Stamps;
use crate::transport::messages::{Heard, Messages};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;

/// Receives until the connection ends.
pub async fn receive(
    mut messages: impl Messages,
    call: Rc<Call>,
    number: usize,
    stamps: Rc<Stamps>,
) -> Result<(), Fault> {
    let mut answers = Vec::new();
    let mut unflushed = false;
    poll_fn(|cx| {
        let heard = messages.poll_messages(cx, |heard| match heard {
            Heard::Message(message) => {
                let index = call.matched.index(message);
                call.ledger.receive(number, index, stamps.read(), stamps.woken());
                answers.extend(index.filter(|_| call.acknowledged));
            }
            Heard::Ping => call.ledger.pinged(),
            Heard::Pong => {}
        })?;
        for index in answers.drain(..) {
            messages.queue(acknowledgement(&format!("{index:0ID_DIGITS$x}")).into())?;
            unflushed = true;
        }
        if unflushed {
            unflushed = messages.poll_flush(cx)?.is_pending();
        }
        heard.map(Ok)
    })
    .await
    .map_err(|e: io::Error| match e.kind() {
        io::ErrorKind::InvalidData => Fault::protocol(e),
        _ => Fault::closed(e),
    })
}
