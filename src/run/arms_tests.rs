use super::*;
use pushbench_core::arm::{ArmOptions, BEARER_VARIABLE, SECRET_VARIABLE};
use pushbench_core::transport::ALL;
use pushbench_host::secrets;
use pushbench_sut::publisher::PublishOptions;

const FLOWS: [&str; 3] = ["ingest", "duplex", "fanout"];

fn builtin(flow: &str) -> BuiltinOptions {
    let publish = || PublishOptions::new(vec!["event".to_owned()], "a-token".to_owned());
    BuiltinOptions {
        answer: (flow == "duplex").then_some(64),
        publish: (flow == "fanout").then(publish),
        ..BuiltinOptions::default()
    }
}

fn found(name: &str, flow: &str) -> Result<Arm> {
    Ok(find(&[name.to_owned()], &builtin(flow), &[], None)?.remove(0))
}

/// Every set of options, on every transport of the built-in target.
fn specs() -> impl Iterator<Item = ArmSpec> {
    let sets = (0..1 << ArmOption::ALL.len()).map(|bits: u32| {
        let members =
            ArmOption::ALL.into_iter().enumerate().filter(move |(i, _)| bits >> i & 1 == 1);
        members.fold(ArmOptions::default(), |set, (_, option)| set.with(option))
    });
    sets.flat_map(|options| {
        ALL.map(|transport| ArmSpec { options, ..ArmSpec::plain(transport, BUILTIN) })
    })
}

#[test]
fn each_set_of_options_runs_or_is_refused_with_a_remedy_that_leads_to_one_that_runs() {
    let mut runs = Vec::new();
    for flow in FLOWS {
        for spec in specs() {
            let (mut arm, mut flow) = (spec.to_string(), flow.to_owned());
            let mut steps = 0;
            while let Err(refusal) = found(&arm, &flow) {
                assert!(matches!(refusal, Error::Usage(_)), "{refusal}");
                let refusal = refusal.to_string();
                let remedy = refusal.split_once(": ").map_or("", |(_, remedy)| remedy);
                if let Some((_, run)) = remedy.split_once("pushbench run ") {
                    flow = run.split(' ').next().unwrap().to_owned();
                }
                let next =
                    remedy.split("--arm ").nth(1).and_then(|rest| rest.split([' ', ',']).next());
                let next = next.unwrap_or_else(|| panic!("no remedy: {refusal}"));
                assert_ne!((next, steps), (arm.as_str(), 9), "it leads nowhere: {refusal}");
                arm = next.to_owned();
                steps += 1;
            }
            if steps == 0 {
                runs.push(format!("{flow} {arm}"));
            }
        }
    }
    let count = |flow: &str, option: &str| {
        runs.iter().filter(|run| run.starts_with(flow) && run.contains(option)).count()
    };
    // Over TLS and without; a webhook over HTTP/1.1, over HTTP/2 or in batches, these with +connections and without; a
    // WebSocket and tcp with +connections and without; compressed and not, but for tcp.
    let (webhook, websocket, tcp) = (2 * 5 * 2, 2 * 2 * 2, 2 * 2);
    // Each with a token and without; tcp has none.
    let (signed, token) = (2 * (webhook + websocket) + tcp, 2 * (webhook + websocket));
    for flow in ["ingest", "duplex"] {
        assert_eq!((count(flow, "+signed"), count(flow, "+token")), (signed, token), "{flow}");
    }
    for arm in
        ["webhook+token+signed", "websocket+signed", "sse+signed", "poll+signed", "tcp+signed"]
    {
        assert!(runs.contains(&format!("fanout {arm}@{BUILTIN}")), "{arm}: {runs:?}");
    }
}

#[test]
fn a_run_has_secrets_of_its_own_in_the_environment_and_nowhere_in_the_command() {
    let arm = found("webhook+token+signed@builtin", "ingest").unwrap();
    let secrets: Vec<_> = arm.manifest.env.iter().collect();
    let names: Vec<&str> = secrets.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [BEARER_VARIABLE, SECRET_VARIABLE]);
    let again = found("webhook+token+signed@builtin", "ingest").unwrap();
    let command = arm.manifest.command.unwrap().join(" ");
    for (i, (name, secret)) in secrets.into_iter().enumerate() {
        assert!(secret.len() >= 32 && !command.contains(secret), "{command}");
        assert_ne!(&again.manifest.env[i].1, secret);
        assert_eq!(secrets::hide(&format!("it is {secret}")), format!("it is ${{{name}}}"));
    }
}

#[test]
fn a_target_without_a_key_is_told_what_to_write() {
    for (arm, remedies) in [
        ("webhook+signed@flask", ["does not verify signatures", "--arm webhook@flask"]),
        ("webhook+token@flask", ["Authorization = \"Bearer ${NAME}\"", "[target.flask.webhook]"]),
        (
            "websocket+signed@websockets",
            ["does not verify signatures", "--arm websocket@websockets"],
        ),
    ] {
        let refusal = found(arm, "ingest").unwrap_err().to_string();
        assert!(remedies.iter().all(|remedy| refusal.contains(remedy)), "{refusal}");
    }
}
