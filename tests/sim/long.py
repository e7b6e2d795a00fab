#!/usr/bin/env python3
"""The simulator's long form: a million runs in parallel, and what they covered.

    tests/sim/long.py [--sim build/release/sim] [--runs 1000000] [--steps 500] [--seed 1] [--jobs CORES] [--log FILE]

With --log what is finished goes to FILE, a line for each piece, and what stands there of the same simulator and the
same question is not run again: a long form may be stopped and go on. Exits with 1 when a run failed; each failure
names its seed and step.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import time

PIECE = 1000       # runs
PATIENCE = 3600    # seconds for a piece; one that hangs is a failure


def one_piece(sim, seed, runs, steps):
    counts, faults, finished = collections.Counter(), [], False
    try:
        done = subprocess.run([sim, "--seed", str(seed), "--runs", str(runs), "--steps", str(steps)],
                              capture_output=True, text=True, timeout=PATIENCE)
        output, why = done.stdout, done.stderr.strip()[-500:]
    except subprocess.TimeoutExpired as late:
        output, why = (late.stdout or b"").decode(), f"still running after {PATIENCE} s"
    for line in output.splitlines():
        if line.startswith("seed "):
            faults.append(line)
        elif line.startswith(" "):
            number, what = line.split(None, 1)
            counts[what] += int(number)
        elif line.startswith(f"{runs} runs, "):
            finished = True
    if not finished:
        faults.append(f"the piece that begins with seed {seed} ended early: {why}")
    return {"seed": seed, "runs": runs, "steps": steps, "counts": counts, "faults": faults}


def finished_before(path, sim):
    """Pieces in the log, by what they ran; those of another simulator are not."""
    pieces = {}
    if path and os.path.exists(path):
        with open(path, encoding="utf-8") as log:
            for line in log:
                piece = json.loads(line)
                if piece["sim"] == sim:
                    pieces[piece["seed"], piece["runs"], piece["steps"]] = piece
    return pieces


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sim", default="build/release/sim")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--log", help="where finished pieces are written down, and looked up")
    given = parser.parse_args()
    with open(given.sim, "rb") as binary:
        sim = hashlib.sha256(binary.read()).hexdigest()
    size = max(1, min(PIECE, given.runs // given.jobs))
    wanted = [(start, min(size, given.seed + given.runs - start), given.steps)
              for start in range(given.seed, given.seed + given.runs, size)]
    before = finished_before(given.log, sim)
    total, failed, done, begun = collections.Counter(), 0, 0, time.monotonic()

    def take(piece):
        nonlocal failed, done
        total.update(piece["counts"])
        failed += len(piece["faults"])
        done += piece["runs"]
        for fault in piece["faults"]:
            print(fault, flush=True)

    for key in wanted:
        if key in before:
            take(before[key])
    if done:
        print(f"{done} runs are in {given.log}", file=sys.stderr, flush=True)
    known = done
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        pieces = [pool.submit(one_piece, given.sim, *key) for key in wanted if key not in before]
        for number, ended in enumerate(concurrent.futures.as_completed(pieces), 1):
            piece = ended.result()
            take(piece)
            if given.log:
                with open(given.log, "a", encoding="utf-8") as log:
                    log.write(json.dumps({"sim": sim, **piece}) + "\n")
            if number % 10 == 0:
                pace = (done - known) / (time.monotonic() - begun)
                left = (given.runs - done) / pace / 60
                print(f"{done} of {given.runs} runs, {failed} failed, {pace:.0f} a second, {left:.0f} minutes left",
                      file=sys.stderr, flush=True)
    for what, number in sorted(total.items()):
        print(f"{number:14}  {what}")
    print(f"{given.runs} runs of {given.steps} steps, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
