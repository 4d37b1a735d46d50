"""The input of operations: checked once for all that look the same, and refused as long as it is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lxml import etree

from netconf_server.call import RpcCall, SessionInfo
from netconf_server.inputs import Inputs
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema.schema import Document
from tests.integration.netconf_server_rig import toy_schema

WHO = SessionInfo(1, "x", "192.0.2.1:1", "netconf-ssh", datetime.now(UTC))


def call(operation: str) -> RpcCall:
    rpc = etree.fromstring(f'<rpc xmlns="{names.BASE}">{operation}</rpc>')
    return RpcCall(WHO, "1", rpc[0], b"")


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Document]:
    schema, found = toy_schema(), list[Document]()
    check = schema.check_rpc

    def check_rpc(operation: Document, source: str = "request") -> None:
        found.append(operation)
        check(operation, source)

    monkeypatch.setattr(schema, "check_rpc", check_rpc)
    return found


def edit(target: str, content: str, more: str = "") -> str:
    return f"<edit-config><target>{target}</target>{more}<config>{content}</config></edit-config>"


def test_what_differs_only_in_the_data_is_checked_once(checked: list[Document]) -> None:
    inputs = Inputs(toy_schema(), ())
    for content in ("", "<a xmlns='urn:a'/>", "<b xmlns='urn:b' x='y'>1</b>"):
        inputs.check(call(edit("<running/>", content)))
    inputs.check(call(edit("<candidate/>", "")))
    inputs.check(call(edit("<running/>", "", "<error-option>rollback-on-error</error-option>")))
    assert len(checked) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        edit("<running/>", "", "<error-option>never</error-option>"),
        edit("<running/>", "", "<error-option>stop-on-error</error-option><nothing/>"),
        edit("<running><x/></running>", ""),
        edit("<running/>", "", "<config/>"),
        "<edit-config><target><running/></target></edit-config>",
        f'<edit-config xmlns:p="{names.BASE}"><target p:x="1"><running/></target><config/></edit-config>',
    ],
)
def test_what_is_wrong_is_refused_every_time(wrong: str) -> None:
    inputs = Inputs(toy_schema(), ())
    inputs.check(call(edit("<running/>", "")))
    inputs.check(call(edit("<running/>", "", "<error-option>stop-on-error</error-option>")))
    for _ in range(2):
        with pytest.raises(RpcError):
            inputs.check(call(wrong))


def test_what_is_remembered_is_bounded(checked: list[Document]) -> None:
    inputs = Inputs(toy_schema(), ())
    for number in range(1, 700):
        inputs.check(call(f"<kill-session><session-id>{number}</session-id></kill-session>"))
    assert len(inputs._right) <= 256
    assert len(checked) == 699
