"""A quick yes for list entries of the usual shape, compiled from the schema.

libyang decides what is valid, but builds a tree of every entry for it: some 2 µs a leaf, which for batches of
subscribers is what a receiver spends most of its time on. This module turns the same schema into one regular
expression that matches only what libyang takes as well: each leaf at most once, in the schema's order, in
the plainest way to write it. No match says nothing: the entry then goes to libyang. So where a type or a
statement is not understood here, such entries simply do not match; nothing is taken that the schema refuses.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rui.schema.tree import Kind, Node, TypeSpec
from rui.schema.xsdpattern import python_pattern

# Printable ASCII but for what XML writes differently.
_TEXT = "[ -%'-;=?-~]"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# Written out rather than repeated as a group, here and below: that takes an expression half the time.
_IPV4 = r"\.".join([_OCTET] * 4)
_MAC = ":".join(["[0-9a-f][0-9a-f]"] * 6)
# Up to seven groups, of which nothing is tried twice: so many before the gap, so few behind it.
_HEX = "[0-9a-fA-F]{1,4}+"
_IPV6 = (
    rf"(?:(?:{_HEX}:){{1,4}}+:(?:{_HEX}(?::{_HEX}){{0,2}}+)?+|(?:{_HEX}:){{5}}:(?:{_HEX}(?::{_HEX})?+)?+"
    rf"|(?:{_HEX}:){{6}}:(?:{_HEX})?+|(?:{_HEX}:){{7}}{_HEX})"
)
_DAY = "(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
# libyang checks values of these types beyond their patterns, so they are spelled out (RFC 6991).
_STANDARD = {
    "ietf-inet-types:ipv4-address": _IPV4,
    "ietf-inet-types:ipv4-address-no-zone": _IPV4,
    "ietf-inet-types:ipv4-prefix": rf"{_IPV4}/(?:3[0-2]|[12]?[0-9])",
    "ietf-inet-types:ipv6-address": _IPV6,
    "ietf-inet-types:ipv6-address-no-zone": _IPV6,
    "ietf-inet-types:ipv6-prefix": rf"{_IPV6}/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9])",
    "ietf-yang-types:mac-address": _MAC,
    "ietf-yang-types:date-and-time": rf"20[0-9]{{2}}-(?:{_DAY})T{_CLOCK}(?:Z|[-+]0[0-9]:[0-5][0-9])",
}
_QUADS = 16
# What a pattern of ours says that its standard type has said already.
_IMPLIED = {"(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5})": _MAC}
_CHECKED_FURTHER = ("ietf-inet-types:", "ietf-yang-types:")
_INTEGERS = {
    f"{sign}int{bits}": (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}


@dataclass(frozen=True, slots=True)
class UsualForm:
    """An expression in parts: its full match means a valid entry of a list.

    `keys` are the entry's key leaves by name, each with the expression of its value.
    """

    start: str
    keys: tuple[tuple[str, str], ...]
    rest: str

    def alone(self) -> str:
        """Return the expression of an entry."""
        leaves = (f"<{name}>{value}</{name}>" for name, value in self.keys)
        return f"{self.start}{''.join(leaves)}{self.rest}"

    def behind_its_key(self, between: str, after: str) -> str:
        """Return the expression of a key's text, `between`, the entry of that key, `after`.

        Groups in this order: the key, each of its values, those of `between`, the entry.
        """
        text = "/".join(f"(?P<key{place}>{value})" for place, (_, value) in enumerate(self.keys))
        leaves = (f"<{name}>(?P=key{place})</{name}>" for place, (name, _) in enumerate(self.keys))
        return f"({text}){between}({self.start}{''.join(leaves)}{self.rest}){after}"


def usual_form(ancestors: Sequence[Node]) -> UsualForm | None:
    """Return the form that entries of the list mostly have.

    `ancestors` runs from the top-level node to the list. None when no entry can be judged alone, as with a
    constraint over several nodes.
    """
    entry = ancestors[-1]
    if any(node.must or node.when or node.unique or node.max_elements is not None for node in ancestors):
        return None
    if any(child.choices for child in entry.children.values()):
        return None
    keys: list[tuple[str, str]] = []
    for name in entry.keys:
        value = leaf_value(entry.child(name))
        if value is None:
            return None
        keys.append((name, value))
    parts: list[str] = []
    for child in entry.children.values():
        if child.namespace == entry.namespace and child.name in entry.keys:
            continue
        element = _element(child, entry.namespace)
        if element is None and _is_needed(child):
            return None
        if element is not None:
            parts.append(element if child.mandatory else f"(?:{element})?+")
    parts.append(f"</{entry.name}>")
    return UsualForm(f'<{entry.name} xmlns="{re.escape(entry.namespace)}">', tuple(keys), "".join(parts))


def _element(node: Node, around: str) -> str | None:
    """Return the expression of one leaf's element; None when it is not judged here."""
    value = leaf_value(node)
    if value is None or node.kind is not Kind.LEAF:
        return None
    declared = "" if node.namespace == around else f' xmlns="{re.escape(node.namespace)}"'
    return f"<{node.name}{declared}>{value}</{node.name}>"


def _is_needed(node: Node) -> bool:
    """Say whether an entry without this child could be invalid."""
    if node.mandatory:
        return True
    if node.kind is not Kind.CONTAINER or node.presence:
        return False
    # A container without presence is always there, and with it its constraints.
    return bool(node.must) or any(child.choices or _is_needed(child) for child in node.children.values())


