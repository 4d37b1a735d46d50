"""The links of a lab by name: cut, made worse, and mended again.

Everything is done where the link meets its bridge, so that the devices at its ends see a cable that is
pulled, and packets that come late or not at all, and nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rui_cli.errors import CliError
from rui_cli.lab.delay import READY
from rui_cli.lab.kernel import Abilities
from rui_cli.lab.namespaces import BRIDGE, Namespaces
from rui_cli.lab.pair import CLOUD_LINKS, PAIR
from rui_cli.lab.requirements import find
from rui_cli.site import MANAGER

_NETEM_LIMIT = "10000"
_SHORTEST_BURST = 16_000
_BURSTS_A_SECOND = 250
_READY_SECONDS = 10.0
_LOSS_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Wire:
    """Where a link meets its bridge: a namespace, device and interface at the ``end``, other devices."""

    bridge: str
    end: tuple[str, str]
    others: tuple[str, ...] = ()

    @property
    def port(self) -> str:
        """The bridge's port on which the link is made worse."""
        return f"p-{self.end[0]}"

    @property
    def ports(self) -> tuple[str, ...]:
        """All ports that a cut takes down."""
        return (self.port, *(f"p-{name}" for name in self.others))


_A, _B = PAIR
WIRES: Mapping[str, Wire] = {
    "access-a": Wire("access", (_A, "access")),
    "access-b": Wire("access", (_B, "access")),
    "core-a": Wire("core", (_A, "core")),
    "core-b": Wire("core", (_B, "core")),
    "cloud-a": Wire(CLOUD_LINKS[_A], (_A, "cloud"), (MANAGER,)),
    "cloud-b": Wire(CLOUD_LINKS[_B], (_B, "cloud"), (MANAGER,)),
    "rbs": Wire("rbs", (_A, "rbs"), (_B,)),
}
BUNDLES: Mapping[str, tuple[str, ...]] = {"cloud": ("cloud-a", "cloud-b")}
"""Names for several links at once."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How bad a link is, in either direction; a rate of 0 is as fast as it can."""

    delay_ms: float = 0.0
    loss_percent: float = 0.0
    rate_mbit: float = 0.0

    def netem(self) -> list[str]:
        """Return the words of tc's netem."""
        words = ["netem", "limit", _NETEM_LIMIT]
        if self.delay_ms:
            words += ["delay", f"{self.delay_ms:g}ms"]
        if self.loss_percent:
            words += ["loss", f"{self.loss_percent:g}%"]
        if self.rate_mbit:
            words += ["rate", f"{self.rate_mbit:g}mbit"]
        return words

    def tbf(self) -> list[str]:
        """Return the words of tc's tbf."""
        burst = max(_SHORTEST_BURST, int(self.rate_mbit * 1e6 / 8 / _BURSTS_A_SECOND))
        return ["tbf", "rate", f"{self.rate_mbit:g}mbit", "burst", str(burst), "latency", "100ms"]


