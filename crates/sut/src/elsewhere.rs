//! Targets that drivers on other machines reach, and that reach subscribers there.

use crate::manifest::{Files, HOST, LOCAL, Manifest};
use crate::publisher::Subscribe;
use pushbench_core::error::{Error, Result};
use pushbench_core::wording::{RECEIVER_HOSTS, SUBSCRIBER_URLS};
use std::net::IpAddr;

impl Manifest {
    /// The same target, where other machines reach it: it listens on this address.
    ///
    /// # Errors
    /// Its description does not say how it is told an address, or how subscribers on several machines register.
    pub fn at_host(mut self, address: IpAddr) -> Result<Manifest> {
        let host = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        // The built-in servers and URLs without a placeholder name this address.
        let placeholder = if matches!(self.files, Files::None) { LOCAL } else { HOST };
        self.subscribed_from_everywhere(placeholder)?;
        let words = self.command.iter().flatten().chain(self.env.iter().map(|(_, value)| value));
        let told = words.into_iter().any(|word| word.contains(placeholder));
        if !told || !self.url.contains(placeholder) {
            return Err(self.unreachable("command and url"));
        }
        let fill = |text: &mut String| *text = text.replace(placeholder, &host);
        self.command.iter_mut().flatten().for_each(fill);
        self.env.iter_mut().for_each(|(_, value)| fill(value));
        fill(&mut self.url);
        if let Some(Subscribe::At(url, ..)) = self.publisher.as_mut().map(|p| &mut p.subscribe) {
            fill(url);
        }
        Ok(self)
    }

    fn unreachable(&self, keys: &str) -> Error {
        let own = match self.files {
            Files::Shipped(_) => format!(
                "the shipped targets take no address: use builtin, or a target of your own with {HOST}"
            ),
            _ => format!(
                "write {HOST} in {keys}, which stands for the address on which it has to listen"
            ),
        };
        Error::usage(format!(
            "target {}: it listens where only its own machine reaches it: {own}",
            self.name
        ))
    }

    /// Subscribers on each machine can register by themselves, where it has any.
    fn subscribed_from_everywhere(&self, placeholder: &str) -> Result<()> {
        let by_one = match self.publisher.as_ref().map(|publisher| &publisher.subscribe) {
            None => false,
            Some(Subscribe::AtStart) => true,
            Some(Subscribe::At(url, _, body)) if url.contains(placeholder) => {
                body.as_ref().is_some_and(|body| body.has(SUBSCRIBER_URLS))
            }
            Some(Subscribe::At(..)) => {
                return Err(self.unreachable("command, publish and subscribe"));
            }
        };
        match by_one {
            false => Ok(()),
            true => Err(Error::usage(format!(
                "target {}: it is told the addresses of all subscribers at once, and those on another machine are not \
                 known here: describe how each one subscribes (targets/PROTOCOL.md)",
                self.name
            ))),
        }
    }

    /// The same target, whose built-in publisher delivers to these hosts, too.
    #[must_use]
    pub fn delivering_to(mut self, hosts: &[IpAddr]) -> Manifest {
        if self.publisher.is_some() && matches!(self.files, Files::None) {
            let hosts: Vec<String> = hosts.iter().map(IpAddr::to_string).collect();
            self.env.push((RECEIVER_HOSTS.to_owned(), hosts.join(",")));
        }
        self
    }

    /// It runs elsewhere, takes events there, and its subscribers ask for them there.
    pub fn is_running_at(&mut self, events: String, subscribe: Option<String>) {
        (self.url, self.command) = (events, None);
        if let Some((url, subscribe)) = subscribe.zip(self.publisher.as_mut())
            && let Subscribe::At(at, ..) = &mut subscribe.subscribe
        {
            *at = url;
        }
    }
}
