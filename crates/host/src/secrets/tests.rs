use crate::results_store;
use crate::results_store::{Store, write_atomically};
use crate::secrets::forms::Secret;
use crate::secrets::{document, forms};
use proptest::prelude::*;
use pushbench_analysis::compare::sample;
use pushbench_core::record::account::Account;
use pushbench_core::record::run::RunHeader;
use pushbench_core::record::trial::Trial;
use pushbench_core::visible::escape;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Every character that some program escapes, and some that none does.
const AWKWARD: &str = "s3/cr=et+&\"\\'<ä 😀>%2f;";

fn secrets(values: &[&str]) -> Vec<Secret> {
    let secret = |value: &&str| Secret { value: (*value).to_owned(), shown: "${NAME}".to_owned() };
    values.iter().map(secret).collect()
}

fn percent(text: &str, plain: impl Fn(u8) -> bool) -> String {
    let form = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(form).collect()
}

/// JSON as Python and PHP write it, without any character beyond ASCII.
fn ascii_json(text: &str) -> String {
    let mut units = [0; 2];
    let escaped = |c: char| match c {
        '"' | '\\' | '/' => format!("\\{c}"),
        c if c.is_ascii() => c.to_string(),
        c => c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04X}")).collect(),
    };
    text.chars().map(escaped).collect()
}

fn json(text: &str) -> String {
    Value::from(text).to_string().trim_matches('"').to_owned()
}

/// A text as programs escape it.
fn escaped(text: &str) -> Vec<String> {
    let entities = |c: char| format!("&#{};", u32::from(c));
    let bytes = |b: u8| match b {
        b'\\' | b'\'' => format!("\\{}", char::from(b)),
        b if b.is_ascii() => char::from(b).to_string(),
        b => format!("\\x{b:02x}"),
    };
    let all = percent(text, |b| b.is_ascii_alphanumeric());
    vec![
        percent(text, |b| b.is_ascii_alphanumeric() || b"-._~!*'()/".contains(&b)),
        all.to_lowercase(),
        all.replace("%20", "+"),
        percent(&all, |b| b.is_ascii_alphanumeric()),
        percent(&json(text), |b| b.is_ascii_alphanumeric()),
        escape(&json(text)),
        json(&escape(&json(text))),
        json(&ascii_json(&all)),
        json(text),
        json(&json(text)),
        json(text).replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"),
        ascii_json(text),
        escape(text),
        escape(&escape(text)),
        text.chars().map(entities).collect(),
        text.escape_debug().to_string(),
        text.escape_unicode().to_string(),
        text.bytes().map(bytes).collect(),
        text.to_owned(),
    ]
}

#[test]
fn a_secret_is_found_in_whatever_form_it_is_escaped() {
    for form in escaped(AWKWARD) {
        let text = format!("before {form} between {form}");
        let hidden = forms::hide(&text, &secrets(&[AWKWARD]), false);
        assert_eq!(hidden, "before ${NAME} between ${NAME}", "{form}");
    }
    for other in ["", "s3/cr", "%", "\\", "&", "S3/cr=et+&\"\\'<ä 😀>%2f;"] {
        assert_eq!(forms::hide(other, &secrets(&[AWKWARD]), false), other);
    }
}

#[test]
fn the_longest_of_several_counts() {
    let both = secrets(&["token-1", "token-12345"]);
    assert_eq!(forms::hide("token-12345 token-1234", &both, false), "${NAME} ${NAME}234");
}

#[test]
fn the_beginning_of_a_secret_is_hidden_where_a_text_was_cut() {
    for form in escaped(AWKWARD) {
        for (end, _) in form.char_indices() {
            let text = format!("begun: {}", &form[..end]);
            let hidden = forms::hide(&text, &secrets(&[AWKWARD]), true);
            assert!(!hidden.contains("s3/cr=et") && hidden.len() < 7 + 160, "{text}: {hidden}");
            assert!(hidden == text || hidden == "begun: ${NAME}", "{text}: {hidden}");
        }
    }
    let hidden = forms::hide("s3/cr=et+&\"\\'<\u{fffd}", &secrets(&[AWKWARD]), true);
    assert_eq!(hidden, "${NAME}", "cut within a character");
    let whole = "a text that goes on: tokens are refused";
    assert_eq!(forms::hide(whole, &secrets(&["token-12345"]), true), whole);
}

#[test]
fn markup_and_scripts_keep_their_form() {
    let page = "<!doctype html><style>.button{}</style><b class=\"button\" title=\"a button\">button \
                &amp; more</b><script>if (1<2) button(\"button\")</script><i>1 > 0 button";
    assert_eq!(
        document::hide(page, &secrets(&["button"])),
        "<!doctype html><style>.button{}</style><b class=\"${NAME}\" title=\"a ${NAME}\">${NAME} \
         &amp; more</b><script>if (1<2) button(\"button\")</script><i>1 > 0 ${NAME}"
    );
}

/// All texts of a value, names of members apart.
fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(found.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => {
            for (name, member) in members {
                found.insert(name.clone());
                texts(member, found);
            }
        }
        _ => {}
    }
}

