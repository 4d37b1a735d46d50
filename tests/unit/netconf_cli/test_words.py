"""Lines cut into words."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netconf_cli.pipes import read_pipes
from netconf_cli.words import LineError, quoted, read_line, split_commands


def texts(line: str) -> list[list[str]]:
    return [[word.text for word in part] for part in read_line(line).parts]


def test_words_quotes_and_pipes() -> None:
    assert texts("show  users | match 'a | b' | count") == [["show", "users"], ["match", "a | b"], ["count"]]
    assert texts(r'set x "a \"b\" \\ c"') == [["set", "x", 'a "b" \\ c']]
    assert texts("") == [[]]


def test_an_open_quote_is_refused_where_it_begins() -> None:
    with pytest.raises(LineError, match="not closed") as caught:
        read_line('set x "abc')
    assert caught.value.position == 6
    assert read_line('set x "abc', unfinished=True).words[-1].text == "abc"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=40))
def test_what_is_quoted_reads_back(text: str) -> None:
    assert [word.text for word in read_line(f"a {quoted(text)} b").words] == ["a", text, "b"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=60))
def test_no_line_breaks_the_reader(text: str) -> None:
    read_line(text, unfinished=True)
    split_commands(text)


def test_a_script_is_cut_at_unquoted_semicolons() -> None:
    assert split_commands("a; b ';' c\n# no\n\nd ;") == ["a", "b ';' c", "d"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("x | nothing", "there is no pipe"),
        ("x |", "a word is missing"),
        ("x | match", "needs a regular expression"),
        ("x | match (", "no regular expression"),
        ("x | match (a+)+b", "repeats a repetition"),
        ("x | count 3", "too much"),
        ("x | last 0", "no number"),
        ("x | match a | json", "has to be the first"),
    ],
)
def test_pipes_that_cannot_be(line: str, complaint: str) -> None:
    read = read_line(line)
    with pytest.raises(LineError, match=complaint):
        read_pipes(read.pipes, read.length)
