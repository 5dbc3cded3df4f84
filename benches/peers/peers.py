#!/usr/bin/env python3
"""CPU time per event of the driver and of the fastest load generators, side by side.

One server of ours stands on one CPU; driver and peers take turns on another one, with the same connections
and the same body, as fast as the answers come. CPU is what the operating system bills each process and its
children for (wait4). Every tool runs for a short and for a long time, and what it spends on an event is the
difference of CPU over the difference of events: starting, connecting and writing reports are in neither's
figure. A ratio compares two tools within a round; printed are medians over rounds and the interval of the
median from the rounds in order of size, which assumes nothing about how they scatter.

    cargo build --release --locked --example ws_loop --bin pushbench
    benches/peers/peers.py            # needs wrk, h2load and oha; says how to get what is missing
"""

import argparse
import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONNECTIONS = 32
BYTES = 512
HOW_TO_GET = {
    "wrk": "apt-get install wrk",
    "h2load": "apt-get install nghttp2-client",
    "oha": "cargo install oha --locked",
}


def main():
    args = arguments()
    tools = {name: shutil.which(name, path=args.path) for name in HOW_TO_GET}
    for name, found in tools.items():
        if not found:
            print(f"{name} is missing and left out; to have it: {HOW_TO_GET[name]}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(args, Path(scratch), tools)
        groups = []
        for group in (webhook, webhook_h2, webhook_tls, websocket):
            if args.only in (None, group.__name__):
                groups.append(bench.measure(group))
    found = {
        # Where the programs lie is nobody's business who reads it.
        "command": f"benches/peers/peers.py --rounds {args.rounds} --short {args.short} --long {args.long}",
        "rounds": args.rounds,
        "seconds": [args.short, args.long],
        "connections": CONNECTIONS,
        "bytes": BYTES,
        "cpus": {"server": args.server_cpu, "client": args.client_cpu},
        "versions": versions(args, tools),
        "groups": groups,
    }
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    # One part may be measured at a time: the other one stays as it was.
    stored = out / "peers.json"
    if args.only and stored.exists():
        older = json.loads(stored.read_text())
        names = [group["name"] for group in groups]
        kept = [group for group in older["groups"] if group["name"] not in names]
        # They may have been measured elsewhere.
        kept = [{"machine": older.get("machine"), **group} for group in kept]
        found["groups"] = sorted(kept + groups, key=lambda group: group["name"])
        found["versions"] = {**older["versions"], **found["versions"]}
    stored.write_text(json.dumps(found, indent=1) + "\n")
    (out / "report.md").write_text(page(found))
    print(page(found))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pushbench", default=ROOT / "target/release/pushbench")
    parser.add_argument("--ws-loop", default=ROOT / "target/release/examples/ws_loop")
    parser.add_argument("--path", default=os.environ["PATH"], help="where wrk, h2load and oha are looked for")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--short", type=int, default=1, metavar="SECONDS")
    parser.add_argument("--long", type=int, default=3, metavar="SECONDS")
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--client-cpu", type=int, default=1)
    parser.add_argument("--only", choices=["webhook", "webhook_h2", "webhook_tls", "websocket"])
    parser.add_argument("--out", default=ROOT / "results/peers")
    args = parser.parse_args()
    for program in (args.pushbench, *([args.ws_loop] if args.only in (None, "websocket") else [])):
        if not Path(program).exists():
            parser.error(f"{program} is not there: cargo build --release --locked --example ws_loop --bin pushbench")
    if args.rounds < 1 or not 0 < args.short < args.long:
        parser.error("it takes at least one round, and --short must be shorter than --long")
    if args.server_cpu == args.client_cpu:
        parser.error("server and client need a CPU each")
    return args


def pinned(cpu):
    return lambda: os.sched_setaffinity(0, {cpu})


class Server:
    """A built-in server on a CPU of its own."""

    def __init__(self, bench, transport):
        command = [bench.args.pushbench, "serve", transport, "--listen", "127.0.0.1:0"]
        command += ["--cert-out", bench.ca] if transport.endswith("+tls") else []
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, preexec_fn=pinned(bench.args.server_cpu)
        )
        line = self.process.stdout.readline()
        self.address = re.match(r"listening on (\S+)", line).group(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


class Bench:
    def __init__(self, args, scratch, tools):
        self.args, self.scratch, self.tools = args, scratch, tools
        head = '{"id":"0000000000000000","type":"event","data":{"pad":"'
        self.body = scratch / "body.json"
        self.body.write_text(head + "x" * (BYTES - len(head) - 3) + '"}}')
        self.ca = scratch / "ca.pem"
        self.post = scratch / "post.lua"
        self.post.write_text(
            'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            f'wrk.body = io.open("{self.body}"):read("*a")\n'
        )
        self.runs = 0

    def measure(self, group):
        name, servers, tools, compared = group(self)
        opened = {transport: Server(self, transport) for transport in servers}
        try:
            addresses = {transport: server.address for transport, server in opened.items()}
            rounds = []
            for number in range(self.args.rounds):
                # Who goes first alternates.
                order = list(tools) if number % 2 == 0 else list(reversed(tools))
                seen = {tool: self.cost(tools[tool], addresses) for tool in order}
                rounds.append(seen)
                shown = ", ".join(f"{tool} {cost['cpu_us']:.2f} µs" for tool, cost in seen.items())
                print(f"{name}, round {number + 1}: {shown}", file=sys.stderr)
        finally:
            for server in opened.values():
                server.__exit__()
        commands = {tool: shown_command(tools[tool](addresses, self.args.long)[0], self) for tool in tools}
        return {"name": name, "machine": machine(), "rounds": rounds, "compared": compared, "commands": commands}

    def cost(self, tool, addresses):
        """CPU and time of one more event."""
        (cpu_short, events_short), (cpu_long, events_long) = [
            self.run(*tool(addresses, seconds)) for seconds in (self.args.short, self.args.long)
        ]
        events = events_long - events_short
        if events <= 0:
            sys.exit("a tool answered no more events in the long run than in the short one: make --long longer")
        return {
            "cpu_us": (cpu_long - cpu_short) / events * 1e6,
            "whole_cpu_us": cpu_long / events_long * 1e6,
            "per_second": events / (self.args.long - self.args.short),
        }

    def run(self, command, count):
        self.runs += 1
        out = self.scratch / f"{self.runs}.out"
        with out.open("w") as stdout:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=self.scratch,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                preexec_fn=pinned(self.args.client_cpu),
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        text = out.read_text()
        if process.returncode:
            sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{text}")
        try:
            return usage.ru_utime + usage.ru_stime, count(text)
        except (AttributeError, KeyError, ValueError) as error:
            sys.exit(f"{' '.join(map(str, command))} said something else than expected ({error}):\n{text}")

    def driver(self, transport, in_flight, connections=CONNECTIONS):
        """Our own driver, with all that it records, towards a server that is running already."""

        def tool(addresses, seconds):
            scheme, path = {
                "webhook": ("http", "/webhook"),
                "webhook+h2": ("http", "/webhook"),
                "webhook+tls": ("https", "/webhook"),
                "websocket": ("ws", "/"),
                "tcp": ("tcp", "/"),
            }[transport]
            self.runs += 1
            more = f'ca = "{self.ca}"\n' if scheme == "https" else ""
            more += 'http_version = "2"\n' if transport.endswith("+h2") else ""
            (self.scratch / "pushbench.toml").write_text(
                f'[target.peer.{transport.split("+")[0]}]\nurl = "{scheme}://{addresses[transport]}{path}"\n'
                f'match = "id"\n{more}'
            )
            out = self.scratch / f"run-{self.runs}"
            cpu = self.args.client_cpu
            command = [
                self.args.pushbench, "run", "saturate", "--arm", f"{transport}@peer", "--blocks", 1,
                "--connections", connections, "--in-flight", in_flight, "--payload", BYTES,
                "--duration", f"{seconds}s", "--cpus", f"driver={cpu},target={cpu}", "--out", out,
            ]  # fmt: skip

            def count(_):
                trials = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]
                shutil.rmtree(out)
                return sum(trial["sent"] for trial in trials)

            return command, count

        return tool

    @staticmethod
    def url(addresses):
        """Where the peers send to: each group has one server that takes webhooks."""
        (transport, address) = next(iter(addresses.items()))
        return f"http{'s' if transport.endswith('+tls') else ''}://{address}/webhook"

    def wrk(self, addresses, seconds):
        url = self.url(addresses)
        command = [self.tools["wrk"], "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", self.post, url]

        def count(text):
            if "Non-2xx" in text or "Socket errors" in text:
                raise ValueError("failures")
            return int(re.search(r"(\d+) requests in", text).group(1))

        return command, count

    def h2load(self, addresses, seconds):
        url = self.url(addresses)
        command = [
            self.tools["h2load"], "--h1", "-t1", f"-c{CONNECTIONS}", "-m1", "-D", seconds, "-d", self.body,
            "-H", "content-type: application/json", url,
        ]  # fmt: skip
        return command, lambda text: int(re.search(r"status codes: (\d+) 2xx", text).group(1))

    def h2load_streams(self, connections, streams):
        """h2load over HTTP/2 without TLS."""

        def tool(addresses, seconds):
            command, count = self.h2load(addresses, seconds)
            new = {"--h1": "--no-tls-proto=h2c", f"-c{CONNECTIONS}": f"-c{connections}", "-m1": f"-m{streams}"}
            return [new.get(word, word) for word in command], count

        return tool

    def oha(self, addresses, seconds):
        url = self.url(addresses)
        command = [
            self.tools["oha"], "-z", f"{seconds}s", "-c", CONNECTIONS, "-m", "POST", "-D", self.body,
            "-H", "content-type: application/json", "--no-tui", "--output-format", "json", url,
        ]  # fmt: skip
        return command, lambda text: json.loads(text)["statusCodeDistribution"]["200"]

    def ws_loop(self, in_flight):
        def tool(addresses, seconds):
            url = f"ws://{addresses['websocket']}/"
            return [self.args.ws_loop, url, CONNECTIONS, in_flight, seconds, self.body], int

        return tool


