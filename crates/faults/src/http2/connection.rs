//! One connection of a faulty HTTP/2 server (RFC 9113).

use super::http2_fault::Http2Fault;
use super::{CLOSED, PINGS, SLOW, Site};
use crate::http::response;
use crate::wire::id_of;
use pushbench_core::event::{acknowledged_index, acknowledgement};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// Of SETTINGS and PING.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const NO_ERROR: u32 = 0;
const ENHANCE_YOUR_CALM: u32 = 11;
/// `:status: 200`, entry 8 of HPACK's static table.
const STATUS_200: u8 = 0x88;
/// `:status: 431`: a literal with the name of entry 8.
const STATUS_431: &[u8] = b"\x08\x03431";
/// `content-length: 999`: a literal with the name of entry 28.
const LENGTH_999: &[u8] = b"\x0f\x0d\x03999";
/// Longest payload that every peer takes.
const FRAME: usize = 16_384;
/// Headers of [`Http2Fault::HeadersTooLarge`], in frames of their own.
const LARGE_HEADERS: usize = 32;
/// A frame of the largest length.
const HUGE: &[u8] = b"\xff\xff\xff\x00\x00\x00\x00\x00\x01";
/// A held answer is sent when nothing comes for so long.
const HELD: Timespec = Timespec { tv_sec: 0, tv_nsec: 30_000_000 };

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

fn setting(name: u16, value: u32) -> Vec<u8> {
    [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

fn goaway(last: u32, code: u32, text: &str) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[&last.to_be_bytes(), &code.to_be_bytes(), text.as_bytes()].concat())
}

fn window(stream: u32, bytes: usize) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &(bytes as u32).to_be_bytes())
}

/// A header without an entry in a table: `x: …`.
fn large_header(length: usize) -> Vec<u8> {
    // The length of a string is a number with a prefix of 7 bits.
    let mut header = vec![0, 1, b'x', 127];
    let mut rest = length - 127;
    while rest >= 128 {
        header.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    header.push(rest as u8);
    header.resize(header.len() + length, b'y');
    header
}

fn answer_with(stream: u32, block: &[u8], index: u64) -> Vec<u8> {
    let body = acknowledgement(&id_of(index));
    let head = frame(HEADERS, END_HEADERS, stream, block);
    [head, frame(DATA, END_STREAM, stream, body.as_bytes())].concat()
}

fn answer(stream: u32, index: u64) -> Vec<u8> {
    answer_with(stream, &[STATUS_200], index)
}

/// Type, flags, stream and payload.
type Frame = (u8, u8, u32, Vec<u8>);

struct Connection<'a> {
    tcp: TcpStream,
    site: &'a Site,
    /// The bodies of open streams.
    open: BTreeMap<u32, Vec<u8>>,
    /// An answer that comes behind the next one.
    held: Vec<u8>,
    /// Streams behind this one are not processed.
    last: u32,
}

/// Serves a connection until it ends.
pub(super) fn serve(tcp: TcpStream, site: &Site) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let later = tcp.try_clone()?;
    let mut connection =
        Connection { tcp, site, open: BTreeMap::new(), held: Vec::new(), last: u32::MAX };
    std::thread::scope(|scope| {
        if site.fault == Http2Fault::NoStreamAtFirst {
            scope.spawn(move || {
                std::thread::sleep(CLOSED);
                let opened = frame(SETTINGS, 0, 0, &setting(MAX_CONCURRENT_STREAMS, 100));
                let _gone = (&later).write_all(&opened);
            });
        }
        connection.serve()
    })
}

