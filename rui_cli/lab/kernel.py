"""What the kernel of this machine offers a lab: found by trying it in a namespace, never by its version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rui_cli.errors import CliError
from rui_cli.lab.namespaces import Namespaces
from rui_cli.lab.requirements import LabUnavailableError, find

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "macvlan": ("link", "lab-veth", "type", "macvlan"),
    "vxlan": ("type", "vxlan", "id", "1", "dstport", "4789", "local", "127.0.0.1"),
}
_LOSS = "add table bridge lab; add chain bridge lab in { type filter hook prerouting priority -300; }; "
_LOSS += "add rule bridge lab in numgen random mod 1000 < 1 drop"
_TUN = Path("/dev/net/tun")


@dataclass(frozen=True, slots=True)
class Abilities:
    """How links are made worse: netem does all of it, else each by what there is."""

    netem: bool
    rate: bool
    loss: bool
    delay: bool

    def left_out(self) -> list[str]:
        """Return what a lab does without, or does in another way, for people to read."""
        if self.netem:
            return []
        said = []
        if not self.rate:
            said.append("links have no rate: this kernel has neither netem nor tbf")
        if not self.loss:
            said.append("links lose nothing: this kernel has neither netem nor nftables' numgen for bridges")
        if self.delay:
            said.append("no netem: a process delays frames, good for some thousand a second")
        else:
            said.append(f"links have no delay: this kernel has neither netem nor {_TUN}")
        return said


def look_at_kernel(namespaces: Namespaces) -> Abilities:
    """Try what links need in a namespace of its own. Raises LabUnavailableError where no lab can run."""
    space = "kernel"
    namespaces.add(space)
    namespaces.ip(space, "link", "add", "lab-veth", "type", "veth", "peer", "name", "lab-peer")
    for kind, words in _NEEDED.items():
        try:
            namespaces.ip(space, "link", "add", f"lab-{kind}", *words)
        except CliError as error:
            raise LabUnavailableError(
                f"this kernel has no {kind}", remedy=f"load it: modprobe {kind}"
            ) from error

    def qdisc(*words: str) -> bool:
        add = ["tc", "qdisc", "replace", "dev", "lab-veth", "root", *words]
        return namespaces.run(space, add).returncode == 0

    return Abilities(
        netem=qdisc("netem", "delay", "1ms", "loss", "1%", "rate", "1mbit"),
        rate=qdisc("tbf", "rate", "1mbit", "burst", "16k", "latency", "50ms"),
        loss=namespaces.run(space, [find("nft") or "nft", _LOSS]).returncode == 0,
        delay=_TUN.exists(),
    )
