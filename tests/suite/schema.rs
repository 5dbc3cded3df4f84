//! The JSON Schema that editors check scenario files with agrees with what is taken.

use crate::common::Bench;
use jsonschema::Validator;
use pushbench_core::scenario;
use pushbench_core::scenario::keys;
use serde_json::{Value, json};

fn validator() -> Validator {
    let ended = Bench::new().run(&["list", "schema"]);
    ended.succeeds();
    let schema = serde_json::from_str(&ended.out).unwrap();
    jsonschema::draft7::meta::validate(&schema).unwrap();
    jsonschema::draft7::new(&schema).unwrap()
}

fn json_of(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

#[test]
fn every_shipped_scenario_is_valid() {
    let validator = validator();
    let mut names = 0;
    for (name, text) in scenario::shipped() {
        let errors: Vec<String> =
            validator.iter_errors(&json_of(text)).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        names += 1;
    }
    assert!(names >= 3);
}

#[test]
fn broken_scenarios_are_refused_by_schema_and_parser_alike() {
    let validator = validator();
    let bench = Bench::new();
    for text in [
        "[load]\nrat = 5\n",
        "[laod]\nrate = 5\n",
        "[load]\nrate = -5\n",
        "[load]\nrate = 0\n",
        "[load]\nrate = 5000001\n",
        "[load]\nrate = \"fast\"\n",
        "[load]\nrate = [1, 2]\n",
        "[load]\nrate = 5\narrivals = \"poison\"\n",
        "[load]\nrate = 5\nwarmup = 5\n",
        "[load]\nrate = 5\nduration = \"5 parsecs\"\n",
        "[load]\nrate = 5\nduration = \"-5s\"\n",
        "[load]\nrate = 5\nduration = \"0s\"\n",
        "[load]\nrate = 5\nduration = \"25h\"\n",
        "[load]\nrate = 5\n[connections]\ncount = 1.5\n",
        "[load]\nrate = 5\n[connections]\ncount = 0\n",
        "[load]\nrate = 5\n[connections]\nlifetime = \"forever\"\n",
        "[load]\nrate = 5\n[payload]\nbytes = 1\n",
        "[load]\nrate = 5\n[payload]\nbytes = \"1TB\"\n",
        "[load]\nrate = 5\n[compare]\nmatters = { cpu = 5 }\n",
        "[load]\nrate = 5\n[compare]\nmatters = { cpu = \"101%\" }\n",
        "[load]\nrate = 5\n[compare]\nmatters = { memory = \"1%\" }\n",
        "[load]\nrate = 5\n[expect]\nlosst = 0\n",
        "[load]\nrate = 5\n[expect]\nlost = -1\n",
        "[load]\nrate = 5\n[expect]\n\"response.p99\" = 5\n",
        "[load]\nrate = 5\n[sweep]\n\"load.rate\" = []\n",
        "[load]\nrate = 5\n[sweep]\n\"load.rate\" = 5\n",
        "[load]\nrate = 5\n[sweep]\n\"load.rate\" = [1000, \"fast\"]\n",
        "[load]\nrate = 5\n[sweep]\n\"load.arrivals\" = [\"poisson\"]\n",
        "name = \"../up\"\n[load]\nrate = 5\n",
    ] {
        assert!(!validator.is_valid(&json_of(text)), "the schema takes\n{text}");
        bench.write("broken.toml", text);
        bench.run(&["run", "broken.toml"]).fails(64, &["broken.toml:"]);
    }
}

#[test]
fn unusual_spellings_are_valid() {
    let validator = validator();
    for text in [
        "load.rate = 0.5\nload.duration = \"24h\"\nload.warmup = 0\n",
        "load.rate = 5e6\nload.duration = \"86400 s\"\nload.warmup = \"0.5 µs\"\n",
        "connections.lifetime = 10\npayload.bytes = \"1.5KiB\"\ncompare.slice = \"auto\"\n",
        "payload.bytes = \"16MiB\"\ncompare.matters = { cpu = \"0.5 %\", latency = \"100us\" }\n",
        "[expect]\n\"response.p99\" = \"50ms\"\nthroughput = 1e4\n[sweep]\n\"payload.bytes\" = [512, \"1KiB\"]\n",
    ] {
        let errors: Vec<String> =
            validator.iter_errors(&json_of(text)).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{text}: {errors:?}");
    }
}

#[test]
fn every_key_is_described_and_its_default_is_valid() {
    let ended = Bench::new().run(&["list", "schema"]);
    let schema: Value = serde_json::from_str(&ended.out).unwrap();
    let mut defaults = 0;
    for key in keys::all() {
        let pointer = format!("/properties/{}", key.path.replace('.', "/properties/"));
        let property = schema.pointer(&pointer).unwrap_or_else(|| panic!("no {}", key.path));
        let description = property["description"].as_str().unwrap();
        assert!(description.contains(key.about) && description.contains(&key.takes()));
        if let Some(default) = property.get("default") {
            let own = jsonschema::draft7::new(property).unwrap();
            assert!(own.is_valid(default), "{}: {default}", key.path);
            defaults += 1;
        }
    }
    assert!(defaults >= 10, "{defaults}");
    assert_eq!(schema["properties"]["load"]["properties"]["duration"]["default"], json!("1500ms"));
}
