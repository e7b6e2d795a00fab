"""The tables: what is measured for each row, what must be reached, and how it is printed."""
import json
import os
import sys

import city_lots
from programs import HERE, Failure, agreement, head

# The goals of the city-lot sets: (peer, least ratio). A set not named here has none.
CITY_GOALS = {
    "exact": [("Quamina", 2)], "wildcard": [("Quamina", 2)], "prefix": [("Quamina", 2)],
    "prefix_eic": [("event-ruler", 10)], "suffix": [("Quamina", 3)], "suffix_eic": [("event-ruler", 10)],
    "equals_ignore_case": [("Quamina", 3)], "numeric": [("event-ruler", 8)],
    "anything_but": [("event-ruler", 8)], "anything_but_ignore_case": [("event-ruler", 8)],
    "anything_but_prefix": [("event-ruler", 8)], "anything_but_suffix": [("event-ruler", 8)],
    "anything_but_wildcard": [("event-ruler", 8)], "complex_arrays": [("event-ruler", 15)],
    "all": [("event-ruler", 20)],
}
# The product column beside simdjson's DOM parse.
DOM_GOAL = {"all": 0.5}
SINGLE_FIELD = {"exact", "wildcard", "prefix", "prefix_eic", "suffix", "suffix_eic", "equals_ignore_case"}

SHAPES = ["mixed", "no-unique-field", "prefix", "suffix-wildcard", "numeric", "negatives", "zipf"]
GROWTH = ["exact", "prefix", "suffix", "fold", "numeric", "wildcard", "or-1000", "absent", "anything-but",
          "all-but-one", "pairs"]


class Printer:
    """Prints rows as they come, in columns of fixed width; keeps them for --json."""

    def __init__(self, title, head_row):
        self.rows = []
        self.head = head_row
        self.widths = [max(len(name), 9) for name in head_row]
        self.widths[0] = 26
        print(f"\n## {title}\n")
        self.line(head_row)

    def line(self, cells):
        print("  ".join(str(c).ljust(w) if i == 0 else str(c).rjust(w)
                        for i, (c, w) in enumerate(zip(cells, self.widths))))
        sys.stdout.flush()

    def add(self, cells, figures):
        self.line(cells)
        self.rows.append({"cells": dict(zip(self.head, map(str, cells))), "figures": figures})


