//! Lists of CPUs as text.

use std::fmt;

/// Prints a list of CPUs: `0`, `0-3`, `0-1+4`.
pub struct Cpus<'a>(pub &'a [usize]);

impl fmt::Display for Cpus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut first = true;
        while let Some(&low) = rest.first() {
            let run = rest.iter().enumerate().take_while(|(i, c)| **c == low + i).count();
            if !std::mem::take(&mut first) {
                f.write_str("+")?;
            }
            match run {
                1 => write!(f, "{low}")?,
                _ => write!(f, "{low}-{}", low + run - 1)?,
            }
            rest = &rest[run..];
        }
        Ok(())
    }
}
