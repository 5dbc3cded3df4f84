//! Keys of prices. A sweep would measure the same again at each price, so there is none.

use crate::scenario::keys::{Field, Key, key};
use crate::scenario::kind::{Name, Number, Optional};

const PRICE: Optional<Number> =
    Optional(Number { unit: "a price", zero: true, most: f64::INFINITY });

pub(super) static KEYS: &[Key] = &[
    key!(
        fixed "price.currency",
        "the one currency of all prices, for example USD; it is only shown",
        Name(8),
        |d| &mut d.price.currency
    ),
    key!(
        fixed "price.core_hour",
        "of a core for an hour: CPU time of the target",
        PRICE,
        |d| &mut d.price.core_hour
    ),
    key!(
        fixed "price.gib_hour",
        "of a GiB of memory for an hour: memory of the target",
        PRICE,
        |d| &mut d.price.gib_hour
    ),
    key!(
        fixed "price.egress_gib",
        "of a GiB that the target sends, TCP/IP headers included",
        PRICE,
        |d| &mut d.price.egress_gib
    ),
    key!(
        fixed "price.request_million",
        "of a million HTTP requests, for serverless services",
        PRICE,
        |d| &mut d.price.request_million
    ),
    key!(
        fixed "price.connection_minute_million",
        "of a million minutes of open WebSockets, event streams or bare connections, for serverless services",
        PRICE,
        |d| &mut d.price.connection_minute_million
    ),
    key!(
        fixed "price.message_million",
        "of a million messages over these connections, for serverless services",
        PRICE,
        |d| &mut d.price.message_million
    ),
];
