//! A set of subscribers by their numbers.

/// One bit a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    /// Nobody of `n`.
    pub fn none(n: usize) -> Bits {
        Bits(vec![0; n.div_ceil(64)].into())
    }

    /// Everybody of `n`.
    pub fn all(n: usize) -> Bits {
        let mut bits = Bits::none(n);
        (0..n).for_each(|i| bits.set(i));
        bits
    }

    pub fn has(&self, i: usize) -> bool {
        self.0.get(i / 64).is_some_and(|word| word & 1 << (i % 64) != 0)
    }

    pub fn set(&mut self, i: usize) {
        self.0[i / 64] |= 1 << (i % 64);
    }

    pub fn clear(&mut self, i: usize) {
        self.0[i / 64] &= !(1 << (i % 64));
    }
}
