//! What the fuzz targets share: where bytes are cut, a socket that brings them piece by piece, and a bound
//! on memory.

mod memory;
mod socket;

pub use memory::{ROOM, bounded};
pub use socket::{Socket, polled};

/// Most pieces of a text: some parsers look at all that has come once more with each.
const MOST_PIECES: usize = 128;

/// Places in a text at which it is cut, taken from a fuzz input.
#[derive(Debug, Clone, Copy)]
pub struct Cuts(u32);

impl Cuts {
    /// Nowhere: everything comes at once.
    pub const NONE: Cuts = Cuts(0);
    /// Everywhere: byte by byte, unless the text is long.
    pub const ALL: Cuts = Cuts(u32::MAX);

    /// The first four bytes of an input are bits that say where the rest is cut.
    pub fn of(input: &[u8]) -> (Cuts, &[u8]) {
        match input.split_first_chunk() {
            Some((bits, rest)) => (Cuts(u32::from_le_bytes(*bits)), rest),
            None => (Cuts::NONE, input),
        }
    }

    /// These, and everywhere.
    pub fn and_all(self) -> [Cuts; 2] {
        [self, Cuts::ALL]
    }

    /// Where the pieces of a text end, the last one at its end.
    pub fn ends(self, text: &[u8]) -> impl Iterator<Item = usize> + use<> {
        let (length, step) = (text.len(), text.len() / MOST_PIECES + 1);
        let places = (step..length).step_by(step);
        places.filter(move |at| self.0 >> (at / step % 32) & 1 == 1).chain([length])
    }

    /// The pieces.
    pub fn pieces(self, text: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.ends(text).scan(0, |begin, end| Some(&text[std::mem::replace(begin, end)..end]))
    }
}
