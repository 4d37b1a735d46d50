"""Invent valid values from the schema, for dry runs of nodes that the code has never heard of."""

import re

from rui.schema.tree import Kind, Node, TypeSpec

_TEXT = "sample"


def sample_element(node: Node) -> str | None:
    """Return one valid XML element for a leaf or leaf-list, or None when none can be invented.

    What depends on other data (a leafref, an instance-identifier) or on a pattern that plain text does not
    match is not invented.
    """
    if node.type is None or node.kind not in {Kind.LEAF, Kind.LEAF_LIST}:
        return None
    value = node.defaults[0] if node.defaults else sample_value(node.type, node.module)
    return None if value is None else f'<{node.name} xmlns="{node.namespace}">{value}</{node.name}>'


def sample_value(spec: TypeSpec, module: str = "") -> str | None:
    """Return one valid value of a type as XML text; None when none can be invented.

    `module` is the module of the leaf: only its own identities can be written without declaring a prefix.
    """
    if spec.enums or spec.bits:
        return (spec.enums or spec.bits)[0]
    if spec.base == "identityref":
        own = (name for name in spec.identities if name.startswith(f"{module}:"))
        return next((name.partition(":")[2] for name in own), None)
    if spec.base == "union":
        return next(
            (value for member in spec.members if (value := sample_value(member, module)) is not None), None
        )
    if spec.base == "string":
        return _text(spec)
    if spec.ranges:
        low = spec.ranges[0][0]
        return low if low != "min" else None
    fixed = {"boolean": "true", "empty": "", "binary": "AAAA", "decimal64": "0.0"}
    return fixed.get(spec.base, "0" if re.fullmatch(r"u?int\d+", spec.base) else None)


def _text(spec: TypeSpec) -> str | None:
    shortest, longest = spec.lengths[0] if spec.lengths else ("0", "max")
    text = _TEXT.ljust(int(shortest), "x") if shortest.isdigit() else _TEXT
    if longest.isdigit():
        text = text[: int(longest)]
    try:
        fits = all(re.fullmatch(pattern, text) for pattern in spec.patterns)
    except re.error:  # an XML schema pattern that Python does not read
        fits = False
    return text if fits else None
