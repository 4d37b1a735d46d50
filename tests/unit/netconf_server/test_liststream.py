"""Provided lists inside others: what is read of them, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from tests.integration.netconf_server_rig import TOY, Parts, toy_schema
from tests.unit.netconf_server.local_rig import LocalRig

FILTER = f'<get><filter><inventory xmlns="{TOY}"><site><name/><city/></site></inventory></filter></get>'


class Sites:
    def read(self) -> etree._Element:
        sites = "".join(f"<site><name>s{number}</name><city>c</city></site>" for number in range(2))
        return etree.fromstring(f'<inventory xmlns="{TOY}">{sites}</inventory>')


@pytest.mark.parametrize(("outer_given", "reads"), [(True, 0), (False, 1)])
async def test_entries_are_read_only_where_they_can_name_an_outer_one(
    tmp_path: Path, outer_given: bool, reads: int
) -> None:
    rig, parts = LocalRig(toy_schema(), tmp_path), Parts(sites=2)
    rig.server.register_tree("/toy:inventory", Sites())
    rig.server.register_list("/toy:inventory/site/part", parts, outer_given=outer_given)
    (data,) = await rig.rpc(FILTER)
    assert [leaf.text for leaf in data.iter(f"{{{TOY}}}city")] == ["c", "c"]
    assert data.find(f".//{{{TOY}}}part") is None
    assert len(parts.asked) == reads
    await rig.server.close()


async def test_what_is_asked_for_is_read_all_the_same(tmp_path: Path) -> None:
    rig, parts = LocalRig(toy_schema(), tmp_path), Parts(sites=2, parts=3)
    rig.server.register_tree("/toy:inventory", Sites())
    rig.server.register_list("/toy:inventory/site/part", parts, outer_given=True)
    (data,) = await rig.rpc(f'<get><filter><inventory xmlns="{TOY}"/></filter></get>')
    assert len(data.findall(f".//{{{TOY}}}part")) == 6
    await rig.server.close()
