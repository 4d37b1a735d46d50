"""The schemas of our devices, compiled once a test process: each takes seconds."""

from __future__ import annotations

from functools import cache

from rui.schema import Schema, manager_schema, router_schema


@cache
def router_model() -> Schema:
    """What a router implements."""
    return router_schema()


@cache
def manager_model() -> Schema:
    """What the manager implements."""
    return manager_schema()
