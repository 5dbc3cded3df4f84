use super::*;
use pushbench_analysis::compare::gate::sample::{Recipe, recipe, settings};
use pushbench_core::scenario::Blocks;
use pushbench_host::results_store::Store;

fn begin(dir: &Path, ended: Option<End>) {
    let header = GateHeader {
        schema: verdict::SCHEMA,
        pushbench: "0.1.0".to_owned(),
        command: vec!["pushbench".to_owned()],
        base: "old".to_owned(),
        candidate: "new".to_owned(),
        settings: settings(),
        against: None,
        at_most_s: None,
        scenario: "gate".to_owned(),
        executables: None,
        instructions: None,
        ended,
    };
    create(dir, &header).unwrap();
}

/// A gate's directory with these stages, each a candidate that takes this part of the base's time.
fn gate(dir: &Path, candidates: &[f64], ended: Option<End>) -> Vec<Gate> {
    begin(dir, ended);
    for (stage, candidate) in candidates.iter().enumerate() {
        let mut run = recipe(*candidate).run();
        let mut store = Store::create(&stage_dir(dir, stage + 1), &run.header).unwrap();
        run.trials.iter().for_each(|t| store.append(t, &[]).unwrap());
        run.header.records = Some(store.records());
        store.write_header(&run.header).unwrap();
    }
    read(dir).unwrap().1
}

fn end(stages: usize, error: Option<&str>) -> Option<End> {
    let failure = error.map(|e| Failure { error: e.to_owned(), exit_code: 3 });
    Some(End { stages, failure })
}

#[test]
fn a_stage_that_is_missing_leaves_no_verdict() {
    let root = tempfile::tempdir().unwrap();
    let last = |name: &str, candidates: &[f64], ended: Option<End>| {
        let gate = gate(&root.path().join(name), candidates, ended).pop().unwrap();
        (gate.exit_code(), gate.sentence)
    };
    assert_eq!(last("whole", &[1.08, 1.0], end(2, None)).0, 0);
    let (code, said) = last("missing", &[1.08], end(2, None));
    assert!(code == 2 && said.contains("stage 2 is missing"), "{said}");
    let (code, said) = last("former", &[1.08], None);
    assert!(code == 2 && said.contains("stage 2 is missing"), "{said}");
    assert_eq!(last("former-whole", &[22.0, 22.0], None).0, 1);
}

#[test]
fn a_failure_is_kept_with_the_stage_it_ended() {
    let root = tempfile::tempdir().unwrap();
    for (name, candidates) in [("none", &[][..]), ("first", &[1.25]), ("second", &[1.25, 1.0])] {
        let ended = end(candidates.len(), Some("the target exited"));
        let stages = gate(&root.path().join(name), candidates, ended);
        assert_eq!(stages.len(), candidates.len().max(1));
        let last = stages.last().unwrap();
        assert!(last.sentence.starts_with("NO VERDICT"), "{}", last.sentence);
        assert!(last.sentence.contains("the target exited") && last.exit_code() == 3);
    }
}

/// A gate of 24 blocks that was looked at after these, and its looks.
fn of_looks(dir: &Path, begun: &[usize], looks_end: bool, ended: Option<End>) -> Vec<Gate> {
    begin(dir, ended);
    let mut run = Recipe { blocks: 24, ..recipe(1.0) }.run();
    run.header.points[0].scenario.compare.blocks = Blocks::Fixed(24);
    let part = blocks_dir(dir);
    let mut store = Store::create(&part, &run.header).unwrap();
    run.trials.iter().for_each(|t| store.append(t, &[]).unwrap());
    run.header.records = Some(store.records());
    store.write_header(&run.header).unwrap();
    let look = |(index, begun): (usize, &usize)| {
        let begun = vec![*begun];
        let number = index + 1;
        Look { number, planned: 4, share: 0.25, last: false, begun, ..Look::only() }
    };
    let looks: Vec<Look> = begun.iter().enumerate().map(look).collect();
    let looks = serde_json::json!({ "looks": looks, "ended": looks_end });
    std::fs::write(part.join("looks.json"), looks.to_string()).unwrap();
    read(dir).unwrap().1
}

#[test]
fn every_look_is_judged_again_by_its_own_blocks() {
    let root = tempfile::tempdir().unwrap();
    let dir = |name: &str| root.path().join(name);
    let whole = of_looks(&dir("whole"), &[8, 12, 24], true, end(3, None));
    let blocks: Vec<usize> = whole.iter().map(|gate| gate.blocks_valid).collect();
    assert_eq!(blocks, [8, 12, 24]);
    assert_eq!((whole[2].exit_code(), whole[2].looks_planned), (0, Some(4)));
    // Killed before its end, and a look that is missing.
    for (name, looks_end, ended) in [("killed", false, None), ("missing", true, end(4, None))] {
        let cut = of_looks(&dir(name), &[8, 12], looks_end, ended).pop().unwrap();
        assert_eq!(cut.exit_code(), 2);
        assert!(cut.sentence.contains("did not run to its end"), "{}", cut.sentence);
    }
    // What failed is shown with everything that was measured.
    let failed = of_looks(&dir("failed"), &[8], false, end(1, Some("the target exited")));
    assert_eq!((failed.len(), failed[1].blocks_valid, failed[1].exit_code()), (2, 24, 3));
}

#[test]
fn looks_that_spend_too_much_are_damaged() {
    let root = tempfile::tempdir().unwrap();
    of_looks(root.path(), &[8, 24], true, end(2, None));
    let file = blocks_dir(root.path()).join("looks.json");
    let text = std::fs::read_to_string(&file).unwrap();
    for (old, new) in [("0.25", "0.9"), ("0.25", "-1.0"), ("\"number\":2", "\"number\":3")] {
        std::fs::write(&file, text.replace(old, new)).unwrap();
        let why = read(root.path()).unwrap_err().to_string();
        assert!(why.contains("looks.json is damaged"), "{why}");
    }
}

#[test]
fn records_cut_off_a_stage_leave_no_verdict() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("g");
    assert_eq!(gate(&dir, &[1.0], end(1, None))[0].exit_code(), 0);
    let trials = stage_dir(&dir, 1).join("trials.jsonl");
    let text = std::fs::read_to_string(&trials).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').take(30).collect();
    std::fs::write(&trials, lines.concat()).unwrap();
    let cut = read(&dir).unwrap().1.pop().unwrap();
    assert_eq!(cut.exit_code(), 2);
    assert!(cut.sentence.contains("holds 30 records, run.json counted 36"), "{}", cut.sentence);
}
