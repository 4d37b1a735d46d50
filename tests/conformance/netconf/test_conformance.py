"""The cases, against any NETCONF server: `pytest tests/conformance/netconf --server HOST:PORT`."""

from __future__ import annotations

import pytest

from tests.conformance.netconf.casefile import Case, Difference, load
from tests.conformance.netconf.judge import Run, Server

CASES = list(load())


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_case(
    case: Case, server: Server, differences: dict[str, Difference], request: pytest.FixtureRequest
) -> None:
    missing = [name for name in case.needs if not server.has(name)]
    if missing:
        pytest.skip(f"the server has no {', '.join(missing)}")
    known = differences.get(case.id)
    if known is not None:
        request.applymarker(pytest.mark.xfail(reason=known.reason, strict=known.always))
    run, fault = Run(server), "it broke off"
    try:
        fault = run.play(case)
    finally:
        run.close(failed=bool(fault))
    if fault:
        pytest.fail(f"{case.rfc}: {fault}", pytrace=False)


def test_there_are_at_least_150_cases_of_different_names() -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 150


def test_every_known_difference_is_a_case(differences: dict[str, Difference]) -> None:
    assert differences.keys() <= {case.id for case in CASES}
