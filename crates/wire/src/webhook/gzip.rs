//! `Content-Encoding: gzip` of a request's body (RFC 9110, section 8.4.1.3).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use pushbench_core::units;

/// The value of the header.
pub const GZIP: &str = "gzip";
/// The usual window.
const WINDOW_BITS: u8 = 15;
/// Room beside the bytes themselves, which may be more when they are compressed.
const ROOM: usize = 128;
/// Most that one round of decompression adds, bytes.
const STEP: usize = 64 * 1024;

/// Compresses one body after the other, with one state and one buffer.
pub struct Gzip {
    state: Compress,
    body: Vec<u8>,
}

impl Default for Gzip {
    fn default() -> Gzip {
        let state = Compress::new_gzip(Compression::default(), WINDOW_BITS);
        Gzip { state, body: Vec::new() }
    }
}

impl Gzip {
    /// The compressed body of a plain one.
    pub fn encode(&mut self, plain: &[u8]) -> &[u8] {
        self.state.reset();
        self.body.clear();
        let mut used = 0;
        loop {
            self.body.reserve(plain.len() + ROOM);
            let compressed =
                self.state.compress_vec(&plain[used..], &mut self.body, FlushCompress::Finish);
            used = self.state.total_in() as usize;
            if !matches!(compressed, Ok(Status::Ok | Status::BufError)) {
                return &self.body;
            }
        }
    }
}

/// The plain body of a compressed one, of at most `most` bytes; else why there is none.
///
/// # Errors
/// It is no gzip, corrupt, cut short, or longer.
pub fn decode(body: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let mut state = Decompress::new_gzip(WINDOW_BITS);
    let mut plain = Vec::new();
    loop {
        plain.reserve((4 * body.len()).clamp(ROOM, STEP));
        let used = state.total_in() as usize;
        let status = state.decompress_vec(&body[used..], &mut plain, FlushDecompress::None);
        let status = status.map_err(|e| match e.message() {
            Some(why) => format!("corrupt gzip: {why}"),
            None => "corrupt gzip".to_owned(),
        })?;
        if plain.len() > most {
            return Err(format!("gzip of more than {}", units::bytes(most as f64)));
        }
        match status {
            Status::StreamEnd if state.total_in() as usize == body.len() => return Ok(plain),
            Status::StreamEnd => return Err("corrupt gzip: bytes behind its end".to_owned()),
            _ if plain.len() < plain.capacity() => return Err("gzip that is cut short".to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Read as _, Write as _};

    proptest! {
        #[test]
        fn bodies_are_read_as_flate2_reads_them(bodies in proptest::collection::vec(
            prop_oneof![".{0,40}".prop_map(String::into_bytes), (any::<u8>(), 0..200_000usize).prop_map(|(b, n)| vec![b; n])],
            1..5,
        )) {
            let mut gzip = Gzip::default();
            for body in &bodies {
                let encoded = gzip.encode(body).to_vec();
                let mut read = Vec::new();
                flate2::read::GzDecoder::new(&encoded[..]).read_to_end(&mut read).unwrap();
                prop_assert_eq!(&read, body);
                prop_assert_eq!(&decode(&encoded, body.len()).unwrap(), body);
                if !body.is_empty() {
                    prop_assert!(decode(&encoded, body.len() - 1).is_err());
                }
            }
        }

        #[test]
        fn what_is_no_gzip_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(decode(&bytes, 1_000_000).is_err());
        }
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said() {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
        writer.write_all(b"hello, hello, hello, hello").unwrap();
        let whole = writer.finish().unwrap();
        let mut corrupt = whole.clone();
        corrupt[12] ^= 0x55;
        for (body, why) in [
            (&whole[..whole.len() - 3], "gzip that is cut short"),
            (&[&whole[..], b"x"].concat(), "corrupt gzip: bytes behind its end"),
            (&corrupt, "corrupt gzip"),
            (b"{}", "corrupt gzip: incorrect header check"),
        ] {
            let error = decode(body, 100).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
        assert_eq!(decode(&whole, 10).unwrap_err(), "gzip of more than 10 B");
    }
}
