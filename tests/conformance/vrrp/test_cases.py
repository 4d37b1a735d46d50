"""The recorded cases of ``cases/``: what one virtual router sends and becomes, down to the octets.

A file is a story. Its first lines say what it shows; ``> TIME EVENT …`` goes in, the first with the options;
the lines ``< …`` under it are all that comes out, and none asserts silence. RUI_REGENERATE=1 in the
environment writes the outputs anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from rui.vrrp.fsm import VirtualRouter
from rui.vrrp.packet import decode, encode
from rui.vrrp.values import (
    Announce,
    BecomeBackup,
    BecomeMaster,
    Claim,
    Output,
    Send,
    Source,
    Stop,
    VrrpOptions,
)

CASES = Path(__file__).parent / "cases"
REGENERATE = os.environ.get("RUI_REGENERATE") == "1"


class Story:
    """One virtual router of a case."""

    def __init__(self) -> None:
        self._options = VrrpOptions(51, (ip_address("192.0.2.254"),), interval=10)
        self._router: VirtualRouter | None = None

    def take(self, line: str) -> Iterator[str]:
        """Carry out one line; yield what comes out."""
        at, event, *words = line.removeprefix("> ").split()
        now = float(at)
        if self._router is None:
            self._router = self._make(words)
        if event == "hear":
            source = Source(ip_address(words[0]))
            self._router.receive(decode(bytes.fromhex(words[1]), source.address), source, now)
        elif event != "make":
            self._call(self._router, event, words, now)
        for output in self._router.outputs():
            yield "< " + self._written(output)

    def _make(self, words: list[str]) -> VirtualRouter:
        settings = dict(word.split("=") for word in words)
        own = Source(ip_address(settings.pop("own", "192.0.2.2")))
        addresses = settings.pop("addresses", "192.0.2.254")
        numbers = {name: int(value) for name, value in settings.items()}
        self._options = VrrpOptions(
            **{"vrid": 51, "interval": 10, **numbers},  # type: ignore[arg-type]
            addresses=tuple(ip_address(address) for address in addresses.split(",")),
        )
        return VirtualRouter(self._options, own, 0.0)

    @staticmethod
    def _call(router: VirtualRouter, event: str, words: list[str], now: float) -> None:
        match event:
            case "start":
                router.start(now)
            case "timer":
                router.handle_timer(now)
            case "shutdown":
                router.shutdown("stopped", now)
            case "priority":
                router.set_priority(int(words[0]), "tracking", now)
            case "preemption":
                router.allow_preemption(words[0] == "allowed", now)
            case "grant":
                router.grant(float(words[0]), now)
            case "bfd-down":
                router.bfd_down(now)
            case _:
                pytest.fail(f"no such event: {event}")

    def _written(self, output: Output) -> str:
        assert self._router is not None
        match output:
            case Send(advertisement):
                return f"send {encode(advertisement, self._router.source.address).hex()}"
            case BecomeMaster(reason):
                return f"master: {reason}"
            case BecomeBackup(reason):
                return f"backup: {reason}"
            case Stop(reason):
                return f"stop: {reason}"
            case Claim(seconds):
                return f"claim for {seconds:g} s"
            case Announce():
                return "announce"


def told(text: str) -> str:
    """Tell a story anew: what goes in as written, what comes out as it is."""
    story = Story()
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("<"):
            continue
        lines.append(line)
        if line.startswith(">"):
            lines.extend(story.take(line))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.glob("*.txt")))
def test_case(case: str) -> None:
    path = CASES / case
    found = told(path.read_text())
    if REGENERATE:
        path.write_text(found)
    assert found == path.read_text()


def test_there_are_cases() -> None:
    assert len(list(CASES.glob("*.txt"))) >= 8
