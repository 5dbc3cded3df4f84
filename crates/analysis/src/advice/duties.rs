//! What has to be written for a transport beside sending and receiving. A duty never goes away when more is promised.

use crate::advice::Duties;
use pushbench_core::guarantee::Promise;
use pushbench_core::transport::Transport;
use pushbench_core::workload::{Direction, Place, Sender, Workload};

/// The duties of both sides.
pub(crate) fn of(transport: Transport, workload: &Workload) -> Duties {
    let (mut sender, mut receiver) = (Vec::new(), Vec::new());
    let again = workload.promise != Promise::AtMostOnce;
    let kept = matches!(transport, Transport::Websocket | Transport::Sse);
    let asks = matches!(transport, Transport::LongPoll | Transport::Poll);
    match transport {
        Transport::Webhook => {
            sender.push("time out, and limit what waits for a slow receiver");
            receiver.push("serve an address that the sender can reach");
            match workload.sender {
                Sender::None => {}
                Sender::Token => {
                    sender.push("send a token with each request");
                    receiver.push("check the token of each request");
                }
                Sender::Signed => {
                    sender.push("sign each event, and rotate the keys");
                    receiver.push("verify the signature and the age of each event");
                }
            }
            if again {
                sender.push("keep an event until it is answered, and retry with growing random delays up to a limit");
                receiver.push("answer 2xx only once an event is safe");
            }
            if workload.ordered {
                sender.push("hold an event back until the one before is settled");
            }
        }
        _ => {
            if workload.sender != Sender::None {
                sender.push("authenticate whoever connects");
            }
            // EventSource, the client of browsers, reconnects by itself.
            if transport != Transport::Sse || workload.place != Place::Browser {
                receiver.push("connect, and reconnect with growing random delays");
            }
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
        sender.push("keep events between two requests of a receiver");
    }
    match transport {
        Transport::LongPoll => receiver.push("ask again as soon as there is an answer"),
        Transport::Poll => receiver.push("ask at intervals that are spread over time"),
        _ => {}
    }
    if transport == Transport::Sse && again {
        receiver.push("acknowledge in a request of its own");
    }
    if again && workload.durable {
        sender.push("store an event on disk before it is accepted");
    }
    if again && !workload.always_on && workload.place != Place::Function {
        sender.push("keep what is not delivered while a receiver is off");
    }
    if again && workload.outage.is_some() {
        sender.push("keep what is not delivered for as long as the outage may last");
    }
    // What was acknowledged on its way to a failing peer comes a second time, however it travels.
    if again {
        receiver.push("process events idempotently: one may come twice");
    }
    if workload.promise == Promise::ExactlyOnce {
        receiver.push("remember the ids of processed events, with their effects");
    }
    if workload.direction == Direction::Both {
        match transport {
            Transport::Websocket => receiver.push("match answers to questions by id"),
            Transport::Webhook => {
                sender.push("serve an address for what comes back");
                receiver.push("send what goes back, with its own retries");
            }
            _ => sender.push("take what comes back in requests of their own"),
        }
    }
    Duties { transport: transport.name(), sender, receiver }
}
