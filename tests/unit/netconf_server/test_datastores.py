from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from lxml import etree

from netconf_server.capabilities import load_schema
from netconf_server.datastores import CANDIDATE, RUNNING, Change, Datastores
from netconf_server.edit import Operation
from netconf_server.persist import StartupError
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Schema
from tests.integration.netconf_server_rig import TOY, toy, toy_schema

NC = f'xmlns:nc="{names.BASE}"'


def config(inner: str) -> etree._Element:
    return etree.fromstring(
        f'<config xmlns="{names.BASE}"><system xmlns="{TOY}" {NC}>{inner}</system></config>'
    )


def value(tree: etree._Element, name: str) -> str | None:
    return tree.findtext(f"{toy('system')}/{toy(name)}")


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def stores(file: Path | None = None) -> Datastores:
    return Datastores(toy_schema(), config("<name>old</name>"), file=file)


async def test_candidate_and_running_are_one_until_an_edit() -> None:
    both = stores()
    assert not both.candidate_changed
    await both.edit(CANDIDATE, config("<name>new</name>"))
    assert both.candidate_changed
    assert (value(both.running, "name"), value(both.candidate, "name")) == ("old", "new")
    await both.commit()
    assert value(both.running, "name") == "new"
    assert not both.candidate_changed


async def test_discard_takes_the_edits_back() -> None:
    both = stores()
    await both.edit(CANDIDATE, config("<name>new</name>"))
    await both.discard()
    assert value(both.candidate, "name") == "old"


async def test_an_edit_of_running_is_seen_in_an_untouched_candidate_only() -> None:
    both = stores()
    await both.edit(RUNNING, config("<mtu>100</mtu>"))
    assert value(both.candidate, "mtu") == "100"
    await both.edit(CANDIDATE, config("<name>new</name>"))
    await both.edit(RUNNING, config("<mtu>200</mtu>"))
    assert value(both.candidate, "mtu") == "100"


async def test_trees_that_were_handed_out_do_not_change() -> None:
    both = stores()
    before = etree.tostring(both.running)
    held = both.running
    await both.edit(RUNNING, config("<name>new</name><mtu>100</mtu>"))
    assert etree.tostring(held) == before


@pytest.mark.parametrize(
    ("inner", "tag", "app_tag", "path"),
    [
        ("<mtu>9</mtu>", "invalid-value", None, "/toy:system/toy:mtu"),
        (
            "<timers><hold>200</hold></timers>",
            "operation-failed",
            "hold-above-max",
            "/toy:system/toy:timers/toy:hold",
        ),
        (
            "<user><name>a</name><group>none</group></user>",
            "data-missing",
            "instance-required",
            "/toy:system/toy:user[toy:name='a']/toy:group",
        ),
    ],
)
async def test_running_is_always_valid(inner: str, tag: str, app_tag: str | None, path: str) -> None:
    both = stores()
    before = both.running
    with pytest.raises(RpcError) as caught:
        await both.edit(RUNNING, config(inner))
    assert (caught.value.tag, caught.value.app_tag, caught.value.path) == (tag, app_tag, path)
    assert caught.value.path_namespaces == {"toy": TOY}
    assert both.running is before


async def test_a_candidate_may_be_incomplete_but_not_wrong() -> None:
    both = stores()
    await both.edit(CANDIDATE, config("<user><name>a</name><group>g</group></user>"))
    with pytest.raises(RpcError, match="mtu") as caught:
        await both.edit(CANDIDATE, config("<mtu>9</mtu>"))
    assert caught.value.tag == "invalid-value"
    with pytest.raises(RpcError):
        await both.commit()
    assert value(both.running, "name") == "old"
    await both.edit(CANDIDATE, config("<group><name>g</name></group>"))
    await both.commit()


async def test_the_test_options() -> None:
    both = stores()
    incomplete = config("<user><name>a</name><group>g</group></user>")
    with pytest.raises(RpcError):
        await both.edit(CANDIDATE, incomplete, validate=True)
    await both.edit(RUNNING, config("<name>new</name>"), test_only=True)
    assert value(both.running, "name") == "old"
    with pytest.raises(RpcError):
        await both.edit(RUNNING, incomplete, test_only=True)


async def test_continue_on_error_keeps_what_is_good_and_tells_of_the_rest() -> None:
    both = stores()
    edit = config('<name nc:operation="create">x</name><mtu>100</mtu><tag nc:operation="delete">t</tag>')
    with pytest.raises(RpcError) as caught:
        await both.edit(RUNNING, edit, continue_on_error=True)
    assert [error.tag for error in caught.value.all] == ["data-exists", "data-missing"]
    assert (value(both.running, "name"), value(both.running, "mtu")) == ("old", "100")


async def test_without_it_nothing_is_done() -> None:
    both = stores()
    before = both.running
    with pytest.raises(RpcError):
        await both.edit(RUNNING, config('<mtu>100</mtu><name nc:operation="create">x</name>'))
    assert both.running is before


