"""The programs that are compared: Eventyard, and its peers where Java or Go are installed.

Each takes a file of patterns and a file of events and gives a dictionary, or a Failure that says why
there is none. One program runs at a time, on one matching thread.
"""
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PAGE = os.sysconf("SC_PAGE_SIZE")


class Failure(Exception):
    """Why a program gave no figures; its text goes into the table."""


def resident(pid):
    try:
        with open(f"/proc/{pid}/statm") as f:
            return int(f.read().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def digest_of(folder):
    """Of the names and bytes of all files below a folder."""
    digest = hashlib.sha256()
    for directory, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = os.path.join(directory, name)
            digest.update(os.path.relpath(path, folder).encode())
            with open(path, "rb") as f:
                digest.update(f.read())
    return digest.hexdigest()


def run_limited(command, timeout, memory_max, cwd=None):
    """The output of a command; ends it, by its id, when it takes too long or too much memory."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen(command, stdout=out, stderr=err, cwd=cwd)
        reason = None
        peak = 0
        started = time.monotonic()
        try:
            while child.poll() is None:
                peak = max(peak, resident(child.pid))
                if time.monotonic() - started > timeout:
                    reason = f"over {timeout:.0f} s"
                elif peak > memory_max:
                    reason = f"over {memory_max / 2**30:.1f} GiB"
                if reason:
                    break
                time.sleep(0.02)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
        if reason:
            raise Failure(reason)
        out.seek(0)
        err.seek(0)
        if child.returncode != 0:
            words = err.read().strip().splitlines()
            short = next((w for w in words if "OutOfMemory" in w), words[-1] if words else "no word why")
            raise Failure("out of memory" if "OutOfMemory" in short else f"exit {child.returncode}: {short}")
        return out.read(), peak


class Eventyard:
    name = "eventyard"

    def __init__(self, binary, settings):
        if not os.access(binary, os.X_OK):
            raise SystemExit(f"{binary}: no such program; build it with scripts/build")
        self.binary = binary
        self.settings = settings

    def measure(self, rules, events, seconds=None):
        seconds = seconds or self.settings.seconds
        text, _ = run_limited([self.binary, "bench", "match", "--rules", rules, "--events", events, "--json",
                               "--rule-counts", "--seconds", str(seconds)],
                              self.settings.timeout, self.settings.memory_max)
        return Figures(json.loads(text), self.settings.cpu)

    def generated(self, family, rules, events=None, seconds=None):
        """As measure(), for rules and events that the program makes up itself."""
        command = [self.binary, "bench", "match", "--generate", str(rules), "--family", family, "--json",
                   "--seconds", str(seconds or self.settings.seconds)]
        if events:
            command += ["--events-count", str(events)]
        text, _ = run_limited(command, self.settings.timeout, self.settings.memory_max)
        return Figures(json.loads(text), self.settings.cpu)

    def save(self, family, rules, events, folder):
        """Files with what generated() would use: for peers."""
        names = [os.path.join(folder, f"{family}-{rules}-{events}-{what}.jsonl") for what in ("rules", "events")]
        run_limited([self.binary, "bench", "match", "--generate", str(rules), "--family", family,
                     "--events-count", str(events), "--save-rules", names[0], "--save-events", names[1]],
                    self.settings.timeout, self.settings.memory_max)
        return names


class Figures(dict):
    """What `bench match --json` printed; rates and costs by the wall or by CPU time."""

    def __init__(self, figures, cpu):
        super().__init__(figures)
        self.cpu = cpu

    def column(self, name):
        return next(c for c in self["columns"] if c["name"] == name)

    def cost(self, name):
        """Nanoseconds an event."""
        return self.column(name)["cpu_ns_per_event" if self.cpu else "ns_per_event"]

    def rate(self, name):
        return 1e9 / self.cost(name) if self.cost(name) else 0


class Peer:
    """A program of peers/ that is built below the work folder, again when its sources changed."""

    def __init__(self, settings, work):
        self.settings = settings
        self.folder = os.path.join(work, "peers", self.source)
        self.missing = None
        try:
            self.need_tools()
            sources = os.path.join(HERE, "peers", self.source)
            built = os.path.join(self.folder, "built-from")
            digest = digest_of(sources)
            if not settings.rebuild and os.path.exists(built) and open(built).read() == digest:
                return
            shutil.rmtree(self.folder, ignore_errors=True)
            shutil.copytree(sources, self.folder)
            for step in self.build_steps():
                try:
                    run_limited(step, 600, settings.memory_max, self.folder)
                except Failure as why:
                    raise Failure(f"{' '.join(step[:2])}: {why}") from why
            with open(built, "w") as f:
                f.write(digest)
        except Failure as why:
            self.missing = str(why)

    def need_tools(self):
        missing = [tool for tool in self.tools if not shutil.which(tool)]
        if missing:
            raise Failure(f"needs {' and '.join(missing)}")

    def measure(self, rules, events, more=()):
        """What the peer printed, its rate as the median of its rounds."""
        if self.missing:
            raise Failure(self.missing)
        load = self.settings.load_seconds
        text, peak = run_limited([*self.command(), rules, events, str(self.settings.seconds), str(load), *more],
                                 self.settings.peer_timeout + load, self.settings.memory_max)
        figures = json.loads(text)
        figures["peak_resident_bytes"] = peak
        if figures["tried"] < figures["rules"]:
            rate = figures["tried"] / figures["load_seconds"]
            raise Failure(f"not loaded in {load:.0f} s ({rate:,.0f} rules/s)")
        if figures["accepted"] == 0:
            raise Failure("refuses all rules")
        figures["rate"] = statistics.median(figures["cpu_rounds" if self.settings.cpu else "rounds"])
        return figures


class Ruler(Peer):
    name = "event-ruler"
    source = "ruler"
    tools = ("java", "mvn")

    def build_steps(self):
        return [["mvn", "-q", "-B", "package"]]

    def command(self):
        heap = f"-Xmx{int(self.settings.memory_max * 0.8 / 2**20)}m"
        return ["java", heap, "-cp", f"{self.folder}/target/classes:{self.folder}/target/lib/*", "RulerPeer"]


class Quamina(Peer):
    name = "Quamina"
    source = "quamina"
    tools = ("go",)

    def build_steps(self):
        return [["go", "get", "quamina.net/go/quamina/v2"], ["go", "build", "-o", "quamina-peer", "."]]

    def command(self):
        return [os.path.join(self.folder, "quamina-peer")]


# Where a peer is known to answer otherwise: (peer, what is measured, why).
KNOWN_DIFFERENCES = []


def head(path, count, folder):
    """A file with the first lines of another."""
    out = os.path.join(folder, f"head-{count}-{os.path.basename(path)}")
    with open(path, "rb") as source, open(out, "wb") as copy:
        for number, line in enumerate(source):
            if number == count:
                break
            copy.write(line)
    return out


def agreement(eventyard, ours, theirs, peer, subject, rules, events, folder):
    """In a word or two, whether a peer answered as Eventyard did.

    Whoever was faster is asked again for the first events, which both answered."""
    answers = ours["answers"]
    count = min(theirs["answered"], answers["events"])
    if theirs["answered"] != answers["events"]:
        first = head(events, count, folder)
        if answers["events"] > count:
            answers = eventyard.measure(rules, first, 0.1)["answers"]
        else:
            theirs = peer.measure(rules, first)
        if not answers["events"] == theirs["answered"] == count:
            return "not compared"
    refused = set(theirs["refused"])
    if not refused and answers["digest"] == theirs["digest"]:
        return f"same, {theirs['answered']:,} events"
    mine = {rule: count for rule, count in answers["rule_counts"] if rule not in refused}
    other = dict(map(tuple, theirs["rule_counts"]))
    if refused and mine == other:
        return f"same, {theirs['answered']:,} events"
    for name, what, why in KNOWN_DIFFERENCES:
        if name == peer.name and what == subject:
            return f"known: {why}"
    rules_apart = sorted(r for r in set(mine) | set(other) if mine.get(r) != other.get(r))
    return f"DIFFERS for {len(rules_apart)} rules, first {rules_apart[:3]}"