def webhook(bench):
    tools = {"pushbench webhook": bench.driver("webhook", 1)}
    for name in ("wrk", "h2load", "oha"):
        if bench.tools[name]:
            tools[name] = getattr(bench, name)
    wanted = {"wrk": 1.0, "oha": 0.7}
    compared = [
        {"what": "cpu_us", "of": "pushbench webhook", "over": peer, "at_most": wanted.get(peer)}
        for peer in list(tools)[1:]
    ]
    return "webhook", ["webhook"], tools, compared


def webhook_h2(bench):
    """HTTP/2 without TLS, 32 events in flight over one connection and 64 over four."""
    tools, compared = {}, []
    for connections, streams in ((1, 32), (4, 16)):
        ours, peer = (f"{who}, {connections} × {streams} streams" for who in ("pushbench webhook over HTTP/2", "h2load"))
        tools[ours] = bench.driver("webhook+h2", streams, connections)
        if bench.tools["h2load"]:
            tools[peer] = bench.h2load_streams(connections, streams)
            compared.append({"what": "cpu_us", "of": ours, "over": peer})
    return "webhook over HTTP/2", ["webhook+h2"], tools, compared


def webhook_tls(bench):
    """The same over TLS 1.3. wrk and h2load use OpenSSL and do not check the certificate."""
    tools = {"pushbench webhook over TLS": bench.driver("webhook+tls", 1)}
    for name in ("wrk", "h2load"):
        if bench.tools[name]:
            tools[name] = getattr(bench, name)
    wanted = {"h2load": 1.0}
    compared = [
        {"what": "cpu_us", "of": "pushbench webhook over TLS", "over": peer, "at_most": wanted.get(peer)}
        for peer in list(tools)[1:]
    ]
    return "webhook over TLS", ["webhook+tls"], tools, compared


