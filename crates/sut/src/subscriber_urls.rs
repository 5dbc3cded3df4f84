//! The addresses of subscribers, handed over to a publisher when it is started: `{subscriber_urls}` in
//! its command or environment.

use crate::manifest::Manifest;
use crate::port;
use crate::publisher::Subscribe;
use pushbench_core::error::{Error, Result};
use pushbench_core::remedy::Try;
use pushbench_core::wording::SUBSCRIBER_URLS;
use pushbench_wire::endpoint::Scheme;
use pushbench_wire::subscriber_addresses::Addresses;
use std::net::Ipv4Addr;

/// The longest argument or variable that Linux hands to a program (MAX_ARG_STRLEN), its end included.
const LONGEST: usize = 128 * 1024;

/// The addresses of the subscribers that a target receives.
#[derive(Default)]
pub(super) struct SubscriberUrls {
    /// Their port; 0 if the target does not receive the addresses.
    pub port: u16,
    urls: String,
}

/// Chooses the port at which a target's subscribers will listen, if it receives their addresses; `again`: where
/// they listen already.
pub(super) fn of(
    manifest: &Manifest,
    host: Option<Ipv4Addr>,
    again: Option<u16>,
) -> Result<SubscriberUrls> {
    let Some(publisher) = manifest.publisher.as_ref().filter(|p| p.subscribe == Subscribe::AtStart)
    else {
        return Ok(SubscriberUrls::default());
    };
    let port = match again {
        Some(port) => port,
        None => port::free_or_error()?,
    };
    let scheme = if manifest.trusts_the_driver() { Scheme::Https } else { Scheme::Http };
    let urls = Addresses::at(port, host, scheme).urls(publisher.subscribers).join(",");
    Ok(SubscriberUrls { port, urls })
}

impl SubscriberUrls {
    /// A word of the command or a value of the environment, with the addresses filled in.
    pub fn filled(&self, text: &str) -> String {
        text.replace(&format!("{{{SUBSCRIBER_URLS}}}"), &self.urls)
    }

    /// Refuses what the system would not hand over, with the number of subscribers that fits.
    pub fn fits(
        &self,
        manifest: &Manifest,
        words: &[String],
        env: &[(String, String)],
    ) -> Result<()> {
        let variables = env.iter().map(|(name, value)| format!("{name}={value}"));
        let all = words.iter().cloned().chain(variables);
        let longest = all.max_by_key(String::len).unwrap_or_default();
        if longest.len() < LONGEST || self.urls.is_empty() {
            return Ok(());
        }
        let count = self.urls.split(',').count();
        let rest = longest.replace(&self.urls, "").len();
        // The first addresses are the shortest ones, so this many fit.
        let most = count * LONGEST.saturating_sub(rest + 1) / (longest.len() - rest).max(1);
        let fewer = Try::Subscribers.below(most as u64, count as f64);
        let fewer = fewer.map_or(String::new(), |option| format!("lower to {option}, or "));
        Err(Error::usage(format!(
            "target {}: the addresses of {count} subscribers are too long for a command or variable: \
             {fewer}use subscribe, so that they subscribe one by one",
            manifest.name
        )))
    }
}