impl Connection<'_> {
    fn serve(&mut self) -> io::Result<()> {
        let mut preface = [0; PREFACE.len()];
        self.tcp.read_exact(&mut preface)?;
        if preface != PREFACE {
            return Err(io::Error::other("not HTTP/2"));
        }
        self.site.tally(|t| t.connections += 1);
        let settings = match self.site.fault {
            Http2Fault::Http1 => {
                self.tcp.write_all(&response(400, "Connection: close\r\n", "no HTTP/2 here"))?;
                return self.close();
            }
            Http2Fault::ClosesAtFirst => return self.close(),
            Http2Fault::OneStream => setting(MAX_CONCURRENT_STREAMS, 1),
            Http2Fault::NoStreamAtFirst => setting(MAX_CONCURRENT_STREAMS, 0),
            Http2Fault::WindowClosed | Http2Fault::WindowOpened => setting(INITIAL_WINDOW_SIZE, 0),
            _ => Vec::new(),
        };
        if self.site.fault != Http2Fault::WithoutSettings {
            self.tcp.write_all(&frame(SETTINGS, 0, 0, &settings))?;
        }
        while let Some((kind, flags, stream, payload)) = self.frame()? {
            match kind {
                SETTINGS if flags & ACK == 0 => {
                    self.tcp.write_all(&frame(SETTINGS, ACK, 0, &[]))?;
                }
                PING if flags & ACK == 0 => self.tcp.write_all(&frame(PING, ACK, 0, &payload))?,
                PING => self.site.tally(|t| t.pongs += 1),
                RST_STREAM => {
                    self.site.tally(|t| t.resets += 1);
                    self.open.remove(&stream);
                }
                HEADERS => self.opened(stream)?,
                DATA => {
                    let tolerates_connect_failures =
                        self.body(stream, &payload, flags & END_STREAM != 0)?;
                    if !tolerates_connect_failures {
                        return self.close();
                    }
                }
                _ => {}
            }
            if self.site.fault == Http2Fault::Unread && kind == PING {
                return self.ignore();
            }
        }
        Ok(())
    }

    /// The next frame; `None` at the end.
    fn frame(&mut self) -> io::Result<Option<Frame>> {
        if !self.held.is_empty() {
            let mut fds = [PollFd::new(&self.tcp, PollFlags::IN)];
            if poll(&mut fds, Some(&HELD))? == 0 {
                let held = std::mem::take(&mut self.held);
                self.tcp.write_all(&held)?;
            }
        }
        let mut head = [0; 9];
        match self.tcp.read_exact(&mut head) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let [a, b, c, kind, flags, s @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.tcp.read_exact(&mut payload)?;
        Ok(Some((kind, flags, u32::from_be_bytes(s), payload)))
    }

    fn opened(&mut self, stream: u32) -> io::Result<()> {
        self.open.insert(stream, Vec::new());
        let open = self.open.len() as u64;
        self.site.tally(|t| {
            t.streams += 1;
            t.most_open = t.most_open.max(open);
        });
        match self.site.fault {
            Http2Fault::WindowOpened => self.tcp.write_all(&window(stream, FRAME)),
            _ => Ok(()),
        }
    }

    /// Takes a part of an event; false when the connection is to be closed.
    fn body(&mut self, stream: u32, payload: &[u8], ends: bool) -> io::Result<bool> {
        let Some(body) = self.open.get_mut(&stream) else { return Ok(true) };
        body.extend_from_slice(payload);
        if self.site.fault != Http2Fault::WindowSpent && !payload.is_empty() {
            self.tcp.write_all(&window(0, payload.len()))?;
        }
        if !ends || stream > self.last {
            return Ok(true);
        }
        let event = self.open.remove(&stream).unwrap_or_default();
        let index = acknowledged_index(&event)
            .ok_or_else(|| io::Error::other("an event without an id of ours"))?;
        let affected = self.site.fault.affects(index);
        self.site.tally(|t| {
            t.events += 1;
            t.affected += u64::from(affected);
        });
        if affected {
            return self.strike(stream, index);
        }
        if self.site.fault == Http2Fault::OneStream {
            std::thread::sleep(SLOW);
        }
        let held = std::mem::take(&mut self.held);
        let overtook = u64::from(!held.is_empty());
        self.answered(&[answer(stream, index), held].concat(), overtook)
    }

    fn answered(&mut self, bytes: &[u8], overtook: u64) -> io::Result<bool> {
        self.tcp.write_all(bytes)?;
        self.site.tally(|t| {
            t.answered += 1;
            t.overtook += overtook;
        });
        Ok(true)
    }

    /// What a struck event gets.
    fn strike(&mut self, stream: u32, index: u64) -> io::Result<bool> {
        let head = |flags| frame(HEADERS, flags, stream, &[STATUS_200]);
        let bytes = match self.site.fault {
            Http2Fault::Resets(code) => frame(RST_STREAM, 0, stream, &code.to_be_bytes()),
            Http2Fault::AnswersAndResets => {
                let reset = frame(RST_STREAM, 0, stream, &NO_ERROR.to_be_bytes());
                return self.answered(&[answer(stream, index), reset].concat(), 0);
            }
            Http2Fault::PingFlood => {
                let pings = frame(PING, 0, 0, &[7; 8]).repeat(PINGS as usize);
                return self.answered(&[pings, answer(stream, index)].concat(), 0);
            }
            Http2Fault::Swaps => {
                let held = std::mem::replace(&mut self.held, answer(stream, index));
                return self.answered(&held, 0);
            }
            Http2Fault::GoAwayAnswered => {
                self.last = stream;
                let bytes = [goaway(stream, NO_ERROR, ""), answer(stream, index)].concat();
                return self.answered(&bytes, 0);
            }
            Http2Fault::GoAwayUnprocessed => {
                self.last = stream - 2;
                goaway(self.last, NO_ERROR, "")
            }
            Http2Fault::GoAwayCalm => {
                self.tcp.write_all(&goaway(stream - 2, ENHANCE_YOUR_CALM, "too many events"))?;
                return Ok(false);
            }
            Http2Fault::RefusesHeaders => answer_with(stream, STATUS_431, index),
            Http2Fault::WrongLength => {
                answer_with(stream, &[&[STATUS_200], LENGTH_999].concat(), index)
            }
            Http2Fault::WrongStream => {
                self.tcp.write_all(&answer(stream + 2_000_000, index))?;
                return Ok(false);
            }
            Http2Fault::HugeFrame => {
                self.tcp.write_all(HUGE)?;
                return Ok(false);
            }
            Http2Fault::HeadersTooLarge => {
                let mut bytes = head(0);
                for n in 1..=LARGE_HEADERS {
                    let flags = if n == LARGE_HEADERS { END_HEADERS } else { 0 };
                    let header = large_header(FRAME - 100);
                    bytes.extend(frame(CONTINUATION, flags, stream, &header));
                }
                bytes.extend(frame(DATA, END_STREAM, stream, b"{}"));
                bytes
            }
            Http2Fault::EndlessHeaders => {
                self.tcp.write_all(&head(0))?;
                let header = frame(CONTINUATION, 0, stream, &large_header(FRAME - 100));
                while self.tcp.write_all(&header).is_ok() {}
                return Ok(false);
            }
            Http2Fault::Half => {
                let answer = answer(stream, index);
                self.tcp.write_all(&answer[..answer.len() - 5])?;
                return Ok(false);
            }
            Http2Fault::HangsUp => return Ok(false),
            // Silent; the others strike no event.
            _ => Vec::new(),
        };
        self.tcp.write_all(&bytes)?;
        Ok(true)
    }

    /// Ends the connection in order: a close with bytes unread would reset it.
    fn close(&mut self) -> io::Result<()> {
        self.tcp.shutdown(Shutdown::Write)?;
        io::copy(&mut self.tcp, &mut io::sink()).map(drop)
    }

    /// Reads nothing until the server is ended.
    fn ignore(&mut self) -> io::Result<()> {
        while !self.site.ended.load(Ordering::Relaxed) {
            let mut fds = [PollFd::new(&self.tcp, PollFlags::RDHUP)];
            if poll(&mut fds, Some(&HELD))? > 0 {
                break;
            }
        }
        Ok(())
    }
}
