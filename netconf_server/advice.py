"""What to do about data that the model refuses, said behind what is wrong with it."""

from __future__ import annotations

import re
from typing import Final

from rui.schema import Issue, Kind, Node, Tag, TypeSpec

_BY_APP_TAG: Final = {
    "instance-required": "create what it points to, or point to what is there",
    "missing-choice": "give one of its cases",
    "data-not-unique": "change one of them",
    "too-many-elements": "remove some of them first",
    "too-few-elements": "keep more of them, or add some",
}
_BY_TAG: Final = {
    Tag.DATA_MISSING: "give it as well",
    Tag.MISSING_ELEMENT: "give it as well",
    Tag.UNKNOWN_ELEMENT: "leave it out; get-schema tells what there is",
}
_CHOICE: Final = re.compile(r'Mandatory choice "([^"]+)"')
# Words of libyang's own that say nothing to a client.
_NOISE: Final = "ly2 "
# How libyang begins what it says of a value; a model's own error-message is sent as it is (RFC 7950 7.5.4.1).
_OWN_WORDS: Final = ("Unsatisfied ", "Invalid ", "Value ")


def message_of(issue: Issue, node: Node | None) -> str:
    """What is wrong, as the model or libyang says it, and what to do; `node` is the schema's there."""
    said = issue.message.replace(_NOISE, "").rstrip(".")
    what = _BY_APP_TAG.get(issue.app_tag or "") or _BY_TAG.get(issue.tag, "")
    if issue.app_tag == "missing-choice":
        what = _cases(said, node) or what
    if "When condition" in said:
        what = "leave it out, or make the condition hold"
    if issue.tag is Tag.INVALID_VALUE and said.startswith(_OWN_WORDS) and node is not None and node.type:
        fitting = expected(node.type)
        what = f"give {fitting}" if fitting else ""
    return f"{said}; {what}" if what else said


def _cases(said: str, node: Node | None) -> str:
    """The nodes that the missing choice in a node, or in an operation's input, is made of."""
    choice = _CHOICE.search(said)
    if node is None or choice is None:
        return ""
    holder = next((child for child in node.children.values() if child.kind is Kind.INPUT), node)
    fitting = tuple(
        child.name
        for child in holder.children.values()
        if any(member.choice.rpartition(":")[2] == choice[1] for member in child.choices)
    )
    return f"give one of {_list(fitting)}" if fitting else ""


def expected(spec: TypeSpec) -> str:
    """The values of a type in a few words; "" where there is nothing short to say."""
    if spec.members:
        return " or ".join(filter(None, map(expected, spec.members)))
    if spec.enums or spec.bits:
        return f"{'some' if spec.bits else 'one'} of {_list(spec.enums or spec.bits)}"
    if spec.base == "identityref":
        return f"one of {_list(spec.identities)}"
    if spec.base == "boolean":
        return "true or false"
    if spec.base == "empty":
        return "an element without content"
    parts = [spec.base]
    parts += [f"from {_spans(spec.ranges)}"] if spec.ranges else []
    parts += [f"of {_spans(spec.lengths)} {_unit(spec)}"] if spec.lengths else []
    parts += [f"that matches {pattern}" for pattern in spec.patterns if len(pattern) < 80]
    return " ".join(parts) if len(parts) > 1 or spec.base != "string" else ""


def _unit(spec: TypeSpec) -> str:
    return "octets" if spec.base == "binary" else "characters"


def _list(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:12])
    return f"{shown}, …" if len(names) > 12 else shown


def _spans(spans: tuple[tuple[str, str], ...]) -> str:
    return " or ".join(low if low == high else f"{low} to {high}" for low, high in spans)
