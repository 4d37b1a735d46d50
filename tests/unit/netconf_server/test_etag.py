"""Entity tags of configuration (draft-ietf-netconf-transaction-id): told, known, and expected by edits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lxml import etree

from netconf_server.etag import CAPABILITY, ETAG, MODULE, NAMESPACE
from rui.netconf import names
from rui.netconf.errors import RpcError
from tests.integration.netconf_server_rig import TOY, toy_schema
from tests.unit.netconf_server.local_rig import DS, NMDA, LocalRig

USERS = "<user><name>a</name><uid>1</uid></user><user><name>b</name></user>"
RUNNING = f'<system xmlns="{TOY}"><name>r</name>{USERS}</system>'
X = f'xmlns:x="{NAMESPACE}"'


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[LocalRig]:
    rig = LocalRig(toy_schema(), tmp_path, RUNNING)
    yield rig
    await rig.server.close()


async def read(rig: LocalRig, chosen: str = "", mark: str = "", source: str = "running") -> etree._Element:
    """The data of a get-config; `chosen` is the content of its filter, `mark` an attribute of its own."""
    filter_ = f"<filter>{chosen}</filter>" if chosen else ""
    reply = await rig.rpc(f"<get-config {X} {mark}><source><{source}/></source>{filter_}</get-config>")
    return reply[0]


def tags(data: etree._Element) -> dict[str, str]:
    """The tags by local name, an entry's with its name."""
    found = {}
    for element in data.iter(etree.Element):
        if ETAG in element.attrib:
            key = element.findtext(f"{{{TOY}}}name") if element.tag.endswith("user") else None
            found[etree.QName(element).localname + (f"={key}" if key else "")] = str(element.get(ETAG))
    return found


def system(inner: str, mark: str = "") -> str:
    return f'<system xmlns="{TOY}" {X} xmlns:nc="{names.BASE}" {mark}>{inner}</system>'


async def edit(rig: LocalRig, inner: str, mark: str = "", *, target: str = "running", root: str = "") -> None:
    config = f"<config {X} {root}>{system(inner, mark)}</config>"
    await rig.rpc(f"<edit-config><target><{target}/></target>{config}</edit-config>")


async def refusal(
    rig: LocalRig, inner: str, mark: str = "", root: str = ""
) -> tuple[str | None, list[str | None]]:
    """Where an edit is refused, and what is told of it."""
    with pytest.raises(RpcError) as refused:
        await edit(rig, inner, mark, root=root)
    error = refused.value
    assert (error.tag, error.error_type) == ("operation-failed", "protocol")
    assert "read it again" in (error.message or "")
    assert etree.QName(error.info[0]).localname == "txid-value-mismatch-error-info"
    return error.path, [child.text for child in error.info[0]]


async def test_tags_are_told_where_they_are_asked_for_and_change_with_what_they_stand_for(
    rig: LocalRig,
) -> None:
    assert CAPABILITY in rig.server.capabilities
    assert tags(await read(rig)) == {}
    first = tags(await read(rig, mark='x:etag="?"'))
    assert set(first) == {"data", "system", "user=a", "user=b"}
    # A datastore that holds one node only holds what that does.
    assert len(set(first.values())) == 3
    by_filter = tags(await read(rig, system("", 'x:etag="?"')))
    assert by_filter == {name: tag for name, tag in first.items() if name != "data"}
    below = tags(await read(rig, system('<name/><user x:etag="?"/>')))
    assert set(below) == {"user=a", "user=b"}
    await edit(rig, "<user><name>a</name><uid>2</uid></user>")
    second = tags(await read(rig, mark='x:etag="?"'))
    assert {name for name in first if first[name] != second[name]} == {"data", "system", "user=a"}
    await edit(rig, "<user><name>a</name><uid>1</uid></user>", target="candidate")
    assert tags(await read(rig, mark='x:etag="?"', source="candidate")) == first


async def test_what_the_client_knows_is_left_out(rig: LocalRig) -> None:
    known = tags(await read(rig, mark='x:etag="?"'))
    same = await read(rig, mark=f'x:etag="{known["data"]}"')
    assert (same.get(ETAG), len(same)) == ("=", 0)
    (pruned,) = await read(rig, system("", f'x:etag="{known["system"]}"'))
    assert (pruned.get(ETAG), len(pruned)) == ("=", 0)
    await edit(rig, "<user><name>b</name><uid>9</uid></user>")
    entries = "".join(
        f'<user x:etag="{known[f"user={name}"]}"><name>{name}</name></user>' for name in ("a", "b")
    )
    data = await read(rig, system(entries))
    one, other = data.iter(f"{{{TOY}}}user")
    assert (one.get(ETAG), [etree.QName(leaf).localname for leaf in one]) == ("=", ["name"])
    assert other.findtext(f"{{{TOY}}}uid") == "9"
    assert other.get(ETAG) not in (None, "=", known["user=b"])


async def test_what_states_no_tag_has_that_of_the_node_around_it(rig: LocalRig) -> None:
    known = tags(await read(rig, mark='x:etag="?"'))
    entry = f'<user><name>a</name><uid x:etag="{known["user=a"]}"/></user>'
    (same,) = (await read(rig, system(entry))).iter(f"{{{TOY}}}uid")
    assert (same.get(ETAG), same.text) == ("=", None)
    entry = f'<user><name>a</name><uid x:etag="{known["user=b"]}"/></user>'
    (other,) = (await read(rig, system(entry))).iter(f"{{{TOY}}}uid")
    assert (other.get(ETAG), other.text) == (None, "1")
    # Of a list whose container has another tag by now, the entry is left out that has the tag still.
    data = await read(rig, system("<user/>", f'x:etag="{known["user=b"]}"'))
    one, unchanged = data.iter(f"{{{TOY}}}user")
    assert (one.get(ETAG), one.findtext(f"{{{TOY}}}uid")) == (known["user=a"], "1")
    assert unchanged.get(ETAG) == "="
    data = await read(rig, mark=f'x:etag="{known["user=b"]}"')
    assert [user.get(ETAG) for user in data.iter(f"{{{TOY}}}user")] == [known["user=a"], "="]


