use super::*;
use crate::ledger::DeliveryTimes;
use crate::ledger::LedgerRules;
use pushbench_core::record::fanout::Audience;
use std::io::Write as _;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

const LATE_NS: u64 = 5_000_000;

/// A subscriber's accepted connection, whose publisher writes it, and the ledger of both.
async fn delivered() -> (std::net::TcpStream, InstrumentedSocket, Rc<Ledger>) {
    let rules = LedgerRules {
        origin: clock::now(),
        timeout: 10_000_000_000,
        shard: 0,
        of: 1,
        wall_length: 10_000_000_000,
        warmup: 0,
        window: 10_000_000_000,
        split: None,
        closed_loop: false,
    };
    let ledger = Ledger::new(rules, true).with_subscribers(Audience::all(1), Duration::ZERO);
    let ledger = Rc::new(ledger);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    arrival::enable(listener.as_fd()).unwrap();
    let publisher = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    publisher.set_nodelay(true).unwrap();
    let (tcp, _) = listener.accept().await.unwrap();
    (publisher, InstrumentedSocket::accepted(tcp, &ledger), ledger)
}

#[test]
fn a_delivery_that_is_read_late_ends_when_it_arrived() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    runtime.unwrap().block_on(async {
        let (mut publisher, mut socket, ledger) = delivered().await;
        let mut bytes = [0; 64];
        // The kernel dates nothing until it has started to.
        let begun = clock::now();
        while !socket.read_times().delivery().stamped {
            assert!(clock::now() < begun + 10_000_000_000, "the kernel dates nothing");
            publisher.write_all(b"warm-up").unwrap();
            assert_ne!(socket.read(&mut bytes).await.unwrap(), 0);
        }
        for index in 0..10 {
            let ticket = ledger.open(index, clock::now(), None);
            ledger.sent(&ticket);
            publisher.write_all(b"event").unwrap();
            let written = clock::now();
            while clock::now() < written + LATE_NS {}
            assert_eq!(socket.read(&mut bytes).await.unwrap(), 5);
            ledger.receive(0, Some(index), socket.read_times().delivery());
        }
        let (deliveries, account) = (ledger.deliveries().unwrap(), ledger.account());
        assert_eq!((deliveries.stamped, deliveries.delivery.count()), (10, 10));
        // The machine may stall before the delivery is written or while it is dated.
        let delivery = deliveries.delivery.quantile(0.5).unwrap();
        assert!(delivery < LATE_NS / 2, "{delivery} ns contain the late reading");
        let reading = account.reading.quantile(0.5).unwrap();
        assert!(reading >= LATE_NS / 2, "read {reading} ns late");
    });
}

#[test]
fn an_arrival_before_the_event_was_published_is_replaced_by_the_read() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let (_publisher, _socket, ledger) = runtime.unwrap().block_on(delivered());
    let due = clock::now();
    for (index, arrived, stamped) in [(0, due + 1_000, 1), (1, due - 1, 1)] {
        ledger.open(index, due, None);
        let times = DeliveryTimes { read: due + 5_000_000, arrived, stamped: true };
        ledger.receive(0, Some(index), times);
        assert_eq!(ledger.deliveries().unwrap().stamped, stamped);
    }
    let delivery = ledger.deliveries().unwrap().delivery;
    assert!(delivery.min().unwrap() <= 1_001 && delivery.max().unwrap() >= 5_000_000);
    assert!(ledger.account().reading.min().unwrap() <= 1);
}
