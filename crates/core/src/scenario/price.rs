//! `[price]`: what resources and serverless services cost. Prices change no measurement, so a stored run may be
//! priced afterwards.

use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::scenario::draft::Draft;
use crate::scenario::load;
use crate::scenario::raw::Raw;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Prices in any one currency; what has none is not part of a cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prices {
    /// The currency, for example `USD`; only shown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub currency: String,
    /// Of one core for one hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_hour: Option<f64>,
    /// Of one GiB of memory for one hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gib_hour: Option<f64>,
    /// Of one GiB that the target sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_gib: Option<f64>,
    /// Of a million HTTP requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_million: Option<f64>,
    /// Of a million minutes of open connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_minute_million: Option<f64>,
    /// Of a million messages over open connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_million: Option<f64>,
    /// They are, at least in part, an example of ours and nobody's own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub example: bool,
}

/// The example prices of servers and of serverless services, by what `--price` calls them.
pub const EXAMPLES: [&str; 2] = ["example", "example-serverless"];

impl Prices {
    /// Nothing has a price.
    pub fn is_empty(&self) -> bool {
        self.all().all(|(_, price)| price.is_none())
    }

    /// Every price by the last part of its key.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> {
        [
            ("core_hour", self.core_hour),
            ("gib_hour", self.gib_hour),
            ("egress_gib", self.egress_gib),
            ("request_million", self.request_million),
            ("connection_minute_million", self.connection_minute_million),
            ("message_million", self.message_million),
        ]
        .into_iter()
    }

    /// The example of that name: round numbers of the order that large providers list.
    fn example(name: &str) -> Option<Prices> {
        let (currency, egress_gib) = ("USD".to_owned(), Some(0.09));
        let shared = Prices { currency, egress_gib, example: true, ..Prices::default() };
        match EXAMPLES.iter().position(|known| *known == name)? {
            0 => Some(Prices { core_hour: Some(0.04), gib_hour: Some(0.005), ..shared }),
            _ => Some(Prices {
                request_million: Some(1.0),
                connection_minute_million: Some(0.25),
                message_million: Some(1.0),
                ..shared
            }),
        }
    }

    /// These prices with those of `--price` above them, each `core_hour=0.04` or the name of an example, which takes the
    /// place of all.
    pub fn with(self, given: &[String]) -> Result<Prices> {
        let mut draft = Draft::new(PathBuf::new());
        draft.price = self;
        for text in given {
            let option = format!("--price {text}");
            if let Some(example) = Prices::example(text) {
                draft.price = example;
                continue;
            }
            let Some((key, value)) = text.split_once('=') else {
                let hint = crate::suggest::did_you_mean(text, EXAMPLES);
                return Err(Error::usage(format!(
                    "{option}: write KEY=VALUE, for example core_hour=0.04, or one of {}{hint}",
                    EXAMPLES.join(", ")
                )));
            };
            let key = format!("price.{}", key.trim().trim_start_matches("price."));
            load::apply(&mut draft, &key, &Raw::from_option(value), &Origin::named(&option))?;
        }
        Ok(draft.price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Override, load};

    fn with(given: &[&str]) -> std::result::Result<Prices, String> {
        let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
        Prices::default().with(&given).map_err(|e| e.to_string())
    }

    #[test]
    fn prices_of_a_stored_run_are_replaced_one_by_one_or_by_an_example() {
        let own = with(&["core_hour=0.1", "price.currency=EUR"]).unwrap();
        assert_eq!((own.core_hour, own.currency.as_str(), own.example), (Some(0.1), "EUR", false));
        let example = own.with(&["example".to_owned(), "egress_gib=0".to_owned()]).unwrap();
        assert_eq!(
            (example.core_hour, example.gib_hour, example.egress_gib, example.example),
            (Some(0.04), Some(0.005), Some(0.0), true)
        );
        let serverless = with(&["example-serverless"]).unwrap();
        assert!(serverless.core_hour.is_none() && serverless.message_million.is_some());
    }

    #[test]
    fn what_is_no_price_is_refused_with_what_to_write() {
        for (given, says) in [
            ("core_hour=-1", "--price core_hour=-1: key \"price.core_hour\": value -1: write a"),
            ("core_hour=cheap", "value \"cheap\": write a bare number"),
            (
                "core_hours=1",
                "unknown key \"price.core_hours\" (did you mean \"price.core_hour\"?)",
            ),
            ("exampel", "or one of example, example-serverless (did you mean \"example\"?)"),
            ("currency=a b", "up to 8 letters"),
        ] {
            let refused = with(&[given]).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn a_scenario_has_prices_only_where_it_names_them() {
        let scenario = |set: &[(&str, &str)]| {
            let set = set.iter().map(|(key, value)| Override {
                key: (*key).to_owned(),
                value: (*value).to_owned(),
                origin: "--set".to_owned(),
            });
            load("ingest", &set.collect::<Vec<_>>()).unwrap().points.remove(0).scenario
        };
        assert!(!serde_json::to_string(&scenario(&[])).unwrap().contains("price"));
        let priced = scenario(&[("price.gib_hour", "0.005")]);
        assert_eq!(priced.price.gib_hour, Some(0.005));
        let stored = serde_json::to_string(&priced).unwrap();
        assert!(stored.contains("\"price\":{\"gib_hour\":0.005}"), "{stored}");
        assert_eq!(serde_json::from_str::<crate::scenario::Scenario>(&stored).unwrap(), priced);
    }
}