async def test_a_change_is_answered_with_the_new_tag_where_that_is_asked_for(rig: LocalRig) -> None:
    wish = f'<with-etag xmlns="{MODULE}">true</with-etag>'
    config = f"<config>{system('<user><name>c</name></user>')}</config>"

    async def after(operation: str, source: str) -> None:
        (ok,) = await rig.rpc(operation)
        data = await read(rig, mark='x:etag="?"', source=source)
        assert (ok.tag, ok.get(ETAG)) == (names.OK, data.get(ETAG))

    before = (await read(rig, mark='x:etag="?"')).get(ETAG)
    await after(
        f"<edit-config><target><candidate/></target>{wish}{config}</edit-config>",
        "candidate",
    )
    assert (await read(rig, mark='x:etag="?"')).get(ETAG) == before
    await after(f"<commit>{wish}</commit>", "running")
    assert (await read(rig, mark='x:etag="?"')).get(ETAG) != before
    config = f"<config>{system('<user><name>d</name></user>')}</config>"
    await after(f"<edit-config><target><running/></target>{wish}{config}</edit-config>", "running")
    nmda = f'<edit-data xmlns="{NMDA}" {DS}><datastore>ds:running</datastore>{config}{wish}</edit-data>'
    await after(nmda, "running")
    # A plain <ok/> is no body to a session within the process.
    assert len(await rig.rpc(f"<commit>{wish.replace('true', 'false')}</commit>")) == 0


async def test_get_data_and_defaults_have_the_same_tags(rig: LocalRig) -> None:
    known = tags(await read(rig, mark='x:etag="?"'))
    namespace = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
    mode = f'<with-defaults xmlns="{namespace}">report-all</with-defaults>'
    reply = await rig.rpc(f'<get-config {X} x:etag="?"><source><running/></source>{mode}</get-config>')
    assert reply.findtext(f".//{{{TOY}}}mtu") == "1500"
    assert known.items() <= tags(reply[0]).items()
    text = f'<get-data xmlns="{NMDA}" {DS} {X} x:etag="?"><datastore>ds:running</datastore></get-data>'
    data = (await rig.rpc(text))[0]
    assert (data.tag, tags(data)) == (f"{{{NMDA}}}data", known)


async def test_an_edit_is_refused_where_somebody_was_faster(rig: LocalRig) -> None:
    known = tags(await read(rig, mark='x:etag="?"'))
    mine = f'<user x:etag="{known["user=a"]}"><name>a</name><uid>5</uid></user>'
    await edit(rig, mine)
    now = tags(await read(rig, mark='x:etag="?"'))
    path = "/toy:system/toy:user[toy:name='a']"
    assert await refusal(rig, mine) == (path, [path, now["user=a"]])
    assert (await refusal(rig, "<mtu>1400</mtu>", f'x:etag="{known["system"]}"'))[0] == "/toy:system"
    assert await refusal(rig, "<mtu>1400</mtu>", root=f'x:etag="{known["data"]}"') == (
        None,
        ["/", now["data"]],
    )
    assert (await refusal(rig, f'<mtu x:etag="{known["system"]}">1400</mtu>'))[0] == "/toy:system/toy:mtu"
    gone = '<user x:etag="abc"><name>z</name></user>'
    assert (await refusal(rig, gone))[1] == ["/toy:system/toy:user[toy:name='z']", "!"]
    await edit(rig, "<mtu>1400</mtu>", f'x:etag="{now["system"]}"', root=f'x:etag="{now["data"]}"')


async def test_the_candidate_is_held_to_what_its_edits_expect_when_it_is_committed(rig: LocalRig) -> None:
    known = tags(await read(rig, mark='x:etag="?"'))
    mine = f'<user x:etag="{known["user=a"]}"><name>a</name><uid>5</uid></user>'
    await edit(rig, mine, target="candidate")
    await rig.rpc("<discard-changes/>")
    await edit(rig, "<user><name>a</name><uid>3</uid></user>", target="candidate")
    await rig.rpc("<commit/>")
    await edit(rig, mine, target="candidate")
    with pytest.raises(RpcError, match="has changed since"):
        await rig.rpc("<commit/>")
    now = tags(await read(rig, mark='x:etag="?"'))
    # what is said last counts
    await edit(rig, mine.replace(known["user=a"], now["user=a"]), target="candidate")
    await rig.rpc("<commit/>")
    assert "<uid>5</uid>" in await rig.system("running")


async def test_tags_that_are_asked_for_do_not_change_what_a_filter_selects(rig: LocalRig) -> None:
    plain, tagged = (
        await read(rig, system("<user><name>a</name></user>")),
        await read(rig, system('<user x:etag="?"><name>a</name></user>')),
    )
    for element in tagged.iter(etree.Element):
        element.attrib.pop(ETAG, "")
    assert [etree.tostring(item, method="c14n", exclusive=True) for item in plain] == [
        etree.tostring(item, method="c14n", exclusive=True) for item in tagged
    ]
