"""Reads what `pushbench report` wrote of a run with readers that are not ours.

read.py RESULTS WRITTEN: RESULTS holds run.json and trials.jsonl, WRITTEN what the formats made of it: report.json,
trials.csv, hgrm/, hlog/.
"""
import csv
import io
import json
import math
import pathlib
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

PERCENTILES = [0, 1, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 100]
HIGHEST_NS = 3_600_000_000_000

results, written = map(pathlib.Path, sys.argv[1:])
report = json.loads((written / "report.json").read_text())
trials = [json.loads(line) for line in (results / "trials.jsonl").read_text().splitlines()]


def empty():
    return HdrHistogram(1, HIGHEST_NS, 3)


def percentiles(histogram):
    return {p: histogram.get_value_at_percentile(p) for p in PERCENTILES}


def recorded(point, arm, what):
    """The merged histogram of the arm's trials in blocks of which every trial is valid."""
    mine = [t for t in trials if t["point"] == point and t["stage"] == "block"]
    void = {t["block"] for t in mine if t["invalid"]}
    arms = len(report["points"][point]["arms"])
    whole = {b for b in {t["block"] for t in mine} if sum(t["block"] == b for t in mine) == arms}
    total = empty()
    for trial in mine:
        if trial["arm"] == arm and trial["block"] in whole - void:
            total.decode_and_add(trial[what].encode())
    return total


def log(path, tag=None):
    """The merged intervals of a log; of one tag where one is given."""
    reader, total, count, last = HistogramLogReader(str(path), empty()), empty(), 0, 0
    while (interval := reader.get_next_interval_histogram()) is not None:
        assert interval.get_start_time_stamp() >= last, f"{path}: intervals out of order"
        last = interval.get_start_time_stamp()
        if tag is None or interval.get_tag() == tag:
            total.add(interval)
            count += 1
    return total, count


def hgrm(path):
    """Value in ns, percentile and count of each line, read as HdrHistogram's plotter does."""
    lines = []
    for line in path.read_text().splitlines():
        fields = line.split()
        if not line.startswith("#") and len(fields) in (3, 4) and fields[0] != "Value":
            lines.append((round(float(fields[0]) * 1000), float(fields[1]), int(fields[2])))
    return lines


def agrees(lines, histogram):
    """Whether every line holds the smallest value up to which lies that part of the port's values."""
    total, up_to, before = 0, {}, {}
    for step in histogram.get_recorded_iterator():
        highest = histogram.get_highest_equivalent_value(step.value_iterated_to)
        before[highest], total = total, total + step.count_added_in_this_iter_step
        up_to[highest] = total
    assert total == histogram.get_total_count() and lines[-1][1:] == (1.0, total), lines[-1]
    for value, quantile, count in lines:
        assert up_to[value] == count, (value, quantile, count)
        assert before[value] <= quantile * total + 1e-6 <= count + 1e-3, (value, quantile, count)
    assert [q for _, q, _ in lines[:6]] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    return True


def named(folder, ending, *words):
    """The file whose name holds these words."""
    safe = lambda word: "".join(c if c.isascii() and (c.isalnum() or c in "@#-_.=") else "_" for c in word)
    name = ".".join(safe(word) for word in words if word) + ending
    path = written / folder / name
    assert path.exists(), f"no {path} among {sorted(p.name for p in (written / folder).iterdir())}"
    return path


def tag_of(label):
    """A tag holds neither what would end it nor what a terminal would obey."""
    return label if label in tags else next(t for t in tags if t.startswith(label.split("<")[0]))


checked = 0
for number, point in enumerate(report["points"]):
    setting = ",".join(f"{key}={value}" for key, value in point["setting"].items())
    tagged = named("hlog", ".hlog", setting, "tagged")
    tags = {l[4 : l.index(",")] for l in tagged.read_text().splitlines() if l.startswith("Tag=")}
    assert len(tags) == len(point["arms"]), tags
    for index, arm in enumerate(point["arms"]):
        closed = arm["response_ns"]["count"] == 0
        headline = recorded(number, index, "service" if closed else "response")
        assert headline.get_total_count() > 0
        shown = arm["service_ns" if closed else "response_ns"]
        assert shown["count"] == headline.get_total_count()
        for name, p in (("p50", 50), ("p90", 90), ("p99", 99), ("p99_9", 99.9)):
            if shown[name] is not None:
                # The port rounds a rank to the nearest, we (as the Java original does) upwards.
                rank = math.ceil(p * shown["count"] / 100 - 1e-6)
                value = headline.get_value_at_percentile(100 * rank / shown["count"])
                assert shown[name] == value, (name, shown[name], value)
        untagged, lines = log(named("hlog", ".hlog", setting, arm["arm"]))
        by_tag, tagged_lines = log(tagged, tag_of(arm["arm"]))
        assert lines == tagged_lines > 0
        for found in (untagged, by_tag):
            assert found.get_total_count() == headline.get_total_count()
            assert percentiles(found) == percentiles(headline)
        for what in ["service"] if closed else ["response", "service"]:
            lines = hgrm(named("hgrm", ".hgrm", setting, arm["arm"], what))
            assert agrees(lines, recorded(number, index, what))
            assert len(lines) > 10
            checked += 1

with open(written / "trials.csv", newline="", encoding="utf-8") as file:
    rows = list(csv.reader(file, strict=True))
header, rows = rows[0], rows[1:]
assert len(set(header)) == len(header) and all(len(row) == len(header) for row in rows)
assert len(rows) == len(trials), "one row per trial and arm"
for row in rows:
    for name, cell in zip(header, row):
        assert not cell.lstrip().startswith(("=", "+", "-", "@")), (name, cell)
        text = ("scenario", "setting", "arm", "transport", "target", "started_utc", "why_invalid", "faults",
                "stage", "design", "run_complete", "valid", "overloaded")
        if name not in text and cell:
            float(cell)
column = lambda name: sorted(row[header.index(name)] for row in rows)
assert column("due_events") == sorted(str(t["events"]["due"]) for t in trials)
assert column("window_ns") == sorted(str(t["window_ns"]) for t in trials)
print(f"{checked} distributions, {len(rows)} rows")