def websocket(bench):
    one, many = "pushbench websocket, 1 in flight", "pushbench websocket, 16 in flight"
    tools = {
        one: bench.driver("websocket", 1),
        "pushbench tcp, 1 in flight": bench.driver("tcp", 1),
        "ws_loop, 1 in flight": bench.ws_loop(1),
        many: bench.driver("websocket", 16),
        "ws_loop, 16 in flight": bench.ws_loop(16),
    }
    compared = [
        {"what": "cpu_us", "of": one, "over": "pushbench tcp, 1 in flight", "at_most": 1.25},
        {"what": "cpu_us", "of": one, "over": "ws_loop, 1 in flight"},
        {"what": "cpu_us", "of": many, "over": "ws_loop, 16 in flight"},
        {"what": "per_second", "of": many, "over": one, "at_least": 3.0},
    ]
    return "websocket", ["websocket", "tcp"], tools, compared


def machine():
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", cpuinfo)
    virtual = "virtual" if " hypervisor" in cpuinfo else "not virtual"
    return f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} CPUs, {virtual}, {platform.release()}"


def versions(args, tools):
    def said(command):
        text = subprocess.run(command, capture_output=True, text=True)
        return (text.stdout + text.stderr).strip().split("\n")[0]

    asked = {"pushbench": [args.pushbench, "--version"], "rustc": ["rustc", "--version"]}
    asked |= {name: [path, "-v" if name == "wrk" else "--version"] for name, path in tools.items() if path}
    found = {name: said(command) for name, command in asked.items()}
    lock = (ROOT / "Cargo.lock").read_text()
    ws = re.search(r'name = "tokio-tungstenite"\nversion = "([^"]+)"', lock).group(1)
    return {**found, "ws_loop": f"tokio-tungstenite {ws}"}


