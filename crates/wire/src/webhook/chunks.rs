//! A body in chunks (RFC 9112, section 7.1), taken apart as it comes, of a request or of a response.

use crate::limits::{MAX_CHUNK_OVERHEAD, MOST_TRAILERS};

/// Why bytes are no such body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkError {
    /// A chunk or its size.
    Chunk,
    /// A trailer behind the last chunk.
    Trailer,
    /// More than [`MAX_CHUNK_OVERHEAD`] bytes of trailers, or too many of them.
    LongTrailer,
    /// More than [`MAX_CHUNK_OVERHEAD`] bytes around the chunks.
    Overhead,
    /// More bytes in the chunks than may be.
    TooLong,
}

/// Where the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first digit of a chunk's size.
    Size,
    /// A further digit, or what ends them.
    Digits,
    /// Behind the digits: blanks.
    Blank,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The begin of a line behind the last chunk.
    Line,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

/// The chunks so far.
#[derive(Debug)]
pub struct Chunks {
    state: State,
    /// Of the chunk that comes.
    left: u64,
    add_overhead: usize,
    body: Vec<u8>,
    trailers: Vec<u8>,
    /// Lines of them.
    lines: usize,
}

impl Default for Chunks {
    fn default() -> Chunks {
        let (body, trailers) = Default::default();
        Chunks { state: State::Size, left: 0, add_overhead: 0, body, trailers, lines: 0 }
    }
}

impl Chunks {
    /// Takes further bytes of a body of at most `longest` and returns how many belong to it: all, unless it
    /// has ended.
    pub fn take(&mut self, bytes: &[u8], longest: u64) -> Result<usize, ChunkError> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::End {
            if self.state == State::Data {
                let n = usize::try_from(self.left)
                    .map_or(bytes.len() - at, |left| left.min(bytes.len() - at));
                self.body.extend_from_slice(&bytes[at..at + n]);
                self.left -= n as u64;
                at += n;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.state = self.step(bytes[at], longest)?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// The last chunk and what belongs to it have come.
    pub fn ended(&self) -> bool {
        self.state == State::End
    }

    /// The body so far.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, without a copy.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    fn step(&mut self, byte: u8, longest: u64) -> Result<State, ChunkError> {
        Ok(match (self.state, byte) {
            (State::Size | State::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.digit(byte, longest)?;
                State::Digits
            }
            (State::Digits | State::Blank, b'\t' | b' ') => {
                self.add_overhead()?;
                State::Blank
            }
            (State::Digits | State::Blank, b';') => State::Extension,
            (State::Digits | State::Blank | State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b) if b != b'\n' => {
                self.add_overhead()?;
                State::Extension
            }
            (State::SizeLf, b'\n') if self.left == 0 => State::Line,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::Line, b'\r') => State::EndLf,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::Line | State::Trailer, byte) => {
                self.add_overhead().map_err(|_| ChunkError::LongTrailer)?;
                self.trailers.push(byte);
                State::Trailer
            }
            (State::TrailerLf, b'\n') => {
                self.trailers.extend_from_slice(b"\r\n");
                self.lines += 1;
                State::Line
            }
            (State::EndLf, b'\n') => self.end()?,
            _ => return Err(ChunkError::Chunk),
        })
    }

    /// Trailers are checked as headers, one per line.
    fn end(&mut self) -> Result<State, ChunkError> {
        self.trailers.extend_from_slice(b"\r\n");
        let mut headers = [httparse::EMPTY_HEADER; MOST_TRAILERS];
        let headers = headers.get_mut(..self.lines).ok_or(ChunkError::LongTrailer)?;
        match httparse::parse_headers(&self.trailers, headers) {
            Ok(httparse::Status::Complete(_)) => Ok(State::End),
            _ => Err(ChunkError::Trailer),
        }
    }

    fn digit(&mut self, byte: u8, longest: u64) -> Result<(), ChunkError> {
        let digit = char::from(byte).to_digit(16).unwrap_or_default();
        if self.state == State::Digits && self.left == 0 {
            self.add_overhead()?;
        }
        self.left = self.left.checked_mul(16).ok_or(ChunkError::Chunk)? + u64::from(digit);
        match self.left.saturating_add(self.body.len() as u64) > longest {
            true => Err(ChunkError::TooLong),
            false => Ok(()),
        }
    }

    fn add_overhead(&mut self) -> Result<(), ChunkError> {
        self.add_overhead += 1;
        if self.add_overhead > MAX_CHUNK_OVERHEAD { Err(ChunkError::Overhead) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: u64 = 1 << 20;

    fn whole(bytes: &[u8]) -> Result<(Vec<u8>, usize, bool), ChunkError> {
        let mut chunks = Chunks::default();
        let used = chunks.take(bytes, LONGEST)?;
        Ok((chunks.body().to_vec(), used, chunks.ended()))
    }

    #[test]
    fn chunks_extensions_and_trailers() {
        let text = b"4;a=\"b\"\r\nWiki\r\nA \r\n0123456789\r\n0\r\nX: y\r\nZ: \r\n\r\nrest";
        let (body, used, ended) = whole(text).unwrap();
        assert_eq!((&body[..], used, ended), (&b"Wiki0123456789"[..], text.len() - 4, true));
        assert_eq!(whole(b"0\r\n\r\n").unwrap(), (vec![], 5, true));
        assert_eq!(whole(b"3\r\nab").unwrap(), (b"ab".to_vec(), 5, false));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for bad in [
            "\r\n",
            "x\r\n",
            "1 1\r\n",
            "1\n",
            "1\r\nab",
            "1\r\na\rb",
            "1;\n",
            "0\r\nX: y\r\r",
            "0\r\n\rx",
            "0\r\nno colon\r\n\r\n",
            "10000000000000000\r\n",
        ] {
            assert!(whole(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert_eq!(whole(b"fffffffffffffff\r\n"), Err(ChunkError::TooLong));
        assert_eq!(whole(format!("{:x}\r\n", LONGEST + 1).as_bytes()), Err(ChunkError::TooLong));
        assert!(whole(format!("{LONGEST:x}\r\n").as_bytes()).is_ok());
    }

    #[test]
    fn what_stands_around_a_body_has_its_bound() {
        let and =
            |begin: &str, byte| [begin.as_bytes(), &vec![byte; MAX_CHUNK_OVERHEAD + 1]].concat();
        assert_eq!(whole(&and("1;", b'x')), Err(ChunkError::Overhead));
        assert_eq!(whole(&and("0", b'0')), Err(ChunkError::Overhead));
        assert_eq!(whole(&and("0\r\n", b'x')), Err(ChunkError::LongTrailer));
        let many = "X: y\r\n".repeat(MOST_TRAILERS + 1);
        assert_eq!(whole(format!("0\r\n{many}\r\n").as_bytes()), Err(ChunkError::LongTrailer));
        // One line that would be two trailers is none.
        assert_eq!(whole(b"0\r\nX: y\nZ: a\r\n\r\n"), Err(ChunkError::Trailer));
    }
}