class Wires:
    """The links of one running lab; what is done to one is kept until it is mended."""

    def __init__(self, namespaces: Namespaces, folder: Path, abilities: Abilities) -> None:
        self._namespaces = namespaces
        self._folder = folder
        self._abilities = abilities
        self._cut: set[str] = set()
        self._shapes: dict[str, Shape] = {}
        self._delays: dict[str, subprocess.Popen[bytes]] = {}

    def cut(self, name: str) -> None:
        """Pull the cable, or those of a bundle."""
        for each in _links(name):
            self._carry(each, "down")
            self._cut.add(each)

    def shape(self, name: str, shape: Shape) -> None:
        """Make a link, or those of a bundle, as bad as that. Raises CliError where the kernel cannot."""
        self._refuse(shape)
        for each in _links(name):
            self._unshape(each)
            self._shapes[each] = shape
            if self._abilities.netem:
                self._queue(each, shape.netem())
                continue
            if shape.rate_mbit:
                self._queue(each, shape.tbf())
            if shape.delay_ms:
                self._delay(each, shape.delay_ms)
            if shape.loss_percent:
                self._lose(WIRES[each].bridge)

    def mend(self, name: str) -> None:
        """Undo all that was done to a link, or to those of a bundle."""
        for each in _links(name):
            self._unshape(each)
            self._carry(each, "up")
            self._cut.discard(each)

    def state(self) -> list[dict[str, object]]:
        """Return every link, whether it is up, and how bad it is."""
        return [
            {
                "name": name,
                "state": "cut" if name in self._cut else "up",
                **asdict(self._shapes.get(name, Shape())),
            }
            for name in WIRES
        ]

    def _refuse(self, shape: Shape) -> None:
        able = self._abilities
        wanted = {"delay": shape.delay_ms, "loss": shape.loss_percent, "rate": shape.rate_mbit}
        for what, amount in wanted.items():
            if amount and not able.netem and not getattr(able, what):
                raise CliError(
                    f"this machine cannot give a link {what}", remedy="load it: modprobe sch_netem"
                )

    def _carry(self, name: str, state: str) -> None:
        for port in WIRES[name].ports:
            self._namespaces.ip(WIRES[name].bridge, "link", "set", port, state)

    def _queue(self, name: str, words: list[str]) -> None:
        for space, device in self._both_ways(name):
            self._tc(space, "replace", device, words)

    def _unshape(self, name: str) -> None:
        shape = self._shapes.pop(name, Shape())
        wire = WIRES[name]
        if (process := self._delays.pop(name, None)) is not None:
            self._namespaces.stop(process)
            self._namespaces.ip(wire.bridge, "link", "set", wire.port, "master", BRIDGE)
        if self._abilities.netem or shape.rate_mbit:
            for space, device in self._both_ways(name):
                self._tc(space, "del", device, [])
        if shape.loss_percent and not self._abilities.netem:
            self._lose(wire.bridge)

    def _both_ways(self, name: str) -> list[tuple[str, str]]:
        wire = WIRES[name]
        return [(wire.bridge, wire.port), wire.end]

    def _tc(self, space: str, verb: str, device: str, words: list[str]) -> None:
        done = self._namespaces.run(space, ["tc", "qdisc", verb, "dev", device, "root", *words])
        # There may be none to remove
        if done.returncode and verb != "del":
            raise CliError(f"tc on {device} in {space}: {done.stderr.decode().strip()}")

    def _delay(self, name: str, milliseconds: float) -> None:
        """Put a process between the link and its bridge."""
        wire, said = WIRES[name], self._folder / f"delay-{name}.out"
        said.unlink(missing_ok=True)
        words = [wire.port, _delayed(wire), f"{milliseconds:g}"]
        command = [sys.executable, "-m", "rui_cli.lab.delay", *words]
        process = self._namespaces.start(wire.bridge, command, said)
        self._delays[name] = process
        end = time.monotonic() + _READY_SECONDS
        while READY not in said.read_text():
            if process.poll() is not None or time.monotonic() > end:
                raise CliError(f"the process that delays {name} does not work: {said.read_text()[-500:]}")
            time.sleep(0.01)

    def _lose(self, bridge: str) -> None:
        """Set the rules of a bridge that drop packets of its lossy links, by chance and in each direction."""
        into, out = [], []
        for name, shape in self._shapes.items():
            wire = WIRES[name]
            if wire.bridge != bridge or not shape.loss_percent:
                continue
            port = _delayed(wire) if name in self._delays else wire.port
            chance = round(shape.loss_percent / 100 * _LOSS_STEPS)
            dropped = f'"{port}" numgen random mod {_LOSS_STEPS} < {chance} drop'
            into.append(f"add rule bridge lab in iifname {dropped}")
            out.append(f"add rule bridge lab out oifname {dropped}")
        lines = [
            "add table bridge lab",
            "delete table bridge lab",
            "add table bridge lab",
            "add chain bridge lab in { type filter hook prerouting priority -300; }",
            "add chain bridge lab out { type filter hook postrouting priority 300; }",
            *into,
            *out,
        ]
        done = self._namespaces.run(bridge, [find("nft") or "nft", "; ".join(lines)])
        if done.returncode:
            raise CliError(f"nft in {bridge}: {done.stderr.decode().strip()}")


def _links(name: str) -> tuple[str, ...]:
    if name in WIRES:
        return (name,)
    if name in BUNDLES:
        return BUNDLES[name]
    raise CliError(f"there is no link {name}", remedy=f"one of {', '.join((*WIRES, *BUNDLES))}")


def _delayed(wire: Wire) -> str:
    return f"d-{wire.end[0]}"
