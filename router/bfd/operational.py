"""What operators read of BFD: the sessions at work, and the notification of a change (``rui-bfd``)."""

from __future__ import annotations

import time

from lxml import etree

from router.bfd.config import NAMESPACE, SessionConfig
from router.bfd.endpoint import BfdEndpoint, Running
from rui.backup.record import date_and_time
from rui.bfd.fsm import Session, StateChanged
from rui.bfd.packet import State
from rui.netconf.names import nsmap

_MICROSECONDS = 1e6


class BfdTree:
    """Gives ``/rui-bfd:bfd-sessions``."""

    def __init__(self, endpoint: BfdEndpoint) -> None:
        self._endpoint = endpoint

    def read(self) -> etree._Element:
        """Return all sessions."""
        tree = _element("bfd-sessions")
        _leaves(tree, {"unmatched-packet-count": self._endpoint.discarded})
        for running in self._endpoint.sessions.values():
            _session(etree.SubElement(tree, _tag("session")), running)
        return tree


def change_notification(running: Running, change: StateChanged) -> etree._Element:
    """Return ``bfd-session-change`` for a change that was just told."""
    config = running.config
    content = _element("bfd-session-change")
    _leaves(content, _names(config))
    _leaves(
        content,
        {
            "local-address": config.path.local,
            "remote-address": config.path.remote,
            "previous-state": _state(change.previous),
        },
    )
    _leaves(content, _standing(running.session))
    return content


def _session(entry: etree._Element, running: Running) -> None:
    session, config = running.session, running.config
    _leaves(entry, _names(config))
    _leaves(entry, _standing(session))
    _leaves(
        entry,
        {
            "negotiated-tx-interval": round(session.interval * _MICROSECONDS),
            "negotiated-rx-interval": round(session.remote_interval * _MICROSECONDS),
            "detection-time": round(session.detection_time * _MICROSECONDS),
            "source-port": running.sender.source_port,
        },
    )
    _leaves(
        etree.SubElement(entry, _tag("statistics")),
        {
            "last-up-time": _wall(session.last_up),
            "last-down-time": _wall(session.last_down),
            "up-count": session.changes[State.UP],
            "down-count": session.changes[State.DOWN],
            "admin-down-count": session.changes[State.ADMIN_DOWN],
            "receive-packet-count": session.received,
            "send-packet-count": session.sent,
            "receive-invalid-packet-count": session.discarded.total(),
            "send-failed-packet-count": running.failed,
        },
    )


def _names(config: SessionConfig) -> dict[str, object]:
    return {"name": config.name, "role": config.role.value}


def _standing(session: Session) -> dict[str, object]:
    """Return the leaves of grouping ``session-state``."""
    return {
        "local-state": _state(session.state),
        "remote-state": _state(session.remote.state),
        "local-diagnostic": int(session.diagnostic),
        "remote-diagnostic": int(session.remote.diagnostic),
        "local-discriminator": session.discriminator,
        "remote-discriminator": session.remote.my_discriminator,
        "since": _wall(session.since),
    }


def _state(state: State) -> str:
    return state.name.lower().replace("_", "-")


def _wall(at: float | None) -> str:
    """Return the time of day of a moment of the loop's clock; empty for none."""
    return "" if at is None else date_and_time(time.time() - (time.monotonic() - at))


def _leaves(parent: etree._Element, values: dict[str, object]) -> None:
    """Add leaves, but for those that say nothing."""
    for name, value in values.items():
        if value != "":
            etree.SubElement(parent, _tag(name)).text = str(value)


def _element(name: str) -> etree._Element:
    return etree.Element(_tag(name), nsmap=nsmap(NAMESPACE))


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
