#!/usr/bin/env python3
"""CPU an event for accept and for in-to-out, beside nginx `return 202`, in one run.

Starts nginx, the daemon and a trial receiver on free loopback ports, loads each in turn with wrk
(64 connections, 1 KiB events, one event a request), and reads the CPU time of the server processes
from /proc. Rounds alternate, so a drifting machine moves all sides alike; the median is printed.
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def rss_mib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) / 1024


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def wait_http(url, seconds=20):
    end = time.time() + seconds
    while time.time() < end:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status
        except Exception:
            time.sleep(0.05)
    sys.exit(f"{url} did not answer within {seconds} s")


def event(size):
    detail = {"amount": 150, "email": "a@example.com", "pad": ""}
    body = {"source": "shop.orders", "detail-type": "OrderPaid", "detail": detail}
    detail["pad"] = "x" * (size - len(json.dumps(body)))
    return json.dumps(body)


def load(directory, url, body, seconds, connections):
    script = os.path.join(directory, "post.lua")
    with open(script, "w") as f:
        f.write('wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n')
        f.write(f"wrk.body = [[{body}]]\n")
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, "--latency", url],
                         capture_output=True, text=True, check=True).stdout
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    p99 = re.search(r"99%\s+(\S+)", out)
    return requests, int(bad.group(1)) if bad else 0, p99.group(1) if p99 else "?"


class Servers:
    """The processes of one run; every one is ended by its id."""

    def __init__(self, directory):
        self.directory = directory
        self.processes = []

    def start(self, arguments, **kwargs):
        log = open(os.path.join(self.directory, f"log-{len(self.processes)}"), "w")
        process = subprocess.Popen(arguments, stdout=log, stderr=log, **kwargs)
        self.processes.append(process)
        return process

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def start_nginx(servers, directory):
    port = free_port()
    conf = os.path.join(directory, "nginx.conf")
    with open(conf, "w") as f:
        f.write(f"""daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/nginx.err;
events {{ worker_connections 1024; }}
http {{ access_log off; client_body_temp_path {directory}/body; keepalive_requests 100000000;
  proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ return 202; }} }} }}
""")
    process = servers.start(["nginx", "-c", conf, "-p", directory])
    wait_http(f"http://127.0.0.1:{port}/")
    return process.pid, f"http://127.0.0.1:{port}/v1/events"


def start_daemon(servers, directory, name, sink_port, matching, threads):
    http, admin = free_port(), free_port()
    conf = os.path.join(directory, f"{name}.yaml")
    source = "shop.orders" if matching else "someone.else"
    if sink_port:
        target = f"webhook: {{url: 'http://127.0.0.1:{sink_port}/hook'}}\n    concurrency: 64"
    else:
        # Accept only: matched, routed and journalled, but its target takes nothing while paused.
        target = f"webhook: {{url: 'http://127.0.0.1:9/'}}"
    with open(conf, "w") as f:
        f.write(f"""listen: {{http: 127.0.0.1:{http}, admin: 127.0.0.1:{admin}}}
data_dir: {directory}/{name}
threads: {threads}
rules: [{name}-rules.yaml]
targets:
  out:
    {target}
""")
    with open(os.path.join(directory, f"{name}-rules.yaml"), "w") as f:
        f.write(f"""rules:
  - name: paid
    pattern: {{source: [{source}], detail-type: [OrderPaid], detail: {{amount: [{{numeric: [">=", 100]}}]}}}}
    targets: [out]
""")
    process = servers.start([os.path.join(ROOT, "build/release/eventyard"), "serve", "--config", conf])
    wait_http(f"http://127.0.0.1:{admin}/readyz")
    return process.pid, f"http://127.0.0.1:{http}/v1/events", f"http://127.0.0.1:{admin}"


def post(url):
    request = urllib.request.Request(url, data=b"", method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def pending(admin):
    with urllib.request.urlopen(admin + "/v1/status", timeout=10) as answer:
        status = json.load(answer)
    return sum(t["pending"]["total"] for t in status["targets"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=4, help="of load a round and side (default 4)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, sides alternating (default 3)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--bytes", type=int, default=1024, help="of one event (default 1024)")
    parser.add_argument("--threads", type=int, default=1, help="I/O threads of the daemon (default 1, as nginx has one)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for tool in ("nginx", "wrk"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: apt-get install {'nginx-light' if tool == 'nginx' else tool}")
    body = event(options.bytes)
    with tempfile.TemporaryDirectory(prefix="eventyard-bench-") as directory:
        servers = Servers(directory)
        try:
            nginx_pid, nginx_url = start_nginx(servers, directory)
            sink_port = free_port()
            servers.start([os.path.join(ROOT, "build/release/eventyard"), "sink", "--quiet", "--listen",
                           f"127.0.0.1:{sink_port}"])
            wait_http(f"http://127.0.0.1:{sink_port}/_summary")
            accept_pid, accept_url, accept_admin = start_daemon(servers, directory, "accept", None, True, options.threads)
            out_pid, out_url, out_admin = start_daemon(servers, directory, "out", sink_port, True, options.threads)
            time.sleep(1)
            idle = rss_mib(out_pid)
            post(accept_admin + "/v1/targets/out/pause?reason=benchmark")
            rows = {"nginx return 202": [], "accept (in, match, fsync, 202)": [], "in-to-out (and one webhook each)": []}
            p99 = {}
            for _ in range(options.rounds):
                for name, pid, url, admin in (
                    ("nginx return 202", nginx_pid, nginx_url, None),
                    ("accept (in, match, fsync, 202)", accept_pid, accept_url, None),
                    ("in-to-out (and one webhook each)", out_pid, out_url, out_admin),
                ):
                    before = cpu_seconds([pid])
                    count, bad, tail = load(directory, url, body, options.seconds, options.connections)
                    if bad:
                        sys.exit(f"{name}: {bad} of {count} answers were errors")
                    end = time.time() + 120
                    while admin and pending(admin) > 0:
                        if time.time() > end:
                            sys.exit(f"{name}: {pending(admin)} deliveries still pending after 120 s")
                        time.sleep(0.1)
                    used = cpu_seconds([pid]) - before
                    rows[name].append((used / count * 1e6, count / options.seconds))
                    p99[name] = tail
            base = statistics.median(us for us, _ in rows["nginx return 202"])
            result = {"idle_rss_mib": round(idle, 1), "event_bytes": len(body), "rows": []}
            for name, values in rows.items():
                us = statistics.median(v for v, _ in values)
                result["rows"].append({"what": name, "cpu_us_per_event": round(us, 2), "ratio_to_nginx": round(us / base, 2),
                                       "events_per_second": round(statistics.median(r for _, r in values)), "p99": p99[name]})
        finally:
            servers.stop()
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{len(body)}-byte events, {options.connections} connections, {options.rounds} rounds of {options.seconds} s, "
          f"{options.threads} I/O thread(s); medians\n")
    print(f"{'':34} {'CPU us/event':>12} {'x nginx':>8} {'events/s':>9} {'p99':>9}")
    for row in result["rows"]:
        print(f"{row['what']:34} {row['cpu_us_per_event']:12.2f} {row['ratio_to_nginx']:8.2f} "
              f"{row['events_per_second']:9d} {row['p99']:>9}")
    print(f"\nidle memory of the daemon: {result['idle_rss_mib']} MiB (goal: under 40)")


if __name__ == "__main__":
    main()
