//! The negotiation of permessage-deflate (RFC 7692, section 7.1): what a client offers, what a server accepts of it,
//! and whether its answer may be accepted.

use crate::websocket::deflate::{Agreed, Direction};
use pushbench_core::scenario::Compression;

const NAME: &str = "permessage-deflate";
const CLIENT_BITS: &str = "client_max_window_bits";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_RESETS: &str = "client_no_context_takeover";
const SERVER_RESETS: &str = "server_no_context_takeover";
/// The usual window, and the largest.
const MOST_BITS: u8 = 15;
/// zlib has no smaller window.
const LEAST_BITS: u8 = 9;

/// The value of `Sec-WebSocket-Extensions` in a client's handshake.
pub fn offer(settings: &Compression) -> String {
    let mut offer = NAME.to_owned();
    if !settings.context_takeover {
        offer += &format!("; {SERVER_RESETS}; {CLIENT_RESETS}");
    }
    match settings.window_bits {
        // A server may ask for less.
        15.. => offer += &format!("; {CLIENT_BITS}"),
        bits => offer += &format!("; {SERVER_BITS}={bits}; {CLIENT_BITS}={bits}"),
    }
    offer
}

/// What a server's answer to the [offer] agrees on; else what is wrong with it.
///
/// # Errors
/// It names no extension, one that was not offered, or parameters that do not answer the offer.
pub fn agreed(answer: &str, settings: &Compression) -> Result<Agreed, String> {
    let extensions = extensions(answer).ok_or("its extensions cannot be read")?;
    let parameters = match &extensions[..] {
        [] => return Err("it names no extension".to_owned()),
        [(NAME, parameters)] => Parameters::read(parameters)?,
        [(NAME, _), ..] => return Err("it names more than one extension".to_owned()),
        [(other, _), ..] => return Err(format!("it names {other}, which was not offered")),
    };
    let bits = settings.window_bits as u8;
    let narrowed = |name: &str, bits_there: Option<Option<u8>>| match bits_there {
        None => Ok(None),
        Some(None) => Err(format!("{name} has no value")),
        Some(Some(there)) if there > bits => {
            Err(format!("{name}={there} is more than the {bits} that were offered"))
        }
        Some(Some(there)) => Ok(Some(there)),
    };
    let server = narrowed(SERVER_BITS, parameters.server_bits)?;
    if server.is_none() && bits < MOST_BITS {
        return Err(format!("{SERVER_BITS} is missing, which was offered as {bits}"));
    }
    let client = narrowed(CLIENT_BITS, parameters.client_bits)?.unwrap_or(bits);
    if client < LEAST_BITS {
        return Err(format!("{CLIENT_BITS}={client} is less than zlib supports"));
    }
    if !settings.context_takeover && !parameters.server_resets {
        return Err(format!("{SERVER_RESETS} is missing, which was offered"));
    }
    let takeover = settings.context_takeover && !parameters.client_resets;
    Ok(Agreed {
        client: Direction { window_bits: client, takeover },
        server: Direction {
            window_bits: server.unwrap_or(MOST_BITS).max(LEAST_BITS),
            takeover: !parameters.server_resets,
        },
    })
}

/// The first of a client's offers that a server can accept: what holds then, and its answer.
pub fn accept(offers: &str) -> Option<(Agreed, String)> {
    let offers = extensions(offers)?;
    let offered = offers.iter().filter(|(name, _)| *name == NAME);
    offered.filter_map(|(_, parameters)| Parameters::read(parameters).ok()?.accepted()).next()
}

/// The parameters of an offer or an answer. `Some(None)`: named without a value.
#[derive(Default)]
struct Parameters {
    client_resets: bool,
    server_resets: bool,
    client_bits: Option<Option<u8>>,
    server_bits: Option<Option<u8>>,
}

