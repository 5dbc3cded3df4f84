#!/usr/bin/env python3
"""Gates that judge instructions, of equal builds and of builds that execute 1 % more, in several languages.

    benches/gate-instructions/figures.py PUSHBENCH [LANGUAGE]…

runs ten of each kind and language and writes the counts of each gate into results/gate-instructions/gates.json. Gates that
are there already are kept: remove the file to begin anew. `cargo test --test suite stated_results` judges them again.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
RESULT = HERE.parent.parent / "results" / "gate-instructions" / "gates.json"
GATES = 10
PARTS = ("base", "candidate", "null")
# Numbers that base and slower candidate add up for each event: the difference is 1 % of the event's instructions.
WORK = {"c": (1000, 1019), "rust": (1000, 1046), "python": (1000, 1013), "node": (1000, 1100)}


def command(language, folder):
    program = folder / language
    match language:
        case "c":
            subprocess.run(["cc", "-O2", "-o", program, HERE / "server.c"], check=True)
            return str(program)
        case "rust":
            subprocess.run(["rustc", "-O", "-o", program, HERE / "server.rs"], check=True)
            return str(program)
        case "python":
            # Not a shell script that finds it: valgrind would run the shell, too.
            return f"{sys.executable} -S -E {HERE / 'server.py'}"
        case "node":
            return f"node {HERE / 'server.js'}"


def gate(pushbench, command, works, folder):
    """The counts of one gate."""
    out = folder / "gate"
    base, candidate = (f"{command} {{port}} {work}" for work in works)
    words = [pushbench, "gate", "--judge", "instructions", "--base", base, "--candidate", candidate, "--out", out]
    ended = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if ended.returncode > 2:
        sys.exit(ended.stderr)
    method = json.loads((out / "gate.json").read_text())["instructions"]
    trials = [json.loads(line) for line in (out / "instructions.jsonl").read_text().splitlines()]
    subprocess.run(["rm", "-r", out], check=True)
    counts = {part: [[0, 0] for _ in range(method["blocks"])] for part in PARTS}
    events = [0, 0]
    for trial in trials:
        length = ("short", "long").index(trial["length"])
        counts[trial["arm"].split("@")[1]][trial["block"]][length] = trial["instructions"]
        events[length] = trial["events"]
    return {"counter": method["counter"], "events": events, **counts}


def main():
    pushbench, *languages = sys.argv[1:]
    stored = json.loads(RESULT.read_text()) if RESULT.exists() else []
    languages = languages or ["c", "rust", "python"]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for language in languages:
            program = command(language, folder)
            base, slower = WORK[language]
            for kind, works in (("equal", (base, base)), ("1 % more", (base, slower))):
                done = sum((gate["language"], gate["kind"]) == (language, kind) for gate in stored)
                for number in range(done, GATES):
                    print(f"{language}, {kind}: {number + 1} of {GATES}", file=sys.stderr)
                    stored.append({"language": language, "kind": kind, **gate(pushbench, program, works, folder)})
                    RESULT.parent.mkdir(exist_ok=True)
                    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in stored)
                    RESULT.write_text(f"[\n{lines}\n]\n")


main()
