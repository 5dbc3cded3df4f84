//! How much an HTTP answer may hold: the limits of `targets/PROTOCOL.md`, "What an answer may hold". The
//! driver's clients and the first look read with code of their own and keep to the same ones.

/// Longest head, with those of the interim responses before it.
pub const LONGEST_HEAD: usize = 400 * 1024;
/// Most headers of a response.
pub const MOST_HEADERS: usize = 256;
/// Longest body, as of messages over the other transports.
pub const LONGEST_BODY: u64 = 64 << 20;
/// Bytes around the chunks of a body: extensions, idle zeros and trailers.
pub const MAX_CHUNK_OVERHEAD: usize = 16 * 1024;
/// Most trailers behind the last chunk.
pub const MOST_TRAILERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_stated() {
        let page = include_str!("../../../targets/PROTOCOL.md");
        let stated = page.split("\n## ").find(|s| s.starts_with("What an answer may hold\n"));
        let stated = stated.expect("a section for them");
        for limit in [
            format!("{MOST_HEADERS} headers"),
            format!("{} KiB of head", LONGEST_HEAD >> 10),
            format!("{} MiB of body", LONGEST_BODY >> 20),
            format!("{} KiB around its chunks", MAX_CHUNK_OVERHEAD >> 10),
            format!("{MOST_TRAILERS} trailers"),
        ] {
            assert!(stated.contains(&limit), "{limit:?} is not in {stated}");
        }
    }
}
