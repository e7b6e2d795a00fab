#!/usr/bin/env python3
"""Delivery: cost of an event on its way, the journal's peers, latency, backlogs, bad neighbours.

Starts everything on free loopback ports, ends everything by its id. Sides of a comparison alternate in rounds, so
that a drifting machine moves all alike; medians are printed. See bench/README.md for the tables.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.processes import (BUILD, Servers, cpu_seconds, disk_reads, free_port, get, get_json, post, rss_mib, wait_http,
                           wait_until)

EVENTYARD = os.path.join(BUILD, "eventyard")
MATCHING = '{source: [shop.orders], detail-type: [OrderPaid], detail: {amount: [{numeric: [">=", 100]}]}}'


def say(*words):
    print(*words, flush=True)


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def table(head, rows):
    """Columns as wide as they need; the first one to the left."""
    progress("")
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows + [head]) for i in range(len(head))]
    for row in [head] + rows:
        say("  " + row[0].ljust(widths[0]) + "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:])))


def rules_text(count, targets, extra=""):
    """One rule that takes every event, and others that look at the same fields and take none."""
    lines = ["rules:", "  - name: paid", f"    pattern: {MATCHING}", f"    targets: [{', '.join(targets)}]{extra}"]
    for i in range(count - 1):
        lines += [f"  - name: other{i}", f'    pattern: {{source: [shop.orders{i}], detail-type: [OrderPaid], '
                  f'detail: {{email: ["u{i}@example.com"]}}}}', f"    targets: [{targets[0]}]"]
    return "\n".join(lines) + "\n"


class Daemon:
    """One daemon with a configuration and directory of its own."""

    def __init__(self, servers, name, targets, rules, settings="", sync_us=0, threads=1):
        self.servers, self.sync_us = servers, sync_us
        self.http, self.admin_port = free_port(), free_port()
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        self.directory = os.path.join(servers.directory, name)
        os.mkdir(self.directory)
        self.settings, self.threads = settings, threads
        self.write(targets, rules)
        self.start()

    def write(self, targets, rules):
        with open(os.path.join(self.directory, "rules.yaml"), "w") as f:
            f.write(rules)
        with open(os.path.join(self.directory, "eventyard.yaml"), "w") as f:
            f.write(f"listen: {{http: 127.0.0.1:{self.http}, admin: 127.0.0.1:{self.admin_port}}}\n"
                    f"data_dir: {self.directory}/data\nthreads: {self.threads}\nrules: [rules.yaml]\n{self.settings}\n"
                    f"targets:\n{targets}")

    def start(self):
        environment = dict(os.environ)
        if self.sync_us:
            environment["LD_PRELOAD"] = os.path.join(BUILD, "bench/libbench_slow_sync.so")
            environment["EVENTYARD_BENCH_SYNC_US"] = str(self.sync_us)
        begin = time.time()
        self.process = self.servers.start([EVENTYARD, "serve", "--config", os.path.join(self.directory, "eventyard.yaml")],
                                          env=environment)
        wait_until(lambda: self.ended() or get(self.admin + "/readyz", 2), 120, "a daemon that is ready", every=0.01)
        return time.time() - begin

    def ended(self):
        if self.process.poll() is not None:
            sys.exit(f"a daemon did not start: eventyard check --config {self.directory}/eventyard.yaml")

    def stop(self, how=signal.SIGTERM):
        self.servers.end(self.process, how)

    def targets(self):
        return {target["name"]: target for target in get_json(self.admin + "/v1/status")["targets"]}

    def pending(self, name=None):
        return sum(t["pending"]["total"] for n, t in self.targets().items() if name in (None, n))

    def settle(self, seconds=180):
        wait_until(lambda: self.pending() == 0, seconds, "nothing pending", every=0.1)

    def pause(self, name):
        post(f"{self.admin}/v1/targets/{name}/pause?reason=benchmark")

    def resume(self, name):
        post(f"{self.admin}/v1/targets/{name}/resume")


def webhook(name, port, more="concurrency: 64"):
    return f"  {name}:\n    webhook: {{url: 'http://127.0.0.1:{port}/hook'}}\n" + (f"    {more}\n" if more else "")


class Sink:
    def __init__(self, servers, ports):
        """`ports`: what each does: '', a delay in ms, 'hang' or 'fail'."""
        self.ports = [free_port() for _ in ports]
        self.control = free_port()
        self.process = servers.start([os.path.join(BUILD, "bench_sink"), str(self.control)] +
                                     [f"{port}:{what}" if what else str(port) for port, what in zip(self.ports, ports)])
        wait_http(f"http://127.0.0.1:{self.control}/stats")

    def stats(self, reset=False):
        answer = get_json(f"http://127.0.0.1:{self.control}/{'reset' if reset else 'stats'}")
        return [answer[str(port)] for port in self.ports]


def start_load(port, **options):
    arguments = [os.path.join(BUILD, "bench_load"), str(port)]
    for name, value in options.items():
        arguments += [f"--{name}", str(value)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_load(process, refusals=False):
    out, wrong = process.communicate(timeout=1800)
    if process.returncode != 0 and not (refusals and out):
        sys.exit(f"the load failed: {wrong or out}")
    return json.loads(out)


def load(port, **options):
    return end_load(start_load(port, **options))


def start_nginx(servers):
    if not shutil.which("nginx"):
        sys.exit("nginx is missing: apt-get install nginx-light")
    directory, port = servers.directory, free_port()
    conf = os.path.join(directory, "nginx.conf")
    with open(conf, "w") as f:
        f.write(f"""daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/nginx.err;
