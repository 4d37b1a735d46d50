"""What the cloud makes of a primary that is new: what it offers it, and whose place it has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rui.backup.cloud_outputs import Apply, Claim, Read
from rui.backup.lineage import Fork
from rui.backup.messages import Position, Receipt, Result
from rui.backup.version import ZERO, Epoch
from tests.unit.backup.histories import GROUP, A, put, stream, version
from tests.unit.backup.test_cloud import WALL, admitted, first_identity, keep, of, one

B = Epoch(2, "bras-b")


@pytest.mark.parametrize("gone", [False, True])
def test_nothing_is_offered_to_a_primary_whose_session_has_ended(gone: bool) -> None:
    """The store judges its batch after that; the next batch that the primary sends begins the offer."""
    cloud = admitted()
    cloud.moved(Position(version(5), None, A, (Fork(B, ZERO),)), ZERO)
    cloud.upload("bras-a", replace(stream(0, 1, put(1, 1)), lineage=(Fork(A, ZERO),)), ())
    ticket = one(Apply, cloud.outputs(0.0)).ticket
    if gone:
        cloud.device_down("bras-a", "cut")
    diverged = Receipt(GROUP, Result.DIVERGED, cloud.position, shared=ZERO, held=version(5))
    cloud.applied("bras-a", ticket, diverged)
    assert (cloud.offer is None) is gone
    assert ("bras-a" in [read.device for read in of(Read, cloud.outputs(0.0))]) is not gone


def test_a_primary_has_its_place_once_its_claim_is_durable() -> None:
    """A grant asked for between the claim and the storage entry is for its place, not for the former's."""
    cloud = admitted()
    cloud.identify("bras-b", first_identity("bras-b", B), WALL)
    epoch = one(Claim, cloud.outputs(0.0)).epoch
    assert cloud.holder("bras-c") == ("bras-a", A)
    cloud.moved(Position(cloud.position.cursor, None, epoch), cloud.floor)
    cloud.claimed(Receipt(GROUP, Result.STORED, cloud.position), 0.0)
    assert cloud.primary is not None
    assert cloud.primary.device == "bras-a"
    assert cloud.holder("bras-c") == ("bras-b", B)
    assert cloud.holder("bras-b") == ("bras-a", A), "nobody asks for his own"
    keep(cloud)
    assert cloud.holder("bras-c") == ("bras-b", B)
