"""BFD sessions as values, and how they are read from a router's checked configuration (``rui-bfd``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address

from lxml import etree

from router.bfd.sockets import PORT
from rui.bfd.demux import Path
from rui.bfd.fsm import SessionOptions
from rui.schema.leaves import ConfigError, children, optional, text

NAMESPACE = "urn:rui-cloud:yang:bfd"


class BfdRole(Enum):
    """What a session watches [0108]."""

    ACCESS = "access"
    """The link to the access side: moves mastership."""
    RBS = "rbs"
    """The path between primary and secondary: evidence of the RBS channel."""
    CORE = "core"
    """The link to the network side."""


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """One session; ``port`` is the remote system's, ``group`` the backup group that its state matters to."""

    name: str
    role: BfdRole
    path: Path
    options: SessionOptions = field(default_factory=SessionOptions)
    group: str = ""
    port: int = PORT


@dataclass(frozen=True, slots=True)
class BfdConfig:
    """Where this system listens, and its sessions."""

    sessions: tuple[SessionConfig, ...] = ()
    addresses: tuple[str, ...] = ("0.0.0.0", "::")  # noqa: S104 - the sessions name their addresses
    port: int = PORT


def read_bfd(device: etree._Element) -> BfdConfig:
    """Read the sessions out of a checked ``device`` container, defaults filled in. Raises ConfigError."""
    bfd = device.find(f"{{{NAMESPACE}}}bfd")
    if bfd is None:
        return BfdConfig()
    sessions = tuple(_session(entry) for entry in children(bfd, "session"))
    paths: dict[Path, str] = {}
    for session in sessions:
        other = paths.setdefault(session.path, session.name)
        if other != session.name:
            raise ConfigError(
                f"/rui-device:device/rui-bfd:bfd/session[name='{session.name}']: its addresses are those of "
                f"session {other}: give each its own, or bind each to an interface"
            )
    return BfdConfig(
        sessions=sessions,
        addresses=tuple(sorted(entry.text or "" for entry in children(bfd, "listen-address"))),
        port=int(text(bfd, "port")),
    )


def _session(entry: etree._Element) -> SessionConfig:
    name = text(entry, "name")
    local, remote = ip_address(text(entry, "local-address")), ip_address(text(entry, "remote-address"))
    if local.version != remote.version:
        raise ConfigError(
            f"/rui-device:device/rui-bfd:bfd/session[name='{name}']: {local} and {remote} are of different "
            "families: give both as IPv4 or both as IPv6"
        )
    return SessionConfig(
        name=name,
        role=BfdRole(text(entry, "role")),
        path=Path(str(local), str(remote), optional(entry, "interface") or ""),
        options=SessionOptions(
            desired_min_tx=int(text(entry, "desired-min-tx-interval")),
            required_min_rx=int(text(entry, "required-min-rx-interval")),
            multiplier=int(text(entry, "local-multiplier")),
            admin_down=text(entry, "admin-down") == "true",
        ),
        group=optional(entry, "group") or "",
        port=int(text(entry, "remote-port")),
    )
