"""The cloud as witness: when a secondary is granted the primary's place."""

from __future__ import annotations

from dataclasses import replace

from rui.backup.lease import GrantRequest, LeaseOptions, Leases
from rui.backup.version import Epoch, Version

PRIMARY = Epoch(3, "bras-a")
OPTIONS = LeaseOptions(lease=9.0, grant=5.0)


def at(seq: int) -> Version:
    return Version(PRIMARY, seq)


def request(
    device: str = "bras-b", seq: int = 10, *, yielding: bool = False, writer: Epoch = PRIMARY
) -> GrantRequest:
    return GrantRequest("g1", device, at(seq), yielding, writer=writer)


def held(heard: float | None) -> tuple[str, Epoch, float | None]:
    return ("bras-a", PRIMARY, heard)


def test_a_primary_that_is_heard_of_keeps_its_place() -> None:
    leases = Leases(OPTIONS, 0.0)
    refused = leases.ask(request(), held(95.0), {}, 100.0)
    assert not refused.granted
    assert "bras-a holds its lease for 4.0 s more" in refused.reason


def test_a_silent_primary_is_replaced_once_its_lease_has_run_out() -> None:
    leases = Leases(OPTIONS, 0.0)
    granted = leases.ask(request(), held(95.0), {}, 104.0)
    assert (granted.granted, granted.seconds) == (True, 5.0)


def test_after_its_start_the_cloud_grants_nothing_for_a_whole_lease() -> None:
    leases = Leases(OPTIONS, 100.0)
    assert not leases.ask(request(), held(None), {}, 108.9).granted
    assert leases.ask(request(), held(None), {}, 109.0).granted


def test_one_grant_at_a_time_and_it_lapses() -> None:
    leases = Leases(OPTIONS, 0.0)
    assert leases.ask(request("bras-b"), None, {}, 100.0).granted
    assert "bras-b has been granted it" in leases.ask(request("bras-c"), None, {}, 101.0).reason
    assert leases.ask(request("bras-b"), None, {}, 101.0).granted, "who was granted it may ask again"
    assert leases.ask(request("bras-c"), None, {}, 106.5).granted


def test_it_goes_to_who_has_come_furthest() -> None:
    leases = Leases(OPTIONS, 0.0)
    refused = leases.ask(request("bras-b", 10), None, {"bras-c": at(11)}, 100.0)
    assert "bras-c has come further" in refused.reason
    assert leases.ask(request("bras-c", 11), None, {"bras-b": at(10), "bras-c": at(12)}, 100.0).granted


def test_a_released_lease_need_not_run_out() -> None:
    leases = Leases(OPTIONS, 0.0)
    leases.release("bras-a", PRIMARY, 99.0)
    assert leases.ask(request(), held(100.0), {}, 100.0).granted


def test_a_release_that_is_not_repeated_lapses() -> None:
    leases = Leases(OPTIONS, 0.0)
    leases.release("bras-a", PRIMARY, 99.0)
    assert not leases.ask(request(), held(108.0), {}, 108.0).granted


def test_a_lease_that_is_taken_back_is_held_as_before() -> None:
    leases = Leases(OPTIONS, 0.0)
    leases.release("bras-a", PRIMARY, 99.0)
    leases.take_back("bras-a", Epoch(2, "bras-a"))
    assert leases.ask(request(), held(100.0), {}, 100.0).granted, "that was another epoch's"
    leases = Leases(OPTIONS, 0.0)
    leases.release("bras-a", PRIMARY, 99.0)
    leases.take_back("bras-a", PRIMARY)
    assert not leases.ask(request(), held(100.0), {}, 100.0).granted


def test_a_released_lease_is_not_granted_to_whose_own_link_is_poor() -> None:
    leases = Leases(OPTIONS, 0.0)
    leases.release("bras-a", PRIMARY, 99.0)
    poor = replace(request(), poor=True)
    assert not leases.ask(poor, held(100.0), {}, 100.0).granted
    assert leases.ask(poor, held(91.0), {}, 100.0).granted, "it is not heard of, either"


def test_a_release_is_of_one_epoch() -> None:
    leases = Leases(OPTIONS, 0.0)
    leases.release("bras-a", Epoch(2, "bras-a"), 99.0)
    assert not leases.ask(request(), held(100.0), {}, 100.0).granted
    leases.release("bras-a", PRIMARY, 99.0)
    leases.claimed()
    assert not leases.ask(request(), held(100.0), {}, 100.0).granted


def test_a_primary_that_yields_is_replaced_at_once() -> None:
    leases = Leases(OPTIONS, 0.0)
    assert leases.ask(request(yielding=True), held(100.0), {}, 100.0).granted
    former = request("bras-c", yielding=True, writer=Epoch(2, "bras-c"))
    assert not Leases(OPTIONS, 0.0).ask(former, held(100.0), {}, 100.0).granted, "another one yields"
