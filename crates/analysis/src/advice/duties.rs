//! What has to be written for a transport beside sending and receiving. A duty never goes away when more is promised.

use crate::advice::Duties;
use pushbench_core::guarantee::Promise;
use pushbench_core::transport::Transport;
use pushbench_core::workload::{Direction, Sender, Workload};

/// The duties of both sides.
pub(super) fn of(transport: Transport, workload: &Workload) -> Duties {
    let (mut sender, mut receiver) = (Vec::new(), Vec::new());
    let again = workload.promise != Promise::AtMostOnce;
    let kept = matches!(transport, Transport::Websocket | Transport::Sse);
    let asks = matches!(transport, Transport::LongPoll | Transport::Poll);
    match transport {
        Transport::Webhook => {
            receiver.push("serve an address that the sender can reach");
            if workload.sender == Sender::Signed {
                sender.push("sign each event, and rotate the keys");
                receiver.push("verify the signature and the age of each event");
            }
            if again {
                sender.push("try again with a growing, random pause, and give up at some time");
                receiver.push("answer 2xx only once an event is safe");
            }
            if workload.ordered {
                sender.push("hold an event back until the one before is settled");
            }
        }
        _ => {
            sender.push("authenticate whoever connects");
            receiver.push("connect, and connect again with a growing, random pause");
            if again {
                sender.push("keep events by id, and replay from the last one acknowledged");
                receiver.push("resume from the last event by id");
            }
        }
    }
    if kept {
        sender.push("ping silent connections, and drop dead ones");
        sender.push("limit what waits for a slow receiver");
        receiver.push("notice a dead connection");
    }
    if asks {
        receiver.push("ask at intervals");
    }
    if transport == Transport::Sse && again {
        receiver.push("acknowledge in a request of its own");
    }
    if again && workload.durable {
        sender.push("store an event on disk before it is accepted");
    }
    if again && workload.outage.is_some() {
        sender.push("keep what is not delivered for as long as the outage may last");
    }
    // What was acknowledged on its way to a failing peer comes a second time, however it travels.
    if again {
        receiver.push("take the same event twice without harm");
    }
    if workload.promise == Promise::ExactlyOnce {
        receiver.push("remember the ids of processed events, with their effects");
    }
    if workload.direction == Direction::Both {
        match transport {
            Transport::Websocket => receiver.push("match answers to questions by id"),
            Transport::Webhook => sender.push("serve an address for what comes back"),
            _ => sender.push("take what comes back in requests of their own"),
        }
    }
    Duties { transport: transport.name(), sender, receiver }
}
