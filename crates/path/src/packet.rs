//! IPv4 packets as the router reads and changes them.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Where the source address begins.
pub const SOURCE: usize = 12;
/// Where the destination address begins.
pub const DESTINATION: usize = 16;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// Whether it is a whole IPv4 packet.
pub fn is_ipv4(packet: &[u8]) -> bool {
    packet.len() >= 20 && packet[0] >> 4 == 4 && packet.len() >= header(packet)
}

/// The address at [`SOURCE`] or [`DESTINATION`].
pub fn address(packet: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3])
}

fn header(packet: &[u8]) -> usize {
    usize::from(packet[0] & 15) * 4
}

/// Only the first fragment has the header of its transport.
fn is_first_fragment(packet: &[u8]) -> bool {
    u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff == 0
}

/// A TCP connection: addresses and ports of its two ends, in the order given.
pub type Flow = u128;

/// The connection of a TCP segment; `back`: it is that of the segments in the other direction.
pub fn flow(packet: &[u8], back: bool) -> Option<Flow> {
    let ports = packet.get(header(packet)..header(packet) + 4)?;
    let whole = packet[9] == TCP && is_first_fragment(packet);
    let end = |address: usize, port: usize| {
        let address = packet[address..address + 4].iter();
        address.chain(&ports[port..port + 2]).fold(0, |all, byte| all << 8 | u128::from(*byte))
    };
    let (source, destination) = (end(SOURCE, 0), end(DESTINATION, 2));
    let (first, second) = if back { (destination, source) } else { (source, destination) };
    whole.then_some(first << 48 | second)
}

/// The initial sequence number of a segment that opens a connection.
pub fn opens(packet: &[u8]) -> Option<u32> {
    let segment = packet.get(header(packet)..header(packet) + 14)?;
    let number = u32::from_be_bytes([segment[4], segment[5], segment[6], segment[7]]);
    (segment[13] & (SYN | ACK) == SYN).then_some(number)
}

/// The connections that a new address cuts.
pub struct Flows {
    /// When, after the measured window began.
    pub after: u64,
    /// When; `u64::MAX` while that is not known.
    pub at: u64,
    /// Connections opened before and the number of the segment that did, which a repeated one has, too.
    opened: HashMap<Flow, u32>,
}

impl Flows {
    /// Those opened until that long after the measured window began.
    pub fn cut_after(after: Duration) -> Flows {
        Flows { after: after.as_nanos() as u64, at: u64::MAX, opened: HashMap::new() }
    }

    /// Whether a packet that enters the link belongs to a connection of before; `back`: to the driver.
    pub fn cuts(&mut self, now: u64, packet: &[u8], back: bool) -> bool {
        let Some(flow) = flow(packet, back) else { return false };
        if let Some(number) = opens(packet) {
            if now < self.at {
                self.opened.insert(flow, number);
            } else if self.opened.get(&flow).is_some_and(|opened| *opened != number) {
                self.opened.remove(&flow);
            }
        }
        now >= self.at && self.opened.contains_key(&flow)
    }
}

