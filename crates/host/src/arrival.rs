//! The kernel's receive timestamps: when what was read from a socket had arrived.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

/// The control message with a timestamp, as the kernel writes it.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    stamp: libc::timespec,
}

/// Has the kernel date packets until the socket is dropped. Starting it takes some milliseconds.
///
/// # Errors
/// There is no socket, or the kernel does not know the option.
pub fn start_stamping() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    enable(socket.as_fd())?;
    Ok(socket)
}

/// Has the kernel date what arrives at a socket, and at what a listener accepts (`SO_TIMESTAMPNS`).
///
/// # Errors
/// The kernel does not know the option.
pub fn enable(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open (borrowed), and the kernel reads an int of that length, which
    // is valid during the call.
    let code = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads what has come, and when the last segment of it arrived, ns of `CLOCK_REALTIME`; `None` where the kernel
/// did not date it. The bytes that it counts are initialised.
///
/// # Errors
/// As `recv` without waiting.
pub fn receive(
    socket: BorrowedFd<'_>,
    bytes: &mut [MaybeUninit<u8>],
) -> io::Result<(usize, Option<u64>)> {
    let mut into = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = MaybeUninit::<Control>::uninit();
    // SAFETY: msghdr is plain old data, for which all zeroes is a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut into;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: the descriptor is open (borrowed), and `message` points to memory of the lengths it states, which is
    // valid during the call.
    let read = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    if read < 0 {
        return Err(io::Error::last_os_error());
    }
    let dated = message.msg_controllen as usize >= size_of::<Control>();
    // SAFETY: the kernel has written as many bytes of it as `msg_controllen` says: all of them.
    let stamp = dated.then(|| unsafe { control.assume_init() }).filter(|control| {
        control.header.cmsg_level == libc::SOL_SOCKET
            && control.header.cmsg_type == libc::SCM_TIMESTAMPNS
    });
    let nanos = |c: Control| c.stamp.tv_sec as u64 * 1_000_000_000 + c.stamp.tv_nsec as u64;
    Ok((read as usize, stamp.map(nanos)))
}
