//! Network devices of the calling thread's namespace.

use crate::namespace::sysctl;
use libc::{c_char, c_int, c_short, c_ulong, ifreq};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

/// Bytes of the largest packet: Ethernet's.
pub const MTU: usize = 1500;

/// A TUN device: what the namespace sends there can be read from it, one IP packet a read, and what is written to it
/// arrives there.
pub struct Tun {
    /// The device.
    pub file: Arc<File>,
    name: &'static str,
    /// Tables of its namespace, which a descriptor keeps.
    devices: File,
    protocols: File,
    /// How its namespace controls the congestion of TCP connections.
    pub congestion_control: String,
}

/// What the kernel of a namespace counted.
#[derive(Debug, Clone, Copy)]
pub struct KernelCounts {
    /// Packets read from its device.
    pub read: u64,
    /// Packets that were dropped because nobody read them from its device.
    pub dropped: u64,
    /// TCP segments sent again.
    pub retransmitted: u64,
}

impl Tun {
    /// Makes one of this name with this address, in a network of this prefix length, and turns it on.
    ///
    /// # Errors
    /// There is no /dev/net/tun, or it may not be used.
    pub fn open(name: &'static str, address: Ipv4Addr, prefix: u32) -> io::Result<Tun> {
        let tun = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")?;
        let mut request = named(name);
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as c_short;
        control(tun.as_raw_fd(), libc::TUNSETIFF as c_ulong, &mut request)?;
        let socket = control_socket()?;
        let set = |command, change: &dyn Fn(&mut ifreq)| {
            let mut request = named(name);
            change(&mut request);
            control(socket.as_raw_fd(), command, &mut request)
        };
        let mask = Ipv4Addr::from(u32::MAX << (32 - prefix));
        set(libc::SIOCSIFADDR, &|request| request.ifr_ifru.ifru_addr = internet(address))?;
        set(libc::SIOCSIFNETMASK, &|request| request.ifr_ifru.ifru_netmask = internet(mask))?;
        set(libc::SIOCSIFMTU, &|request| request.ifr_ifru.ifru_mtu = MTU as c_int)?;
        // A thousand connections may send their first ten segments at once. Only the machine's own root may set it.
        let _500_without =
            set(libc::SIOCSIFTXQLEN, &|request| request.ifr_ifru.ifru_metric = 10_000);
        up(name)?;
        // What the router has rewritten is for 127.0.0.1.
        sysctl(&format!("net/ipv4/conf/{name}/route_localnet"), "1")?;
        let devices = File::open("/proc/thread-self/net/dev")?;
        let protocols = File::open("/proc/thread-self/net/snmp")?;
        let control = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control");
        let congestion_control = control.unwrap_or_default().trim().to_owned();
        Ok(Tun { file: Arc::new(tun), name, devices, protocols, congestion_control })
    }

    /// A device that takes everything and sends nothing.
    #[cfg(test)]
    pub fn null() -> Tun {
        let open = || OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
        let congestion_control = String::new();
        Tun {
            file: Arc::new(open()),
            name: "",
            devices: open(),
            protocols: open(),
            congestion_control,
        }
    }

    /// What the kernel of its namespace counted until now.
    pub fn counts(&self) -> KernelCounts {
        let [devices, protocols] = [&self.devices, &self.protocols].map(|table| {
            let mut text = String::new();
            let mut table = table;
            let _nothing_without = table.rewind().and_then(|()| table.read_to_string(&mut text));
            text
        });
        let sent = |column| {
            let line = devices
                .lines()
                .find_map(|line| line.trim().strip_prefix(&format!("{}:", self.name)));
            let word = line.and_then(|line| line.split_whitespace().nth(column));
            word.and_then(|word| word.parse().ok()).unwrap_or(0)
        };
        // A line of names, and one of values.
        let mut tcp = protocols.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (tcp.next().unwrap_or_default(), tcp.next().unwrap_or_default());
        let mut tcp = names.split(' ').zip(values.split(' '));
        let retransmitted = tcp.find(|(name, _)| *name == "RetransSegs");
        KernelCounts {
            // After eight columns of what was received: bytes, packets, errors, drops.
            read: sent(9),
            dropped: sent(11),
            retransmitted: retransmitted.and_then(|(_, value)| value.parse().ok()).unwrap_or(0),
        }
    }
}

/// Turns a device on.
///
/// # Errors
/// There is none of that name, or the caller may not.
pub fn up(name: &str) -> io::Result<()> {
    let socket = control_socket()?;
    let mut request = named(name);
    control(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: the kernel has just filled in the flags.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | (libc::IFF_UP | libc::IFF_RUNNING) as c_short;
    control(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &mut request)
}

fn control_socket() -> io::Result<std::net::UdpSocket> {
    std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
}

fn named(name: &str) -> ifreq {
    // SAFETY: it is made of integers and arrays of them, for which zero is a value.
    let mut request: ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
    request
}

fn internet(address: Ipv4Addr) -> libc::sockaddr {
    let internet = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: u32::from(address).to_be() },
        sin_zero: [0; 8],
    };
    // SAFETY: both have 16 bytes, and the kernel reads the one as the other.
    unsafe { std::mem::transmute(internet) }
}

fn control(descriptor: RawFd, command: c_ulong, request: &mut ifreq) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the kernel reads and writes an `ifreq` at that address during the call.
    match unsafe { libc::ioctl(descriptor, command, std::ptr::from_mut(request)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
