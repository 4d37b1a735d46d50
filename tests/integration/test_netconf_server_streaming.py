"""Large operational lists: streamed in little memory, found by key at once, and no burden to others."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest
from lxml import etree

from netconf_server import Limits
from rui.netconf import names
from tests.integration.netconf_server_rig import TOY, Parts, errors, serving, toy

SUBSCRIBE = f'<create-subscription xmlns="{names.NOTIFICATION}"/>'
ALL = f'<get><filter><inventory xmlns="{TOY}"/></filter></get>'


def get(inner: str) -> str:
    return f'<get><filter><inventory xmlns="{TOY}">{inner}</inventory></filter></get>'


def serials(reply: etree._Element) -> list[tuple[str | None, str | None]]:
    """(site, serial) of every part in a reply."""
    found = []
    for site in reply.iter(toy("site")):
        found += [
            (site.findtext(toy("name")), part.findtext(toy("serial"))) for part in site.iter(toy("part"))
        ]
    return found


SITE = "<site><name>{}</name>{}</site>"
PART = "<part><serial>{}</serial><slot>1</slot></part>"
PART_LEAF = "<part><serial>x1</serial><slot>1</slot><{}/></part>"
EVERY = [(f"s{i}", f"x{j}") for i in (0, 1) for j in (0, 1, 2)]
CASES = {
    "all": ("", EVERY, [{}]),
    "one entry": (
        "<site><name>s1</name><part><serial>x2</serial><slot>1</slot></part></site>",
        [("s1", "x2")],
        [{"site": {"name": "s1"}, "part": {"serial": "x2", "slot": "1"}}],
    ),
    "an entry that is not there": (
        "<site><name>s1</name><part><serial>x9</serial><slot>1</slot></part></site>",
        [],
        [{"site": {"name": "s1"}, "part": {"serial": "x9", "slot": "1"}}],
    ),
    "half a key": (
        "<site><part><serial>x1</serial></part></site>",
        [("s0", "x1"), ("s1", "x1")],
        [{"part": {"serial": "x1"}}],
    ),
    "two entries of two sites": (
        SITE.format("s0", PART.format("x1")) + SITE.format("s1", PART.format("x2")),
        [("s0", "x1"), ("s1", "x2")],
        [
            {"site": {"name": "s0"}, "part": {"serial": "x1", "slot": "1"}},
            {"site": {"name": "s1"}, "part": {"serial": "x2", "slot": "1"}},
        ],
    ),
    "one entry asked for twice": (
        SITE.format("s0", PART_LEAF.format("model") + PART_LEAF.format("note")),
        [("s0", "x1")],
        [{"site": {"name": "s0"}, "part": {"serial": "x1", "slot": "1"}}],
    ),
    "a content match beside the keys": ("<site><part><model>m</model></part></site>", EVERY, [{}]),
    "a content match that fails": ("<site><part><model>z</model></part></site>", [], [{}]),
    "sites only": ("<site><name/></site>", [], [{}]),
    "something beside the list": ("<total/>", [], []),
}


@pytest.mark.parametrize(("inner", "expected", "asked"), CASES.values(), ids=CASES)
async def test_filters_reach_the_provider(
    tmp_path: Path, inner: str, expected: list[tuple[str, str]], asked: list[object]
) -> None:
    async with serving(tmp_path) as rig, rig.raw() as raw:
        reply = await raw.rpc(get(inner) if inner else ALL)
        assert serials(reply) == expected
        assert rig.parts.asked == asked
        content = reply.find(f"{names.DATA}/{toy('inventory')}")
        if content is not None:
            rig.server.schema.check_operational(content)


async def test_only_the_leafs_that_were_asked_for_and_the_keys(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, rig.raw() as raw:
        reply = await raw.rpc(get("<site><name>s0</name><part><model/></part></site>"))
        part = reply.find(f".//{toy('part')}")
        assert part is not None
        assert [child.tag for child in part] == [toy("serial"), toy("slot"), toy("model")]


async def test_sites_are_listed_without_their_parts(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, rig.raw() as raw:
        reply = await raw.rpc(get("<site><name/></site>"))
        assert [site.findtext(toy("name")) for site in reply.iter(toy("site"))] == ["s0", "s1"]


class Summary:
    """A small tree around the large list."""

    def read(self) -> etree._Element:
        sites = "<site><name>s1</name><city>Ulm</city></site><site><name>s7</name><city>Bonn</city></site>"
        return etree.fromstring(f'<inventory xmlns="{TOY}"><total>6</total>{sites}</inventory>')


@pytest.mark.parametrize(
    ("inner", "cities", "count", "total"),
    [
        ("", {"s0": None, "s1": "Ulm", "s7": "Bonn"}, 6, "6"),
        ("<total/>", {}, 0, "6"),
        ("<site><city/></site>", {"s0": None, "s1": "Ulm", "s7": "Bonn"}, 0, None),
        ("<site><city>Ulm</city></site>", {"s1": "Ulm"}, 3, None),
        ("<site><name>s7</name></site>", {"s7": "Bonn"}, 0, None),
        ("<total>5</total><site/>", {}, 0, None),
        ("<total>6</total><site><name>s0</name><part/></site>", {"s0": None}, 3, "6"),
    ],
)
async def test_a_small_tree_and_a_large_list_are_one(
    tmp_path: Path, inner: str, cities: dict[str, str | None], count: int, total: str | None
) -> None:
    async with serving(tmp_path) as rig, rig.raw() as raw:
        rig.server.register_tree("/toy:inventory", Summary())
        reply = await raw.rpc(get(inner) if inner else ALL)
        shown = {site.findtext(toy("name")): site.findtext(toy("city")) for site in reply.iter(toy("site"))}
        assert shown == cities
        assert len(serials(reply)) == count
        assert reply.findtext(f".//{toy('total')}") == total


class Uptime:
    """State inside a configuration container."""

    def read(self) -> etree._Element:
        return etree.fromstring(f'<uptime xmlns="{TOY}">42</uptime>')


async def test_state_stands_beside_configuration_in_get_only(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, running=f'<system xmlns="{TOY}"><name>r</name></system>') as rig,
        rig.raw() as raw,
    ):
        rig.server.register_tree("/toy:system/uptime", Uptime())
        wanted = f'<filter><system xmlns="{TOY}"/></filter>'
        everything = await raw.rpc(f"<get>{wanted}</get>")
        config = await raw.rpc(f"<get-config><source><running/></source>{wanted}</get-config>")
        (system,) = everything.iter(toy("system"))
        assert [child.tag for child in system] == [toy("name"), toy("uptime")]
        assert config.find(f".//{toy('uptime')}") is None
        assert rig.datastores.running.find(f".//{toy('uptime')}") is None


async def test_what_cannot_be_provided_is_refused_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig:
        for path, register in (
            ("/toy:system/user", rig.server.register_list),
            ("/toy:inventory/total", rig.server.register_list),
            ("/toy:inventory/site", rig.server.register_list),
        ):
            with pytest.raises(ValueError, match="toy:"):
                register(path, Parts())
        with pytest.raises(ValueError, match="inside a list"):
            rig.server.register_tree("/toy:inventory/site/city", Summary())


async def test_100000_entries_take_little_memory_and_others_are_served(tmp_path: Path) -> None:
    parts = Parts(sites=2, parts=50_000, note="n" * 700)
    async with serving(tmp_path, parts=parts) as rig, rig.raw() as reader, rig.raw() as other:
        tracemalloc.start()
        try:
            reader.send_message(f'<rpc xmlns="{names.BASE}" message-id="1">{ALL}</rpc>')
            total, slowest, served = 0, 0.0, 0
            loop = asyncio.get_running_loop()
            begun = loop.time()
            one = get("<site><name>s1</name><part><serial>x49999</serial><slot>1</slot></part></site>")
            end = b""
            while not end.endswith(b"\n##\n"):
                data = await reader.reader.read(1 << 20)
                total += len(data)
                end = (end + data)[-4:]
                if served < 20:
                    started = loop.time()
                    assert serials(await other.rpc(one)) == [("s1", "x49999")]
                    slowest = max(slowest, loop.time() - started)
                    served += 1
            whole = loop.time() - begun
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert total > 80_000_000
    assert served == 20
    assert slowest < whole / 4
    assert peak < 40_000_000


async def test_a_client_that_takes_nothing_is_closed_and_costs_little(tmp_path: Path) -> None:
    parts = Parts(sites=2, parts=50_000, note="n" * 700)
    limits = Limits(stall_timeout=0.5)
    async with (
        serving(tmp_path, parts=parts, limits=limits) as rig,
        rig.raw() as stalled,
        rig.raw() as other,
    ):
        await other.rpc(SUBSCRIBE)
        gone = asyncio.Event()
        rig.server.stream("NETCONF").on_ended(lambda subscription: gone.set())
        await stalled.rpc(SUBSCRIBE)
        stalled.reader.channel.pause_reading()
        stalled.send_message(f'<rpc xmlns="{names.BASE}" message-id="1">{ALL}</rpc>')
        async with asyncio.timeout(30):
            await gone.wait()
        assert list(rig.server.sessions) == [2]
        assert errors(await other.rpc("<get-config><source><running/></source></get-config>")) == []


class Broken:
    """A provider that fails on the way."""

    def read(self, keys: object) -> object:
        yield from Parts(parts=1000).read({})
        raise OSError("disk gone")


async def test_a_provider_that_fails_on_the_way_ends_the_session(tmp_path: Path) -> None:
    async with serving(tmp_path, parts=Broken()) as rig:  # type: ignore[arg-type]
        async with rig.raw() as raw:
            raw.send_message(f'<rpc xmlns="{names.BASE}" message-id="1">{ALL}</rpc>')
            rest = await raw.closed()
            assert not rest.endswith(b"\n##\n")
        async with rig.raw() as raw:
            assert errors(await raw.rpc("<get-config><source><running/></source></get-config>")) == []
