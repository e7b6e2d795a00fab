"""Which row of docs/patterns.md explains that event-ruler answers otherwise.

Predicates are narrow on purpose: they look at the fields of one rule and at the event's values that
stand at those paths, not at what else the texts hold.
"""
import ipaddress
import itertools
import json
import re
from decimal import Decimal, InvalidOperation, Overflow


class Pairs(list):
    """An object: its members in order, repeated keys kept."""


class Number(str):
    """A number's text."""


def read(text):
    return json.loads(text, object_pairs_hook=Pairs, parse_float=Number, parse_int=Number, parse_constant=Number)


class Rule:
    def __init__(self, pattern):
        self.fields = []  # (path, items)
        self.has_or = False
        self._walk(pattern, ())

    def _walk(self, value, path):
        for key, inner in value:
            if key == "$or":
                self.has_or = True
                for branch in inner:
                    for one in branch if not isinstance(branch, Pairs) else [branch]:
                        self._walk(one, path)
                continue
            here = path + tuple(key.split("."))
            if isinstance(inner, Pairs):
                self._walk(inner, here)
            else:
                self.fields.append((here, inner))

    def operators(self, path_items):
        """(operator, operand) of each item; a value is ("=", value)."""
        for item in path_items:
            if isinstance(item, Pairs):
                yield item[0]
            else:
                yield "=", item


class Event:
    def __init__(self, event):
        self.leaves = []        # (path, value)
        self.arrays = {}        # path -> how many arrays begin there, nested ones counted
        self.repeated = set()   # paths that are written more than once in one object
        self._walk(event, ())

    def _walk(self, value, path):
        if isinstance(value, Pairs):
            seen = []
            for key, inner in value:
                names = tuple(key.split("."))
                for other in seen:
                    shared = tuple(a for a, b in itertools.takewhile(lambda p: p[0] == p[1], zip(other, names)))
                    if shared:
                        self.repeated.add(path + shared)
                seen.append(names)
                self._walk(inner, path + names)
        elif isinstance(value, list):
            self.arrays[path] = self.arrays.get(path, 0) + 1
            for inner in value:
                self._walk(inner, path)
        else:
            self.leaves.append((path, value))

    def at(self, path):
        return [value for where, value in self.leaves if where == path]

    def array_above(self, path):
        """Whether an array lies above the last name of `path`."""
        return any(path[:n] in self.arrays for n in range(1, len(path)))


def has_surrogate(text):
    return isinstance(text, str) and any("\ud800" <= c <= "\udfff" for c in text)


def survives_double(text):
    """What event-ruler can compare: the nearest double's shortest decimal is the number itself."""
    try:
        exact = Decimal(text)
        nearest = float(exact)
    except (InvalidOperation, Overflow, ValueError):
        return False
    if nearest in (float("inf"), float("-inf")):
        return False
    return Decimal(repr(nearest)) == exact


def is_exact(text):
    """As survives_double, without those on which event-ruler depends on the JDK or fails: it cannot
    build a range that ends at the greatest double, and before JDK 19 neither 1e23 nor the least
    doubles print as their shortest decimals."""
    exponent = re.search(r"[eE][+-]?0*([0-9]*)$", text)
    if (exponent and len(exponent.group(1)) > 4) or not survives_double(text):
        return False
    size = abs(Decimal(text))
    return size == 0 or (Decimal("2.3e-308") < size < Decimal("1.7976931348623157e308") and size != Decimal("1e23"))


def numbers_in(value):
    if isinstance(value, Number):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from numbers_in(one)
    elif isinstance(value, tuple):
        yield from numbers_in(value[1])


def strings_in(value):
    """All strings, operators' names left out."""
    if isinstance(value, str) and not isinstance(value, Number):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from strings_in(one)
    elif isinstance(value, tuple):
        yield from strings_in(value[1])


def address(text):
    """The address that a string names by our rules, or None. Leading zeros are decimal."""
    if not isinstance(text, str):
        return None
    quad = re.sub(r"(?<![0-9a-fA-F])0+(?=[0-9])", "", text) if re.fullmatch(r"[0-9.]+", text) else text
    try:
        return ipaddress.ip_address(quad)
    except ValueError:
        return None


def looks_like_address(text):
    return isinstance(text, str) and bool(re.fullmatch(r"[0-9]+(\.[0-9]+){0,3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", text))


def mentions_case(operator, operand):
    if operator == "equals-ignore-case":
        return operand
    if isinstance(operand, Pairs) and operand and operator in ("prefix", "suffix", "anything-but"):
        return operand[0][1] if operand[0][0] == "equals-ignore-case" else None
    return None


def plain(text):
    return all(c < "\x80" for c in text)


# ---- the rows ----------------------------------------------------------------------------------------

def row_11(rule, event):
    """A lone surrogate in an operand, a value that is read, or a name of either."""
    return any(any(map(has_surrogate, path)) or any(map(has_surrogate, strings_in(items))) or
               any(map(has_surrogate, event.at(path))) for path, items in rule.fields)


