"""A bar where somebody looks at a terminal, and nothing elsewhere."""

import io

from rich.console import Console

from rui_cli.progress import progress


def shown(*, terminal: bool) -> str:
    out = io.StringIO()
    with progress(Console(file=out, force_terminal=terminal, width=120), "seeds", 8) as tell:
        tell(2, "no violations")
    return out.getvalue()


def test_a_terminal_shows_the_share_that_is_done_and_a_remark() -> None:
    text = shown(terminal=True)
    assert "25%" in text
    assert "2/8" in text
    assert "no violations" in text


def test_a_file_gets_nothing() -> None:
    assert shown(terminal=False) == ""
