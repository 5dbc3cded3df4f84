use super::*;
use pushbench_core::event::Matching;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn of(words: &[&str]) -> Result<Executable, String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Executable::of(&Manifest { command: Some(words), ..running() })
}

fn running() -> Manifest {
    Manifest::running("x", "http://127.0.0.1:{port}/", Matching::Id)
}

/// A folder with the executable `server`.
fn folder() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::copy("/bin/sh", dir.path().join("server")).unwrap();
    let path = dir.path().display().to_string();
    (dir, path)
}

#[test]
fn the_program_is_found_behind_env() {
    let (_dir, path) = folder();
    let at = |words: &[&str]| {
        let found = of(words).unwrap_or_else(|why| panic!("{words:?}: {why}"));
        assert_eq!((found.name.as_str(), found.bytes > 0), ("server", true));
        assert_eq!(fs::canonicalize(found.path).unwrap(), Path::new(&path).join("server"));
        found.word
    };
    let absolute = format!("{path}/server");
    let (joined, attached) = (format!("--chdir={path}"), format!("-C{path}"));
    assert_eq!(at(&[&absolute, "--port", "{port}"]), 0);
    assert_eq!(at(&["env", "-C", &path, "./server", "A=b"]), 3);
    assert_eq!(at(&["/usr/bin/env", "-i", "A=b", "C=/d/e", &absolute]), 4);
    assert_eq!(at(&["env", "-u", "A", &joined, "--", "./server"]), 5);
    assert_eq!(at(&["env", "A=b", "env", &attached, "--unset=B", "./server"]), 5);
}

#[test]
fn a_relative_path_lies_in_the_folder_of_the_target() {
    let (dir, _) = folder();
    let files = crate::manifest::Files::Own(dir.path().to_owned());
    let command = Some(vec!["./server".to_owned()]);
    let cwd = Some(".".to_owned());
    let found = Executable::of(&Manifest { command, files, cwd, ..running() }).unwrap();
    assert_eq!(fs::canonicalize(found.path).unwrap(), dir.path().join("server"));
}

#[test]
fn this_program_is_one() {
    let found = of(&[SELF, "serve"]).unwrap();
    assert_eq!((found.word, found.name.as_str()), (0, "pushbench"));
}

#[test]
fn what_a_copy_cannot_stand_for_is_said() {
    let (dir, path) = folder();
    let file = |name: &str| dir.path().join(name).display().to_string();
    fs::write(file("script"), "#!/bin/sh\n").unwrap();
    symlink(file("server"), file("link")).unwrap();
    fs::create_dir_all(file("venv/bin")).unwrap();
    fs::write(file("venv/pyvenv.cfg"), "").unwrap();
    fs::copy("/bin/sh", file("venv/bin/python")).unwrap();
    fs::copy("/bin/sh", file("root")).unwrap();
    fs::set_permissions(file("root"), fs::Permissions::from_mode(0o4755)).unwrap();
    for (words, why) in [
        (vec!["python3", "server.py"], "python3 is found through PATH"),
        (vec!["env", "-C", &path, "node", "./server"], "node is found through PATH"),
        (vec!["env", "-S", "./server"], "env is given -S"),
        (vec!["env", "A=b"], "names no program"),
        (vec!["env", "-C"], "names no program"),
        (vec![&file("script")], "script is a script, not an ELF executable"),
        (vec![&file("link")], "link is a symbolic link"),
        (vec![&file("venv/bin/python")], "belongs to a virtual environment"),
        (vec![&file("root")], "has rights that a copy would not have"),
        (vec![&file("none")], "none cannot be read: No such file"),
    ] {
        let said = of(&words).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
    let said = Executable::of(&running()).unwrap_err();
    assert!(said.contains("was running before"), "{said}");
}

/// The linker is asked for each kind of library folder.
#[test]
fn libraries_beside_the_executable_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("main.c");
    fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    for (option, beside) in [
        ("-Wl,-rpath,$ORIGIN/../lib", true),
        ("-Wl,--disable-new-dtags,-rpath,${ORIGIN}", true),
        ("-Wl,-rpath,/opt/lib", false),
        ("-static", false),
    ] {
        let program = dir.path().join("program");
        let linked = std::process::Command::new("cc")
            .args([option, "-o"])
            .arg(&program)
            .arg(&source)
            .output();
        let linked = match linked {
            Ok(linked) => linked,
            Err(e) if std::env::var_os("CI").is_none() => {
                eprintln!("skipped: cc: {e}");
                return;
            }
            Err(e) => panic!("cc: {e}"),
        };
        assert!(linked.status.success(), "{}", String::from_utf8_lossy(&linked.stderr));
        let file = File::open(&program).unwrap();
        let found = layout(&file).unwrap();
        assert_eq!(found.finds_libraries_beside_itself, beside, "{option}");
        fs::remove_file(program).unwrap();
    }
    assert_eq!(layout(&File::open(&source).unwrap()), None);
}
