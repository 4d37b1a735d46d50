"""A run ends where Python's own expression says that it does."""

import re

import pcre2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rui.schema import Runs

ENTRY = r"<e>(?P<name>[a-z]{1,2})=(?:0|[1-9][0-9]*+)(?:;(?P=name))?+</e>"
PIECES = st.sampled_from([b"<e>a=1</e>", b"<e>ab=20;ab</e>", b"<e>ab=20;a</e>", b"<e>a=01</e>", b"<e>", b" "])


@given(st.lists(PIECES, max_size=8), st.integers(0, 12), st.integers(0, 70))
def test_it_ends_where_the_entries_do(pieces: list[bytes], begin: int, end: int) -> None:
    text = b"".join(pieces)
    begin, end = min(begin, len(text)), min(end, len(text))
    place = begin
    while (entry := re.compile(ENTRY.encode()).match(text, place, end)) is not None:
        place = entry.end()
    assert Runs(ENTRY).end(text, begin, max(begin, end)) == place


def test_of_no_more_than_so_many() -> None:
    text = b"<e>a=1</e>" * 3
    assert [Runs(ENTRY, most).end(text, 0, len(text)) for most in (0, 1, 2, 9)] == [0, 10, 20, 30]


def test_a_long_run_is_one() -> None:
    text = b"<e>a=1;a</e>" * 100_000
    assert Runs(ENTRY).end(text, 0, len(text)) == len(text)


def test_what_takes_too_many_steps_cannot_be_said() -> None:
    text = b"a" * 40 + b"!"
    assert Runs("(?:(?:a?){40}){40}b").end(text, 0, len(text)) is None


@pytest.mark.parametrize("lacking", ["compile", "Pattern.jit_compile"])
def test_without_machine_code_it_is_found_too(monkeypatch: pytest.MonkeyPatch, lacking: str) -> None:
    def refused(*_: object, **__: object) -> None:
        raise pcre2.LibraryError(-48)

    monkeypatch.setattr(f"pcre2.{lacking}", refused)
    assert Runs(ENTRY).end(b"<e>a=1</e><e>b=2;b</e><", 0, 23) == 22


def test_an_expression_may_be_large() -> None:
    large = "".join(
        f"(?:<leaf-{number}>(?:[a-z]|[0-9]{{2}}){{1,9}}</leaf-{number}>)?+" for number in range(900)
    )
    with pytest.raises(pcre2.PatternError):
        pcre2.compile(large)
    text = b"<e><leaf-3>ab12</leaf-3><leaf-899>z</leaf-899></e>"
    assert Runs(f"<e>{large}</e>").end(2 * text, 0, 2 * len(text)) == 2 * len(text)
