#!/usr/bin/env python3
"""Whether the differential test sees: seeded mistakes in the matching engine, each of which it must find.

    tests/differential/mutations.py [--only N,N...] [--jobs N] [--list]

Works in a copy of the sources under build/mutations; the checkout is not touched. For each mistake one
text is replaced, test_differential is rebuilt and run until its first failure. A mistake that survives,
whose text is no longer there exactly once, or that does not compile fails the script. Run by hand: it
takes a rebuild for each mistake.
"""
import argparse
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "build" / "mutations"
BUILD = SOURCE / "build" / "release"  # where it lies in the checkout, so that ccache knows the objects
ENGINE = ROOT / "rules" / "engine"

# (text, text instead, what is wrong then); each text stands in one place of the engine
MUTATIONS = [
    ("if (length > text.size()) break;", "if (length >= text.size()) break;",
     "a prefix is not found in the value that is the prefix itself"),
    ("if (p - whole > 19) return digit_by_digit(number);", "",
     "integers of twenty digits wrap around"),
    ("const double margin = std::abs(number.value) * 2 * approximate_slack;", "const double margin = 0;",
     "a number near the end of a range is not looked at exactly"),
    ("for (std::size_t size = 1; size <= left; ++size) {", "for (std::size_t size = 1; size < left; ++size) {",
     "a wildcard's piece is not found at the end of a value"),
    ("pending_.push_back({path_of_[position], cidr.v4() ? v4_masks : v6_masks, cidr.bits()});",
     "pending_.push_back({path_of_[position], cidr.v4() ? v4_masks : v6_masks, cidr.bits() / 8 * 8});",
     "address blocks that end within a byte are not found"),
    ("static_cast<unsigned>(first[i].low <= number)", "static_cast<unsigned>(first[i].low < number)",
     "a number at the low end of a range does not find it"),
    ("Block{block.low, std::max(block.high, below.high)};", "Block{block.low, below.high};",
     "a block of ranges forgets how far its last one reaches"),
    ("if (after == '?' || after == '*' || after == '{') {", "if (after == '*' || after == '{') {",
     "a regex's optional letter is taken for a required one"),
    ("if (depth == 0) return {};\n            continue;", "end_run();\n            continue;",
     "a regex's alternatives are taken for required text"),
    ("(edge.size <= 8 || this->name(edge.child).substr(8) == name.substr(8))", "true",
     "long names that begin alike are one"),
    ("was the last one to have a node here, unless objects and elements mix.\n        if (nodes_[at.last].owner == object) return at.last;",
     "was the last one to have a node here, unless objects and elements mix.\n        return at.last;",
     "the elements of an array share their values"),
    ("if (nodes_[node].element_first != none) mixed_ = true;", "",
     "an object beside an array at one path is overlooked"),
    ("if (node != none && selection_.node(node).in_element) elements = true;", "if (false) elements = true;",
     "fields below an array are decided one by one"),
    ("&& --wanted == 0) {", "&& --wanted <= 1) {",
     "match_unchecked() stops one name early"),
    ("text.remove_prefix(at + piece.size());", "text.remove_prefix(at);",
     "a wildcard's pieces may overlap in the value"),
    ("if (order > 0 || (order == 0 && !range.high_included)) return false;", "if (order > 0) return false;",
     "a range's excluded high end is included"),
    ("return text.size() <= 15 &&", "return text.size() <= 17 &&",
     "numbers of 17 digits are told apart by their doubles"),
    ("!value.lone_surrogate &&", "",
     "a regex is asked about a string with a lone surrogate"),
    ("if (std::all_of(all.begin(), all.end(), [&](std::uint32_t predicate) { return some(predicate, node); }))",
     "if (std::any_of(all.begin(), all.end(), [&](std::uint32_t predicate) { return some(predicate, node); }))",
     "all-of is satisfied by one of its items"),
    ("if (conjunction(shape, e) == Held::witnessed) return Held::witnessed;",
     "if (conjunction(shape, e) != Held::no) return Held::witnessed;",
     "an element without any witness is chosen"),
    ("return shape.flat_count == 1 && shape.flat_either_count == 0 &&", "return shape.flat_either_count == 0 &&",
     "a range decides for a rule that asks for more"),
    ("if (at.direct != none) stack_.push_back(at.direct);", "",
     "absence is not judged over an object outside arrays"),
    ("selection_.node(node).chosen = on ? owner : none;", "selection_.node(node).chosen = owner;",
     "an element stays chosen for the next value"),
    ("memory_.seen.assign(size, none);", "memory_.seen.resize(std::max(size, memory_.seen.size()), none);",
     "values seen in one array count as seen in the next"),
    ("            memory_.matched[w] = 0;\n", "            if (w > 0) memory_.matched[w] = 0;\n",
     "rules that matched one event are missing from the next"),
    ("            std::sort(begin, out_.end());\n", "",
     "few matches of many rules come unsorted"),
    ("if (!always_.empty()) access_.set_always(access_.add_node(always_, {}));",
     "if (always_.size() > 1) access_.set_always(access_.add_node(always_, {}));",
     "a rule that asks only for absence is asked only in company"),
    ("        std::erase_if(doubtful,", "        if (false) std::erase_if(doubtful,",
     "a rule that is decided and also in doubt is forgotten"),
    ("if (leading_digits(word) < count) return false;", "",
     "an exponent behind a fraction is read as digits"),
    ("            memory_.doubtful.clear();\n", "",
     "what one value excludes is excluded for the next"),
    ("std::min(from.size(), to.size()) - 1;", "std::min(from.size(), to.size());",
     "the array of a path's last name is taken for one that its values cross"),
]


