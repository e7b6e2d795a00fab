"""Processes of a benchmark: started on free loopback ports, measured from /proc, ended by their ids."""
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build/release")
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    """Below the ports that the kernel gives to clients: one of those may be taken before a server listens there."""
    while True:
        with socket.socket() as s:
            port = random.randint(10_000, 32_000)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss_mib(pid, what="VmRSS"):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(what + r":\s+(\d+)", f.read()).group(1)) / 1024


def disk_reads(pid):
    """Bytes the process asked for, page cache or not."""
    with open(f"/proc/{pid}/io") as f:
        return int(re.search(r"rchar: (\d+)", f.read()).group(1))


def get(url, timeout=20):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read()


def get_json(url, timeout=20):
    return json.loads(get(url, timeout))


def post(url):
    with urllib.request.urlopen(urllib.request.Request(url, data=b"", method="POST"), timeout=60) as answer:
        return answer.read()


def wait_until(done, seconds, what, every=0.05):
    end = time.time() + seconds
    while time.time() < end:
        try:
            if done():
                return
        except OSError:
            pass
        time.sleep(every)
    sys.exit(f"not within {seconds} s: {what}")


def wait_http(url, seconds=20, every=0.05):
    wait_until(lambda: get(url, 2) is not None, seconds, f"an answer of {url}", every)


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

    def end(self, process, how=signal.SIGTERM):
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.processes.remove(process)

    def stop(self):
        for process in list(reversed(self.processes)):
            self.end(process)
