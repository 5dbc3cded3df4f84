//! Secrets: the values of environment variables that a description names as `${NAME}`. They are registered
//! once for the process. Whatever is shown, printed or stored goes through this module, which writes `${NAME}`
//! in place of a value, in whatever form a program may have escaped it.

mod document;
mod forms;
#[cfg(test)]
mod tests;

use forms::Secret;
use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

/// Shorter values cannot be told from other text: hiding them would damage messages and results.
pub const SHORTEST: usize = 6;

static REGISTERED: RwLock<Vec<Secret>> = RwLock::new(Vec::new());

/// Registers the value of the variable `name`: from now on it is shown as `${NAME}`.
pub fn register(name: &str, value: &str) {
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    if registered.iter().all(|secret| secret.value != value) {
        registered.push(Secret { value: value.to_owned(), shown: format!("${{{name}}}") });
    }
}

/// The text without secrets.
pub fn hide(text: &str) -> Cow<'_, str> {
    with_registered(text, |secrets| forms::hide(text, secrets, false))
}

/// A text from a target without secrets, of which it may hold only the beginning where it was cut, and without
/// `others`.
pub fn hide_echo<'a>(text: &'a str, others: &[&str]) -> Cow<'a, str> {
    if others.is_empty() {
        return with_registered(text, |secrets| forms::hide(text, secrets, true));
    }
    let mut secrets = registered().clone();
    let hidden = |value: &&str| Secret { value: (*value).to_owned(), shown: "[hidden]".to_owned() };
    secrets.extend(others.iter().map(hidden));
    forms::hide(text, &secrets, true)
}

/// What is written to a file or to standard output, without secrets. JSON and markup keep their form: names of
/// members and pushbench's own words stay.
pub fn hide_document(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Cow::Borrowed(bytes) };
    match hide_text_document(text) {
        Cow::Borrowed(_) => Cow::Borrowed(bytes),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The same of text.
pub fn hide_text_document(text: &str) -> Cow<'_, str> {
    with_registered(text, |secrets| document::hide(text, secrets))
}

fn registered() -> std::sync::RwLockReadGuard<'static, Vec<Secret>> {
    REGISTERED.read().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing is done where nothing is secret.
fn with_registered<'a>(text: &'a str, hide: impl Fn(&[Secret]) -> Cow<'a, str>) -> Cow<'a, str> {
    let secrets = registered();
    if secrets.is_empty() { Cow::Borrowed(text) } else { hide(&secrets) }
}
