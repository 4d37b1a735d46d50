"""What operators read of the virtual routers: ``/rui-vrrp:vrrp``, in the terms of ietf-vrrp (RFC 8347)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from lxml import etree

from router.vrrp.config import NAMESPACE
from router.vrrp.election import Election, ElectionState
from rui.netconf import names
from rui.vrrp import states
from rui.vrrp.packet import Fault
from rui.vrrp.states import Event

_EVENTS: Final[dict[type[Event], str]] = {
    states.Startup: "vrrp-event-startup",
    states.OwnerStartup: "vrrp-event-owner-preempt",
    states.Shutdown: "vrrp-event-shutdown",
    states.SuperiorHeard: "vrrp-event-higher-priority-backup",
    states.MasterSilent: "vrrp-event-master-timeout",
    states.Preemption: "vrrp-event-lower-priority-master",
    states.Granted: "granted",
    states.Thawed: "standstill",
}
"""Every event that changes a state; the others never become the last one."""

_NEW_MASTER_REASONS: Final[dict[type[Event] | None, str]] = {
    states.OwnerStartup: "priority",
    states.Preemption: "preempted",
    states.Granted: "preempted",
    states.MasterSilent: "no-response",
}
"""By ietf-vrrp's ``new-master-reason-type``; what else a state is left for makes no Master."""

_FAULTS: Final = {
    "invalid-type-pkts-rcvd": Fault.TYPE,
    "packet-length-errors": Fault.LENGTH,
    "checksum-errors": Fault.CHECKSUM,
    "version-errors": Fault.VERSION,
    "vrid-errors": Fault.VRID,
    "ip-ttl-errors": Fault.TTL,
    "interval-errors": Fault.INTERVAL,
    "authentication-errors": Fault.AUTHENTICATION,
}


class VrrpTree:
    """Gives ``/rui-vrrp:vrrp``: the elections by group."""

    def __init__(self, elections: Mapping[str, Election]) -> None:
        self._elections = elections

    def read(self) -> etree._Element:
        """Return all virtual routers."""
        tree = etree.Element(f"{{{NAMESPACE}}}vrrp", nsmap=names.nsmap(NAMESPACE))
        _leaf(tree, "virtual-routers", len(self._elections))
        for group, election in self._elections.items():
            entry = etree.SubElement(tree, f"{{{NAMESPACE}}}vrrp-instance")
            _leaf(entry, "group-id", group)
            _fill(entry, election.state())
        return tree


def _fill(entry: etree._Element, state: ElectionState) -> None:
    _leaf(entry, "vrid", state.vrid)
    _leaf(entry, "state", state.state.value)
    _leaf(entry, "is-owner", _boolean(state.owner))
    _leaf(entry, "priority", state.priority)
    _leaf(entry, "priority-reason", state.priority_reason)
    _leaf(entry, "granted", _boolean(state.granted))
    _leaf(entry, "preemption-allowed", _boolean(state.preemption_allowed))
    if state.suspended:
        _leaf(entry, "suspended", state.suspended)
    if state.master_address is not None:
        _leaf(entry, "master-ip-address", state.master_address)
    if state.last_source is not None:
        _leaf(entry, "last-adv-source", state.last_source)
    _leaf(entry, "up-datetime", _time(state.started))
    _leaf(entry, "last-transition", _time(state.since))
    _leaf(entry, "last-event", _EVENTS[state.last_event] if state.last_event else "vrrp-event-none")
    _leaf(entry, "new-master-reason", _NEW_MASTER_REASONS.get(state.last_event, "not-master"))
    _leaf(entry, "reason", state.reason)
    _leaf(entry, "master-down-interval", round(state.master_down_interval * 100))
    _leaf(entry, "skew-time", round(state.skew * 1_000_000))
    _statistics(etree.SubElement(entry, f"{{{NAMESPACE}}}statistics"), state)


def _statistics(entry: etree._Element, state: ElectionState) -> None:
    counters = state.counters
    _leaf(entry, "discontinuity-datetime", _time(state.started))
    _leaf(entry, "master-transitions", counters.master_transitions)
    _leaf(entry, "advertisement-rcvd", counters.received)
    _leaf(entry, "advertisement-sent", counters.sent)
    _leaf(entry, "priority-zero-pkts-rcvd", counters.resignations_received)
    _leaf(entry, "priority-zero-pkts-sent", counters.resignations_sent)
    _leaf(entry, "address-list-errors", counters.address_list_errors)
    for name, fault in _FAULTS.items():
        _leaf(entry, name, counters.faults[fault])


def _leaf(parent: etree._Element, name: str, value: object) -> None:
    etree.SubElement(parent, f"{{{NAMESPACE}}}{name}").text = str(value)


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