events {{ worker_connections 1024; }}
http {{ access_log off; client_body_temp_path {directory}/body; keepalive_requests 100000000; client_max_body_size 2m;
  client_body_buffer_size 256k; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ return 202; }} }} }}
""")
    process = servers.start(["nginx", "-c", conf, "-p", directory])
    wait_http(f"http://127.0.0.1:{port}/")
    return process, port


# --- path: CPU an event -----------------------------------------------------------------------------------------


def run_path(servers, options):
    """CPU time of the serving process an event, by single events and in batches, beside nginx; also with many rules."""
    sink = Sink(servers, [""])
    nginx, nginx_port = start_nginx(servers)
    accept = Daemon(servers, "accept", webhook("out", sink.ports[0]), rules_text(1, ["out"]), sync_us=options.sync_us)
    accept.pause("out")
    sides = [("nginx, return 202", nginx, nginx_port, None), ("accept: in, match, fsync, 202", accept.process, accept.http, None)]
    for rules in (1, 100, 10_000):
        daemon = Daemon(servers, f"out{rules}", webhook("out", sink.ports[0]), rules_text(rules, ["out"]), sync_us=options.sync_us)
        sides.append((f"in to out, {rules:,} rule{'s' if rules > 1 else ''}", daemon.process, daemon.http, daemon))
    batched = Daemon(servers, "batched", webhook("out", sink.ports[0], "concurrency: 8\n    batch: {max_events: 100}"),
                     rules_text(1, ["out"]), sync_us=options.sync_us)
    sides.append(("in to out in batches of 100", batched.process, batched.http, batched))
    idle = rss_mib(sides[2][1].pid)
    result = {"idle_rss_mib": round(idle, 1)}
    for batch in (1, 100):
        rows = {side[0]: [] for side in sides}
        for round_ in range(options.rounds):
            for name, process, port, daemon in sides:
                progress(f"path: batches of {batch}, round {round_ + 1} of {options.rounds}, {name}")
                before = cpu_seconds(process.pid)
                told = load(port, connections=64, batch=batch, bytes=options.bytes, seconds=options.seconds)
                if daemon:
                    daemon.settle()
                rows[name].append(((cpu_seconds(process.pid) - before) / told["events"] * 1e6, told["events"] / told["seconds"],
                                   told["p99_us"] / 1e3))
        medians = {name: [statistics.median(v[i] for v in values) for i in range(3)] for name, values in rows.items()}
        base = medians["nginx, return 202"][0]
        say(f"\nCPU an event, {options.bytes}-byte events, {batch} a request, 64 connections"
            f"{f', every sync {options.sync_us} us slower' if options.sync_us else ''}; medians of {options.rounds} rounds of {options.seconds} s")
        table(["", "us", "x nginx", "events/s in", "p99 ms"],
              [[name, f"{us:.2f}", f"{us / base:.2f}", f"{rate:,.0f}", f"{p99:.2f}"] for name, (us, rate, p99) in medians.items()])
        result[f"batch_{batch}"] = {name: {"cpu_us": us, "events_per_second": rate, "p99_ms": p99} for name, (us, rate, p99) in medians.items()}
    say(f"\n  idle memory of the daemon: {idle:.1f} MiB")
    return result


# --- journal: beside other stores -------------------------------------------------------------------------------


def run_journal(servers, options):
    """The journal alone, beside SQLite, RocksDB and a bare loop of writev and fdatasync."""
    result = {}
    places = {"disk": servers.directory}
    if os.access("/dev/shm", os.W_OK):
        places["memory (a sync costs nothing)"] = tempfile.mkdtemp(dir="/dev/shm")
    for place, directory in places.items():
        environment = dict(os.environ)
        if options.sync_us:
            environment |= {"LD_PRELOAD": os.path.join(BUILD, "bench/libbench_slow_sync.so"), "EVENTYARD_BENCH_SYNC_US": str(options.sync_us)}
        progress(f"journal: on {place}")
        out = subprocess.run([os.path.join(BUILD, "bench_journal"), directory, "--rounds", str(options.rounds), "--bytes", str(options.bytes),
                              "--megabytes", "4"], capture_output=True, text=True, check=True, env=environment).stdout
        rows = []
        for line in map(json.loads, out.splitlines()):
            ours = next(side for side in line["sides"] if side["name"] == "eventyard")
            for side in line["sides"]:
                rows.append([f"{line['batch']} a batch, {side['name']}", f"{side['wall_us']:.2f}", f"{side['wall_us'] / ours['wall_us']:.2f}",
                             f"{side['cpu_us']:.2f}", f"{side['cpu_us'] / ours['cpu_us']:.2f}"])
            result.setdefault(place, []).append(line)
        say(f"\nThe journal alone, on {place}; us an event of {options.bytes} bytes, each batch synced; medians of {options.rounds} rounds")
        table(["", "wall", "x ours", "CPU", "x ours"], rows)
        if directory != servers.directory:
            os.rmdir(directory)
    return result


# --- latency: idle ----------------------------------------------------------------------------------------------


def run_latency(servers, options):
    """From sending one event, and from its 202, to the webhook's first byte, with nothing else to do."""
    listener = socket.create_server(("127.0.0.1", 0))
    daemon = Daemon(servers, "latency", webhook("out", listener.getsockname()[1]), rules_text(1, ["out"]), sync_us=options.sync_us)
    client = socket.create_connection(("127.0.0.1", daemon.http))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = json.dumps({"source": "shop.orders", "detail-type": "OrderPaid", "detail": {"amount": 150, "pad": "x" * (options.bytes - 90)}})
    request = f"POST /v1/events HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    from_send, from_answer, syncs = [], [], []
    hook = None
    scratch = os.open(os.path.join(servers.directory, "sync"), os.O_CREAT | os.O_RDWR)
    os.pwrite(scratch, b"\0" * 65536, 0)
    os.fsync(scratch)
    for i in range(options.events):
        progress(f"latency: event {i + 1} of {options.events}")
        time.sleep(0.01)
        begin = time.perf_counter()
        os.pwrite(scratch, request, 0)
        os.fdatasync(scratch)
        syncs.append(time.perf_counter() - begin + options.sync_us * 1e-6)
        begin = time.perf_counter()
        client.sendall(request)
        answered = came = None
        got = b""
        while answered is None or came is None:
            readable = select_readable([client] + ([hook] if hook else [listener]))
            now = time.perf_counter()
            if listener in readable:
                hook, _ = listener.accept()
                continue
            if client in readable:
                if not client.recv(65536).startswith(b"HTTP/1.1 202"):
                    sys.exit("the daemon refused an event")
                answered = now
            if hook in readable:
                came = came or now
                got += hook.recv(65536)
        while len(got) < len(body) or not got.rstrip().endswith(b"}"):
            got += hook.recv(65536)
        hook.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        from_send.append(came - begin)
        from_answer.append(came - answered)
    rows, result = [], {}
    for name, values in (("one fdatasync of this disk", syncs), ("event sent to webhook's first byte", from_send),
                         ("202 to webhook's first byte", from_answer)):
        values = sorted(values[options.events // 10:])
        p50, p99 = values[len(values) // 2] * 1e3, values[int(len(values) * 0.99)] * 1e3
        rows.append([name, f"{p50:.2f}", f"{p99:.2f}"])
        result[name] = {"p50_ms": p50, "p99_ms": p99}
    say(f"\nIdle latency, one event at a time{f', every sync {options.sync_us} us slower' if options.sync_us else ''} (goal: p50 at most 1 ms and one sync, p99 at most 15 ms)")
    table(["", "p50 ms", "p99 ms"], rows)
    return result


def select_readable(sockets):
    import select
    readable, _, _ = select.select(sockets, [], [], 30)
    if not readable:
        sys.exit("nothing came for 30 s")
    return readable


# --- backlog: pending deliveries cost disk, not memory ----------------------------------------------------------


def run_backlog(servers, options):
    """Many pending deliveries in each form: time to be ready after a restart, memory, and new events beside them."""
    result, rows = {}, []
    forms = {
        "behind a paused target's cursor": ("", "", "pause"),
        "in retry": ("    retry: {backoff: {initial: 12h, max: 12h, jitter: none}, max_age: 7d}\n    circuit_breaker: {failures: 100000}\n", "", "fail"),
        "delayed by an hour": ("", "\n    delay: 1h", None),
        "held by one key in order": ("    order: {by: key, key: $.detail.email, parked_max: 1000000}\n    retry: {backoff: {initial: 1h, max: 1h}}\n", "", "refuse"),
        "orphaned": ("", "", "orphan"),
    }
    for form, (target_more, rule_more, act) in forms.items():
        if options.only and options.only not in form:
            continue
        name = "backlog-" + form.split()[0]
        sink = Sink(servers, ["fail" if act == "fail" else ""])
        nobody = free_port()
        stuck = webhook("stuck", nobody if act == "refuse" else sink.ports[0]) + target_more
        rules = rules_text(1, ["stuck"], rule_more)
        daemon = Daemon(servers, name, stuck, rules)
        if act in ("pause", "orphan"):
            daemon.pause("stuck")
        requests = options.pending // 100
        progress(f"backlog: {options.pending:,} events, {form}")
        begin = time.time()
        while requests > 0:  # what is refused, because the state cannot keep up, is sent again
            told = end_load(start_load(daemon.http, connections=4, batch=100, bytes=options.backlog_bytes, count=requests), refusals=True)
            requests = told["refused"]
        made = options.pending / (time.time() - begin)
        if act == "orphan":
            daemon.write(webhook("other", sink.ports[0]), rules_text(1, ["other"]).replace("shop.orders", "nobody"))
            post(daemon.admin + "/v1/reload")
        # Of those that fail each thousandth is taken.
        made_of = options.pending * 0.99 if act == "fail" else options.pending
        wait_until(lambda: daemon.pending() >= made_of, 600, "all events pending", every=0.5)
        if act == "fail":
            wait_until(lambda: daemon.targets()["stuck"]["pending"]["retry"] >= made_of, 3600, "all events tried", every=1)
        peak = rss_mib(daemon.process.pid, "VmHWM")
        daemon.stop()
        ready = daemon.start()
        time.sleep(2)
        row = {"pending": daemon.pending(), "ready_s": ready, "rss_mib": rss_mib(daemon.process.pid), "peak_rss_mib": peak,
               "made_events_per_second": made}
        rows.append([form, f"{row['pending']:,}", f"{ready:.2f}", f"{row['rss_mib']:.0f}", f"{peak:.0f}"])
        result[form] = row
        daemon.stop()
        servers.end(sink.process)
        shutil.rmtree(daemon.directory)
    say(f"\n{options.pending:,} pending deliveries of {options.backlog_bytes}-byte events (goals: ready in 1 s, 256 MiB)")
    table(["", "pending", "ready s", "RSS MiB", "peak while made MiB"], rows)
    return result


# --- drain: new events beside a backlog ----------------------------------------------------------------------------


def run_drain(servers, options):
    """New events at half the measured rate of in and out, beside a backlog of the same target and without one."""
    progress("drain: the rate of in and out")
    sink = Sink(servers, [""])
    daemon = Daemon(servers, "drain", webhook("out", sink.ports[0]), rules_text(1, ["out"]))
    begin = time.time()
    told = load(daemon.http, connections=64, batch=1, bytes=options.bytes, seconds=options.seconds)
    daemon.settle()
    most = told["events"] / (time.time() - begin)
    pending = int(most * (options.seconds + 2) * 2)  # more than can go meanwhile
    rounds = []
    for round_ in range(options.rounds):
        seen = []
        for backlog in (0, pending):
            daemon.stop()
            shutil.rmtree(daemon.directory)
            daemon = Daemon(servers, "drain", webhook("out", sink.ports[0]), rules_text(1, ["out"]))
            daemon.pause("out")
            progress(f"drain: round {round_ + 1} of {options.rounds}, a backlog of {backlog:,} events")
            requests = backlog // 100
            while requests > 0:
                requests = end_load(start_load(daemon.http, connections=4, batch=100, bytes=options.bytes, count=requests), refusals=True)["refused"]
            daemon.resume("out")
            sink.stats(reset=True)
            told = load(daemon.http, connections=64, rate=most / 2, seconds=options.seconds, bytes=options.bytes)
            at_end = sink.stats()[0]
            wait_until(lambda: sink.stats()[0]["timed"] >= told["events"] * 0.999, 300, "all new events delivered", every=0.01)
            if backlog and daemon.pending() == 0:
                sys.exit("some new events waited for the whole backlog: there were too many of them, or the target kept too few")
            seen += [sink.stats()[0]["p99_us"] / 1e3, (at_end["events"] - at_end["timed"]) / told["seconds"]]
        rounds.append((seen[0], seen[2], seen[2] / seen[0], seen[3] / most))
    say(f"\nNew events at {most / 2:,.0f}/s, half of in and out, to a target that {pending:,} old ones wait for; medians of {options.rounds} paired rounds "
        f"of {options.seconds} s (goals: p99 1.25, drained 0.25)")
    table(["", "median", "all rounds"],
          [[name, f"{statistics.median(r[i] for r in rounds):.2f}", " ".join(f"{r[i]:.2f}" for r in rounds)]
           for i, name in enumerate(("p99 without a backlog, ms", "p99 beside it, ms", "ratio", "drained, of in and out"))])
    return {"in_and_out": most, "rounds": rounds}


# --- lagging: many targets behind -------------------------------------------------------------------------------


def run_lagging(servers, options):
    """Many targets come back at once from behind: bytes read for a delivered byte, and memory."""
    sink = Sink(servers, [""])
    names = [f"t{i}" for i in range(options.targets)]
    targets = "".join(webhook(name, sink.ports[0], "concurrency: 2") for name in names)
    rules = "rules:\n" + "".join(f"  - name: r{i}\n    pattern: {{source: [shop.orders]}}\n    targets: [{name}]\n" for i, name in enumerate(names))
    daemon = Daemon(servers, "lagging", targets, rules)
    for i, name in enumerate(names):
        progress(f"lagging: pausing target {i + 1} of {len(names)}")
        daemon.pause(name)
    progress("lagging: events")
    load(daemon.http, connections=4, batch=10, bytes=options.bytes, count=options.lagging_events // 10)
    time.sleep(1)
    reads, begin = disk_reads(daemon.process.pid), time.time()
    for name in names:
        daemon.resume(name)
    progress("lagging: delivering")
    daemon.settle(600)
    seconds = time.time() - begin
    delivered = sink.stats()[0]["events"]
    ratio = (disk_reads(daemon.process.pid) - reads) / (delivered * options.bytes)
    peak = rss_mib(daemon.process.pid, "VmHWM")
    say(f"\n{len(names):,} targets, each {options.lagging_events:,} events behind (goals: 2 bytes read for one delivered, 256 MiB)")
    table(["deliveries", "per second", "bytes read for one delivered", "peak RSS MiB"],
          [[f"{delivered:,}", f"{delivered / seconds:,.0f}", f"{ratio:.2f}", f"{peak:.0f}"]])
    return {"delivered": delivered, "per_second": delivered / seconds, "read_ratio": ratio, "peak_rss_mib": peak}


# --- isolation: bad neighbours ----------------------------------------------------------------------------------


def run_isolation(servers, options):
    """Ten targets, all well, beside ten of which one is dead and one answers at a tenth of the rate."""
    count = 10
    well = Sink(servers, [""] * count)
    # 64 requests at once and 1/10 of the rate: each answer takes that much longer.
    delay = 64 / (options.rate / 10) * 1e3
    ill = Sink(servers, ["hang", f"{delay:.1f}"] + [""] * (count - 2))
    daemons = {}
    for name, sink in (("all well", well), ("two ill", ill)):
        names = [f"t{i}" for i in range(count)]
        daemons[name] = (Daemon(servers, name.replace(" ", "-"), "".join(webhook(n, p) for n, p in zip(names, sink.ports)),
                                rules_text(1, names)), sink)
    ratios, tails = [], []
    for round_ in range(options.pairs):
        seen = {}
        for name, (daemon, sink) in daemons.items():
            progress(f"isolation: round {round_ + 1} of {options.pairs}, {name}")
            sink.stats(reset=True)
            begin = time.monotonic_ns()
            wanted = load(daemon.http, connections=16, rate=options.rate, seconds=options.seconds, bytes=options.bytes)["events"]
            wait_until(lambda: all(s["events"] >= wanted for s in sink.stats()[2:]), 120, "eight targets to be done")
            eight = sink.stats()[2:]
            seen[name] = (statistics.mean(s["events"] / (s["last_ns"] - begin) * 1e9 for s in eight), statistics.median(s["p99_us"] for s in eight))
        ratios.append(seen["two ill"][0] / seen["all well"][0])
        tails.append(seen["two ill"][1] / seen["all well"][1])
    say(f"\nTen targets at {options.rate:,.0f} events/s, one of them dead and one at a tenth: the other eight over the same eight with all well; "
        f"medians of {options.pairs} paired rounds (goals: 0.95, 1.25)")
    table(["", "median", "all rounds"], [["throughput", f"{statistics.median(ratios):.2f}", " ".join(f"{r:.2f}" for r in ratios)],
                                         ["p99, due to webhook", f"{statistics.median(tails):.2f}", " ".join(f"{r:.2f}" for r in tails)]])
    return {"throughput": ratios, "p99": tails}


TABLES = {"path": run_path, "journal": run_journal, "latency": run_latency, "backlog": run_backlog, "drain": run_drain,
          "lagging": run_lagging, "isolation": run_isolation}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="append", choices=list(TABLES), help="only these (may be repeated)")
    parser.add_argument("--seconds", type=int, default=4, help="of load a round and side (default 4)")
    parser.add_argument("--rounds", type=int, default=5, help="of path, journal and drain (default 5)")
    parser.add_argument("--pairs", type=int, default=5, help="paired rounds of isolation (default 5)")
    parser.add_argument("--bytes", type=int, default=1024, help="of one event (default 1024)")
    parser.add_argument("--rate", type=float, default=1000, help="events/s of isolation (default 1000)")
    parser.add_argument("--events", type=int, default=500, help="of latency (default 500)")
    parser.add_argument("--pending", type=int, default=1_000_000, help="of backlog (default 1,000,000)")
    parser.add_argument("--backlog-bytes", type=int, default=256, help="of one event of backlog (default 256)")
    parser.add_argument("--only", help="of backlog: the form with this word")
    parser.add_argument("--targets", type=int, default=1000, help="of lagging (default 1000)")
    parser.add_argument("--lagging-events", type=int, default=200, help="each target is behind by (default 200)")
    parser.add_argument("--sync-us", type=int, default=0, help="make every sync take this much longer, as 2000 for a common disk")
    parser.add_argument("--directory", help="where the data goes (default: the temporary directory)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there, too")
    options = parser.parse_args()
    if not os.path.exists(os.path.join(BUILD, "bench_load")):
        sys.exit("build first: cmake --preset release && ninja -C build/release bench_delivery")
    results = {}
    for name in options.table or TABLES:
        with tempfile.TemporaryDirectory(prefix="eventyard-bench-", dir=options.directory) as directory:
            servers = Servers(directory)
            try:
                results[name] = TABLES[name](servers, options)
            finally:
                servers.stop()
    if options.json:
        with open(options.json, "w") as f:
            json.dump(results, f, indent=2)


if __name__ == "__main__":
    main()
