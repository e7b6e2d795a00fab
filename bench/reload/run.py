#!/usr/bin/env python3
"""p99 of ingest while many rules are reloaded, beside p99 while a thread spins on the other core.

One daemon on loopback takes events at a steady rate that does not wait for answers (an answer's time
counts from when its request was due). Rounds alternate: nothing else runs, a process of its own spins,
the daemon reloads all its rules. What a reload may cost is the core it computes on, which the spinning
process takes, too; anything above is a fault. Medians over the rounds.
"""
import argparse
import json
import math
import os
import re
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import deque

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOAL = 2.0


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def p99(values):
    values = sorted(values)
    return values[max(0, math.ceil(len(values) * 0.99) - 1)] if values else float("nan")


def write_inputs(directory, options):
    """Rules as a .jsonl rule file, and events that match some of them."""
    patterns, events = os.path.join(directory, "patterns"), os.path.join(directory, "events")
    subprocess.run([options.eventyard, "bench", "match", "--generate", str(options.rules), "--family", options.family,
                    "--events-count", "20000", "--save-rules", patterns, "--save-events", events], check=True, stderr=subprocess.DEVNULL)
    with open(patterns) as lines, open(os.path.join(directory, "rules.jsonl"), "w") as out:
        for i, line in enumerate(lines):
            out.write(f'{{"name":"r{i}","pattern":{line.strip()},"targets":["out"]}}\n')
    with open(events, "rb") as lines:
        return [line.strip() for line in lines]


def write_config(directory, options):
    http, admin = free_port(), free_port()
    path = os.path.join(directory, "eventyard.yaml")
    with open(path, "w") as f:
        f.write(f"""listen: {{http: 127.0.0.1:{http}, admin: 127.0.0.1:{admin}}}
data_dir: {directory}/data
threads: {options.threads}
buses: {{default: {{durability: {options.durability}}}}}
rules: [rules.jsonl]
targets:
  out:
    webhook: {{url: 'http://127.0.0.1:9/'}}
""")
    return path, http, f"http://127.0.0.1:{admin}"


def post(url, seconds=120):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=b"", method="POST"), timeout=seconds) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        sys.exit(f"{url}: {error.code} {error.read().decode(errors='replace')[:500]}")


def wait_ready(admin, process, seconds):
    end = time.time() + seconds
    while time.time() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(admin + "/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"the daemon was not ready within {seconds} s")


class Connection:
    def __init__(self, port, selector):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(self.socket, selectors.EVENT_READ, self)
        self.due = None
        self.answer = b""

    def send(self, event, due):
        self.due = due
        self.socket.sendall(b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "
                            + str(len(event)).encode() + b"\r\n\r\n" + event)

    def receive(self):
        """True when the answer is whole."""
        got = self.socket.recv(65536)
        if not got:
            sys.exit("the daemon closed a connection")
        self.answer += got
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found:
            return False
        if len(body) < int(re.search(rb"(?i)content-length: *(\d+)", head).group(1)):
            return False
        if not self.answer.startswith(b"HTTP/1.1 202"):
            sys.exit("an event was not accepted: " + self.answer.decode(errors="replace")[:500])
        self.answer = b""
        return True


class Load:
    """Requests at even times. Those for which no connection is free wait, and their time runs."""

    def __init__(self, port, events, rate, connections):
        self.selector = selectors.DefaultSelector()
        # In turn, so that each meets the new rules soon.
        self.free = deque(Connection(port, self.selector) for _ in range(connections))
        self.events, self.step, self.next_event = events, 1 / rate, 0
        self.late = 0.0  # the most this program itself was behind: the machine is busy with other things

    def run(self, ended):
        """Until ended() says so; the times of all requests that became due, in seconds."""
        times, waiting, open_requests = [], deque(), 0
        due = time.perf_counter()
        going = True
        while going or waiting or open_requests:
            now = time.perf_counter()
            going = going and not ended(now)
            if going:
                self.late = max(self.late, now - due)
            while going and due <= now:
                waiting.append(due)
                due += self.step
            while waiting and self.free:
                self.free.popleft().send(self.events[self.next_event % len(self.events)], waiting.popleft())
                self.next_event += 1
                open_requests += 1
            wait = max(0.0, due - time.perf_counter()) if going else 1.0
            for key, _ in self.selector.select(wait):
                connection = key.data
                if connection.receive():
                    times.append(time.perf_counter() - connection.due)
                    self.free.append(connection)
                    open_requests -= 1
        return times


def quiet(load, seconds):
    end = time.perf_counter() + seconds
    return load.run(lambda now: now >= end)


def spinning(load, seconds):
    spinner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)  # it has started
        return quiet(load, seconds)
    finally:
        spinner.kill()
        spinner.wait()