def si(value):
    """1234567 as 1.23 M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def times(a, b):
    return f"{a / b:.2f}x" if b else "-"


def verdict(reached):
    return {True: "yes", False: "NO", None: "-"}[reached]


def measure_peers(bench, rules, events, subject, ours):
    """Cells and figures of each peer: rate, ratio, agreement."""
    out = {}
    for peer in bench.peers:
        try:
            theirs = peer.measure(rules, events)
            agreed = agreement(bench.eventyard, ours, theirs, peer, subject, rules, events, bench.work)
            if agreed.startswith("DIFFERS"):
                bench.differences.append(f"{subject}: {peer.name} {agreed}")
            out[peer.name] = {"rate": theirs["rate"], "accepted": theirs["accepted"], "rules": theirs["rules"],
                              "load_seconds": theirs["load_seconds"], "memory_bytes": theirs["memory_bytes"],
                              "peak_resident_bytes": theirs["peak_resident_bytes"], "agreement": agreed}
        except Failure as why:
            out[peer.name] = {"failure": str(why)}
    return out


def peer_cells(bench, figures, rate):
    cells = []
    for peer in bench.peers:
        one = figures[peer.name]
        if "failure" in one:
            cells += [one["failure"][:28], "-"]
            continue
        some = "" if one["accepted"] == one["rules"] else f" ({one['accepted']}/{one['rules']})"
        cells += [si(one["rate"]) + some, times(rate, one["rate"])]
    return cells


def peer_heads(bench):
    heads = []
    for peer in bench.peers:
        heads += [peer.name.ljust(16), "ours/it"]
    return heads


def agreed_cell(figures):
    words = {one["agreement"].split(",")[0].split(":")[0] for one in figures.values() if "agreement" in one}
    return "/".join(sorted(words)) or "-"


def city_files(bench):
    """The rule sets as files of bare patterns, and the events."""
    sets = {}
    with open(os.path.join(HERE, "data", "city_lots_rules.jsonl")) as f:
        for line in f:
            rule = json.loads(line)
            # Numbers must stay as they are written.
            pattern = line[line.index('"pattern":') + len('"pattern":'):].rstrip()[:-1]
            sets.setdefault(rule["set"], []).append(pattern)
    sets["all"] = [p for name, patterns in sets.items() if name != "quamina_citylots" for p in patterns]
    for name, patterns in sets.items():
        path = os.path.join(bench.work, f"city-{name}.jsonl")
        with open(path, "w") as f:
            f.write("".join(p + "\n" for p in patterns))
        sets[name] = path
    pairs, points = (os.path.join(bench.work, f"city_lots_{shape}.jsonl") for shape in ("pairs", "points"))
    if not (os.path.exists(pairs) and os.path.exists(points)):
        city_lots.write(bench.work)
    if bench.city_lots:
        points = bench.city_lots
    if bench.quick:
        pairs, points = head(pairs, 20000, bench.work), head(points, 20000, bench.work)
    return sets, pairs, points


def city(bench):
    sets, pairs, points = city_files(bench)
    table = Printer("City lots: five rules a set, events/s of one thread",
                    ["set", *peer_heads(bench), "matching only", "product", "DOM parse", "product/DOM", "goal",
                     "reached", "answers"])
    for name in [*(n for n in sets if n not in ("all", "quamina_citylots")), "all", "quamina_citylots"]:
        events = pairs if name == "quamina_citylots" else points
        ours = bench.eventyard.measure(sets[name], events)
        peers = measure_peers(bench, sets[name], events, name, ours)
        only, product, dom = (ours.rate(c) for c in ("matching_only", "product", "simdjson_dom"))
        goals, held = [], []
        for peer, least in CITY_GOALS.get(name, []):
            goals.append(f">={least}x {peer[:7]}")
            rate = peers.get(peer, {}).get("rate")
            held.append(only >= least * rate if rate else None)
        dom_goal = DOM_GOAL.get(name, 1 if name in SINGLE_FIELD else None)
        if dom_goal:
            goals.append(f">={dom_goal}x DOM")
            held.append(product >= dom_goal * dom)
        # One that fails decides; a goal without its peer leaves it open.
        reached = False if False in held else None if None in held or not held else True
        table.add([name, *peer_cells(bench, peers, only), si(only), si(product), si(dom), times(product, dom),
                   " ".join(goals) or "-", verdict(reached), agreed_cell(peers)],
                  {"eventyard": ours, "peers": peers, "reached": reached})
    return table.rows


def numbers(bench):
    """Rules by number, in three forms of the mixed family."""
    table = Printer("Rules by number: source, detail-type, tenant; then a prefix; then a number",
                    ["family", "rules", *peer_heads(bench), "matching only", "product", "rules/s", "B/rule RSS",
                     "answers"])
    for count in bench.sizes:
        for family in ("mixed-exact", "mixed-prefix", "mixed"):
            rules, events = bench.eventyard.save(family, count, bench.event_count, bench.work)
            try:
                ours = bench.eventyard.measure(rules, events)
                peers = measure_peers(bench, rules, events, family, ours)
                only = ours.rate("matching_only")
                of = ours["rules"]
                table.add([family, f"{count:,}", *peer_cells(bench, peers, only), si(only),
                           si(ours.rate("product")), si(of["rules_per_second"]),
                           f"{of['resident_growth_bytes'] / count:.0f}", agreed_cell(peers)],
                          {"eventyard": ours, "peers": peers})
            except Failure as why:
                table.add([family, f"{count:,}", str(why)], {"failure": str(why)})
            finally:
                for path in (rules, events):
                    os.remove(path)
    return table.rows


def cost_cells(column):
    return [f"{column['touched']:.2f}", f"{column['candidates']:.2f}", f"{column['matches']:.2f}"]


def shapes(bench):
    table = Printer("Shapes of rule sets: floors",
                    ["family", "rules", "matching only", "product", "p99 ns", "touched", "candidates", "matches",
                     "rules/s", "B/rule RSS"])
    for family in SHAPES:
        for count in bench.sizes:
            try:
                ours = bench.eventyard.generated(family, count, bench.event_count)
            except Failure as why:
                table.add([family, f"{count:,}", str(why)], {"failure": str(why)})
                continue
            of = ours["rules"]
            table.add([family, f"{count:,}", si(ours.rate("matching_only")), si(ours.rate("product")),
                       f"{ours.column('product')['p99_ns']:,}", *cost_cells(ours.column("product")),
                       si(of["rules_per_second"]), f"{of['resident_growth_bytes'] / count:.0f}"], ours)
    return table.rows


def growth(bench):
    """Time an event of each size over the smallest's; the goal is 2x, and 3x for a million."""
    table = Printer("Growth: cost of an event at the same touched and matches",
                    ["family", "rules", "ns/event only", "x smallest", "ns/event prod", "x smallest", "goal",
                     "reached", "touched", "candidates", "matches"])
    for family in GROWTH:
        first = None
        for count in bench.sizes:
            try:
                ours = bench.eventyard.generated(family, count, bench.event_count)
            except Failure as why:
                table.add([family, f"{count:,}", str(why)], {"failure": str(why)})
                break
            costs = [ours.cost(c) for c in ("matching_only", "product")]
            first = first or costs
            goal = 3 if count > 100000 else 2
            ratios = [c / f for c, f in zip(costs, first)]
            column = ours.column("product")
            reached = max(ratios) <= goal
            if family == "pairs":
                reached = reached and column["candidates"] <= 10 * column["matches"]
            table.add([family, f"{count:,}", f"{costs[0]:,.0f}", f"{ratios[0]:.2f}", f"{costs[1]:,.0f}",
                       f"{ratios[1]:.2f}", f"<={goal}x", verdict(reached), *cost_cells(column)],
                      {"eventyard": ours, "reached": reached})
    return table.rows


