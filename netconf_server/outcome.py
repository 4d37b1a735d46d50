"""What a datastore is to become by an edit: applied to a copy, allowed, and held against the model.

Nothing here changes what is shared, so it may be worked out in a thread of its own.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

from lxml import etree

from netconf_server.change import Change, Guard
from netconf_server.edit import Operation, apply_edit
from netconf_server.editfaulty import take_out_faulty
from netconf_server.faults import to_rpc_error
from netconf_server.payload import payload_of
from netconf_server.whens import lapsed, remove_node
from rui.netconf.errors import RpcError, first_error
from rui.schema import DataError, Schema

# How often the end of one condition may end another.
_MOST_ROUNDS: Final = 16
# How often an edit is tried again without what was at fault the last time.
_MOST_TRIES: Final = 16


@dataclass(frozen=True)
class Edit:
    """An edit as it was asked for (RFC 6241 7.2). `whole` when the whole outcome has to hold, and not only
    its values; `told` when the edit says by itself what can have changed.
    """

    target: str
    config: etree._Element
    default: Operation
    continue_on_error: bool
    whole: bool
    told: bool
    session: int | None


@dataclass(frozen=True)
class Outcome:
    """What an edit leads to: the new tree, the small edit that alone leads to it if there is one, and what
    was left out (continue-on-error).
    """

    tree: etree._Element
    told: etree._Element | None
    errors: tuple[RpcError, ...]


class Checks:
    """What the model says of configurations, as rpc-errors."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._namespaces = {module.name: module.namespace for module in schema.modules}

    def values(self, data: etree._Element) -> None:
        """Check names and values, which even a candidate has right (RFC 7950 8.3.1). Raises RpcError."""
        if len(data) == 0:
            return
        try:
            self.schema.check_values(data)
        except DataError as error:
            raise to_rpc_error(error, self.schema, data=data) from error

    def whole(self, tree: etree._Element) -> None:
        """Check a whole configuration. Raises RpcError with every fault."""
        try:
            self.schema.check_config(tree)
        except DataError as error:
            raise to_rpc_error(error, self.schema, data=tree) from error

    def holding(
        self, tree: etree._Element, before: etree._Element, asked: etree._Element | None = None
    ) -> etree._Element:
        """Check what a datastore that holds `before` is to become; return it without what goes because its
        `when` ends to hold. `asked` is the edit that led to it, where that is known. Raises RpcError.
        """
        for _ in range(_MOST_ROUNDS):
            try:
                self.schema.check_config(tree)
            except DataError as error:
                shown = copy.deepcopy(tree)
                gone = list(lapsed(error, shown, before, asked, self._namespaces))
                if not gone:
                    raise to_rpc_error(error, self.schema, data=tree) from error
                for node in gone:
                    remove_node(node)
                tree = shown
            else:
                break
        return tree


def work_out(edit: Edit, base: etree._Element, checks: Checks, guard: Guard | None) -> Outcome:
    """What the edit makes of `base`. Raises RpcError where it is refused: with continue-on-error only for
    what no node of the edit can be said to be at fault of.
    """
    if guard is not None:
        guard.check_edit(edit.session, edit.config, edit.default)
    config = copy.deepcopy(edit.config) if edit.continue_on_error else edit.config
    left_out: list[RpcError] = []
    for _ in range(_MOST_TRIES):
        tree, errors = _applied(edit, config, base, checks, guard)
        try:
            held = _held(edit, config, tree, base, checks, changed=bool(errors))
        except RpcError as refused:
            if not (edit.continue_on_error and take_out_faulty(refused, config, checks.schema)):
                raise first_error([*left_out, *refused.all]) or refused from refused
            left_out += refused.all
            continue
        # What goes because its `when` ends to hold is nothing that the edit speaks of.
        told = edit.config if edit.told and held is tree else None
        return Outcome(held, told, (*left_out, *errors))
    raise first_error(left_out) or RpcError.operation_failed("the edit was tried too often")


def _applied(
    edit: Edit, config: etree._Element, base: etree._Element, checks: Checks, guard: Guard | None
) -> tuple[etree._Element, list[RpcError]]:
    tree = copy.deepcopy(base)
    errors = apply_edit(
        checks.schema.tree.data, tree, config, edit.default, continue_on_error=edit.continue_on_error
    )
    if guard is not None:
        guard.check_change(Change(base, tree, edit.session, edit.target, edit.config if edit.told else None))
    return tree, errors


def _held(
    edit: Edit,
    config: etree._Element,
    tree: etree._Element,
    base: etree._Element,
    checks: Checks,
    *,
    changed: bool,
) -> etree._Element:
    """The outcome as far as the model takes it; `changed` when parts of the edit were left out of it."""
    if edit.whole:
        return checks.holding(tree, base, config)
    checks.values(tree if changed else payload_of(config, edit.default))
    return tree
