#!/usr/bin/env python3
"""Where the driver's CPU goes: `perf` over closed loops of different depth, breadth and size.

The server is ours, on one CPU; the driver, and wrk for comparison, on another one. Samples of the thread
that drives are told apart by the system call they were in, and in user space by whose code it is. An
event's CPU is that thread's, as the kernel accounts for it, by the events it sent.

    cargo build --release --locked
    benches/peers/profile.py          # needs perf and the right to look into the kernel: root, or
                                      # sysctl kernel.perf_event_paranoid=1; wrk if it is there
"""

import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from peers import ROOT, Server, machine

HERTZ = 4000
# Transport, connections, in flight, bytes: each question changes one thing.
ROWS = [
    ("webhook", 1, 1, 512),
    ("webhook", 32, 1, 512),
    ("webhook", 1000, 1, 512),
    ("webhook", 1, 1, 65536),
    ("webhook", 32, 1, 65536),
    ("websocket", 1, 1, 512),
    ("websocket", 1, 16, 512),
    ("websocket", 32, 1, 512),
    ("websocket", 32, 4, 512),
    ("websocket", 32, 16, 512),
    ("websocket", 32, 64, 512),
    ("websocket", 1000, 1, 512),
    ("websocket", 1, 1, 65536),
    ("websocket", 32, 1, 65536),
    ("websocket", 32, 16, 65536),
    ("tcp", 32, 1, 512),
]
# The first that is found in a sample's chain of calls tells where it was, from the inside out.
IN_KERNEL = [
    ("sleep", r"^(__)?schedule$"),
    ("send", r"sys_(sendto|sendmsg|write|writev)$"),
    ("receive", r"sys_(recvfrom|recvmsg|read|readv)$"),
    ("poll", r"sys_epoll_(wait|pwait|pwait2)$"),
    ("register", r"sys_epoll_ctl$"),
]
IN_USER = [
    ("clock", r"clock_gettime|clock::now"),
    ("recording", r"pushbench::record"),
    ("runtime", r"tokio|mio::"),
    ("events", r"pushbench|httparse|memcpy|memmove|http_parser"),
]
COLUMNS = ["send", "receive", "poll", "sleep", "register", "other kernel", "clock", "recording", "runtime", "events", "other"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pushbench", default=ROOT / "target/release/pushbench")
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--client-cpu", type=int, default=1)
    parser.add_argument("--out", default=ROOT / "results/profile")
    args = parser.parse_args()
    if not shutil.which("perf"):
        parser.error("perf is missing: apt-get install linux-perf")
    if not Path(args.pushbench).exists():
        parser.error(f"{args.pushbench} is not there: cargo build --release --locked")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        wanted = [("pushbench", *row) for row in ROWS]
        if shutil.which("wrk"):
            wanted.insert(2, ("wrk", "webhook", 32, 1, 512))
        for row in wanted:
            rows.append(profiled(args, Path(scratch), *row))
            print(line(rows[-1]), file=sys.stderr)
    found = {"seconds": args.seconds, "hertz": HERTZ, "machine": machine(), "rows": rows}
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "profile.json").write_text(json.dumps(found, indent=1) + "\n")
    (out / "report.md").write_text(page(found))


