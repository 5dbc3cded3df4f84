"""release/check.py DIR: what can be said of the files of a release without running them.

Ends with 1 and a line for each thing that is wrong.
"""

import hashlib
import json
import re
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

TARGET = "x86_64-unknown-linux-gnu"
OLDEST_GLIBC = (2, 17)
# In bytes: 15 MiB.
LARGEST_PROGRAM = 15 * 2**20


def main():
    if len(sys.argv) != 2 or not Path(sys.argv[1], "SHA256SUMS").is_file():
        sys.exit("release/check.py DIR: a directory that release/build has written")
    folder = Path(sys.argv[1])
    manifest = tomllib.loads(Path("Cargo.toml").read_text())
    name = f"pushbench-{manifest['workspace']['package']['version']}-{TARGET}"
    wheel = next(folder.glob("*.whl"))
    with tarfile.open(folder / f"{name}.tar.gz") as tarball:
        members = {member.name: member for member in tarball}
        program = tarball.extractfile(f"{name}/bin/pushbench").read()
    wrong = [
        *sums(folder),
        *of_the_program(program),
        *of_the_tarball(members),
        *of_the_wheel(wheel, program),
        *of_the_bill(json.loads((folder / f"{name}.cdx.json").read_text())),
        *of_binstall(manifest, name, members),
    ]
    for line in wrong:
        print(f"release/check.py: {line}", file=sys.stderr)
    print(f"program {len(program) / 1e6:.1f} MB, glibc {'.'.join(map(str, newest_glibc(program)))}, {wheel.name}")
    sys.exit(1 if wrong else 0)


def sums(folder):
    stated = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    found = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir() if f.name != "SHA256SUMS"}
    if stated != found:
        yield f"SHA256SUMS does not state what lies beside it: {stated} and {found}"


def newest_glibc(program):
    """The newest version of a symbol that the loader has to find."""
    return max((int(a), int(b)) for a, b in re.findall(rb"\0GLIBC_(\d+)\.(\d+)", program))


def of_the_program(program):
    if len(program) > LARGEST_PROGRAM:
        yield f"the program has {len(program)} bytes, and {LARGEST_PROGRAM} are allowed"
    if newest_glibc(program) > OLDEST_GLIBC:
        yield f"the program needs glibc {newest_glibc(program)}, and {OLDEST_GLIBC} is promised"
    # The checkout, the crates and the home directory.
    for path in (str(Path.cwd()), str(Path.home())):
        if len(path) > 1 and (path + "/").encode() in program:
            yield f"the program contains the path {path} of the machine that built it"


def of_the_tarball(members):
    for member in members.values():
        if (member.uid, member.gid) != (0, 0) or not (member.isfile() or member.isdir()):
            yield f"{member.name} is no file or directory of user 0"
    names = [member for member in members if not member.endswith("/")]
    if names != sorted(names):
        yield "the names in the tarball are not sorted"
    for wanted in ("README.md", "LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY-LICENSES", "pushbench.1", "pushbench-run.1"):
        if not any(member.endswith(f"/{wanted}") for member in members):
            yield f"{wanted} is not in the tarball"


def of_the_wheel(wheel, program):
    if "manylinux_2_17_x86_64" not in wheel.name or "manylinux2014_x86_64" not in wheel.name:
        yield f"{wheel.name} does not name manylinux_2_17 and manylinux2014"
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
        inside = files.read(next(n for n in names if n.endswith(".data/scripts/pushbench")))
    if inside != program:
        yield f"{wheel.name} has another program than the tarball"
    for wanted in ("/sboms/", "LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY-LICENSES"):
        if not any(wanted in member for member in names):
            yield f"{wanted} is not in {wheel.name}"


def of_the_bill(bom):
    """What CycloneDX 1.5 requires, and what makes the list useful."""
    if (bom["bomFormat"], bom["specVersion"], bom["version"]) != ("CycloneDX", "1.5", 1):
        yield "the SBOM is not CycloneDX 1.5"
    if not re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bom["serialNumber"]):
        yield f"the serial number of the SBOM is {bom['serialNumber']}"
    every = [bom["metadata"]["component"], *bom["components"]]
    refs = {component["bom-ref"] for component in every}
    if len(refs) != len(every):
        yield "two components of the SBOM have one bom-ref"
    locked = {(p["name"], p["version"]): p.get("checksum") for p in tomllib.loads(Path("Cargo.lock").read_text())["package"]}
    for component in every:
        key = (component["name"], component["version"])
        hashes = [entry["content"] for entry in component.get("hashes", [])]
        if key not in locked or hashes != [sum for sum in [locked[key]] if sum]:
            yield f"{key} of the SBOM is not in Cargo.lock with its checksum"
        if not component["type"] or not component["purl"] or not component["licenses"][0]["expression"]:
            yield f"{key} of the SBOM lacks its type, purl or licence"
    for entry in bom["dependencies"]:
        if not {entry["ref"], *entry["dependsOn"]} <= refs:
            yield f"a dependency of {entry['ref']} is no component of the SBOM"


def of_binstall(manifest, name, members):
    """`cargo binstall` finds the archive, and the program in it, by these templates."""
    version = manifest["workspace"]["package"]["version"]
    metadata = manifest["package"]["metadata"]["binstall"]
    facts = {"name": "pushbench", "version": version, "target": TARGET, "archive-suffix": ".tar.gz", "bin": "pushbench"}
    facts |= {"repo": "REPOSITORY", "binary-ext": ""}
    filled = lambda text: re.sub(r"\{ *([a-z-]+) *\}", lambda match: facts[match[1]], text)
    if filled(metadata["pkg-url"]) != f"REPOSITORY/releases/download/v{version}/{name}.tar.gz":
        yield f"cargo binstall would look at {filled(metadata['pkg-url'])}"
    if filled(metadata["bin-dir"]) not in members:
        yield f"cargo binstall would look for {filled(metadata['bin-dir'])} in the tarball"


if __name__ == "__main__":
    main()