/// Changes an address, and the checksums that cover it by the difference (RFC 1624).
pub fn rewrite(packet: &mut [u8], at: usize, to: Ipv4Addr) {
    let transport = match packet[9] {
        TCP => Some(header(packet) + 16),
        UDP => Some(header(packet) + 6),
        _ => None,
    };
    let is_udp = packet[9] == UDP;
    let words = |address: Ipv4Addr| {
        let [a, b, c, d] = address.octets();
        [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
    };
    let (old, new) = (words(address(packet, at)), words(to));
    packet[at..at + 4].copy_from_slice(&to.octets());
    for checksum in
        [Some(10), transport.filter(|_| is_first_fragment(packet))].into_iter().flatten()
    {
        let Some(field) = packet.get_mut(checksum..checksum + 2) else { continue };
        let before = u16::from_be_bytes([field[0], field[1]]);
        let of_udp = is_udp && checksum != 10;
        // A UDP datagram without one keeps none.
        if of_udp && before == 0 {
            continue;
        }
        let mut sum = u32::from(!before);
        for (old, new) in old.into_iter().zip(new) {
            sum += u32::from(!old) + u32::from(new);
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let after = !(sum as u16);
        field.copy_from_slice(&if of_udp && after == 0 { 0xffff } else { after }.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const STANDS_FOR: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 1);

    fn sum(bytes: impl Iterator<Item = u8>) -> u16 {
        let bytes: Vec<u8> = bytes.collect();
        let mut sum: u32 = bytes
            .chunks(2)
            .map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)))
            .sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    /// Its checksums computed anew; `None` where the transport has none.
    fn checksums(packet: &[u8]) -> (u16, Option<u16>) {
        let mut packet = packet.to_vec();
        packet[10..12].fill(0);
        let header = header(&packet);
        let at = match packet[9] {
            TCP => header + 16,
            UDP => header + 6,
            _ => return (sum(packet[..header].iter().copied()), None),
        };
        packet[at..at + 2].fill(0);
        let length = (packet.len() - header) as u16;
        let pseudo =
            packet[12..20].iter().copied().chain([0, packet[9]]).chain(length.to_be_bytes());
        let all = sum(pseudo.chain(packet[header..].iter().copied()));
        let all = if packet[9] == UDP && all == 0 { 0xffff } else { all };
        (sum(packet[..header].iter().copied()), Some(all))
    }

    fn packet(protocol: u8, options: usize, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 20 + options * 4 + 20];
        packet[0] = 0x45 + options as u8;
        packet[9] = protocol;
        packet[12..16].copy_from_slice(&PEER.octets());
        packet[16..20].copy_from_slice(&STANDS_FOR.octets());
        packet.extend_from_slice(payload);
        let header = header(&packet);
        let (ip, transport) = checksums(&packet);
        packet[10..12].copy_from_slice(&ip.to_be_bytes());
        let at = if protocol == TCP { header + 16 } else { header + 6 };
        if let Some(transport) = transport {
            packet[at..at + 2].copy_from_slice(&transport.to_be_bytes());
        }
        packet
    }

    proptest! {
        #[test]
        fn checksums_are_right_after_a_change(
            to: u32,
            protocol in prop_oneof![Just(TCP), Just(UDP), Just(1)],
            options in 0usize..10,
            payload in proptest::collection::vec(any::<u8>(), 0..99),
        ) {
            let mut packet = packet(protocol, options, &payload);
            rewrite(&mut packet, DESTINATION, to.into());
            prop_assert_eq!(address(&packet, DESTINATION), Ipv4Addr::from(to));
            let (ip, transport) = checksums(&packet);
            prop_assert_eq!(u16::from_be_bytes([packet[10], packet[11]]), ip);
            if let Some(transport) = transport {
                let at = header(&packet) + if protocol == TCP { 16 } else { 6 };
                prop_assert_eq!(u16::from_be_bytes([packet[at], packet[at + 1]]), transport);
            }
        }

        #[test]
        fn no_packet_is_read_beyond_its_end(mut bytes in proptest::collection::vec(any::<u8>(), 20..80)) {
            bytes[0] = 0x40 | bytes[0] & 15;
            if is_ipv4(&bytes) {
                flow(&bytes, true);
                opens(&bytes);
                rewrite(&mut bytes, SOURCE, Ipv4Addr::LOCALHOST);
            }
        }
    }

    #[test]
    fn a_datagram_without_a_checksum_keeps_none() {
        let mut packet = packet(UDP, 0, b"payload");
        packet[26..28].fill(0);
        rewrite(&mut packet, SOURCE, Ipv4Addr::LOCALHOST);
        assert_eq!(packet[26..28], [0, 0]);
    }

    #[test]
    fn both_directions_of_a_connection_are_one_flow() {
        let mut there = packet(TCP, 0, b"");
        there[20..24].copy_from_slice(&[1, 2, 3, 4]);
        let mut back = there.clone();
        back[12..16].copy_from_slice(&STANDS_FOR.octets());
        back[16..20].copy_from_slice(&PEER.octets());
        back[20..24].copy_from_slice(&[3, 4, 1, 2]);
        assert_eq!(flow(&there, false), flow(&back, true));
        assert_ne!(flow(&there, false), flow(&back, false));
        assert_eq!(flow(&packet(UDP, 0, b""), false), None);
        let opening = |flags: u8| {
            let mut segment = there.clone();
            segment[24..28].copy_from_slice(&[0, 0, 1, 2]);
            segment[33] = flags;
            opens(&segment)
        };
        assert_eq!([SYN, SYN | ACK, ACK].map(opening), [Some(258), None, None]);
    }
}
