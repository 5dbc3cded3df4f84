#!/usr/bin/env python3
"""Gates of a copied executable against itself, on a machine that is busy with something else.

    benches/gate-busy/figures.py PUSHBENCH [GATES]

runs as many gates (30 by default), one after the other, and writes what each came to into results/gate-busy/gates.json.
Gates that are there already are kept: remove the file to begin anew. Start what keeps the machine busy beside it, for
example `stress-ng --cpu 1 --cpu-load 60` or a compiler.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

RESULT = pathlib.Path(__file__).resolve().parent.parent.parent / "results" / "gate-busy" / "gates.json"


def summary(seed, gate):
    """What a gate came to, without its settings and counts."""
    stage = gate["stages"][-1]
    kept = {key: stage.get(key) for key in ("verdict", "failure", "sentence", "blocks_run", "blocks_valid")}
    lines = [{key: line[key] for key in ("metric", "outcome", "slow_down", "null")} for line in stage["lines"]]
    return {"seed": seed, **kept, "lines": lines}


def main():
    pushbench, gates = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 30
    RESULT.parent.mkdir(exist_ok=True)
    stored = json.loads(RESULT.read_text()) if RESULT.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for side in ("old", "new"):
            (folder / side).mkdir()
            shutil.copy(pushbench, folder / side / "server")
        for number in range(len(stored) + 1, gates + 1):
            sides = [f"./{side}/server serve webhook --listen 127.0.0.1:{{port}}" for side in ("old", "new")]
            words = ["gate", "--base", sides[0], "--candidate", sides[1], "--seed", str(number), "--out", "run"]
            ended = subprocess.run([pushbench, *words], cwd=folder, stdout=subprocess.DEVNULL)
            print(f"gate {number} of {gates}: exit code {ended.returncode}", file=sys.stderr)
            if ended.returncode > 2:
                sys.exit("no verdict: see above")
            words = ["report", "run", "--format", "json"]
            shown = subprocess.run([pushbench, *words], cwd=folder, stdout=subprocess.PIPE, check=True)
            stored.append(summary(number, json.loads(shown.stdout)))
            RESULT.write_text("[\n" + ",\n".join(json.dumps(gate) for gate in stored) + "\n]\n")
            shutil.rmtree(folder / "run")


main()
