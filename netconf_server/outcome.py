"""What a datastore is to become by an edit: applied to a copy, allowed, and held against the model.

Nothing here changes what is shared, so it may be worked out in a thread of its own.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

from lxml import etree

from netconf_server.change import CANDIDATE, MOST_TOLD, Change, Guard
from netconf_server.difference import Happened
from netconf_server.edit import Operation, apply_edit
from netconf_server.editfaulty import take_out_faulty
from netconf_server.editvalues import set_values
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
    """What an edit leads to, and what was left out of it (continue-on-error)."""

    change: Change
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

    def takes(self, change: Change, payload: etree._Element) -> bool:
        """Say whether what was right before a change is right after it, where few values tell: of leafs that
        concern nothing but themselves. `payload` is what the edit sets.
        """
        tree = self.schema.tree
        found = change.differences(tree.data)
        if len(found) > MOST_TOLD or any(
            item.happened is not Happened.CHANGED or not tree.stands_alone(item.node) for item in found
        ):
            return False
        try:
            self.schema.check_values(payload)
        except DataError:
            return False
        return True

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
        change, errors = _applied(edit, config, base, checks, guard)
        try:
            held = _held(edit, config, change, checks, changed=bool(errors))
        except RpcError as refused:
            if not (edit.continue_on_error and take_out_faulty(refused, config, checks.schema)):
                raise first_error([*left_out, *refused.all]) or refused from refused
            left_out += refused.all
            continue
        if held is not change.new:
            # What goes because its `when` ends to hold is nothing that the edit speaks of.
            change = Change(base, held, edit.session, edit.target)
        return Outcome(change, (*left_out, *errors))
    raise first_error(left_out) or RpcError.operation_failed("the edit was tried too often")


def _applied(
    edit: Edit, config: etree._Element, base: etree._Element, checks: Checks, guard: Guard | None
) -> tuple[Change, list[RpcError]]:
    tree, top = copy.deepcopy(base), checks.schema.tree.data
    change = Change(base, tree, edit.session, edit.target, edit.config if edit.told else None)
    errors: list[RpcError] = []
    plain = edit.told and edit.default is Operation.MERGE and not edit.continue_on_error
    values = set_values(top, tree, config) if plain else None
    if values is None:
        errors = apply_edit(top, tree, config, edit.default, continue_on_error=edit.continue_on_error)
    else:
        change.know(values)
    if guard is not None:
        guard.check_change(change)
    return change, errors


def _held(
    edit: Edit, config: etree._Element, change: Change, checks: Checks, *, changed: bool
) -> etree._Element:
    """The outcome as far as the model takes it; `changed` when parts of the edit were left out of it."""
    if not edit.whole:
        checks.values(change.new if changed else payload_of(config, edit.default))
        return change.new
    # A candidate need not have been right before.
    if edit.told and edit.target != CANDIDATE and checks.takes(change, payload_of(config, edit.default)):
        return change.new
    return checks.holding(change.new, change.old, config)
