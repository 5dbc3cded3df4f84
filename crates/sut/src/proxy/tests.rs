use super::*;

fn own(text: &str) -> Result<Proxy> {
    let text = format!("[proxy.mine]\n{text}");
    described("pushbench.toml", &text, &Files::Own("".into())).unwrap().remove("mine").unwrap()
}

#[test]
fn every_shipped_proxy_is_complete() {
    let all = list().unwrap();
    assert!(all.len() >= 8);
    for (name, read) in &all {
        let proxy = read.as_ref().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!proxy.about.is_empty() && !proxy.version.is_empty(), "{name}");
        assert_eq!(proxy.package.is_some(), proxy.manifest.setup.is_empty(), "{name}");
        assert_eq!(proxy.over_tls.is_some(), proxy.kind == ProxyKind::Reverse, "{name}");
        assert!(proxy.idle_cutoff.is_some(), "{name}");
        let cure = proxy.cure.as_ref().map(|cure| all[cure].as_ref().unwrap());
        assert!(cure.is_none_or(|cure| cure.kind == proxy.kind && cure.cure.is_none()), "{name}");
    }
}

#[test]
fn what_would_be_started_in_vain_is_refused_with_what_to_write() {
    let reverse = "kind = \"reverse\"\ncommand = [\"x\", \"{listen}\", \"{upstream}\"";
    assert!(own(&format!("{reverse}]\n")).is_ok());
    for (text, wanted) in [
        ("command = \"x\"\n", "pushbench.toml:1:8: mine has no kind"),
        ("kind = \"forward\"\n", "has no command"),
        ("kind = \"reverse\"\ncommand = \"x {upstream}\"\n", "where it listens"),
        ("kind = \"reverse\"\ncommand = \"x {listen}\"\n", "told the server behind it"),
        ("kind = \"forward\"\ncommand = \"x {listen} {upstream}\"\n", "learns from each request"),
        (&format!("{reverse}, \"{{upsteam}}\"]\n"), "did you mean \"upstream\""),
        (&format!("{reverse}, \"{{idle_cutoff}}\"]\n"), "add for example idle_cutoff"),
        (&format!("{reverse}, \"{{cert}}\"]\n"), "[proxy.mine.tls]"),
        (&format!("{reverse}]\ntls = {{ about = \"x\" }}\n"), "the certificate of the run"),
        (&format!("{reverse}]\nca = \"x\"\n"), "ca belongs to a forward proxy"),
        (
            &format!("{reverse}]\nconfig = [\"no.conf\"]\n"),
            "pushbench.toml:4:10: config: cannot read",
        ),
        (&format!("{reverse}]\nidel_cutoff = \"1s\"\n"), "did you mean \"idle_cutoff\""),
        ("kind = \"forward\"\ncommand = \"x {listen}\"\ntls = { about = \"x\" }\n", "remove this"),
    ] {
        let why = own(text).unwrap_err().to_string();
        assert!(why.contains(wanted), "{text}: {why}");
    }
    let named = described("p.toml", "[proxy.\"a b\"]\n", &Files::None).unwrap();
    assert!(named["a b"].as_ref().unwrap_err().to_string().contains("p.toml:1:8: a proxy cannot"));
    assert!(described("p.toml", "proxy = 1\n", &Files::None).is_err());
}