def output(bench):
    table = Printer("Output dominates: time a match",
                    ["family", "rules", "events/s only", "matches", "ns/match only", "ns/match prod", "goal",
                     "reached"])
    for family in ("all-true", "overlap"):
        for count in [n for n in bench.sizes if n <= 100000]:
            ours = bench.eventyard.generated(family, count)
            names = ("matching_only", "product")
            matches = ours.column("matching_only")["matches"]
            each = [ours.cost(name) / ours.column(name)["matches"] for name in names]
            table.add([family, f"{count:,}", si(ours.rate("matching_only")), f"{matches:,.1f}",
                       f"{each[0]:.2f}", f"{each[1]:.2f}", "<=5 ns", verdict(each[0] <= 5)],
                      {"eventyard": ours, "reached": each[0] <= 5})
    return table.rows


def limits(bench):
    """Where no bound can hold, and the wildcards that cost peers most."""
    table = Printer("Limits: rate and candidates",
                    ["family", "rules", *peer_heads(bench), "matching only", "product", "touched", "candidates",
                     "matches", "goal", "reached"])
    for family in ("two-pieces", "pieces-occur", "three-ranges"):
        for count in [n for n in bench.sizes if n <= 10000]:
            rules, events = bench.eventyard.save(family, count, min(bench.event_count, 20000), bench.work)
            ours = bench.eventyard.measure(rules, events)
            peers = measure_peers(bench, rules, events, family, ours)
            only = ours.rate("matching_only")
            goal = 200000 if family == "two-pieces" and count == 10000 else None
            table.add([family, f"{count:,}", *peer_cells(bench, peers, only), si(only), si(ours.rate("product")),
                       *cost_cells(ours.column("product")), f">={si(goal)}" if goal else "-",
                       verdict(only >= goal if goal else None)], {"eventyard": ours, "peers": peers})
    return table.rows


def events(bench):
    """Events that cost other engines much: long arrays, and one key written many times."""
    table = Printer("Unusual events",
                    ["family", "rules", "us/event only", "us/event prod", "p99 us", "goal", "reached", "note"])
    arrays = {}
    for family in ("array-1000", "array-10000"):
        ours = bench.eventyard.generated(family, 1000, 20 if bench.quick else None)
        costs = [ours.cost(c) / 1000 for c in ("matching_only", "product")]
        arrays[family] = max(costs)
        ratio = arrays["array-10000"] / arrays["array-1000"] if family == "array-10000" else None
        table.add([family, "1,000", *(f"{c:,.1f}" for c in costs), f"{ours.column('product')['p99_ns'] / 1000:,.0f}",
                   "<=12x" if ratio else "-", verdict(ratio <= 12 if ratio else None),
                   f"{ratio:.1f}x array-1000" if ratio else ""], {"eventyard": ours})
    ours = bench.eventyard.generated("repeated-key", 100, 1000)
    worst = ours.column("product")["p99_ns"] / 1000
    note = []
    rules, events_file = bench.eventyard.save("repeated-key", 100, 1, bench.work)
    for peer in bench.peers:
        # event-ruler's structured matching, on by default, is quick here and answers otherwise.
        more = ["plain"] if peer.name == "event-ruler" else []
        try:
            note.append(f"{' '.join([peer.name, *more])} {1 / peer.measure(rules, events_file, more)['rate']:.3g} s")
        except Failure as why:
            note.append(f"{' '.join([peer.name, *more])} {why}")
    costs = [ours.cost(c) / 1000 for c in ("matching_only", "product")]
    table.add(["repeated-key", "100", *(f"{c:,.1f}" for c in costs), f"{worst:,.0f}", "<1,000 us",
               verdict(worst < 1000), "; ".join(note)], {"eventyard": ours})
    return table.rows


TABLES = {"city": city, "numbers": numbers, "shapes": shapes, "growth": growth, "output": output,
          "limits": limits, "events": events}
