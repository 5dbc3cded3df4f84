"""release/components.py SBOM LICENSES: writes what the program is made of, and under which licences.

Reads cargo's own account of the crates that are linked. SBOM is CycloneDX 1.5 as JSON; LICENSES has the text of every
licence file of these crates. Both depend on the commit alone: SOURCE_DATE_EPOCH is the time that they state.
"""

import json
import os
import subprocess
import sys
import tomllib
import uuid
from datetime import datetime, timezone
from pathlib import Path

TARGET = "x86_64-unknown-linux-gnu"
# As crates name the files that their licences ask to be passed on.
LICENSE_FILES = ("license", "licence", "copying", "copyright", "notice", "unlicense")


def cargo(*words):
    return subprocess.run(["cargo", *words, "--locked"], check=True, text=True, stdout=subprocess.PIPE).stdout


def linked_packages():
    """The packages that are compiled into the program, by id; the program itself is the first."""
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", TARGET))
    # `cargo tree` resolves the features of the program alone, and leaves out what only tests and builds need.
    only = ["--package", "pushbench", "--edges", "normal", "--target", TARGET]
    tree = cargo("tree", *only, "--prefix", "none", "--format", "{p}")
    wanted = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    packages = [p for p in metadata["packages"] if (p["name"], "v" + p["version"]) in wanted]
    packages.sort(key=lambda p: (p["name"] != "pushbench", p["name"], p["version"]))
    edges = {
        node["id"]: [d["pkg"] for d in node["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"])]
        for node in metadata["resolve"]["nodes"]
    }
    return {p["id"]: p for p in packages}, edges


def checksums():
    lock = tomllib.loads(Path("Cargo.lock").read_text())
    return {(p["name"], p["version"]): p["checksum"] for p in lock["package"] if "checksum" in p}


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksum):
    # Older crates write a slash for OR.
    license = (package["license"] or "").replace(" / ", "/").replace("/", " OR ")
    entry = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "licenses": [{"expression": license}],
        "purl": purl(package),
    }
    if checksum:
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["repository"]:
        entry["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return entry


def bill_of_materials(packages, edges):
    sums = checksums()
    entries = [component(p, sums.get((p["name"], p["version"]))) for p in packages.values()]
    rustc = subprocess.run(["rustc", "--version"], check=True, text=True, stdout=subprocess.PIPE).stdout.split()[1]
    date = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)
    dependencies = [
        {"ref": purl(p), "dependsOn": sorted(purl(packages[d]) for d in edges[id] if d in packages)}
        for id, p in packages.items()
    ]
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": date.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": "rustc", "version": rustc}]},
            "component": {**entries[0], "type": "application"},
        },
        "components": entries[1:],
        "dependencies": dependencies,
    }
    # The number of a document follows from what it says.
    bom["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(bom, sort_keys=True)).urn
    return bom


def license_texts(packages):
    """Each text once, below the names of all crates that have it."""
    owners = {}
    for package in packages.values():
        folder = Path(package["manifest_path"]).parent
        files = [f for f in sorted(folder.iterdir()) if f.name.lower().startswith(LICENSE_FILES) and f.is_file()]
        for file in files:
            text = file.read_text(errors="replace").strip()
            owners.setdefault(text, []).append(f"{package['name']} {package['version']}: {file.name}")
    line = "=" * 80
    return "\n\n".join("\n".join([line, *names, line, "", text]) for text, names in owners.items()) + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit("release/components.py SBOM LICENSES: two files to write")
    packages, edges = linked_packages()
    Path(sys.argv[1]).write_text(json.dumps(bill_of_materials(packages, edges), indent=1) + "\n")
    Path(sys.argv[2]).write_text(license_texts(packages))


if __name__ == "__main__":
    main()