impl Parameters {
    fn read(list: &[(&str, Option<&str>)]) -> Result<Parameters, String> {
        let mut read = Parameters::default();
        for (at, (name, value)) in list.iter().enumerate() {
            if list[..at].iter().any(|(before, _)| before == name) {
                return Err(format!("{name} is there twice"));
            }
            let bits = || match value {
                None => Ok(None),
                Some(digits) => match digits.parse() {
                    Ok(bits @ 8..=15) if !digits.starts_with(['0', '+']) => Ok(Some(bits)),
                    _ => Err(format!("{name}={digits} is no number from 8 to 15")),
                },
            };
            match (*name, value) {
                (CLIENT_BITS, _) => read.client_bits = Some(bits()?),
                (SERVER_BITS, _) => read.server_bits = Some(bits()?),
                (CLIENT_RESETS, None) => read.client_resets = true,
                (SERVER_RESETS, None) => read.server_resets = true,
                (CLIENT_RESETS | SERVER_RESETS, Some(_)) => {
                    return Err(format!("{name} has a value"));
                }
                _ => return Err(format!("{NAME} has no parameter {name}")),
            }
        }
        Ok(read)
    }

    /// What a server accepts of this offer, and its answer.
    fn accepted(&self) -> Option<(Agreed, String)> {
        let mut answer = NAME.to_owned();
        for (name, named) in
            [(SERVER_RESETS, self.server_resets), (CLIENT_RESETS, self.client_resets)]
        {
            if named {
                answer += &format!("; {name}");
            }
        }
        let server = match self.server_bits {
            None => MOST_BITS,
            Some(bits) => {
                let bits = bits.filter(|bits| *bits >= LEAST_BITS)?;
                answer += &format!("; {SERVER_BITS}={bits}");
                bits
            }
        };
        let client = self.client_bits.flatten();
        if let Some(bits) = client {
            answer += &format!("; {CLIENT_BITS}={bits}");
        }
        let agreed = Agreed {
            client: Direction {
                window_bits: client.unwrap_or(MOST_BITS).max(LEAST_BITS),
                takeover: !self.client_resets,
            },
            server: Direction { window_bits: server, takeover: !self.server_resets },
        };
        Some((agreed, answer))
    }
}

/// Name and value of parameters, in the order in which they are written.
type Named<'a> = Vec<(&'a str, Option<&'a str>)>;

