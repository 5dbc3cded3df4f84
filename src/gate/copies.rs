//! Base, null and candidate run from fresh copies of their executables, unless they cannot or `--in-place` says so.

use crate::gate::Request;
use crate::gate::record::{self, GateHeader};
use crate::run::Progress;
use crate::run::arms::Arm;
use pushbench_core::error::{Error, Result};
use pushbench_core::record::executables::Executables;
use pushbench_sut::copies;
use pushbench_sut::manifest::Manifest;
use std::path::Path;

/// The option that makes no copies.
const IN_PLACE: &str = "--in-place";

/// From now on the arms run from copies; what became of it is said and recorded.
pub(super) fn begin(
    request: &mut Request,
    header: &mut GateHeader,
    progress: &mut dyn Progress,
) -> Result<()> {
    let executables = match request.in_place {
        true => Executables::InPlace(format!("{IN_PLACE} was given")),
        false => give(&mut request.arms, &request.out)?,
    };
    progress.say(&executables.sentence());
    header.executables = Some(executables);
    record::write(&request.out, header)
}

/// From now on these arms run from copies, if all of them can; they are in `out` where the directory for temporary
/// files does not do.
pub(super) fn give(arms: &mut [Arm], out: &Path) -> Result<Executables> {
    let mut manifests: Vec<&mut Manifest> = arms.iter_mut().map(|arm| &mut arm.manifest).collect();
    copies::give(&mut manifests, out)
}

/// The arms run from their own files again. The copies are removed.
pub(super) fn end(arms: &mut [Arm]) {
    arms.iter_mut().for_each(|arm| arm.manifest.run_in_place());
}

/// A check of the arms before they are measured. Where it fails with copies only, the error says so; where it
/// fails without them, too, it is as if there were none.
pub(super) fn checked(arms: &[Arm], mut check: impl FnMut(&[Arm]) -> Result<()>) -> Result<()> {
    let why = match check(arms) {
        Err(Error::Target { why, .. }) if arms.iter().any(|arm| arm.manifest.is_copied()) => why,
        other => return other,
    };
    let mut originals = arms.to_vec();
    end(&mut originals);
    check(&originals)?;
    Err(Error::target(format!(
        "{why}\nthat was a copy of its executable; started from its own file it works, so it may need files beside \
         itself: add {IN_PLACE}, which makes no copies"
    )))
}
