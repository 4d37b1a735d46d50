"""What came of it, and the judgement of three tables against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from rui_cli.chaos.truth import Truth
from rui_cli.tables import compare

_NAMED = 5


@dataclass
class Outcome:
    """The result.

    `lost` users were online and some copy lacks them, `extra` ones had left and some copy has them.
    """

    lost: int = 0
    extra: int = 0
    converged: bool = False
    faults: int = 0
    violations: list[str] = field(default_factory=list)
    seed: int = 0
    seconds: float = 0.0
    passed_over: int = 0
    """Users of whom a change that was on its writer's disk only did not prevail: no promise is broken."""
    clocks: bool = True
    """Whether clocks could be moved; else the story was told without that."""

    @property
    def good(self) -> bool:
        """Whether everything was as it must be."""
        return self.converged and not self.lost and not self.extra and not self.violations

    def as_json(self) -> dict[str, object]:
        """Return the outcome as plain values."""
        plain = asdict(self)
        del plain["passed_over"], plain["clocks"]
        return plain


def judge(outcome: Outcome, records: Mapping[str, Mapping[str, bytes]], truth: Truth, primary: str) -> None:
    """Enter into the outcome what the copies hold, by device, compared with the truth and with each other."""
    expected = truth.expected()
    held = [set(copy) for copy in records.values()]
    anywhere, everywhere = set().union(*held), set(held[0]).intersection(*held)
    lost = {key for key, what in expected.items() if what.online and key not in everywhere}
    extra = {key for key in anywhere if key not in expected or expected[key].offline}
    outcome.lost, outcome.extra = len(lost), len(extra)
    settled = {key: what for key, what in expected.items() if key not in lost | extra}
    outcome.passed_over = sum(what.passed_over(there=key in anywhere) for key, what in settled.items())
    outcome.violations += truth.violations
    _name(outcome, "lost", lost)
    _name(outcome, "extra", extra)
    stale = {
        key
        for key, what in expected.items()
        if what.online and key in everywhere and truth.newest(key) not in what.states
    }
    _name(outcome, "held with an older record", stale)
    for name, copy in records.items():
        found = compare(records[primary], copy)
        for what, keys in (
            ("lacks", found.missing),
            ("has beyond", found.extra),
            ("differs in", found.changed),
        ):
            _name(outcome, f"compared with {primary}, {name} {what}", keys)


def _name(outcome: Outcome, what: str, keys: set[str] | frozenset[str]) -> None:
    if keys:
        first = ", ".join(sorted(keys)[:_NAMED])
        outcome.violations.append(f"{what}: {len(keys)} users, {first}")
