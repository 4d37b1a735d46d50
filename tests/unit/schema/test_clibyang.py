"""libyang by its C functions: what is long lets other threads go on; each thread has messages of its own."""

import threading
from pathlib import Path

import oopt_gnpy_libyang as ly
import pytest

from rui.schema import SchemaError, clibyang
from rui.schema.clibyang import Context, LibyangError
from rui.schema.libyang import LibyangContext, Purpose

MODULE = """
module many { namespace "urn:many"; prefix m;
  container top { list entry { key id; leaf id { type uint32; } leaf name { type string { length "1..4"; } }
  } }
}
"""
STRICT, VALID = (option.value for option in Purpose.CONFIG.value)
PYTHON_API = 0x4  # of ctypes' flags: the interpreter lock is kept


def entries(*names: str) -> bytes:
    inner = "".join(f"<entry><id>{i}</id><name>{name}</name></entry>" for i, name in enumerate(names))
    return f'<top xmlns="urn:many">{inner}</top>'.encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    (folder / "many.yang").write_text(MODULE)
    return folder


@pytest.fixture
def context(folder: Path) -> Context:
    context = Context(str(folder), 0)
    context.load("many", ())
    return context


def test_what_is_long_leaves_the_interpreter_lock_to_others(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = clibyang._LONG.parse
    assert not type(parse)._flags_ & PYTHON_API
    assert type(clibyang._BRIEF.parse)._flags_ & PYTHON_API
    sizes = []

    def seen(*arguments: object) -> int:
        data = arguments[1]
        assert isinstance(data, bytes)
        sizes.append(len(data))
        return int(parse(*arguments))

    monkeypatch.setattr(clibyang._LONG, "parse", seen)
    long = entries(*["x"] * 2000)
    context.check(entries("x"), STRICT, VALID)
    context.check(long, STRICT, VALID)
    assert sizes == [len(long)]


def test_each_thread_has_messages_of_its_own(context: Context) -> None:
    found: dict[str, list[str | None]] = {}
    meet = threading.Barrier(2)

    def check(name: str) -> None:
        with pytest.raises(LibyangError):
            context.check(entries(name), STRICT, VALID)
        meet.wait(10)
        found[name] = [message.path for message in context.take_messages()]

    threads = [threading.Thread(target=check, args=(name,)) for name in ("longer", "longest")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(paths) for paths in found.values()] == [1, 1]
    assert context.take_messages() == []


def test_a_message_that_quotes_no_text_is_an_issue_all_the_same(folder: Path) -> None:
    (issue,) = LibyangContext(folder, ["many"], {}).issues(
        entries("&#xD800;aaaé"),
        Purpose.CONFIG,  # the quotation ends within the last letter
    )
    assert issue.message == "the data is not UTF-8"


def test_another_libyang_is_refused_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ly, "libyang_version_info", lambda: (5, 0, 0))
    with pytest.raises(SchemaError, match="not 4"):
        LibyangContext(folder, ["many"], {})
