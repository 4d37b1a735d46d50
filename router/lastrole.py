"""The role that a router had when it stopped: it outlasts a restart, as a small text in the journal."""

from __future__ import annotations

from rui.backup.identity import Role

ROLE = "role"
"""The name of the fact."""


def role_fact(configured: Role, role: Role) -> str:
    """Return the fact: what was configured, and what became of it."""
    return f"{configured.value}>{role.value}"


def last_role(configured: Role, fact: str) -> Role:
    """Return the role that the router had last, unless the operator has configured another one since."""
    before, _, last = fact.partition(">")
    return Role(last) if before == configured.value and last else configured