def row_10(rule, event):
    """An empty name: the library drops it at the front, and loses the field elsewhere."""
    for path, _ in rule.fields:
        if "" in path:
            return True
        if any(where[0] == "" and where[1:] == path for where, _ in event.leaves):
            return True
    return False


def row_3(rule, event):
    """A number that no double holds, in an operand or a value that is read."""
    return any(not is_exact(number) for path, items in rule.fields
               for number in itertools.chain(numbers_in(items), numbers_in(event.at(path))))


def row_4(rule, event):
    """A cidr item, and a value at its path that is a number or names an address."""
    for path, items in rule.fields:
        if any(operator == "cidr" for operator, _ in rule.operators(items)) and \
                any(isinstance(value, Number) or looks_like_address(value) for value in event.at(path)):
            return True
    return False


def row_5(rule, event):
    """A plain string that is an address, and another spelling of one among the values. Or quotation
    marks, with which values are stored there: a prefix that ends (a suffix that begins) with one, and a
    value that is the rest; a string that begins with one in a list with a range of numbers."""
    for path, items in rule.fields:
        values = event.at(path)
        operators = list(rule.operators(items))
        if any(operator == "numeric" for operator, _ in operators) and \
                any(operator in ("=", "exactly") and text.startswith('"')
                    for operator, operand in operators for text in strings_in(operand)):
            return True
        for operator, operand in operators:
            if operator == "=" and not isinstance(operand, Number) and address(operand) is not None and \
                    any(value != operand and looks_like_address(value) for value in values):
                return True
            if operator in ("prefix", "suffix", "anything-but") and \
                    any('"' in (text[:1], text[-1:]) and (text[1:] in values or text[:-1] in values)
                        for text in strings_in(operand)):
                return True
    return False


def row_6(rule, event):
    """Case ignored, and a letter outside ASCII in the operand or a value."""
    for path, items in rule.fields:
        for operator, operand in rule.operators(items):
            words = mentions_case(operator, operand)
            if words is None:
                continue
            texts = list(strings_in(words)) + [v for v in event.at(path) if isinstance(v, str)]
            if any(not plain(text) for text in texts):
                return True
    return False


def row_8(rule, event):
    """A path that a field passes through or ends at is written twice in one object."""
    return any(path[:n] in event.repeated for path, _ in rule.fields for n in range(1, len(path) + 1))


def row_2(rule, event):
    """Absence beside arrays; or one field's path above another's, read from one array."""
    for path, items in rule.fields:
        if any(op == "exists" and operand is False for op, operand in rule.operators(items)) and \
                event.array_above(path):
            return True
        for other, _ in rule.fields:
            if len(other) > len(path) and other[:len(path)] == path and path in event.arrays:
                return True
    # The elements of an array in an array: one array with elements of its own, not more of the outer.
    return any(event.arrays.get(path[:n], 0) > 1 for path, _ in rule.fields for n in range(1, len(path)))


def row_9(rule, event):
    """A $or with absence among its fields, where an array is read."""
    return rule.has_or and any(op == "exists" and operand is False
                               for path, items in rule.fields for op, operand in rule.operators(items)) and \
        any(event.array_above(path) for path, _ in rule.fields)


ROWS = [(11, row_11), (10, row_10), (3, row_3), (4, row_4), (5, row_5), (6, row_6), (8, row_8), (9, row_9), (2, row_2)]


def explain(rule, event, ours, alone, together):
    """The row, or None. `alone` and `together` are event-ruler's answers without and with other rules."""
    if alone == ours:
        return 1
    for number, predicate in ROWS:
        if predicate(rule, event):
            return number
    return 1 if together == ours else None


def lists_of_lists(pattern):
    """Whether several $or are written as a list of lists."""
    return isinstance(pattern, list) and any(
        (key == "$or" and value and not isinstance(value[0], Pairs)) or
        (isinstance(value, Pairs) and lists_of_lists(value)) or
        (key == "$or" and any(lists_of_lists(branch) for branch in value))
        for key, value in (pattern if isinstance(pattern, Pairs) else Pairs()))


def refusal(pattern, reason):
    """The row that explains why event-ruler refuses a pattern that we take."""
    if lists_of_lists(pattern):
        return 7
    rule = Rule(pattern)
    operators = [pair for _, items in rule.fields for pair in rule.operators(items)]
    if any(not is_exact(number) for _, items in rule.fields for number in numbers_in(items)):
        return 3
    if any(operator == "cidr" for operator, _ in operators):
        return 4
    if any(any(map(has_surrogate, strings_in(items))) for _, items in rule.fields):
        return 11
    if any("" in path for path, _ in rule.fields):
        return 10
    if "cannot be cast" in reason and any(not plain(text) for operator, operand in operators
                                          for text in strings_in(mentions_case(operator, operand) or [])):
        return 6  # it crashes on letters whose cases have several bytes
    return None
