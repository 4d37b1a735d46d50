from __future__ import annotations

import pytest
from lxml import etree

from rui.backup import rbs
from rui.backup.decision import Path
from rui.backup.failover import Kind
from rui.backup.identity import Role
from rui.backup.links import LinkState
from rui.backup.messages import Position, SnapshotProgress
from rui.backup.wire import WireError
from rui.schema import Schema
from tests.unit.backup.histories import GROUP, A, version

LINK = rbs.CloudLink(GROUP, "bras-a", LinkState.DOWN)
POSITION = Position(version(5), SnapshotProgress(version(20), 100, version(22)), A)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema.load(["rui-failover"])


def again(element: etree._Element) -> etree._Element:
    return etree.fromstring(etree.tostring(element))


def output(children: list[etree._Element]) -> etree._Element:
    holder = etree.Element("reply")
    holder.extend(children)
    return holder


@pytest.mark.parametrize("probe", [rbs.Probe(1), rbs.Probe(7, 0.00125, 2)])
def test_a_probe_reads_back(schema: Schema, probe: rbs.Probe) -> None:
    element = again(rbs.encode_probe(probe))
    schema.check_rpc(element)
    assert rbs.decode_probe(element) == probe


@pytest.mark.parametrize("role", Role)
def test_queries_and_words_to_wait_are_in_the_model(schema: Schema, role: Role) -> None:
    for name in (rbs.QUERIES[role], rbs.WAITS[role]):
        element = again(rbs.encode_group(name, GROUP))
        schema.check_rpc(element)
        assert rbs.decode_group(element) == GROUP


@pytest.mark.parametrize(
    ("asker", "sender", "state", "which"),
    [
        (Role.PRIMARY, Role.SECONDARY, LinkState.DOWN, "first"),
        (Role.PRIMARY, Role.SECONDARY, LinkState.UP, "second"),
        (Role.SECONDARY, Role.PRIMARY, LinkState.DEGRADED, "third"),
        (Role.SECONDARY, Role.PRIMARY, LinkState.UP, "fourth"),
    ],
)
def test_the_four_responses(schema: Schema, asker: Role, sender: Role, state: LinkState, which: str) -> None:
    link = rbs.CloudLink(GROUP, "bras-x", state)
    children = rbs.encode_response(sender, link)
    schema.check_output(rbs.QUERIES[asker], children)
    reply = output(children)
    assert reply[0].text == which
    assert rbs.decode_cloud_link(reply) == link


@pytest.mark.parametrize(("role", "kind"), list(rbs.TELLS))
def test_every_notification_is_in_the_model(schema: Schema, role: Role, kind: Kind) -> None:
    element = again(rbs.encode_tell(role, kind, LINK))
    schema.check_notification(element)
    assert rbs.decode_cloud_link(element) == LINK


@pytest.mark.parametrize("position", [None, Position(), Position(version(3)), POSITION])
def test_the_handshake_reads_back(schema: Schema, position: Position | None) -> None:
    start = rbs.Start(GROUP, Role.SECONDARY, Path.BOTH, position)
    element = again(rbs.encode_start(start))
    schema.check_rpc(element)
    assert rbs.decode_start(element) == start


def test_the_handshake_s_output_states_the_secondary_s_position(schema: Schema) -> None:
    children = rbs.encode_started(POSITION)
    schema.check_output(rbs.START, children)
    assert rbs.decode_started(output(children)) == POSITION


def test_a_change_of_path_and_its_answer_read_back(schema: Schema) -> None:
    element = again(rbs.encode_change(GROUP, Path.CLOUD))
    schema.check_rpc(element)
    assert rbs.decode_change(element) == (GROUP, Path.CLOUD)
    for yes in (True, False):
        children = rbs.encode_changed(yes)
        schema.check_output(rbs.CHANGE, children)
        assert rbs.decode_changed(output(children)) is yes


def test_every_path_is_in_the_model(schema: Schema) -> None:
    for path in Path:
        schema.check_rpc(rbs.encode_change(GROUP, path))


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        ("<link-probe xmlns='{}'/>", "lacks sequence"),
        ("<link-probe xmlns='{}'><sequence>one</sequence></link-probe>", "one"),
    ],
)
def test_a_probe_that_says_nothing_is_refused(xml: str, why: str) -> None:
    with pytest.raises(WireError, match=why):
        rbs.decode_probe(etree.fromstring(xml.format(rbs.FAILOVER)))


def test_an_unknown_state_is_refused() -> None:
    element = rbs.encode_tell(Role.PRIMARY, Kind.TIMEOUT, LINK)
    element[2].text = "asleep"
    with pytest.raises(WireError, match="asleep"):
        rbs.decode_cloud_link(element)