def leaf_value(node: Node | None) -> str | None:
    """Return the expression of a leaf's value; None when it is not judged here."""
    if node is None or node.type is None or node.must or node.when:
        return None
    return _of_type(node.type, node.module)


def _of_type(spec: TypeSpec, module: str) -> str | None:
    if spec.excluded:
        return None
    for level, typedef in enumerate(spec.typedefs):
        if typedef in _STANDARD:
            return _restricted(_STANDARD[typedef], spec, level)
    if spec.base == "union":
        members = [_of_type(member, module) for member in spec.members]
        return None if None in members or not members else f"(?:{'|'.join(filter(None, members))})"
    if spec.enums or spec.base == "identityref":
        own = [name.partition(":")[2] for name in spec.identities if name.startswith(f"{module}:")]
        names = sorted(spec.enums or own, key=len, reverse=True)
        plain = [re.escape(name) for name in names if re.fullmatch(r"[A-Za-z0-9._-]+", name)]
        return f"(?:{'|'.join(plain)})" if plain else None
    if spec.base in _INTEGERS:
        return _integers(spec)
    if spec.base == "binary":
        return _binary(spec)
    if spec.base == "string" and not any(name.startswith(_CHECKED_FURTHER) for name in spec.typedefs):
        return _restricted(_text(spec), spec, len(spec.typedefs))
    return "(?:true|false)" if spec.base == "boolean" else None


def _restricted(value: str | None, spec: TypeSpec, level: int) -> str | None:
    """Let a value match the patterns stated down to `level` too: each looks ahead to the end of the value."""
    stated = zip(spec.patterns, spec.pattern_levels, strict=True)
    patterns = [python_pattern(pattern, barrier="<") for pattern, at in stated if at <= level]
    if value is None or None in patterns:
        return None
    further = (pattern for pattern in patterns if _IMPLIED.get(pattern or "") != value)
    return "".join(f"(?={pattern}<)" for pattern in further) + value


def _text(spec: TypeSpec) -> str | None:
    low, high = _bounds(spec)
    return f"{_TEXT}{{{low},{high if high < math.inf else ''}}}+" if low <= high else None


def _binary(spec: TypeSpec) -> str | None:
    """Match whole quads of base64, of which the last may be padded; none at all is left to libyang."""
    low, high = _bounds(spec)
    fewest = max(1, math.ceil((low + 2) / 3))
    most = math.floor(high / 3) if high < math.inf else math.inf
    if fewest > most:
        return None
    sign = "[A-Za-z0-9+/]"
    whole = f"(?:{sign}{{{4 * _QUADS}}})"
    # Halves of what is left, each at one go, and a last quad
    rest = "".join(f"(?:{sign}{{{size}}})?+" for size in (32, 16, 8, 4))
    rest += f"(?:{sign}{{2}}(?:{sign}{{2}}|{sign}=|==))?+"
    if fewest == 1 and most == math.inf:
        return f"(?!<){whole}*+{rest}"
    if fewest == 1 and most > _QUADS:
        # As many pieces as there may be, so that nothing has to be measured beforehand
        times, more = divmod(int(most) - _QUADS, _QUADS)
        return f"(?!<){whole}{{0,{times}}}+(?:{sign}{{{4 * more}}})?+{rest}"
    length = f"(?=[A-Za-z0-9+/=]{{{4 * fewest},{4 * most if most < math.inf else ''}}}+<)"
    return f"{length}{whole}*+{rest}"


def _bounds(spec: TypeSpec) -> tuple[int, float]:
    """Return the shortest and the longest length, of the first part where a length has several."""
    if not spec.lengths:
        return 0, math.inf
    low, high = spec.lengths[0]
    return (int(low) if low.isdigit() else 0), (int(high) if high.isdigit() else math.inf)


def _integers(spec: TypeSpec) -> str | None:
    """Match the type's non-negative numbers without leading zeros."""
    least, most = _INTEGERS[spec.base]
    forms = []
    for low_text, high_text in spec.ranges or (("min", "max"),):
        low = max(0, least if low_text == "min" else int(low_text))
        high = most if high_text == "max" else int(high_text)
        whole: list[int] = []
        for length in range(len(str(low)), len(str(max(high, 0))) + 1):
            smallest, largest = 10 ** (length - 1) if length > 1 else 0, 10**length - 1
            if length > 1 and low <= smallest and largest <= high:
                whole.append(length)
            elif max(low, smallest) <= min(high, largest):
                forms += _span(str(max(low, smallest)), str(min(high, largest)))
        if whole:
            # All numbers of so many digits are one form, and the first that is tried.
            forms.insert(0, f"[1-9][0-9]{{{whole[0] - 1},{whole[-1] - 1}}}")
    return f"(?:{'|'.join(forms)})" if forms else None


def _span(low: str, high: str) -> list[str]:
    """Return expressions for the numbers from low to high, which have the same number of digits."""
    if low == high:
        return [low]
    if len(low) == 1:
        return [f"[{low}-{high}]"]
    if low[0] == high[0]:
        return [low[0] + rest for rest in _span(low[1:], high[1:])]
    first, last, tail = int(low[0]), int(high[0]), len(low) - 1
    below: list[str] = []
    above: list[str] = []
    if low[1:] != "0" * tail:
        below = [low[0] + rest for rest in _span(low[1:], "9" * tail)]
        first += 1
    if high[1:] != "9" * tail:
        above = [high[0] + rest for rest in _span("0" * tail, high[1:])]
        last -= 1
    middle = [f"[{first}-{last}][0-9]{{{tail}}}"] if first <= last else []
    return [*below, *middle, *above]
