#!/usr/bin/env python3
"""The simulator's long form: a million runs in parallel, and what they covered.

    tests/sim/long.py [--sim build/release/sim] [--runs 1000000] [--steps 500] [--seed 1] [--jobs CORES]

Exits with 1 when a run failed; each failure names its seed and step.
"""
import argparse
import collections
import concurrent.futures
import os
import subprocess
import sys


def one_piece(sim, seed, runs, steps):
    done = subprocess.run([sim, "--seed", str(seed), "--runs", str(runs), "--steps", str(steps)],
                          capture_output=True, text=True)
    counts, faults, finished = collections.Counter(), [], False
    for line in done.stdout.splitlines():
        if line.startswith("seed "):
            faults.append(line)
        elif line.startswith(" "):
            number, what = line.split(None, 1)
            counts[what] += int(number)
        elif line.startswith(f"{runs} runs, "):
            finished = True
    if not finished:
        faults.append(f"the piece that begins with seed {seed} ended early: {done.stderr.strip()[-500:]}")
    return counts, faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sim", default="build/release/sim")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    given = parser.parse_args()
    piece = max(1, min(1000, given.runs // given.jobs))
    starts = range(given.seed, given.seed + given.runs, piece)
    total, failed, done = collections.Counter(), 0, 0
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        pieces = [pool.submit(one_piece, given.sim, start, min(piece, given.seed + given.runs - start), given.steps)
                  for start in starts]
        for ended in concurrent.futures.as_completed(pieces):
            counts, faults = ended.result()
            total += counts
            failed += len(faults)
            done += 1
            for fault in faults:
                print(fault, flush=True)
            if done % 50 == 0:
                print(f"{min(done * piece, given.runs)} runs, {failed} failed", file=sys.stderr, flush=True)
    for what, number in sorted(total.items()):
        print(f"{number:14}  {what}")
    print(f"{given.runs} runs of {given.steps} steps, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