async def test_replace_takes_a_whole_tree() -> None:
    both = stores()
    await both.edit(CANDIDATE, config("<mtu>100</mtu>"), default=Operation.REPLACE)
    assert value(both.candidate, "name") is None
    await both.replace(RUNNING, config("<name>copied</name>"))
    assert value(both.running, "name") == "copied"
    with pytest.raises(RpcError):
        await both.replace(RUNNING, config("<mtu>9</mtu>"))


# --- commit in two phases


async def test_verify_may_refuse_and_then_nothing_changed(tmp_path: Path) -> None:
    both = stores(tmp_path / "running.xml")
    applied: list[Change] = []

    def verify(change: Change) -> None:
        assert (value(change.old, "name"), value(change.new, "name"), change.session) == ("old", "new", 7)
        raise RpcError.operation_failed("no room")

    both.on_commit(verify=verify)
    both.on_commit(apply=applied.append)
    await both.edit(CANDIDATE, config("<name>new</name>"), session=7)
    with pytest.raises(RpcError, match="no room"):
        await both.commit(session=7)
    assert value(both.running, "name") == "old"
    assert both.candidate_changed
    assert applied == []
    assert not (tmp_path / "running.xml").exists()


async def test_apply_is_told_after_the_change_and_cannot_undo_it(tmp_path: Path) -> None:
    both = stores(tmp_path / "running.xml")
    seen: list[str | None] = []

    async def apply(change: Change) -> None:
        assert change.new is both.running
        seen.append(value(change.new, "name"))
        raise RuntimeError("broken listener")

    both.on_commit(apply=apply)
    both.on_commit(apply=lambda change: seen.append("second"))
    await both.edit(RUNNING, config("<name>new</name>"))
    assert seen == ["new", "second"]
    assert value(both.running, "name") == "new"


async def test_a_change_goes_through_though_its_session_is_gone() -> None:
    both = stores()
    asked, go = asyncio.Event(), asyncio.Event()

    async def verify(change: Change) -> None:
        asked.set()
        await go.wait()

    both.on_commit(verify=verify)
    task = asyncio.create_task(both.edit(RUNNING, config("<name>new</name>")))
    await asked.wait()
    task.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert value(both.running, "name") == "new"


async def test_changes_wait_for_each_other() -> None:
    both = stores()

    async def verify(change: Change) -> None:
        await asyncio.sleep(0)

    both.on_commit(verify=verify)
    edits = [config(f"<tag>t{i}</tag>") for i in range(10)]
    await asyncio.gather(*(both.edit(RUNNING, edit) for edit in edits))
    assert len(both.running.findall(f"{toy('system')}/{toy('tag')}")) == 10


# --- the file


async def test_running_is_kept_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "running.xml"
    await stores(file).edit(RUNNING, config('<tint xmlns:q="urn:example:toy">q:red</tint>'))
    again = Datastores.load(toy_schema(), None, file=file)
    assert value(again.running, "name") == "old"
    assert value(again.running, "tint") == "q:red"
    assert names_in(tmp_path) == ["running.xml"]


async def test_what_cannot_be_written_is_not_changed(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    both = stores(folder / "running.xml")
    with pytest.raises(RpcError) as caught:
        await both.edit(RUNNING, config("<name>new</name>"))
    assert caught.value.tag == "resource-denied"
    assert value(both.running, "name") == "old"
    folder.mkdir()
    await both.edit(RUNNING, config("<name>new</name>"))


def test_the_startup_file_is_used_until_running_was_kept(tmp_path: Path) -> None:
    startup, file = tmp_path / "startup.xml", tmp_path / "running.xml"
    startup.write_bytes(etree.tostring(config("<name>first</name>")))
    assert value(Datastores.load(toy_schema(), startup, file=file).running, "name") == "first"
    file.write_bytes(etree.tostring(config("<name>kept</name>")))
    assert value(Datastores.load(toy_schema(), startup, file=file).running, "name") == "kept"
    assert len(Datastores.load(toy_schema(), None).running) == 0


STARTUP = f'<config xmlns="{names.BASE}">\n <system xmlns="{TOY}">\n  %s\n </system>\n</config>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<config", "line 1: not well-formed"),
        ("", "not well-formed"),
        ("<system xmlns='urn:example:toy'/>", "line 1: the root is"),
        ("<!DOCTYPE config [<!ENTITY x 'y'>]><config/>", "document type"),
        (STARTUP % "<mtu>9</mtu>", "line 3: /toy:system/mtu"),
        (STARTUP % "<nonsense/>", "nonsense"),
        (STARTUP % "<user><name>a</name><group>g</group></user>", "line 3: /toy:system/user[name='a']/group"),
        (STARTUP % "<uptime>1</uptime>", "uptime"),
        (STARTUP % "" + "<more/>", "not well-formed"),
    ],
)
def test_a_wrong_file_is_refused_with_place_and_reason(tmp_path: Path, text: str, reason: str) -> None:
    startup = tmp_path / "startup.xml"
    startup.write_text(text)
    with pytest.raises(StartupError) as caught:
        Datastores.load(toy_schema(), startup)
    assert str(startup) in str(caught.value)
    assert reason in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"nothing\.xml: cannot be read"):
        Datastores.load(toy_schema(), tmp_path / "nothing.xml")


