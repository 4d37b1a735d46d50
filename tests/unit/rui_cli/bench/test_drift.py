"""A look for drift at light routers: the manager's own code finds those that have drifted, and no others."""

import pytest

from rui_cli.bench import drift
from rui_cli.errors import CliError


async def test_exactly_the_drifted_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await drift.look(22) > 0
    answers = drift.replies()
    swapped = {(name, drifted): answers[name, not drifted] for name, drifted in answers}
    monkeypatch.setattr(drift, "replies", lambda: swapped)
    with pytest.raises(CliError, match="0/bras-a is in-sync, not drifted"):
        await drift.look(22)
