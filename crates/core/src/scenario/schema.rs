//! The JSON Schema of scenario files, for editors: completion, documentation and early errors. It is
//! made from the registry of keys. Draft 7, because every editor of TOML reads that.

use crate::scenario::expect;
use crate::scenario::keys;
use crate::scenario::keys::Key;
use crate::scenario::load::MOST_POINTS;
use crate::scenario::objective;
use serde_json::{Map, Value as Json, json};

/// The whole schema.
pub fn schema() -> Json {
    let mut root = section("A pushbench scenario");
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    for key in keys::all() {
        insert(&mut root, key);
    }
    root["properties"]["expect"] = expectations();
    root["properties"]["objective"] = objectives();
    root["properties"]["sweep"] = sweep();
    root
}

fn section(about: &str) -> Json {
    json!({
        "description": about,
        "type": "object",
        "properties": {},
        "additionalProperties": false,
    })
}

fn insert(root: &mut Json, key: &Key) {
    let mut node = root;
    let mut path = key.path.split('.').peekable();
    while let Some(name) = path.next() {
        let Json::Object(properties) = &mut node["properties"] else { return };
        if path.peek().is_none() {
            properties.insert(name.to_owned(), described(key));
            return;
        }
        node = properties.entry(name).or_insert_with(|| section(about_section(name)));
    }
}

fn about_section(name: &str) -> &'static str {
    match name {
        "load" => "When events are due",
        "connections" => "How many connections carry them",
        "payload" => "What an event looks like",
        "subscribers" => "The subscribers of a fan-out",
        "delivery" => "How events are delivered to subscribers",
        "duplex" => "How questions are answered",
        "faults" => "What happens to the targets",
        "path" => "What lies between the driver and the target",
        "compare" => "How the arms are compared",
        "price" => "What resources cost; prices change no measurement",
        "matters" => "Smaller differences than these do not matter",
        _ => "",
    }
}

fn described(key: &Key) -> Json {
    let mut schema = key.schema();
    schema["description"] = json!(format!("{}: {}", key.about, key.takes()));
    if let Some(default) = key.default() {
        schema["default"] = default;
    }
    schema
}

fn expectations() -> Json {
    let mut all = section("Figures of every arm that must not be worse than this");
    for figure in expect::figures() {
        let mut schema = figure.schema();
        schema["description"] = json!(format!("{}: {}", figure.about, figure.takes()));
        all["properties"][figure.name] = schema;
    }
    all
}

fn objectives() -> Json {
    let mut all = section("The promise that `pushbench capacity` searches the highest load for");
    for figure in objective::figures() {
        let mut schema = figure.schema();
        schema["description"] = json!(format!("{}: {}", figure.about, figure.takes()));
        all["properties"][figure.name] = schema;
    }
    all
}

fn sweep() -> Json {
    let list = |key: &Key| {
        let about = format!("values of {} to run one after the other", key.path);
        json!({
            "description": about,
            "type": "array",
            "items": key.schema(),
            "minItems": 1,
            "maxItems": MOST_POINTS,
        })
    };
    let keys = keys::all().filter(|k| k.sweepable);
    let mut all = section("Keys with several values: a run has a point for each combination");
    all["properties"] =
        Json::Object(keys.map(|k| (k.path.to_owned(), list(k))).collect::<Map<_, _>>());
    all
}