# --- locks


async def test_a_lock_keeps_others_out() -> None:
    both = stores()
    await both.lock(RUNNING, 1)
    with pytest.raises(RpcError) as caught:
        await both.lock(RUNNING, 2)
    assert (caught.value.tag, caught.value.info_text("session-id")) == ("lock-denied", "1")
    with pytest.raises(RpcError) as caught:
        await both.edit(RUNNING, config("<name>x</name>"), session=2)
    assert caught.value.tag == "in-use"
    await both.edit(RUNNING, config("<name>x</name>"), session=1)
    with pytest.raises(RpcError, match="session 1"):
        both.unlock(RUNNING, 2)
    both.unlock(RUNNING, 1)
    with pytest.raises(RpcError, match="not locked"):
        both.unlock(RUNNING, 1)


async def test_a_lock_on_running_keeps_commits_of_others_out() -> None:
    both = stores()
    await both.edit(CANDIDATE, config("<name>x</name>"), session=2)
    await both.lock(RUNNING, 1)
    with pytest.raises(RpcError) as caught:
        await both.commit(session=2)
    assert caught.value.tag == "in-use"


async def test_a_changed_candidate_cannot_be_locked() -> None:
    both = stores()
    await both.edit(CANDIDATE, config("<name>x</name>"), session=2)
    with pytest.raises(RpcError) as caught:
        await both.lock(CANDIDATE, 1)
    assert (caught.value.tag, caught.value.info_text("session-id")) == ("lock-denied", "2")
    both.session_ended(2)
    with pytest.raises(RpcError) as caught:
        await both.lock(CANDIDATE, 1)
    assert caught.value.info_text("session-id") == "0"


async def test_the_end_of_a_session_gives_back_its_locks_and_drops_its_edits() -> None:
    both = stores()
    await both.lock(CANDIDATE, 1)
    await both.lock(RUNNING, 1)
    await both.edit(CANDIDATE, config("<name>x</name>"), session=1)
    both.session_ended(1)
    assert not both.candidate_changed
    await both.lock(CANDIDATE, 2)
    await both.lock(RUNNING, 2)


WHEN = "urn:example:when"
MODEL = """
module when { yang-version 1.1; namespace "urn:example:when"; prefix w;
  container top {
    leaf kind { type string; }
    leaf speed { when "../kind = 'motor'"; type uint8; }
    leaf unit { when "../speed"; type string; }
  }
}
"""


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder = tmp_path_factory.mktemp("yang")
    folder.joinpath("when.yang").write_text(MODEL)
    return load_schema(["when"], [folder])


def top(inner: str) -> etree._Element:
    return etree.fromstring(f'<config xmlns="{names.BASE}"><top xmlns="{WHEN}">{inner}</top></config>')


def leaves(tree: etree._Element) -> list[str]:
    return [etree.QName(leaf).localname for leaf in tree[0]]


async def test_what_a_condition_no_longer_covers_is_deleted(conditional: Schema) -> None:
    both = Datastores(conditional, top("<kind>motor</kind><speed>9</speed><unit>rpm</unit>"))
    await both.edit(RUNNING, top("<kind>pump</kind>"))
    assert leaves(both.running) == ["kind"]


async def test_so_does_a_commit(conditional: Schema) -> None:
    both = Datastores(conditional, top("<kind>motor</kind><speed>9</speed>"))
    await both.edit(CANDIDATE, top("<kind>pump</kind>"))
    assert leaves(both.candidate) == ["kind", "speed"]
    await both.commit()
    assert leaves(both.running) == ["kind"]
    assert not both.candidate_changed


async def test_what_is_asked_for_against_a_condition_is_refused(conditional: Schema) -> None:
    both = Datastores(conditional, top("<kind>motor</kind><speed>9</speed>"))
    with pytest.raises(RpcError) as refused:
        await both.edit(RUNNING, top("<kind>pump</kind><speed>9</speed>"))
    assert (refused.value.tag, refused.value.path) == ("unknown-element", "/when:top/when:speed")
    await both.edit(CANDIDATE, top("<kind>pump</kind><speed>8</speed>"))
    with pytest.raises(RpcError):
        await both.commit()
    assert leaves(both.running) == ["kind", "speed"]


def test_a_file_s_numbers_are_read_as_their_type_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "startup.xml"
    file.write_bytes(etree.tostring(config("<mtu>01500</mtu><user><name>a</name><uid>+7</uid></user>")))
    running = Datastores.load(toy_schema(), file).running
    assert value(running, "mtu") == "1500"
    assert running.findtext(f"{toy('system')}/{toy('user')}/{toy('uid')}") == "7"
