"""Who goes on of two primaries; the messages of identity switching."""

from __future__ import annotations

from itertools import permutations

import pytest
from lxml import etree

from rui.backup import switchover
from rui.backup.lease import GrantRequest, GrantResult
from rui.backup.lineage import Fork
from rui.backup.switchover import LeaseRelease, SwitchIdentity, Taken
from rui.backup.version import ZERO, Epoch, Version
from rui.backup.wire import WireError
from rui.schema import Schema
from tests.models import router_model

A1, B2, A3 = Epoch(1, "bras-a"), Epoch(2, "bras-b"), Epoch(3, "bras-a")
OLD = Taken("g1", "bras-a", A1, (Fork(A1, ZERO),), 5000.0)
NEW = Taken("g1", "bras-b", B2, (Fork(A1, ZERO), Fork(B2, Version(A1, 9))), 0.1)
BACK = Taken("g1", "bras-a", A3, (Fork(A1, ZERO), Fork(A3, Version(A1, 12))), 0.5)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return router_model()


def test_who_has_followed_the_other_has_taken_over_from_it() -> None:
    assert NEW.prevails(OLD)


def test_of_two_that_know_nothing_of_each_other_the_elder_goes_on() -> None:
    serving = Taken("g1", "bras-b", B2, NEW.lineage, 600.0)
    assert serving.prevails(BACK), "although its epoch is the lower one"


def test_of_equal_age_the_higher_epoch_goes_on() -> None:
    assert BACK.prevails(NEW)


@pytest.mark.parametrize(("one", "other"), list(permutations((OLD, NEW, BACK), 2)))
def test_exactly_one_goes_on(one: Taken, other: Taken) -> None:
    assert one.prevails(other) is not other.prevails(one)


def again(element: etree._Element) -> etree._Element:
    return etree.fromstring(etree.tostring(element))


def test_messages_are_read_back_and_hold_by_the_model(schema: Schema) -> None:
    request = GrantRequest("g1", "bras-b", Version(A1, 9), yielding=True, number=7, writer=A1)
    asked = again(switchover.encode_grant_request(request))
    schema.check_notification(asked)
    assert switchover.decode_grant_request(asked) == request

    result = GrantResult("g1", True, 5.0, "the primary is not heard of", 7)
    answered = again(switchover.encode_grant_result(result))
    schema.check_rpc(answered)
    assert switchover.decode_grant_result(answered) == result

    wish = SwitchIdentity("g1", "bras-b", force=True)
    switch = again(switchover.encode_switch(wish))
    schema.check_rpc(switch)
    assert switchover.decode_switch(switch) == wish

    told = again(switchover.encode_taken(BACK, switchover.TAKEN))
    schema.check_rpc(told)
    assert switchover.decode_taken(told) == BACK

    notified = again(switchover.encode_taken(NEW, switchover.IS_TAKEN))
    schema.check_notification(notified)
    assert switchover.decode_taken(notified) == NEW

    for told_lease in (LeaseRelease("g1", A1), LeaseRelease("g1", A1, taken_back=True)):
        release = again(switchover.encode_release(told_lease))
        schema.check_notification(release)
        assert switchover.decode_release(release) == told_lease


def test_a_message_that_lacks_a_part_is_named() -> None:
    with pytest.raises(WireError, match="grant-result lacks granted"):
        switchover.decode_grant_result(etree.Element(switchover.GRANT_RESULT))