def copy_sources():
    SOURCE.mkdir(parents=True, exist_ok=True)
    for old in SOURCE.iterdir():
        if old.name != "build":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for entry in ROOT.iterdir():
        if entry.name in ("build", ".git", ".cache"):
            continue
        copied = SOURCE / entry.name
        shutil.copytree(entry, copied) if entry.is_dir() else shutil.copy2(entry, copied)
    # A run that was ended early may have left an object of a mistake, newer than the file as it should be.
    for file in (SOURCE / "rules" / "engine").iterdir():
        file.touch()


def build(jobs):
    done = subprocess.run(["ninja", "-C", str(BUILD), f"-j{jobs}", "test_differential"], capture_output=True, text=True)
    return done.returncode == 0, done.stdout[-3000:]


def run(seconds):
    """'found' with the test that found it, or 'survived'."""
    try:
        done = subprocess.run([str(BUILD / "test_differential"), "--abort"], capture_output=True, text=True,
                              errors="replace", timeout=seconds, env={"PATH": "/usr/bin:/bin"})
    except subprocess.TimeoutExpired:
        return "found (it hangs)"
    if done.returncode == 0:
        return "survived"
    names = [line for line in done.stdout.splitlines() if " as the reference does" in line or " share one rule set" in line]
    crash = f"a crash, signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
    return "found by: " + (names[0].strip() if names else crash)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="numbers of mistakes, with commas")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    chosen = [int(n) for n in args.only.split(",")] if args.only else range(1, len(MUTATIONS) + 1)
    stale = 0
    files = {path: path.read_text() for path in sorted(ENGINE.glob("*.?pp"))}
    homes = []
    for number, (text, _, what) in enumerate(MUTATIONS, 1):
        found = [path for path, content in files.items() for _ in range(content.count(text))]
        homes.append(found[0].name if len(found) == 1 else None)
        if len(found) != 1:
            print(f"{number:2} {what}: the text stands in {len(found)} places: {text}")
            stale += 1
        elif args.list:
            print(f"{number:2} {homes[-1]}: {what}")
    if args.list or stale:
        sys.exit(1 if stale else 0)

    copy_sources()
    subprocess.run(["cmake", "-S", str(SOURCE), "-B", str(BUILD), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                    "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O2 -g1 -DNDEBUG", "-DEVENTYARD_BENCH=OFF"],
                   check=True, capture_output=True)
    good, log = build(args.jobs)
    if not good:
        sys.exit("the sources do not build:\n" + log)
    started = time.monotonic()
    clean = run(1800)
    if clean != "survived":
        sys.exit("the test fails without any mistake: " + clean)
    took = time.monotonic() - started
    print(f"without a mistake: all tests pass in {took:.0f} s", flush=True)
    bad = 0
    for number in chosen:
        text, instead, what = MUTATIONS[number - 1]
        name = homes[number - 1]
        file = SOURCE / "rules" / "engine" / name
        before = file.read_text()
        file.write_text(before.replace(text, instead))
        good, log = build(args.jobs)
        started = time.monotonic()
        result = run(5 * took + 60) if good else "does not compile:\n" + log
        took_here = time.monotonic() - started
        file.write_text(before)
        bad += not result.startswith("found")
        print(f"{number:2} {name}: {what}: {result} ({took_here:.1f} s)", flush=True)
    print(f"{bad} of {len(list(chosen))} mistakes not found" if bad else f"all {len(list(chosen))} mistakes found")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
