#!/usr/bin/env python3
"""Eventyard's matching beside AWS event-ruler and Quamina, on the same events and rules in one run.

Needs a release build (scripts/build). event-ruler takes part where java and mvn are installed, Quamina
where go is; their own package managers fetch them. Rates are medians of rounds on one matching thread,
warm; "matching only" may trust an event and stop early, "product" is what ingest does, and simdjson's
DOM parse of the same events stands beside both. Answers are compared: a difference that is not known
makes the exit status 1. Everything made for a run lies in build/bench-matching and may be removed.
"""
import argparse
import json
import os
import platform
import sys
import time

from programs import ROOT, Eventyard, Quamina, Ruler
from tables import TABLES


class Bench:
    """What every table needs."""

    def __init__(self, arguments):
        self.quick = arguments.quick
        self.seconds = arguments.seconds or (0.3 if self.quick else 3)
        self.load_seconds = arguments.load_seconds or (10 if self.quick else 120)
        self.peer_timeout = 60 + 10 * self.seconds
        self.timeout = 900
        self.memory_max = arguments.memory * 2**30
        self.rebuild = arguments.rebuild
        self.cpu = arguments.cpu
        self.city_lots = arguments.city_lots
        self.sizes = arguments.sizes or ([1000, 10000] if self.quick else [1000, 10000, 100000, 1000000])
        self.event_count = 20000 if self.quick else 500000
        self.work = arguments.work
        self.differences = []
        os.makedirs(self.work, exist_ok=True)
        self.eventyard = Eventyard(arguments.eventyard, self)
        kinds = {"event-ruler": Ruler, "quamina": Quamina}
        self.peers = [kinds[name](self, self.work) for name in arguments.peers]


def machine():
    with open("/proc/cpuinfo") as f:
        models = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    return f"{len(models)} x {models[0] if models else 'unknown'}, {platform.system()} {platform.release()}"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short rounds, 20,000 events, up to 10,000 rules")
    parser.add_argument("--table", action="append", choices=list(TABLES), help="only this one; may be repeated")
    parser.add_argument("--json", metavar="FILE", help="also write all figures to a file")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="N", help="numbers of rules")
    parser.add_argument("--seconds", type=float, help="for each column and peer (3)")
    parser.add_argument("--load-seconds", type=float, help="a peer may take that long to load its rules (120)")
    parser.add_argument("--memory", type=float, default=6, help="GiB a program may take (6)")
    parser.add_argument("--peers", nargs="*", choices=["event-ruler", "quamina"], default=["event-ruler", "quamina"])
    parser.add_argument("--city-lots", metavar="FILE", help="the real records instead of made-up ones")
    parser.add_argument("--eventyard", default=os.path.join(ROOT, "build/release/eventyard"))
    parser.add_argument("--work", default=os.path.join(ROOT, "build/bench-matching"))
    parser.add_argument("--cpu", action="store_true",
                        help="rates by CPU time of the matching thread: for a busy machine")
    parser.add_argument("--rebuild", action="store_true", help="build the peers again")
    return parser.parse_args()


def main():
    arguments = parse()
    bench = Bench(arguments)
    print(f"machine: {machine()}; load before the run {os.getloadavg()[0]:.1f}")
    if bench.cpu:
        print("rates are events per second of CPU time of the matching thread")
    elif os.getloadavg()[0] > 0.5:
        print("the machine is busy: ratios are rough, and goals are not judged fairly (--cpu helps)")
    for peer in bench.peers:
        if peer.missing:
            print(f"{peer.name}: not measured, {peer.missing}")
    bench.peers = [peer for peer in bench.peers if not peer.missing]
    started = time.monotonic()
    results = {"machine": machine(), "quick": bench.quick, "seconds": bench.seconds, "cpu": bench.cpu,
               "peers": [peer.name for peer in bench.peers], "tables": {}}
    for name in arguments.table or TABLES:
        results["tables"][name] = TABLES[name](bench)
        if arguments.json:
            with open(arguments.json, "w") as f:
                json.dump(results, f, indent=1)
    print(f"\n{time.monotonic() - started:.0f} s in all")
    for difference in bench.differences:
        print(f"answers differ: {difference}", file=sys.stderr)
    return 1 if bench.differences else 0


if __name__ == "__main__":
    sys.exit(main())
