#!/usr/bin/env python3
"""A third judge: event-ruler's answers beside Eventyard's on drawn rules and events.

    ninja -C build/release judge_draws
    tests/judge/event_ruler.py [--pairs N] [--seed N] [--binary PATH] [--show ROW]

Builds the Java side with Maven. Each disagreement must be explained by a row of the table "Differences
from EventBridge" in docs/patterns.md, by a predicate in rows.py that looks at the rule, at the event's
values that it reads, and at event-ruler's own answers. One that no row explains is a failure.
Needs Java 17 and Maven; not part of scripts/test.
"""
import argparse
import collections
import json
import pathlib
import subprocess
import sys
import time

import rows

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROJECT = HERE / "event_ruler"


def build():
    target = ROOT / "build" / "judge"
    subprocess.run(["mvn", "-q", "-B", "-f", str(PROJECT / "pom.xml"), f"-DbuildDirectory={target}", "package"],
                   check=True, stdout=subprocess.DEVNULL)
    return ["java", "-Xmx2g", "-cp", f"{target}/classes:{target}/lib/*", "eventyard.Judge"]


class Count:
    def __init__(self):
        self.sets = self.pairs = self.agreed = self.refused_patterns = self.matches = 0
        self.rows = collections.Counter()
        self.refusals = collections.Counter()
        self.unexplained = []
        self.shown = []


def judge(line, theirs, count, show):
    count.sets += 1
    refused = theirs["refused"]
    patterns = [None] * len(refused)
    for i, reason in enumerate(refused):
        if reason is None:
            continue
        count.refused_patterns += 1
        row = rows.refusal(rows.read(line["patterns"][i]), reason)
        if row is None:
            count.unexplained.append(f"refused: {line['patterns'][i]}\n  {reason}")
        count.refusals[row] += 1
    taken = [i for i, reason in enumerate(refused) if reason is None]
    for e, event in enumerate(line["events"]):
        read_event = None
        ours_all, alone_all, together_all = line["answers"][e], theirs["alone"][e], theirs["together"][e]
        count.pairs += len(taken)
        count.matches += sum(ours_all[i] == "1" for i in taken)
        for i in taken:
            ours, alone, together = ours_all[i], alone_all[i], together_all[i]
            if ours == alone == together:
                count.agreed += 1
                continue
            if patterns[i] is None:
                patterns[i] = rows.Rule(rows.read(line["patterns"][i]))
            if read_event is None:
                read_event = rows.Event(rows.read(event))
            row = rows.explain(patterns[i], read_event, ours, alone, together)
            shown = (f"row {row}: {line['patterns'][i]}\n  on {event}\n  ours {ours}, theirs alone {alone}, "
                     f"among others {together}")
            if row is None:
                count.unexplained.append(shown)
            count.rows[row] += 1
            if show is not None and row == show and len(count.shown) < 20:
                count.shown.append(shown)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--binary", default=str(ROOT / "build/release/judge_draws"))
    parser.add_argument("--show", type=int, help="print some disagreements of that row")
    args = parser.parse_args()
    started = time.monotonic()
    java = subprocess.Popen(build(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    draws = subprocess.Popen([args.binary, str(args.pairs), str(args.seed)], stdout=subprocess.PIPE, text=True,
                             encoding="utf-8")
    count = Count()
    for line in draws.stdout:
        java.stdin.write(line)
        java.stdin.flush()
        answer = java.stdout.readline()
        if not answer:
            sys.exit("event-ruler's side ended early on: " + line[:2000])
        judge(json.loads(line), json.loads(answer), count, args.show)
    java.stdin.close()
    if draws.wait() != 0 or java.wait() != 0:
        sys.exit("a program failed")
    print(f"{count.sets} rule sets, {count.pairs} pairs compared in {time.monotonic() - started:.0f} s, "
          f"{count.matches} matches by Eventyard, {count.agreed} agreed in all three answers")
    print("disagreements by row:", dict(sorted((str(k), v) for k, v in count.rows.items())))
    print(f"{count.refused_patterns} patterns refused there, by row:",
          dict(sorted((str(k), v) for k, v in count.refusals.items())))
    for text in count.shown:
        print(text)
    for text in count.unexplained[:20]:
        print("UNEXPLAINED", text)
    sys.exit(1 if count.unexplained else 0)


if __name__ == "__main__":
    main()
