//! Packs the files of the shipped targets and proxies, which are a compressed part of the program.

use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let mut folders = BTreeMap::new();
    for name in ["targets", "proxies"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = BTreeMap::new();
        // What lies beside the folders is for readers of the repository.
        for path in entries(&folder).into_iter().filter(|path| path.is_dir()) {
            add(&path, &folder, &mut files);
        }
        folders.insert(name, files);
    }
    let to = PathBuf::from(std::env::var("OUT_DIR").unwrap()).join("shipped.json.deflate");
    let mut packed = DeflateEncoder::new(std::fs::File::create(to).unwrap(), Compression::best());
    serde_json::to_writer(&mut packed, &folders).unwrap();
    packed.finish().unwrap();
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Adds all texts below a path, by their paths from the root. What is no text was left behind by a program.
fn add(path: &Path, root: &Path, files: &mut BTreeMap<String, String>) {
    if path.is_dir() {
        entries(path).iter().for_each(|entry| add(entry, root, files));
        return;
    }
    match std::fs::read_to_string(path) {
        Ok(text) => {
            files.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), text);
        }
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {}
        Err(e) => panic!("{}: {e}", path.display()),
    }
}
