//! The executable file that the command of a target starts, where a copy of it can be started instead.

use crate::manifest::{Manifest, SELF};
use crate::{program, setup};
use object::elf::{DT_RPATH, DT_RUNPATH, FileHeader32, FileHeader64, SHF_ALLOC};
use object::read::elf::{Dyn as _, FileHeader, SectionHeader as _};
use object::{Endianness, FileKind, ReadCache, ReadRef};
use rustix::fs::fgetxattr;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Mode bits that give a program the rights of its owner or group.
const SET_ID: u32 = 0o6000;
/// Where Linux keeps capabilities of a file.
const CAPABILITIES: &str = "security.capability";
/// Makes the folder above a virtual environment of Python.
const VENV: &str = "pyvenv.cfg";
/// In a list of library folders: the folder of the executable.
const ORIGIN: [&str; 2] = ["$ORIGIN", "${ORIGIN}"];

/// An executable that can be copied.
#[derive(Debug)]
pub(super) struct Executable {
    /// Its place among the words of the command.
    pub word: usize,
    /// Its name, as the command has it.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its content, also when a build puts another file in its place.
    pub file: File,
    /// Its length.
    pub bytes: u64,
    /// What is not copied, in order: debugging information, which no running program needs and which may be most of
    /// the file. A copy has holes there.
    pub holes: Vec<Range<u64>>,
}

/// What an ELF file says of itself.
#[derive(Debug, Default, PartialEq)]
struct Layout {
    /// It names its own folder for libraries.
    finds_libraries_beside_itself: bool,
    holes: Vec<Range<u64>>,
}

impl Executable {
    /// The executable of a target, or why a copy of it cannot be started in its place.
    pub fn of(manifest: &Manifest) -> Result<Executable, String> {
        let Some(words) = &manifest.command else {
            return Err(format!("the server at {} was running before", manifest.url));
        };
        if words[0] == SELF {
            return Executable::open(0, SELF, program().clone());
        }
        let (word, changed) = started_by_env(words)?;
        let text = &words[word];
        if !text.contains('/') {
            return Err(format!("{text} is found through PATH"));
        }
        let own = setup::folder(manifest).map_err(|e| e.to_string())?.unwrap_or_default();
        let path = own.join(changed).join(text);
        let cannot = |e| format!("{} cannot be read: {e}", path.display());
        if fs::symlink_metadata(&path).map_err(cannot)?.is_symlink() {
            return Err(format!("{} is a symbolic link", path.display()));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        if folder.join(VENV).exists() || folder.join("..").join(VENV).exists() {
            return Err(format!("{} belongs to a virtual environment", path.display()));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Executable::open(word, &name, path)
    }

    /// The parts of the file that are copied, in order.
    pub fn copied(&self) -> Vec<Range<u64>> {
        let ends = self.holes.iter().map(|hole| hole.start).chain([self.bytes]);
        let starts = [0].into_iter().chain(self.holes.iter().map(|hole| hole.end));
        starts.zip(ends).map(|(start, end)| start..end).collect()
    }

    /// Bytes of a copy.
    pub fn copied_bytes(&self) -> u64 {
        self.copied().iter().map(|part| part.end.saturating_sub(part.start)).sum()
    }

    fn open(word: usize, name: &str, path: PathBuf) -> Result<Executable, String> {
        let cannot = |e| format!("{} cannot be read: {e}", path.display());
        let file = File::open(&path).map_err(cannot)?;
        let described = file.metadata().map_err(cannot)?;
        let has_capabilities = fgetxattr(&file, CAPABILITIES, &mut [0_u8; 0]).is_ok();
        if described.mode() & SET_ID != 0 || has_capabilities {
            return Err(format!("{} has rights that a copy would not have", path.display()));
        }
        let (bytes, name) = (described.len(), name.to_owned());
        match layout(&file) {
            None => Err(format!("{} is a script, not an ELF executable", path.display())),
            Some(layout) if layout.finds_libraries_beside_itself => Err(format!(
                "{} looks for libraries beside itself (RUNPATH with $ORIGIN)",
                path.display()
            )),
            Some(Layout { holes, .. }) => Ok(Executable { word, name, path, file, bytes, holes }),
        }
    }
}

/// The place of the program among words that may begin with `env -C DIR NAME=VALUE`, and the folder that
/// `env` changes to.
fn started_by_env(words: &[String]) -> Result<(usize, PathBuf), String> {
    let (mut at, mut folder) = (0, PathBuf::new());
    let named_env = |word: &String| Path::new(word).file_name().is_some_and(|name| name == "env");
    let none = || format!("`{}` names no program", shell_words::join(words));
    while named_env(words.get(at).ok_or_else(none)?) {
        at += 1;
        while let Some(word) = words.get(at) {
            let changed = match word.as_str() {
                "-C" | "--chdir" => {
                    at += 1;
                    Some(words.get(at).ok_or_else(none)?.as_str())
                }
                "-u" | "--unset" => {
                    at += 1;
                    None
                }
                "-" | "--" | "-i" | "--ignore-environment" => None,
                word if word.starts_with("--unset=") => None,
                word if word.starts_with('-') => {
                    let changed = word.strip_prefix("--chdir=").or(word.strip_prefix("-C"));
                    Some(changed.ok_or_else(|| format!("env is given {word}"))?)
                }
                word if word.contains('=') => None,
                _ => break,
            };
            folder = changed.map_or(folder.clone(), |changed| folder.join(changed));
            at += 1;
        }
    }
    Ok((at, folder))
}

/// `None` of a file that is not ELF.
fn layout(file: &File) -> Option<Layout> {
    let data = ReadCache::new(file);
    let layout = match FileKind::parse(&data).ok()? {
        FileKind::Elf32 => read::<FileHeader32<Endianness>, _>(&data),
        FileKind::Elf64 => read::<FileHeader64<Endianness>, _>(&data),
        _ => return None,
    };
    Some(layout.unwrap_or_default())
}

/// `None` of a file without readable sections.
fn read<'a, E: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(data: R) -> Option<Layout> {
    let header = E::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, data).ok()?;
    let debugging = sections.iter().filter(|section| {
        let flags: u64 = section.sh_flags(endian).into();
        let name = sections.section_name(endian, section).unwrap_or_default();
        flags & u64::from(SHF_ALLOC) == 0 && name.starts_with(b".debug_")
    });
    let mut holes: Vec<Range<u64>> = debugging
        .filter_map(|section| section.file_range(endian))
        .map(|(offset, size)| offset..offset.saturating_add(size))
        .collect();
    holes.sort_by_key(|hole| hole.start);
    let names_origin = || {
        let (entries, strings) = sections.dynamic(endian, data).ok()??;
        let strings = sections.strings(endian, data, strings).ok()?;
        let folders = entries.iter().filter(|entry| {
            let tag: i64 = entry.d_tag(endian).into();
            [DT_RPATH, DT_RUNPATH].contains(&tag)
        });
        let mut folders = folders.filter_map(|entry| entry.string(endian, strings).ok());
        Some(folders.any(|text| {
            let text = String::from_utf8_lossy(text);
            ORIGIN.iter().any(|origin| text.contains(origin))
        }))
    };
    Some(Layout { finds_libraries_beside_itself: names_origin() == Some(true), holes })
}

#[cfg(test)]
#[path = "executable_tests.rs"]
mod tests;
