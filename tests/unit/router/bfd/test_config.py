"""BFD sessions from a startup file, and what operators read of them, both by the model."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from lxml import etree

from router.bfd import BfdConfig, BfdEndpoint, BfdRole, BfdTree, SessionConfig, change_notification, read_bfd
from rui.bfd.demux import Path
from rui.bfd.fsm import SessionOptions, StateChanged
from rui.bfd.packet import Diagnostic, State
from rui.bfd.states import Trigger
from rui.netconf import names
from rui.schema import DataError, Schema
from rui.schema.leaves import ConfigError
from tests.models import router_model

BASE = """<device xmlns="urn:rui-cloud:yang:device"><device-id>bras-a</device-id>
<group><id>g1</id><static-role>primary</static-role></group>{}</device>"""
BFD = '<bfd xmlns="urn:rui-cloud:yang:bfd">{}</bfd>'
SESSION = "<session><name>{}</name><role>access</role><local-address>{}</local-address>{}</session>"
REMOTE = "<remote-address>{}</remote-address>"


@pytest.fixture(scope="module")
def schema() -> Schema:
    return router_model()


@pytest.fixture(scope="module")
def read(schema: Schema) -> Callable[[str], BfdConfig]:
    def reading(content: str) -> BfdConfig:
        root = etree.fromstring(f'<config xmlns="{names.BASE}">{BASE.format(content)}</config>')
        device = schema.complete_config(root).find("{urn:rui-cloud:yang:device}device")
        assert device is not None
        return read_bfd(device)

    return reading


def session(name: str = "s", local: str = "192.0.2.1", remote: str = "192.0.2.2", more: str = "") -> str:
    return SESSION.format(name, local, REMOTE.format(remote) + more)


def test_a_router_need_not_speak_bfd(read: Callable[[str], BfdConfig]) -> None:
    assert read("").sessions == ()


def test_the_model_holds_the_defaults(read: Callable[[str], BfdConfig]) -> None:
    assert read(BFD.format(session())) == BfdConfig(
        sessions=(SessionConfig("s", BfdRole.ACCESS, Path("192.0.2.1", "192.0.2.2")),),
    )


def test_everything_that_can_be_set_is_read(read: Callable[[str], BfdConfig]) -> None:
    config = read(
        BFD.format(
            "<listen-address>127.0.0.1</listen-address><port>13784</port>"
            + session(
                local="fe80::A",
                remote="fe80:0::b",
                more="<group>g1</group><interface>eth0</interface><remote-port>9</remote-port>"
                "<local-multiplier>5</local-multiplier><admin-down>true</admin-down>"
                "<desired-min-tx-interval>10000</desired-min-tx-interval>"
                "<required-min-rx-interval>50000</required-min-rx-interval>",
            )
        )
    )
    options = SessionOptions(10_000, 50_000, 5, admin_down=True)
    path = Path("fe80::a", "fe80::b", "eth0")
    assert config == BfdConfig(
        (SessionConfig("s", BfdRole.ACCESS, path, options, "g1", 9),), ("127.0.0.1",), 13784
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (session("a") + session("b"), "session a: give each its own"),
        (session(remote="2001:db8::1"), "different families"),
    ],
)
def test_what_only_this_room_can_refuse(
    read: Callable[[str], BfdConfig], content: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read(BFD.format(content))


@pytest.mark.parametrize(
    "content",
    [
        session(remote="192.0.2.1"),
        session(more="<desired-min-tx-interval>9999</desired-min-tx-interval>"),
        session(more="<local-multiplier>0</local-multiplier>"),
        session(more="<group>g9</group>"),
    ],
)
def test_what_the_model_refuses(read: Callable[[str], BfdConfig], content: str) -> None:
    with pytest.raises(DataError):
        read(BFD.format(content))


async def test_operators_read_what_the_model_says(schema: Schema) -> None:
    config = SessionConfig("s", BfdRole.CORE, Path("127.0.0.1", "127.0.0.2"), port=9)
    told: list[StateChanged] = []
    endpoint = BfdEndpoint(
        BfdConfig((config,), ("127.0.0.1",), 0), lambda _, change: told.append(change), rng=Random(1)
    )
    endpoint.start()
    try:
        tree = BfdTree(endpoint).read()
        running = endpoint.sessions["s"]
        change = StateChanged(
            State.INIT, State.UP, Trigger.HEARD_UP, Diagnostic.NONE, State.UP, running.session.since
        )
        notification = change_notification(running, change)
    finally:
        endpoint.close()
    schema.check_operational(tree)
    schema.check_notification(notification)
    found = {element.tag.partition("}")[2]: element.text for element in tree.iter(etree.Element)}
    assert found["local-state"] == "down"
    assert found["negotiated-tx-interval"] == "1000000"
    assert "last-up-time" not in found
    assert [change.state for change in told] == [State.ADMIN_DOWN]