def profiled(args, scratch, tool, transport, connections, in_flight, size):
    with Server(argparse.Namespace(args=args), transport) as server:
        if tool == "wrk":
            command, thread, count = wrk(args, scratch, server.address, connections, size)
        else:
            command, thread, count = driver(args, scratch, transport, server.address, connections, in_flight, size)
        data = scratch / "perf.data"
        record = ["perf", "record", "-q", "-o", data, "-F", HERTZ, "-e", "cpu-clock", "-g", "--"]
        pinned = ["taskset", "-c", args.client_cpu]
        words = [str(word) for word in record + pinned + command]
        done = subprocess.run(words, cwd=scratch, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        parts = collections.Counter(part for part in samples(data, thread))
        events = count(done.stdout)
    samples_taken = sum(parts.values())
    # A sample stands for a tick of the CPU's clock.
    cpu_ns = samples_taken / HERTZ / events * 1e9
    return {
        "tool": tool, "transport": transport, "connections": connections, "in_flight": in_flight, "bytes": size,
        "events": events, "samples": samples_taken, "cpu_ns": cpu_ns,
        "ns": {part: parts[part] / samples_taken * cpu_ns for part in COLUMNS},
    }  # fmt: skip


def driver(args, scratch, transport, address, connections, in_flight, size):
    scheme, path = {"webhook": ("http", "/webhook"), "websocket": ("ws", "/"), "tcp": ("tcp", "/")}[transport]
    (scratch / "pushbench.toml").write_text(
        f'[target.peer.{transport}]\nurl = "{scheme}://{address}{path}"\nmatch = "id"\n'
    )
    out = scratch / "run"
    command = [
        args.pushbench, "run", "saturate", "--arm", f"{transport}@peer", "--blocks", 1, "--connections", connections,
        "--in-flight", in_flight, "--payload", size, "--duration", f"{args.seconds}s",
        "--cpus", f"driver={args.client_cpu},target={args.client_cpu}", "--out", out,
    ]  # fmt: skip

    def count(_):
        trials = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]
        shutil.rmtree(out)
        return sum(trial["sent"] for trial in trials)

    return command, "shard-0", count


def wrk(args, scratch, address, connections, size):
    head = '{"id":"0000000000000000","type":"event","data":{"pad":"'
    body = head + "x" * (size - len(head) - 3) + '"}}'
    (scratch / "post.lua").write_text(f"wrk.method = \"POST\"\nwrk.body = [[{body}]]\n")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{args.seconds}s", "-s", "post.lua", f"http://{address}/webhook"]
    return command, "wrk", lambda text: int(re.search(r"(\d+) requests in", text).group(1))


def samples(data, thread):
    """The part that each sample of the thread falls into."""
    script = ["perf", "script", "-i", str(data), "--comms", thread, "--no-inline", "-F", "ip,sym,dso"]
    text = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    for sample in text.split("\n\n"):
        frames = [re.match(r"\s*[0-9a-f]+ (.*) \((.*)\)$", frame) for frame in sample.splitlines()]
        frames = [(frame.group(1), frame.group(2)) for frame in frames if frame]
        if frames:
            yield part(frames)


def part(frames):
    in_kernel = [name for name, program in frames if program.startswith("[kernel")]
    if in_kernel:
        for name, pattern in IN_KERNEL:
            if any(re.search(pattern, symbol) for symbol in in_kernel):
                return name
        return "other kernel"
    symbol = frames[0][0]
    return next((name for name, pattern in IN_USER if re.search(pattern, symbol)), "other")


def line(row):
    parts = ", ".join(f"{part} {ns:.0f}" for part, ns in row["ns"].items() if ns >= 0.5)
    named = f"{row['tool']} {row['transport']}, {row['connections']} x {row['in_flight']}, {row['bytes']} bytes"
    return f"{named}: {row['cpu_ns']:.0f} ns an event: {parts}"


def page(found):
    lines = [
        "# Where the driver's CPU goes",
        "",
        f"Made by `benches/peers/profile.py --seconds {found['seconds']}`: closed loops against our own server, {found['hertz']} "
        "samples a second of the thread that drives, on a CPU of its own. ns of CPU an event; sampling is in them, so "
        "compare rows and columns, and take costs from [peers](../peers/report.md).",
        "",
        "*send, receive, poll, register*: in that system call (`send` contains what loopback bills to the sender: the "
        "receiver's side of TCP, and waking it). *sleep*: giving the CPU away when nothing is ready, and coming back. "
        "*clock*: reading it. *recording*: ledger and histograms, where they are functions of their own. *runtime*: tokio and mio. "
        "*events*: making events, protocols, matching answers, and what was inlined there.",
        "",
        f"Machine: {found['machine']}.",
        "",
        "| | connections | in flight | bytes | CPU | " + " | ".join(COLUMNS) + " |",
        "|---|---:|---:|---:|---:|" + "---:|" * len(COLUMNS),
    ]
    for row in found["rows"]:
        name = row["transport"] if row["tool"] == "pushbench" else f"{row['tool']}, {row['transport']}"
        cells = [name, row["connections"], row["in_flight"], row["bytes"], f"{row['cpu_ns']:.0f}"]
        cells += [f"{row['ns'][part]:.0f}" for part in COLUMNS]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
