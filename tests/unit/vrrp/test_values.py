"""Options that cannot work together."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address

import pytest

from rui.vrrp.values import (
    OptionsError,
)
from tests.unit.vrrp.routers import (
    OPTIONS,
    VIRTUAL,
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vrid": 0}, "virtual router id 0"),
        ({"priority": 0}, "priority 0"),
        ({"interval": 0}, "interval 0"),
        ({"interval": 4096}, "1 to 4095"),
        ({"version": 4}, "no VRRP version 4"),
        ({"version": 2}, "use version 3"),
        ({"preempt_delay": -1.0}, "negative"),
        ({"addresses": ()}, "one family"),
        ({"addresses": VIRTUAL * 2}, "stands twice"),
        ({"addresses": (*VIRTUAL, IPv6Address("fe80::1"))}, "one family"),
        ({"addresses": (IPv6Address("2001:db8::1"),)}, "must be link-local"),
        ({"addresses": (IPv6Address("fe80::1"),), "compatible": True}, "version 3 only"),
    ],
)
def test_options_that_cannot_work(change: dict[str, object], said: str) -> None:
    with pytest.raises(OptionsError, match=said):
        replace(OPTIONS, **change)  # type: ignore[arg-type]
