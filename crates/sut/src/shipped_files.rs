//! The files of the targets and proxies that the program brings along. The build script has packed them.

use flate2::read::DeflateDecoder;
use include_dir::{Dir, DirEntry, File};
use std::collections::BTreeMap;
use std::sync::LazyLock;

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shipped.json.deflate"));

/// The folder `targets/` of the repository.
pub static TARGETS: LazyLock<Dir<'static>> = LazyLock::new(|| unpacked("targets"));
/// The folder `proxies/` of the repository.
pub static PROXIES: LazyLock<Dir<'static>> = LazyLock::new(|| unpacked("proxies"));

fn unpacked(name: &str) -> Dir<'static> {
    type Folders = BTreeMap<String, BTreeMap<String, String>>;
    let mut folders: Folders =
        serde_json::from_reader(DeflateDecoder::new(PACKED)).expect("the build script packed it");
    let files: Vec<(String, String)> = folders.remove(name).into_iter().flatten().collect();
    folder("", files.leak())
}

/// The folder at a path, of the files below it, which are sorted.
fn folder(path: &'static str, files: &'static [(String, String)]) -> Dir<'static> {
    let begin = if path.is_empty() { 0 } else { path.len() + 1 };
    let end = |file: &str| file[begin..].find('/').map(|at| begin + at);
    let of_one = |a: &(String, String), b: &(String, String)| {
        end(&a.0).is_some_and(|at| b.0.get(..=at) == Some(&a.0[..=at]))
    };
    let entries: Vec<DirEntry<'static>> = files
        .chunk_by(of_one)
        .map(|below| match (&below[0], end(&below[0].0)) {
            ((file, _), Some(at)) => DirEntry::Dir(folder(&file[..at], below)),
            ((file, text), None) => DirEntry::File(File::new(file, text.as_bytes())),
        })
        .collect();
    Dir::new(path, entries.leak())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    type Files = BTreeMap<PathBuf, Vec<u8>>;

    fn add(dir: &Dir<'_>, all: &mut Files) {
        all.extend(dir.files().map(|file| (file.path().into(), file.contents().into())));
        dir.dirs().for_each(|sub| add(sub, all));
    }

    fn add_stored(folder: &Path, root: &Path, all: &mut Files) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add_stored(&path, root, all);
            } else if folder != root {
                let contents = std::fs::read(&path).unwrap();
                if std::str::from_utf8(&contents).is_ok() {
                    all.insert(path.strip_prefix(root).unwrap().into(), contents);
                }
            }
        }
    }

    #[test]
    fn they_are_the_files_of_the_repository() {
        for (name, dir) in [("targets", &*TARGETS), ("proxies", &*PROXIES)] {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
            let (mut packed, mut stored) = (Files::new(), Files::new());
            add(dir, &mut packed);
            add_stored(&root, &root, &mut stored);
            let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&packed), names(&stored), "{name}");
            assert!(packed == stored && packed.len() > 10, "{name}");
            assert!(packed.keys().all(|path| dir.get_file(path).is_some()), "{name}");
        }
    }
}
