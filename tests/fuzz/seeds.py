#!/usr/bin/env python3
"""Writes what the entry points start from, taken from the cases of the other tests.

usage: seeds.py FOLDER     makes FOLDER/fuzz_json, FOLDER/fuzz_pattern, ...
"""
import hashlib
import json
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[2]
cases = root / "tests" / "cases"


def json_texts():
    for name in ("valid.txt", "broken.txt"):
        for line in (cases / "json" / name).read_bytes().splitlines():
            if not line or line.startswith(b"#"):
                continue
            text = line.split(b" ### ")[0].replace("¦".encode(), b"")
            yield re.sub(rb"<([0-9a-f]{2})>", lambda m: bytes([int(m[1], 16)]), text)


def text(value):
    return value if isinstance(value, str) else json.dumps(value)


def patterns():
    for path in sorted((cases / "patterns").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            case = json.loads(line)
            if "pattern" in case:
                yield text(case["pattern"]).encode() + b"\0" + text(case.get("event", {})).encode()


def rule_sets():
    """As tests/fuzz/rule_set.cpp reads them: each case by itself, and with the patterns of its neighbours."""
    before = []
    for case in patterns():
        pattern = case.split(b"\0")[0]
        yield b"\x01" + case
        before = before[-6:] + [pattern]
        yield b"\x01" + b"\0".join(before) + b"\0" + case.split(b"\0")[1]
    for draw in range(64):
        yield b"\0" + hashlib.sha512(bytes([draw])).digest() * 8


def configurations():
    for path in sorted((cases / "config" / "errors").rglob("*.yaml")):
        yield path.read_bytes() + b"\0rules: []\n"
    main = (root / "examples" / "github" / "eventyard.yaml").read_bytes()
    for path in sorted((root / "examples" / "github" / "rules").glob("*.yaml")):
        yield main + b"\0" + path.read_bytes()


def requests():
    for path in sorted((cases / "http").glob("*.http")):
        yield path.read_bytes()
    yield b"content-type: application/json\n\n" + b'{"a":{"b":[1,2]}}'
    yield b"content-type: application/x-ndjson\n\n" + b'{"a":1}\n\n{"b":2}\r\n[]\n'


def journals():
    for kind in range(1, 8):
        for file in range(4):
            yield bytes([1, kind, file, 64, 16, 0, 7, 30])
    yield bytes(8) + b"\x01" * 48


makers = {"json": json_texts, "pattern": patterns, "config": configurations, "request": requests,
          "journal": journals, "rule_set": rule_sets}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, make in makers.items():
        folder = pathlib.Path(sys.argv[1]) / ("fuzz_" + name)
        folder.mkdir(parents=True, exist_ok=True)
        for seed in make():
            (folder / hashlib.sha1(seed).hexdigest()).write_bytes(seed)


main()