/// The extensions of a header (RFC 6455, section 9.1); `None` where it breaks the rules.
fn extensions(list: &str) -> Option<Vec<(&str, Named<'_>)>> {
    let mut extensions = Vec::new();
    for extension in list.split(',').map(str::trim).filter(|extension| !extension.is_empty()) {
        let mut words = extension.split(';').map(str::trim);
        let name = words.next().filter(|name| is_token(name))?;
        let parameters = words.map(|word| {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
                None => (word, None),
            };
            // A value in quotes is a token, too.
            let quoted =
                |value: &'_ str| value.len() > 1 && value.starts_with('"') && value.ends_with('"');
            let value = value.map(|v| if quoted(v) { &v[1..v.len() - 1] } else { v });
            (is_token(name) && value.is_none_or(is_token)).then_some((name, value))
        });
        extensions.push((name, parameters.collect::<Option<Named<'_>>>()?));
    }
    Some(extensions)
}

fn is_token(word: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !word.is_empty() && word.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings(context_takeover: bool, window_bits: usize) -> Compression {
        Compression { context_takeover, window_bits }
    }

    #[test]
    fn our_server_accepts_what_our_client_offers() {
        for takeover in [true, false] {
            for bits in 9..=15 {
                let settings = settings(takeover, bits);
                let (accepted, answer) = accept(&offer(&settings)).unwrap();
                assert_eq!(agreed(&answer, &settings), Ok(accepted), "{answer}");
                let words = if takeover { "context takeover" } else { "no context takeover" };
                let words = format!("permessage-deflate, {bits} bits, {words}");
                assert_eq!(accepted.to_string(), words);
            }
        }
        let usual = offer(&Compression::default());
        assert_eq!(usual, "permessage-deflate; client_max_window_bits");
    }

    #[test]
    fn an_answer_agrees_or_says_why_not() {
        let (usual, small, alone) = (settings(true, 15), settings(true, 10), settings(false, 15));
        for (answer, settings, words) in [
            ("permessage-deflate", usual, "15 bits, context takeover"),
            (
                "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
                usual,
                "12 bits, context takeover",
            ),
            (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                usual,
                "15 bits, no context takeover",
            ),
            (
                "permessage-deflate;server_no_context_takeover;client_max_window_bits=\"9\"",
                usual,
                "client 9 bits, context takeover, server 15 bits, no context takeover",
            ),
            (
                "permessage-deflate; server_max_window_bits=9",
                small,
                "client 10 bits, context takeover, server 9 bits, context takeover",
            ),
            (
                "permessage-deflate; server_no_context_takeover",
                alone,
                "15 bits, no context takeover",
            ),
        ] {
            let words = format!("permessage-deflate, {words}");
            let there = agreed(answer, &settings).map(|agreed| agreed.to_string());
            assert_eq!(there, Ok(words), "{answer}");
        }
        for (answer, settings, why) in [
            ("", usual, "it names no extension"),
            (
                "x-webkit-deflate-frame",
                usual,
                "it names x-webkit-deflate-frame, which was not offered",
            ),
            ("permessage-deflate, permessage-deflate", usual, "it names more than one extension"),
            (
                "permessage-deflate; no_context",
                usual,
                "permessage-deflate has no parameter no_context",
            ),
            (
                "permessage-deflate; server_max_window_bits",
                usual,
                "server_max_window_bits has no value",
            ),
            ("permessage-deflate; server_max_window_bits=16", usual, "is no number from 8 to 15"),
            ("permessage-deflate; server_max_window_bits=08", usual, "is no number from 8 to 15"),
            (
                "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
                usual,
                "is there twice",
            ),
            ("permessage-deflate; server_no_context_takeover=1", usual, "has a value"),
            ("permessage-deflate; client_max_window_bits=8", usual, "less than zlib supports"),
            (
                "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
                small,
                "more than the 10 that were offered",
            ),
            (
                "permessage-deflate",
                small,
                "server_max_window_bits is missing, which was offered as 10",
            ),
            (
                "permessage-deflate",
                alone,
                "server_no_context_takeover is missing, which was offered",
            ),
            ("permessage-deflate; =9", usual, "its extensions cannot be read"),
        ] {
            let refused = agreed(answer, &settings).unwrap_err();
            assert!(refused.contains(why), "{answer}: {refused}");
        }
    }

    #[test]
    fn the_first_acceptable_offer_is_accepted() {
        for (offers, answer) in [
            ("permessage-deflate; client_max_window_bits", Some("permessage-deflate")),
            (
                "permessage-deflate; client_max_window_bits=9; client_no_context_takeover",
                Some("permessage-deflate; client_no_context_takeover; client_max_window_bits=9"),
            ),
            (
                "x-other, permessage-deflate; server_max_window_bits=8, permessage-deflate",
                Some("permessage-deflate"),
            ),
            (
                "permessage-deflate; x, permessage-deflate; server_no_context_takeover",
                Some("permessage-deflate; server_no_context_takeover"),
            ),
            ("permessage-deflate; server_max_window_bits", None),
            ("x-webkit-deflate-frame", None),
            ("", None),
            ("permessage-deflate;;", None),
        ] {
            assert_eq!(accept(offers).map(|(_, answer)| answer).as_deref(), answer, "{offers}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(
            offers in prop_oneof![
                ".{0,80}",
                "(permessage-deflate|x)?((;|,|=| |\")(permessage-deflate|(client|server)_(max_window_bits|no_context_takeover)|9|15|16))*",
            ],
            takeover: bool,
            bits in 9..=15usize,
        ) {
            let settings = settings(takeover, bits);
            if let Some((accepted, answer)) = accept(&offers) {
                // Whoever has offered that can understand it.
                prop_assert!(agreed(&answer, &super::super::negotiation::tests::settings(!answer.contains(SERVER_RESETS), 15)).is_ok_and(|there| there.server == accepted.server), "{}", answer);
            }
            let _no_panic = agreed(&offers, &settings);
        }
    }
}
