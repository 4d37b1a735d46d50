"""From the figures of single runs to a result: median and range, aims, ratios; as JSON and as a table."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

Figures = Mapping[str, float]
"""Figures of one run by name: users_per_s, p50_ms, bytes_per_user, …"""


class Bound(Enum):
    """How a figure is to lie to its aim."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure should be, and what it is compared with; without a ``limit`` it is only shown.

    ``beside`` names the figure of the lower bound in the same run; the ratio is our figure to it, and
    ``ratio`` what it should be.
    """

    figure: str
    bound: Bound
    limit: float | None = None
    beside: str = ""
    ratio: float | None = None

    def met(self, value: float, ratio: float | None = None) -> bool:
        """Say whether a figure, and its ratio where there is one, reach the aim."""
        return self._reaches(value, self.limit) and (ratio is None or self._reaches(ratio, self.ratio))

    def _reaches(self, value: float, limit: float | None) -> bool:
        if limit is None:
            return True
        return value >= limit if self.bound is Bound.AT_LEAST else value <= limit


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several runs."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return median and range; at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Run:
    """One run: our figures, the lower bound's, the load before it, and the cores that others used in it."""

    figures: Figures
    beside: Figures
    load: float
    others: float


@dataclass(frozen=True, slots=True)
class Result:
    """All runs of one row."""

    row: str
    users: int
    aims: tuple[Aim, ...]
    beside_what: str
    for_scale: str
    machine: Mapping[str, object]
    runs: tuple[Run, ...]

    @property
    def figures(self) -> dict[str, Spread]:
        """Each figure over the runs."""
        return _spreads([run.figures for run in self.runs])

    @property
    def beside(self) -> dict[str, Spread]:
        """Each figure of the lower bound over the runs."""
        return _spreads([run.beside for run in self.runs])

    def ratio(self, aim: Aim) -> float | None:
        """Return the median, over the runs, of our figure to the lower bound's; None where there is none."""
        ratios = [
            run.figures[aim.figure] / run.beside[aim.beside]
            for run in self.runs
            if run.beside.get(aim.beside)
        ]
        return statistics.median(ratios) if ratios else None

    def as_json(self) -> dict[str, object]:
        """Return plain values: medians by the figures' names at the top level, all else beside them."""
        figures, beside = self.figures, self.beside
        return {
            "row": self.row,
            "users": self.users,
            **{name: round(spread.median, 4) for name, spread in figures.items()},
            "range": {name: [round(s.low, 4), round(s.high, 4)] for name, s in figures.items()},
            "aims": {
                aim.figure: {aim.bound.value: aim.limit, "met": aim.met(figures[aim.figure].median)}
                for aim in self.aims
                if aim.limit is not None
            },
            "ratio_aims": {
                aim.figure: {aim.bound.value: aim.ratio, "met": aim.met(figures[aim.figure].median, ratio)}
                for aim in self.aims
                if aim.ratio is not None and (ratio := self.ratio(aim)) is not None
            },
            "not_measured_beside": sorted(
                {aim.beside for run in self.runs for aim in self.aims if aim.beside not in run.beside} - {""}
            ),
            "beside": {
                "what": self.beside_what,
                **{name: round(spread.median, 4) for name, spread in beside.items()},
                "range": {name: [round(s.low, 4), round(s.high, 4)] for name, s in beside.items()},
            },
            "ratio": {
                aim.figure: round(ratio, 4) for aim in self.aims if (ratio := self.ratio(aim)) is not None
            },
            "for_scale": self.for_scale,
            "machine": dict(self.machine),
            "load": [round(run.load, 2) for run in self.runs],
            "others_cores": [round(run.others, 2) for run in self.runs],
            "runs": [dict(run.figures) for run in self.runs],
        }


def _spreads(runs: Sequence[Figures]) -> dict[str, Spread]:
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: Spread.of([run[name] for run in runs if name in run]) for name in names}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` (0 to 1) of the sorted values lie; at least one value."""
    return values[min(len(values) - 1, int(share * len(values)))]


def shown(value: float) -> str:
    """Return a figure for people: three or four significant digits, thousands apart."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
