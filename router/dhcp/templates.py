"""Circuit-id and remote-id texts, made from a template such as ``{logical-port}:{outer-vlan}.{inner-vlan}``.

Only what both routers of a group share can be named, so that a user's option 82 survives a switchover.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

DEFAULT_CIRCUIT_ID = "{group}/{logical-port}:{outer-vlan}.{inner-vlan}"
DEFAULT_REMOTE_ID = "{mac}"
FIELDS = frozenset({"group", "logical-port", "outer-vlan", "inner-vlan", "mac"})
_FIELD = re.compile(r"\{([^{}]*)\}")


def check(template: str) -> str | None:
    """Return what is wrong with a template, or None."""
    unknown = sorted(set(_FIELD.findall(template)) - FIELDS)
    if unknown:
        return f"no field is called {unknown[0]!r}; there are {', '.join(sorted(FIELDS))}"
    rest = _FIELD.sub("", template)
    if "{" in rest or "}" in rest:
        return "a brace has no partner"
    return None


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values into a template that ``check`` passed; fields that ``values`` lacks stay as they are."""
    return _FIELD.sub(lambda match: values.get(match[1], match[0]), template)
