//! A body in chunks (RFC 9112, section 7.1), taken apart as it comes.

use super::response::{Broken, LONGEST_BODY, MOST_HEADERS};

/// Bytes of extensions and trailers that are taken.
const MOST_BESIDE: usize = 16 * 1024;

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
}

impl Default for Chunks {
    fn default() -> Chunks {
        Chunks { place: Place::Size, left: 0, beside: 0, body: Vec::new(), trailers: Vec::new() }
    }
}

impl Chunks {
    /// Takes further bytes and says how many belonged to the body: all, unless it has ended.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
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
                self.place = self.step(bytes[at])?;
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

    fn step(&mut self, byte: u8) -> Result<Place, Broken> {
        Ok(match (self.place, byte) {
            (Place::Size | Place::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.digit(byte)?;
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
                self.beside()?;
                self.trailers.push(byte);
                Place::Trailer
            }
            (Place::TrailerLf, b'\n') => {
                self.trailers.extend_from_slice(b"\r\n");
                Place::Line
            }
            (Place::EndLf, b'\n') => self.end()?,
            _ => return Err(Broken::Chunk),
        })
    }

    /// Trailers are headers, though nobody asks for them.
    fn end(&mut self) -> Result<Place, Broken> {
        self.trailers.extend_from_slice(b"\r\n");
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        match httparse::parse_headers(&self.trailers, &mut headers) {
            Ok(httparse::Status::Complete(_)) => Ok(Place::End),
            _ => Err(Broken::Trailer),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<(), Broken> {
        let digit = char::from(byte).to_digit(16).unwrap_or_default();
        let left = self.left.checked_mul(16).ok_or(Broken::Chunk)? + u64::from(digit);
        self.left = left;
        match left.saturating_add(self.body.len() as u64) > LONGEST_BODY {
            true => Err(Broken::TooLong),
            false => Ok(()),
        }
    }

    fn beside(&mut self) -> Result<(), Broken> {
        self.beside += 1;
        if self.beside > MOST_BESIDE { Err(Broken::Chunk) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Result<(Vec<u8>, usize, bool), Broken> {
        let mut chunks = Chunks::default();
        let used = chunks.take(bytes)?;
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
        assert!(whole(b"fffffffffffffff\r\n").is_err(), "longer than anything that is taken");
        let beside = [b"1;".to_vec(), vec![b'x'; MOST_BESIDE + 1]].concat();
        assert!(whole(&beside).is_err());
        assert!(whole(&[b"0\r\n".to_vec(), vec![b'x'; MOST_BESIDE + 1]].concat()).is_err());
    }
}
