//! Bytes and segments on the wire, from the kernel's `TCP_INFO`.

use pushbench_core::record::wire::Traffic;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Reads a TCP socket's counters; zero if the kernel does not report them.
pub fn traffic(socket: BorrowedFd<'_>) -> Traffic {
    let Some(info) = tcp_info(socket) else {
        return Traffic::default();
    };
    Traffic {
        bytes_out: info.tcpi_bytes_sent.saturating_sub(info.tcpi_bytes_retrans),
        bytes_in: info.tcpi_bytes_received,
        segments_out: u64::from(info.tcpi_segs_out),
        segments_in: u64::from(info.tcpi_segs_in),
        data_segments_out: u64::from(info.tcpi_data_segs_out),
        data_segments_in: u64::from(info.tcpi_data_segs_in),
    }
}

/// Whether the peer's kernel has not acknowledged everything that was sent: what is sent to a socket that
/// was closed before never is.
pub fn has_unacknowledged(socket: BorrowedFd<'_>) -> bool {
    // The handshake may be counted as a byte that was acknowledged: a request has more than one.
    tcp_info(socket).is_some_and(|info| {
        info.tcpi_bytes_acked < info.tcpi_bytes_sent.saturating_sub(info.tcpi_bytes_retrans)
    })
}

/// The length of the accept queue that the kernel granted a listening socket: what was requested, or
/// `net.core.somaxconn` if that is less. `None` if the kernel does not report it.
pub fn backlog(listener: BorrowedFd<'_>) -> Option<u32> {
    // A listening socket reports its limit here (net/ipv4/tcp.c, tcp_get_info).
    tcp_info(listener).map(|info| info.tcpi_sacked)
}

fn tcp_info(socket: BorrowedFd<'_>) -> Option<libc::tcp_info> {
    // SAFETY: tcp_info is plain old data, for which all zeroes is a valid value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the descriptor is open (borrowed), and the kernel writes at most `length` bytes into
    // `info`, which is that long and valid during the call.
    let code = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    (code == 0).then_some(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn the_backlog_is_what_the_kernel_granted() {
        let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let most: u32 = most.trim().parse().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let granted = |requested: i32| {
            // The last call counts.
            rustix::net::listen(&listener, requested).unwrap();
            backlog(listener.as_fd())
        };
        assert_eq!(granted(7), Some(7.min(most)));
        assert_eq!(granted(i32::MAX), Some(most));
    }
}