def shown_command(command, bench):
    short = {str(bench.args.pushbench): "pushbench", str(bench.args.ws_loop): "ws_loop"}
    short |= {str(path): name for name, path in bench.tools.items() if path}
    words = [short.get(str(word), str(word)) for word in command]
    return " ".join(word.replace(f"{bench.scratch}/", "") if bench.scratch.name in word else word for word in words)


def page(found):
    short, long = found["seconds"]
    lines = [
        "# The driver beside other load generators",
        "",
        f"Made by `{found['command']}`: {found['rounds']} rounds, {found['connections']} connections, events of "
        f"{found['bytes']} bytes, as fast as answers come. The server is ours, on CPU {found['cpus']['server']}; driver and "
        f"peers take turns on CPU {found['cpus']['client']}. CPU is the operating system's bill for the process (`wait4`); an "
        f"event's is that of {long} s less that of {short} s, by the events between. *Whole* is the bill of {long} s with start, "
        "connections and report. The driver records everything it always does.",
        "",
        "Versions: " + "; ".join(f"{k}: {v}" for k, v in found["versions"].items()) + ".",
    ]
    for group in found["groups"]:
        lines += ["", f"## {group['name']}", "", f"Machine: {group['machine']}.", "", "| | CPU/event | whole | events/s |", "|---|---:|---:|---:|"]
        for tool in group["commands"]:
            middle = {key: median(group, tool, key) for key in ("cpu_us", "whole_cpu_us", "per_second")}
            lines.append(
                f"| {tool} | {middle['cpu_us']:.2f} µs | {middle['whole_cpu_us']:.2f} µs | {middle['per_second']:,.0f} |"
            )
        lines += ["", "| ratio, round by round | median | its interval, at least 95 % | wanted |", "|---|---:|---:|---:|"]
        for compared in group["compared"]:
            of, over, what = compared["of"], compared["over"], compared["what"]
            ratios = [seen[of][what] / seen[over][what] for seen in group["rounds"]]
            middle = statistics.median(ratios)
            low, high = interval(ratios)
            named = {"cpu_us": "CPU/event", "per_second": "events/s"}[what]
            lines.append(
                f"| {named}: {of} over {over} | ×{middle:.2f} | {shown(low, high)} | {wanted(compared, middle, low, high)} |"
            )
        lines += ["", "Commands:", "", "```"] + list(group["commands"].values()) + ["```"]
    return "\n".join(lines) + "\n"


def median(group, tool, key):
    return statistics.median(seen[tool][key] for seen in group["rounds"])


def interval(values):
    """The distribution-free interval of the median (David & Nagaraja, Order Statistics, 7.1): the median lies
    outside it only when too few rounds fell to one side, each with a chance of a half. None, None with fewer
    than the six rounds that 95 % takes."""
    ordered, n = sorted(values), len(values)
    outside = lambda k: 2 * sum(math.comb(n, i) for i in range(k)) / 2**n
    ranks = [k for k in range(1, n // 2 + 1) if outside(k) <= 0.05]
    return (ordered[ranks[-1] - 1], ordered[n - ranks[-1]]) if ranks else (None, None)


def shown(low, high):
    return "too few rounds" if low is None else f"{low:.2f} to {high:.2f}"


def wanted(compared, ratio, low, high):
    for key, word, within in (("at_most", "at most", float.__le__), ("at_least", "at least", float.__ge__)):
        limit = compared.get(key)
        if limit is None:
            continue
        said = "met" if within(ratio, limit) else "not met"
        if low is None or within(low, limit) != within(high, limit):
            said += " at the median, but the interval leaves it open"
        return f"{word} {limit}: {said}"
    return "–"


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"took {time.monotonic() - began:.0f} s", file=sys.stderr)