def reloading(load, admin, after):
    """Also the seconds the reload took. The table it replaces is freed in the time `after`."""
    done = []
    start = time.perf_counter()

    def reload():
        post(admin + "/v1/reload")
        done.append(time.perf_counter())

    thread = threading.Thread(target=reload)
    thread.start()
    times = load.run(lambda now: bool(done) and now >= done[0] + after)
    thread.join()
    return times, done[0] - start


def measure(load, admin, options):
    after = 0.25
    quiet(load, 1)
    _, took = reloading(load, admin, after)  # warms up, and says how long one takes
    rounds = []
    for i in range(options.rounds):
        row = {"quiet": quiet(load, took + after)}
        for kind in ("spin", "reload") if i % 2 == 0 else ("reload", "spin"):
            if kind == "spin":
                row["spin"] = spinning(load, took + after)
            else:
                row["reload"], took = reloading(load, admin, after)
        row["seconds"] = took
        rounds.append(row)
        late, load.late = load.late, 0.0
        print(f"round {i + 1}: reload {took:.2f} s; p99 ms quiet {p99(row['quiet']) * 1e3:.2f}, spinning "
              f"{p99(row['spin']) * 1e3:.2f}, reloading {p99(row['reload']) * 1e3:.2f}; "
              f"the load itself was late by {late * 1e3:.0f} at most", file=sys.stderr)
    return rounds


def summary(rounds, options):
    def median_p99(kind):
        return statistics.median(p99(row[kind]) for row in rounds) * 1e3

    return {"rules": options.rules, "rate": options.rate, "rounds": options.rounds, "threads": options.threads,
            "durability": options.durability,
            "reload_seconds": round(statistics.median(row["seconds"] for row in rounds), 3),
            "p99_ms": {kind: round(median_p99(kind), 3) for kind in ("quiet", "spin", "reload")},
            "worst_ms": {kind: round(max(max(row[kind]) for row in rounds) * 1e3, 3) for kind in ("quiet", "spin", "reload")},
            "requests": {kind: sum(len(row[kind]) for row in rounds) for kind in ("quiet", "spin", "reload")},
            "ratio": round(statistics.median(p99(row["reload"]) / p99(row["spin"]) for row in rounds), 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=int, default=100_000)
    parser.add_argument("--family", default="mixed", help="of eventyard bench match (default mixed)")
    parser.add_argument("--rate", type=float, default=1000, help="events a second (default 1000)")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1, help="I/O threads of the daemon (default 1)")
    parser.add_argument("--durability", default="fsync", choices=("fsync", "os", "memory"))
    parser.add_argument("--eventyard", default=os.path.join(ROOT, "build/release/eventyard"), help="the binary to look at")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eventyard-reload-") as directory:
        events = write_inputs(directory, options)
        config, port, admin = write_config(directory, options)
        with open(os.path.join(directory, "log"), "w") as log:
            daemon = subprocess.Popen([options.eventyard, "serve", "--config", config], stdout=log, stderr=log)
        try:
            wait_ready(admin, daemon, 120)
            post(admin + "/v1/targets/out/pause?reason=benchmark")
            result = summary(measure(Load(port, events, options.rate, options.connections), admin, options), options)
        finally:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(30)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['rules']} rules, {result['rate']:.0f} events/s, {result['rounds']} rounds, {result['threads']} I/O "
          f"thread(s), durability {result['durability']}; a reload takes {result['reload_seconds']} s\n")
    print(f"{'':24} {'p99 ms':>9} {'worst ms':>9} {'requests':>9}")
    for kind, name in (("quiet", "nothing else"), ("spin", "a process spins"), ("reload", "all rules are reloaded")):
        print(f"{name:24} {result['p99_ms'][kind]:9.2f} {result['worst_ms'][kind]:9.2f} {result['requests'][kind]:9d}")
    print(f"\nreload / spin: {result['ratio']} (median of the rounds' ratios; goal: at most {GOAL:g})")


if __name__ == "__main__":
    main()
