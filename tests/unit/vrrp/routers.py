"""Virtual routers at some point of their life. Time is literal; an interval is 0.1 s."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from rui.vrrp.fsm import VirtualRouter
from rui.vrrp.packet import Advertisement
from rui.vrrp.states import State
from rui.vrrp.values import (
    Output,
    Send,
    Source,
    VrrpOptions,
)

VIRTUAL = (IPv4Address("192.0.2.254"),)
OWN, PEER, THIRD = (Source(IPv4Address(f"192.0.2.{last}")) for last in (2, 1, 3))
OPTIONS = VrrpOptions(51, VIRTUAL, priority=100, interval=10)
OWNER = replace(OPTIONS, priority=255)
YIELDS = replace(OPTIONS, yield_needs_grant=True)
DOWN = 0.3 + 156 / 256 * 0.1
"""Master_Down_Interval of priority 100."""


def heard(priority: int, interval: int = 10, version: int = 3) -> Advertisement:
    return Advertisement(version, 51, priority, interval, VIRTUAL)


def started(options: VrrpOptions = OPTIONS, now: float = 0.0) -> VirtualRouter:
    router = VirtualRouter(options, OWN, now)
    router.start(now)
    router.outputs()
    return router


def master(options: VrrpOptions = OPTIONS, now: float = 10.0) -> VirtualRouter:
    """Return a router that has just become Master."""
    router = started(options, now - DOWN)
    router.handle_timer(now)
    assert role(router) is State.MASTER
    router.outputs()
    return router


def following(priority: int, options: VrrpOptions = OPTIONS, now: float = 10.0) -> VirtualRouter:
    """Return a Backup that has just heard a Master of that priority, whom it may not judge yet."""
    router = started(options, now)
    router.receive(heard(200), PEER, now)
    router.receive(heard(priority), PEER, now)
    return router


def role(router: VirtualRouter) -> State:
    return router.state


def sent(outputs: list[Output]) -> list[int]:
    """Return the priorities that were advertised."""
    return [output.advertisement.priority for output in outputs if isinstance(output, Send)]


def deadline(router: VirtualRouter) -> float:
    found = router.next_deadline()
    assert found is not None
    return found