#[test]
fn results_stay_readable_where_a_secret_is_one_of_their_words() {
    let mut run = sample::ratios(0.8, 0.5);
    run.header.failure = Some("the secret is webhook".to_owned());
    run.trials[0].account.fault("answered 404: no such webhook");
    let header = serde_json::to_string_pretty(&run.header).unwrap();
    let trial = serde_json::to_string(&run.trials[0]).unwrap();
    let mut words = BTreeSet::new();
    for text in [&header, &trial] {
        texts(&serde_json::from_str(text).unwrap(), &mut words);
    }
    assert!(words.contains("webhook") && words.contains("acknowledged"), "{words:?}");
    for word in words.iter().filter(|word| word.len() >= crate::secrets::SHORTEST) {
        let secrets = secrets(&[word]);
        let read: RunHeader = serde_json::from_str(&document::hide(&header, &secrets)).unwrap();
        let names = |run: &RunHeader| {
            let arms = run.points.iter().flat_map(|point| point.arms.clone());
            arms.map(|arm| (arm.label, arm.transport, arm.target)).collect::<Vec<_>>()
        };
        assert_eq!(names(&read), names(&run.header), "{word}");
        let read: Trial = serde_json::from_str(&document::hide(&trial, &secrets)).unwrap();
        let kept = |trial: &Trial| {
            let account = Account { faults: BTreeMap::new(), ..trial.account.clone() };
            serde_json::json!([trial.label, trial.stage, trial.design, account])
        };
        assert_eq!(kept(&read), kept(&run.trials[0]), "{word}");
    }
    let hidden = document::hide(&trial, &secrets(&["webhook"]));
    assert!(hidden.contains("\"answered 404: no such ${NAME}\":1"), "{hidden}");
    assert!(document::hide(&header, &secrets(&["webhook"])).contains("the secret is ${NAME}"));
}

/// Secrets, whole and in part, escapes, and what looks like one.
fn odd() -> impl Strategy<Value = String> {
    let all: Vec<String> = escaped(AWKWARD).into_iter().chain(escaped("ä😀ä😀")).collect();
    prop_oneof![
        "[%\\\\&+u{}x;#0-9a-fé😀]{0,6}",
        prop::sample::select(all.clone()),
        (prop::sample::select(all), any::<prop::sample::Index>()).prop_map(|(text, index)| {
            let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            text[ends[index.index(ends.len())]..].to_owned()
        }),
    ]
}

#[test]
fn no_file_of_a_run_has_a_secret_that_was_registered() {
    let value = "Zq7-of-a-run";
    crate::secrets::register("OF_A_RUN", value);
    let dir = tempfile::tempdir().unwrap();
    let mut run = sample::ratios(0.8, 0.5);
    run.header.failure = Some(format!("it answered {value}"));
    run.trials[0].account.fault(&format!("it answered {value}"));
    let mut store = Store::create(&dir.path().join("r"), &run.header).unwrap();
    store.append(&run.trials[0], &[]).unwrap();
    let counted = store.records();
    write_atomically(&dir.path().join("r/report.md"), value.as_bytes()).unwrap();
    for file in ["run.json", "trials.jsonl", "report.md"] {
        let text = std::fs::read_to_string(dir.path().join("r").join(file)).unwrap();
        assert!(text.contains("${OF_A_RUN}") && !text.contains(value), "{file}: {text}");
    }
    let read = results_store::read(&dir.path().join("r")).unwrap();
    assert_eq!(read.header.failure.as_deref(), Some("it answered ${OF_A_RUN}"));
    run.header.records = Some(counted);
    store.write_header(&run.header).unwrap();
    let read = results_store::read(&dir.path().join("r")).unwrap();
    assert_eq!(read.altered, None, "what was written is what was counted");
}

/// JSON with a secret here and there, alone and among other text, also in the names of members.
fn values() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "\\PC{0,12}",
        "\\PC{0,4}".prop_map(|text| format!("{text}{AWKWARD}{text}")),
        Just(AWKWARD.to_owned()),
    ];
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    let name =
        prop_oneof![Just("label".to_owned()), text.prop_map(|text| text + " "), "[a-z]{1,6}"];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..4)
                .prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    })
}

/// What redaction is to make of a value below the member `name`.
fn expected(value: &Value, name: &str) -> Value {
    let hidden = |text: &str| forms::hide(text, &secrets(&[AWKWARD]), false).into_owned();
    match value {
        Value::String(text) if name != "label" => hidden(text).into(),
        Value::Array(items) => items.iter().map(|item| expected(item, name)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| {
                let shown = if name.contains(' ') { hidden(name) } else { name.clone() };
                (shown, expected(member, name))
            })
            .collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn no_text_is_too_odd(pieces in prop::collection::vec(odd(), 0..8), cut in any::<bool>()) {
        let hidden = forms::hide(&pieces.concat(), &secrets(&[AWKWARD, "ä😀ä😀"]), cut).into_owned();
        prop_assert!(!hidden.contains(AWKWARD) && !hidden.contains("ä😀ä😀"), "{}", hidden);
    }

    #[test]
    fn json_stays_json_and_only_secrets_change(value in values()) {
        for text in [value.to_string(), format!("{value:#}\n")] {
            let hidden = document::hide(&text, &secrets(&[AWKWARD]));
            let read: Value = serde_json::from_str(&hidden).unwrap();
            prop_assert_eq!(&read, &expected(&value, ""));
            if read == value {
                prop_assert_eq!(&*hidden, &*text, "unchanged to the byte");
            }
        }
    }
}

#[test]
fn a_text_too_short_to_hold_a_beginning_stays() {
    let secrets = [Secret { value: "abcdefgh".to_owned(), shown: "${NAME}".to_owned() }];
    for text in ["", "a", "abcde", "%", "&", "\u{feff}ok", "abcdeX"] {
        assert_eq!(forms::hide(text, &secrets, true), text);
    }
    assert_eq!(forms::hide("xabcdef", &secrets, true), "x${NAME}");
}
