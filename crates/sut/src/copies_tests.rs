use super::*;
use pushbench_core::event::Matching;
use std::os::unix::fs::MetadataExt as _;

fn server(words: &[&str]) -> Manifest {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Manifest {
        command: Some(words),
        ..Manifest::running("x", "http://127.0.0.1:{port}/", Matching::Id)
    }
}

/// A copy of the shell under another name.
fn executable(dir: &Path, name: &str) -> String {
    let path = dir.join(name);
    fs::copy("/bin/sh", &path).unwrap();
    path.display().to_string()
}

/// The guard of the copies is the program, which this one is not: they lie where all is removed.
fn copied(manifests: &mut [Manifest], dir: &Path) {
    let mut all: Vec<&mut Manifest> = manifests.iter_mut().collect();
    assert_eq!(give_in(&mut all, dir).unwrap(), Executables::Copied);
}

fn path(copy: &ProgramCopy) -> PathBuf {
    let mut words = ["".to_owned(), "--port".to_owned()];
    copy.fill_in(&mut words);
    assert_eq!(words[1], "--port");
    words[0].clone().into()
}

#[test]
fn every_start_has_a_file_of_its_own_at_a_path_of_one_length() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (executable(dir.path(), "server"), executable(dir.path(), "server-next"));
    let mut manifests = [&old, &new, &old].map(|program| server(&[program, "{port}"]));
    copied(&mut manifests, dir.path());
    let mut paths = Vec::new();
    for _ in 0..4 {
        let all: Vec<&Manifest> = manifests.iter().collect();
        let group: Vec<ProgramCopy> = make_all(&all).unwrap().into_iter().flatten().collect();
        assert_eq!(group.len(), 3);
        let files: Vec<_> = group.iter().map(|copy| fs::metadata(path(copy)).unwrap()).collect();
        for (file, original) in files.iter().zip([&old, &new, &old]) {
            assert_eq!(file.nlink(), 1, "a link is no copy");
            assert_eq!(file.mode() & 0o777, 0o700);
            assert_ne!(file.ino(), fs::metadata(original).unwrap().ino());
        }
        let inodes: std::collections::BTreeSet<u64> = files.iter().map(|f| f.ino()).collect();
        assert_eq!(inodes.len(), 3, "two targets ran from one file");
        assert!(group.iter().all(|copy| fs::read(path(copy)).unwrap() == fs::read(&old).unwrap()));
        assert!(path(&group[1]).ends_with("server-next"));
        paths.extend(group.iter().map(path));
        let place = paths[0].parent().unwrap().parent().unwrap();
        assert_eq!(fs::metadata(place).unwrap().mode() & 0o777, 0o700);
        drop(group);
        assert_eq!(fs::read_dir(place).unwrap().count(), 0, "copies outlived their targets");
    }
    let lengths: Vec<usize> = paths.iter().map(|path| path.as_os_str().len()).collect();
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{paths:?}");
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 12, "a path was used again");
    manifests[0].run_in_place();
    assert!(!manifests[0].is_copied() && manifests[1].is_copied());
}

#[test]
fn a_build_that_is_replaced_meanwhile_changes_no_copy() {
    let dir = tempfile::tempdir().unwrap();
    let program = executable(dir.path(), "server");
    let mut manifests = [server(&[&program])];
    copied(&mut manifests, dir.path());
    fs::remove_file(&program).unwrap();
    fs::write(&program, "another build").unwrap();
    let copy = make_all(&[&manifests[0]]).unwrap().pop().unwrap().unwrap();
    assert_eq!(fs::read(path(&copy)).unwrap(), fs::read("/bin/sh").unwrap());
}

/// The compiler that links this test makes a program with debugging information.
#[test]
fn debugging_information_is_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("p.c"), dir.path().join("p"));
    fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    let mut cc = std::process::Command::new("cc");
    assert!(cc.args(["-g", "-o"]).arg(&program).arg(&source).status().unwrap().success());
    let mut manifests = [server(&[&program.display().to_string()])];
    copied(&mut manifests, dir.path());
    let executable = manifests[0].copies.as_ref().unwrap().executable.clone();
    let names = |hole: &std::ops::Range<u64>| hole.end > hole.start;
    assert!(executable.holes.iter().any(names), "{:?}", executable.holes);
    let copy = make_all(&[&manifests[0]]).unwrap().pop().unwrap().unwrap();
    let (whole, part) = (fs::read(&program).unwrap(), fs::read(path(&copy)).unwrap());
    assert_eq!(whole.len(), part.len());
    for range in executable.copied() {
        let range = range.start as usize..range.end as usize;
        assert!(whole[range.clone()] == part[range], "a loaded part differs");
    }
    assert!(executable.copied_bytes() < executable.bytes);
}

#[test]
fn no_target_always_has_the_first_copy() {
    for count in 1..6 {
        let mut positions = vec![vec![0; count]; count];
        for group in 0..3 * count {
            let order: Vec<usize> = rotated(group, count).collect();
            order.iter().enumerate().for_each(|(at, target)| positions[*target][at] += 1);
        }
        assert_eq!(positions, vec![vec![3; count]; count]);
    }
}

#[test]
fn all_are_copied_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let program = executable(dir.path(), "server");
    let (mut one, mut other) = (server(&[&program]), server(&["python3", "server.py"]));
    let found = give(&mut [&mut one, &mut other], dir.path()).unwrap();
    assert_eq!(found, Executables::InPlace("python3 is found through PATH".to_owned()));
    assert!(!one.is_copied() && !other.is_copied());
    let copies = make_all(&[&one, &other]).unwrap();
    assert!(copies.iter().all(Option::is_none));
}

#[test]
fn room_is_checked_before_anything_is_copied() {
    let error = check_room(Path::new("/proc"), 1).unwrap_err().to_string();
    assert!(error.contains("/proc has 0 MiB free") && error.contains("TMPDIR"), "{error}");
    check_room(&std::env::temp_dir(), 1).unwrap();
    assert!(!may_execute(Path::new("/nowhere")) && may_execute(Path::new("/bin")));
}
