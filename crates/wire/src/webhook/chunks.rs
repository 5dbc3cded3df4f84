//! A body in chunks (RFC 9112, section 7.1), taken apart as it comes, of a request or of a response.

use crate::limits::{MOST_BESIDE, MOST_TRAILERS};

/// Why bytes are no such body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// A chunk or what tells its size.
    Chunk,
    /// A trailer behind the last chunk.
    Trailer,
    /// More than [`MOST_BESIDE`] bytes of trailers, or too many of them.
    LongTrailer,
    /// More than [`MOST_BESIDE`] bytes around the chunks.
    Beside,
    /// More bytes in the chunks than may be.
    TooLong,
}

/// Where the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
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
    place: Place,
    /// Of the chunk that comes.
    left: u64,
    beside: usize,
    body: Vec<u8>,
    trailers: Vec<u8>,
    /// Lines of them.
    lines: usize,
}

impl Default for Chunks {
    fn default() -> Chunks {
        let (body, trailers) = Default::default();
        Chunks { place: Place::Size, left: 0, beside: 0, body, trailers, lines: 0 }
    }
}

impl Chunks {
    /// Takes further bytes of a body of at most `longest` and says how many belonged to it: all, unless it
    /// has ended.
    pub fn take(&mut self, bytes: &[u8], longest: u64) -> Result<usize, Wrong> {
        let mut at = 0;
        while at < bytes.len() && self.place != Place::End {
            if self.place == Place::Data {
                let n = usize::try_from(self.left)
                    .map_or(bytes.len() - at, |left| left.min(bytes.len() - at));
                self.body.extend_from_slice(&bytes[at..at + n]);
                self.left -= n as u64;
                at += n;
                if self.left == 0 {
                    self.place = Place::DataCr;
                }
            } else {
                self.place = self.step(bytes[at], longest)?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// The last chunk and what belongs to it have come.
    pub fn ended(&self) -> bool {
        self.place == Place::End
    }

    /// The body so far.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The same when nobody else needs it.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    fn step(&mut self, byte: u8, longest: u64) -> Result<Place, Wrong> {
        Ok(match (self.place, byte) {
            (Place::Size | Place::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.digit(byte, longest)?;
                Place::Digits
            }
            (Place::Digits | Place::Blank, b'\t' | b' ') => {
                self.beside()?;
                Place::Blank
            }
            (Place::Digits | Place::Blank, b';') => Place::Extension,
            (Place::Digits | Place::Blank | Place::Extension, b'\r') => Place::SizeLf,
            (Place::Extension, b) if b != b'\n' => {
                self.beside()?;
                Place::Extension
            }
            (Place::SizeLf, b'\n') if self.left == 0 => Place::Line,
            (Place::SizeLf, b'\n') => Place::Data,
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::Size,
            (Place::Line, b'\r') => Place::EndLf,
            (Place::Trailer, b'\r') => Place::TrailerLf,
            (Place::Line | Place::Trailer, byte) => {
                self.beside().map_err(|_| Wrong::LongTrailer)?;
                self.trailers.push(byte);
                Place::Trailer
            }
            (Place::TrailerLf, b'\n') => {
                self.trailers.extend_from_slice(b"\r\n");
                self.lines += 1;
                Place::Line
            }
            (Place::EndLf, b'\n') => self.end()?,
            _ => return Err(Wrong::Chunk),
        })
    }

    /// Trailers are headers, though nobody asks for them; one a line.
    fn end(&mut self) -> Result<Place, Wrong> {
        self.trailers.extend_from_slice(b"\r\n");
        let mut headers = [httparse::EMPTY_HEADER; MOST_TRAILERS];
        let headers = headers.get_mut(..self.lines).ok_or(Wrong::LongTrailer)?;
        match httparse::parse_headers(&self.trailers, headers) {
            Ok(httparse::Status::Complete(_)) => Ok(Place::End),
            _ => Err(Wrong::Trailer),
        }
    }

    fn digit(&mut self, byte: u8, longest: u64) -> Result<(), Wrong> {
        let digit = char::from(byte).to_digit(16).unwrap_or_default();
        if self.place == Place::Digits && self.left == 0 {
            self.beside()?;
        }
        self.left = self.left.checked_mul(16).ok_or(Wrong::Chunk)? + u64::from(digit);
        match self.left.saturating_add(self.body.len() as u64) > longest {
            true => Err(Wrong::TooLong),
            false => Ok(()),
        }
    }

    fn beside(&mut self) -> Result<(), Wrong> {
        self.beside += 1;
        if self.beside > MOST_BESIDE { Err(Wrong::Beside) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: u64 = 1 << 20;

    fn whole(bytes: &[u8]) -> Result<(Vec<u8>, usize, bool), Wrong> {
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
        assert_eq!(whole(b"fffffffffffffff\r\n"), Err(Wrong::TooLong));
        assert_eq!(whole(format!("{:x}\r\n", LONGEST + 1).as_bytes()), Err(Wrong::TooLong));
        assert!(whole(format!("{LONGEST:x}\r\n").as_bytes()).is_ok());
    }

    #[test]
    fn what_stands_around_a_body_has_its_bound() {
        let and = |begin: &str, byte| [begin.as_bytes(), &vec![byte; MOST_BESIDE + 1]].concat();
        assert_eq!(whole(&and("1;", b'x')), Err(Wrong::Beside));
        assert_eq!(whole(&and("0", b'0')), Err(Wrong::Beside));
        assert_eq!(whole(&and("0\r\n", b'x')), Err(Wrong::LongTrailer));
        let many = "X: y\r\n".repeat(MOST_TRAILERS + 1);
        assert_eq!(whole(format!("0\r\n{many}\r\n").as_bytes()), Err(Wrong::LongTrailer));
        // One line that would be two trailers is none.
        assert_eq!(whole(b"0\r\nX: y\nZ: a\r\n\r\n"), Err(Wrong::Trailer));
    }
}
